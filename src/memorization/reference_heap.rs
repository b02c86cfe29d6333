//! Which of equally similar training pictures the reference's list keeps.

use crate::{
    similarity::{Index, Prepared},
    study::Match,
};

/// The best `k` matches as the reference's bounded heap keeps them (METHODS §5.2), best first: pictures are
/// offered in gallery order, a newcomer must have a strictly better average than the worst one kept, and
/// what it replaces is the least tuple (average, background, foreground, name). Only among ties at the end
/// of the list does this differ from [`Index::search`].
///
/// `None` when cancelled or when the index can no longer be read.
pub fn reference_best(
    index: &Index,
    query: &Prepared,
    k: usize,
    name: &dyn Fn(u32) -> String,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Match>> {
    let mut wanted = k + 1;
    loop {
        let found = index.search(query, wanted, cancelled)?;
        let all = found.len() < wanted || wanted > index.len();
        let tied =
            found.len() > k && found[k - 1].scores.average() == found[found.len() - 1].scores.average();
        if all || !tied {
            return Some(keep(found, k, name));
        }
        wanted *= 2;
    }
}

/// `found` holds the best `k` and everything that ties with the last of them. Pictures below never decide:
/// they are what the heap gives away first.
fn keep(mut found: Vec<Match>, k: usize, name: &dyn Fn(u32) -> String) -> Vec<Match> {
    let Some(least) = found.get(k.saturating_sub(1)).and_then(|m| m.scores.average()) else {
        return found;
    };
    let average = |m: &Match| m.scores.average().unwrap_or(f32::NEG_INFINITY);
    found.retain(|m| average(m) >= least);
    found.sort_by_key(|m| m.gallery);
    let rank = |a: &Match, b: &Match| {
        let part = |s: Option<f32>| s.unwrap_or(f32::NEG_INFINITY);
        average(a)
            .total_cmp(&average(b))
            .then_with(|| part(a.scores.background).total_cmp(&part(b.scores.background)))
            .then_with(|| part(a.scores.foreground).total_cmp(&part(b.scores.foreground)))
            .then_with(|| name(a.gallery).cmp(&name(b.gallery)))
    };
    let mut kept: Vec<Match> = Vec::with_capacity(k + 1);
    for m in found {
        if kept.len() < k {
            kept.push(m);
        } else if average(&m) > average(&kept[0]) {
            kept[0] = m;
        } else {
            continue;
        }
        kept.sort_by(rank); // the worst one first
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::RegionScores;

    fn kept(averages: &[(u32, f32)], k: usize) -> Vec<u32> {
        let mut found: Vec<Match> = averages
            .iter()
            .map(|&(gallery, a)| Match {
                gallery,
                scores: RegionScores::new(a, a),
            })
            .collect();
        found.sort_by(|a, b| b.scores.average().partial_cmp(&a.scores.average()).unwrap());
        keep(found, k, &|i| format!("{i}.png"))
            .iter()
            .map(|m| m.gallery)
            .collect()
    }

    #[test]
    fn ties_are_kept_and_given_away_as_the_heap_does() {
        // A tie at the end is not let in.
        assert_eq!(kept(&[(0, 0.9), (1, 0.5), (2, 0.5)], 2), [0, 1]);
        // A better one later pushes the least name out: "10.png" before "2.png".
        assert_eq!(kept(&[(2, 0.5), (10, 0.5), (11, 0.9)], 2), [11, 2]);
        assert_eq!(kept(&[(1, 0.5), (2, 0.5), (11, 0.9), (12, 0.5)], 2), [11, 2]);
        assert_eq!(kept(&[(4, 0.3)], 5), [4]);
    }
}
