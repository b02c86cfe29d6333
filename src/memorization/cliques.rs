//! Cliques of pictures that all resemble each other: Carlini et al.'s test without a gallery (arXiv 2301.13188;
//! METHODS §10.3). Many samples of one prompt that are near-duplicates of one another are a sign of memorization.

/// Steps of the search after which the largest clique found so far is returned.
const MOST_STEPS: usize = 2_000_000;
/// Size from which Carlini et al. call a prompt memorized (of 500 samples).
pub const MEMORIZED: usize = 10;

/// A largest clique of pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clique {
    /// Its pictures, ascending.
    pub members: Vec<usize>,
    /// Whether there is certainly none larger; otherwise the search was cut off.
    pub certain: bool,
}

/// A largest clique of the graph of `count` pictures whose edges are the pairs `(a, b)` for which `near` holds (a
/// distance below τ, a similarity above it). Each pair is asked once, `a < b`.
///
/// Branch and bound by greedy colouring (Tomita & Seki, 2003). Ends after a fixed number of steps; the answer is then
/// a lower bound and says so.
pub fn largest_clique(count: usize, near: impl Fn(usize, usize) -> bool) -> Clique {
    let words = count.div_ceil(64);
    let mut edges = vec![vec![0u64; words]; count];
    for a in 0..count {
        for b in a + 1..count {
            if near(a, b) {
                edges[a][b / 64] |= 1 << (b % 64);
                edges[b][a / 64] |= 1 << (a % 64);
            }
        }
    }
    let mut search = Search {
        edges,
        best: Vec::new(),
        now: Vec::new(),
        steps: 0,
    };
    let all = (0..words)
        .map(|w| match count - 64 * w {
            left if left >= 64 => u64::MAX,
            left => (1 << left) - 1,
        })
        .collect();
    search.expand(all);
    let mut members = search.best;
    members.sort_unstable();
    Clique {
        members,
        certain: search.steps < MOST_STEPS,
    }
}

struct Search {
    /// Row per picture, one bit per neighbour.
    edges: Vec<Vec<u64>>,
    best: Vec<usize>,
    now: Vec<usize>,
    steps: usize,
}

impl Search {
    /// Extends `now` by the candidates, all of which are neighbours of all of `now`.
    fn expand(&mut self, mut candidates: Vec<u64>) {
        let coloured = self.coloured(&candidates);
        for &(vertex, colours) in coloured.iter().rev() {
            // No more than one vertex of each colour can join.
            if self.now.len() + colours <= self.best.len() || self.steps >= MOST_STEPS {
                return;
            }
            self.steps += 1;
            self.now.push(vertex);
            let next: Vec<u64> = candidates
                .iter()
                .zip(&self.edges[vertex])
                .map(|(c, e)| c & e)
                .collect();
            if next.iter().any(|&w| w != 0) {
                self.expand(next);
            } else if self.now.len() > self.best.len() {
                self.best = self.now.clone();
            }
            self.now.pop();
            candidates[vertex / 64] &= !(1 << (vertex % 64));
        }
    }

    /// Vertices with the number of colours used up to them, ascending; no two neighbours share a colour.
    fn coloured(&self, candidates: &[u64]) -> Vec<(usize, usize)> {
        let mut left = candidates.to_vec();
        let mut out = Vec::new();
        let mut colour = 0;
        while left.iter().any(|&w| w != 0) {
            colour += 1;
            let mut free = left.clone();
            while let Some(vertex) = first(&free) {
                for (f, e) in free.iter_mut().zip(&self.edges[vertex]) {
                    *f &= !e;
                }
                free[vertex / 64] &= !(1 << (vertex % 64));
                left[vertex / 64] &= !(1 << (vertex % 64));
                out.push((vertex, colour));
            }
        }
        out
    }
}

fn first(bits: &[u64]) -> Option<usize> {
    let word = bits.iter().position(|&w| w != 0)?;
    Some(64 * word + bits[word].trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_clique_is_found_among_chance_edges() {
        let planted = [3, 17, 40, 41, 63, 64, 65, 80, 99];
        let chance = |a: usize, b: usize| (a * 7919 + b * 104_729) % 11 < 4;
        let near =
            |a: usize, b: usize| planted.contains(&a) && planted.contains(&b) || chance(a.min(b), a.max(b));
        let found = largest_clique(120, near);
        assert!(found.certain && found.members.len() >= planted.len());
        for (i, &a) in found.members.iter().enumerate() {
            assert!(found.members[i + 1..].iter().all(|&b| near(a, b)));
        }
    }

    #[test]
    fn it_equals_trying_everything() {
        for salt in 0..12 {
            let near = |a: usize, b: usize| (a * 31 + b * 17 + salt * 5 + a * b) % 7 < 4;
            let n = 13;
            let mut most = 0;
            for set in 0u32..1 << n {
                let members: Vec<usize> = (0..n).filter(|i| set >> i & 1 == 1).collect();
                let all = members
                    .iter()
                    .enumerate()
                    .all(|(i, &a)| members[i + 1..].iter().all(|&b| near(a, b)));
                if all {
                    most = most.max(members.len());
                }
            }
            assert_eq!(largest_clique(n, near).members.len(), most, "{salt}");
        }
    }

    #[test]
    fn nothing_and_nobody_near() {
        assert_eq!(largest_clique(0, |_, _| true).members, Vec::<usize>::new());
        assert_eq!(largest_clique(64, |_, _| false).members.len(), 1);
        assert_eq!(largest_clique(64, |_, _| true).members.len(), 64);
    }
}
