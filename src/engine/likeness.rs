//! What embedders say of pictures that are compared: likeness to each other, and to their prompts.

use crate::{
    embedding::{ClipScore, Embedder, EmbeddingError},
    memorization::comparison::{ClipScores, EmbeddingDistance},
};
use image::RgbImage;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Embedders for a comparison; any may be missing.
#[derive(Default)]
pub struct Likeness {
    embedder: Option<Embedder>,
    clip: Option<ClipScore>,
    texts: Mutex<HashMap<String, Arc<Vec<f32>>>>,
}

impl Likeness {
    /// Opens an embedder (SSCD, DINOv2, CLIP) for distances between pictures, and CLIP with its tokenizer for scores with
    /// prompts.
    ///
    /// # Errors
    /// When one of them is not complete; the message says what is missing.
    pub fn open(embedder: Option<&Path>, clip: Option<&Path>) -> Result<Self, EmbeddingError> {
        Ok(Self {
            embedder: embedder.map(Embedder::open).transpose()?,
            clip: clip.map(ClipScore::open).transpose()?,
            texts: Mutex::default(),
        })
    }

    /// Whether a folder holds CLIP with what scores of prompts need.
    pub fn scores_prompts(folder: &Path) -> bool {
        folder.join("tokenizer.json").is_file()
    }

    /// The distance of embeddings; `None` without an embedder.
    pub fn distance(&self) -> Option<EmbeddingDistance> {
        let embedder = self.embedder.as_ref()?;
        Some(EmbeddingDistance {
            name: format!("1 − cosine, {}", embedder.name()),
        })
    }

    /// The picture's unit vector; `None` without an embedder.
    ///
    /// # Errors
    /// For a picture without pixels, or one whose embedding is not finite.
    pub fn embed(&self, image: &RgbImage) -> Result<Option<Vec<f32>>, EmbeddingError> {
        self.embedder.as_ref().map(|e| e.embed(image)).transpose()
    }

    /// The picture's CLIP scores, of which `prompts` are the run's; `None` without CLIP.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), and for a text that cannot be tokenized.
    pub fn clip(
        &self,
        image: &RgbImage,
        prompt: &str,
        prompts: &[String],
    ) -> Result<Option<ClipScores>, EmbeddingError> {
        let Some(clip) = &self.clip else {
            return Ok(None);
        };
        let picture = clip.clip().embed(image)?;
        let score = |text: &str| -> Result<f32, EmbeddingError> {
            let text = self.text(clip, text)?;
            Ok(picture.iter().zip(&*text).map(|(a, b)| a * b).sum())
        };
        let own = score(prompt)?;
        let (mut sum, mut count) = (0.0, 0);
        for other in prompts.iter().filter(|p| *p != prompt) {
            sum += score(other)?;
            count += 1;
        }
        Ok(Some(ClipScores {
            own,
            others: (count > 0).then(|| sum / count as f32),
        }))
    }

    fn text(&self, clip: &ClipScore, text: &str) -> Result<Arc<Vec<f32>>, EmbeddingError> {
        let lock = || self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(text) {
            return Ok(known.clone());
        }
        let made = Arc::new(clip.text(text)?);
        lock().insert(text.to_owned(), made.clone());
        Ok(made)
    }
}
