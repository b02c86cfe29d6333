//! One generated picture and what was found out about it.

use super::{ClusterPlace, Measures, RegionScores, Signals, Thresholds, Verdict};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, sync::Arc};

/// Names one generated picture within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GenerationKey {
    /// [`Prompt::index`](super::Prompt::index).
    pub prompt: u32,
    /// Seed of the initial noise.
    pub seed: u64,
}

impl fmt::Display for GenerationKey {
    /// The stem of the picture's file name, as FB-Mem writes it: `img_0003_01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "img_{:04}_{:02}", self.prompt, self.seed)
    }
}

/// A training image that a generated picture resembles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Index into the study's gallery.
    pub gallery: u32,
    /// Scores of the pair.
    pub scores: RegionScores,
}

/// A region drawn by hand in place of the segmenter's, and what the segmenter's own had given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionEdit {
    /// SHA-256 of the segmenter whose matte it began from; `None` when there was none.
    pub segmenter: Option<String>,
    /// What it was drawn with: “brush”, “lasso”, “clicks”, in the order of first use.
    pub tools: Vec<String>,
    /// The segmenter's matte.
    pub matte: Option<PathBuf>,
    /// Best training images by the segmenter's matte.
    pub matches: Vec<Match>,
    /// Other measures beside the best of them; there are none of the edited region.
    pub measures: Measures,
}

/// A generated picture, segmented and compared.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// Which prompt and seed.
    pub key: GenerationKey,
    /// The prompt's text at the time.
    pub prompt: String,
    /// Lossless PNG on disk.
    pub image: PathBuf,
    /// 8-bit matte on disk (255 = foreground), same size as the picture.
    pub matte: Option<PathBuf>,
    /// Highest value of the matte before scaling, in `[0, 1]`: how sure the segmenter is that there is
    /// a foreground at all.
    pub confidence: Option<f32>,
    /// Best training images, best average first. Empty until compared, or without a gallery.
    pub matches: Vec<Match>,
    /// Other measures beside the best training image; not part of the verdict.
    pub measures: Measures,
    /// `‖ε_cond − ε_uncond‖₂` per denoising step, in latent units (Wen et al., ICLR 2024); empty when
    /// guidance was off.
    pub noise_norm: Vec<f32>,
    /// Other signs seen while drawing; `None` for pictures drawn elsewhere, or by a version that did not look.
    pub signals: Option<Arc<Signals>>,
    /// Seconds spent drawing the picture.
    pub seconds: f32,
    /// Small copy for lists, at most 128 px on a side; empty where it is to be read from disk once it is in view.
    pub thumbnail: Arc<RgbImage>,
    /// Name of the variant it was drawn with; `None` for the checkpoint as it is.
    pub variant: Option<Arc<str>>,
    /// The cluster whose edits it was drawn with, for variants with clusters.
    pub cluster: Option<ClusterPlace>,
    /// Set when `matte` and `matches` are those of a region edited by hand.
    pub edit: Option<Arc<RegionEdit>>,
}

impl Generation {
    /// The same without its small copy: lists of many thousands do not hold a picture each.
    pub fn without_thumbnail(self: Arc<Self>) -> Arc<Self> {
        if self.thumbnail.is_empty() {
            return self;
        }
        let mut generation = Arc::unwrap_or_clone(self);
        generation.thumbnail = Arc::default();
        Arc::new(generation)
    }

    /// Scores of the best match (the gallery row with the highest average), if compared.
    pub fn scores(&self) -> Option<RegionScores> {
        self.matches.first().map(|m| m.scores)
    }

    /// Words that stand with its class and scores wherever these are shown; `None` for the segmenter's own region.
    pub fn edit_mark(&self) -> Option<&'static str> {
        self.edit.is_some().then_some("edited mask")
    }

    /// Class under the given thresholds, from the best match; `None` until compared.
    pub fn verdict(&self, thresholds: &Thresholds) -> Option<Verdict> {
        self.scores().map(|s| thresholds.classify(&s))
    }
}
