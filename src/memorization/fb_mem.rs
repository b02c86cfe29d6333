//! One picture through the FB-Mem chain: segment, compose the regions, search the gallery.

use crate::{
    segmentation::{Matte, SegmentationError, Segmenter},
    similarity::{Index, Prepared, SimilarityError},
    study::{Arithmetic, Match},
};
use image::{GrayImage, RgbImage};

/// Training images kept per generated picture (the reference's `top_k`).
pub const TOP_K: usize = 5;

/// Why a picture could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The segmenter failed.
    #[error(transparent)]
    Segmentation(#[from] SegmentationError),
    /// The regions could not be compared.
    #[error(transparent)]
    Similarity(#[from] SimilarityError),
    /// The prepared gallery can no longer be read; it must be prepared again.
    #[error("the prepared gallery cannot be read any more: {0}")]
    Index(String),
    /// Stopped as asked.
    #[error("stopped")]
    Stopped,
}

/// What the chain found out about one picture.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Matte of the picture (255 = foreground), same size.
    pub matte: GrayImage,
    /// How sure the segmenter is that there is a foreground, in `[0, 1]`.
    pub confidence: f32,
    /// The [`TOP_K`] best training images, best average first.
    pub matches: Vec<Match>,
}

/// The chain's parts, borrowed from their owner.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// Makes the mattes.
    pub segmenter: &'a Segmenter,
    /// The gallery, prepared; `None` without a gallery.
    pub index: Option<&'a Index>,
    /// Arithmetic of the scores; the same the index was built with.
    pub arithmetic: Arithmetic,
}

impl Judge<'_> {
    /// Segments and compares one generated picture.
    ///
    /// # Errors
    /// [`JudgeError::Stopped`] once `cancelled` says so; else what the parts report.
    pub fn judge(
        &self,
        image: &RgbImage,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Judgement, JudgeError> {
        let Matte { alpha, confidence } = match self.segmenter.segment_unless(image, cancelled) {
            Ok(matte) => matte,
            Err(SegmentationError::Stopped) => return Err(JudgeError::Stopped),
            Err(error) => return Err(error.into()),
        };
        let matches = self.compare(image, &alpha, cancelled)?;
        Ok(Judgement {
            matte: alpha,
            confidence,
            matches,
        })
    }

    /// As [`Self::judge`], comparing with some rows of the gallery only.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn judge_among(
        &self,
        image: &RgbImage,
        rows: &[u32],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Judgement, JudgeError> {
        let Matte { alpha, confidence } = match self.segmenter.segment_unless(image, cancelled) {
            Ok(matte) => matte,
            Err(SegmentationError::Stopped) => return Err(JudgeError::Stopped),
            Err(error) => return Err(error.into()),
        };
        let matches = match self.index {
            Some(index) => {
                let query = Prepared::query(image, &alpha, self.arithmetic)?;
                let found = index.search_among(&query, TOP_K, rows, cancelled);
                found.ok_or_else(|| JudgeError::of_search(index))?
            }
            None => Vec::new(),
        };
        Ok(Judgement {
            matte: alpha,
            confidence,
            matches,
        })
    }

    /// Compares a picture whose matte is known.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn compare(
        &self,
        image: &RgbImage,
        matte: &GrayImage,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Match>, JudgeError> {
        let Some(index) = self.index else {
            return Ok(Vec::new());
        };
        let query = Prepared::query(image, matte, self.arithmetic)?;
        index
            .search(&query, TOP_K, cancelled)
            .ok_or_else(|| JudgeError::of_search(index))
    }
}

impl JudgeError {
    /// Why a search ended without a result: the index can no longer be read, or it was asked to stop.
    pub fn of_search(index: &Index) -> Self {
        index
            .failure()
            .map_or(Self::Stopped, |failure| Self::Index(failure.to_string()))
    }
}
