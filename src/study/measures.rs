//! Other measures of a picture beside its best training image, for comparison with other work.

use serde::{Deserialize, Serialize};

/// SSIM, SSIM under the mattes, and tiled L2 of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairMeasures {
    /// Mean SSIM at full resolution, in `[−1, 1]` (Wang et al. 2004; torchmetrics ≥ 1.4.2 with
    /// `data_range=1`: Gaussian window of 11, reflected edges, mean over the colours).
    pub ssim: f32,
    /// The same map, weighted by the larger of the two mattes at every pixel: what the pictures agree on
    /// outside of both foregrounds does not count. `None` when both mattes are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_ssim: Option<f32>,
    /// Largest root mean square difference of the sixteen 128² tiles, in `[0, 1]`, 0 for equal pictures
    /// (Carlini et al., arXiv 2301.13188): one differing tile keeps pictures with the same plain
    /// background apart.
    pub tiled_l2: f32,
}

impl PairMeasures {
    /// Names of the three as column headers, and their values.
    pub fn named(&self) -> [(&'static str, Option<f32>); 3] {
        [
            (Self::NAMES[0], Some(self.ssim)),
            (Self::NAMES[1], self.masked_ssim),
            (Self::NAMES[2], Some(self.tiled_l2)),
        ]
    }

    /// Column headers, in the order of [`named`](Self::named).
    pub const NAMES: [&'static str; 3] = ["SSIM", "Masked SSIM", "Tiled L2"];
}

/// Cosine of two pictures' embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingCosine {
    /// The embedder and how it sees pictures: “SSCD small_288”.
    pub by: String,
    /// In `[-1, 1]`.
    pub cosine: f32,
}

/// What else is known of a generated picture beside its best training image. Nothing of it enters a verdict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// Measures of the pixels; `None` until compared, or in runs of earlier versions.
    pub pair: Option<PairMeasures>,
    /// Similarity by an embedder, when the study names one.
    pub embedding: Option<EmbeddingCosine>,
}
