//! Pictures of one prompt that repeat each other, by the largest clique under the tiled distance (Carlini et al. 2023;
//! METHODS §10.3): needs no gallery.

use super::cliques::{Clique, largest_clique};
use crate::similarity::Tiled;
use rayon::prelude::*;
use std::sync::Arc;

/// Largest tiled distance of near-duplicates (Carlini et al.'s bound for a verified extraction).
pub const WITHIN: f32 = 0.15;
/// Pictures of a prompt that are looked at, the first by seed: 786 MB.
pub const MOST_ALIKE: usize = 1000;

/// The largest group of a prompt's pictures that all repeat each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Number of the prompt.
    pub prompt: u32,
    /// Name of the variant; `None` for the checkpoint as it is.
    pub variant: Option<Arc<str>>,
    /// Seeds of the group, ascending; a single one when no two pictures are alike.
    pub seeds: Vec<u64>,
    /// Pictures looked at.
    pub samples: usize,
    /// Whether there is certainly no larger group.
    pub certain: bool,
}

impl Alike {
    /// A few words: how many of how many.
    pub fn words(&self, within: f32) -> String {
        let least = if self.certain { "" } else { "at least " };
        match self.seeds.len() {
            0 | 1 => format!(
                "none of {} pictures repeats another (tiled L2 ≤ {within})",
                self.samples
            ),
            n => format!(
                "{least}{n} of {} pictures repeat each other (tiled L2 ≤ {within})",
                self.samples
            ),
        }
    }
}

/// A largest clique of pictures whose tiled distances are all at most `within`. Works in the caller's pool; `None` soon
/// after `stop` says so.
pub fn alike(pictures: &[Tiled], within: f32, stop: &(dyn Fn() -> bool + Sync)) -> Option<Clique> {
    let near: Option<Vec<Vec<bool>>> = (0..pictures.len())
        .into_par_iter()
        .map(|a| {
            let others = pictures[a + 1..].iter();
            (!stop()).then(|| others.map(|b| pictures[a].within(b, within)).collect())
        })
        .collect();
    let near = near?;
    Some(largest_clique(pictures.len(), |a, b| near[a][b - a - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn repeated_pictures_are_one_group_and_strangers_stay_outside() {
        let scene = |kind: u32, shift: u8| {
            let image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * (3 + kind)) as u8, (y * 7) as u8, shift]));
            Tiled::new(&image).unwrap()
        };
        let pictures = [scene(0, 0), scene(9, 0), scene(0, 20), scene(0, 10), scene(30, 0)];
        let alike = |pictures: &[Tiled], within| alike(pictures, within, &|| false).unwrap();
        let found = alike(&pictures, WITHIN);
        assert_eq!((found.members, found.certain), (vec![0, 2, 3], true));
        assert_eq!(alike(&pictures, 0.0).members.len(), 1);
        assert_eq!(alike(&[], WITHIN).members, Vec::<usize>::new());
    }
}
