//! CLIP (Radford et al., 2021) by candle-transformers: pictures and texts as vectors of one space.

use super::{
    EmbeddingError, Preprocessing, clip_config,
    vectors::{dot, unit},
};
use crate::weights_file::Weights;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use image::RgbImage;
use std::{collections::HashMap, path::Path};
use tokenizers::Tokenizer;

/// The network with its weights.
pub struct Clip {
    model: ClipModel,
    config: ClipConfig,
}

impl Clip {
    /// Reads a folder in the layout of `transformers`: `config.json` with `model_type` `clip`, and
    /// `model.safetensors`.
    ///
    /// # Errors
    /// When a file is missing or not as described; the message names file, key or tensor.
    pub fn open(folder: &Path) -> Result<Self, EmbeddingError> {
        let config = clip_config::read(&folder.join("config.json"))?;
        let mut weights = Weights::read(&folder.join("model.safetensors"), super::MOST_BYTES)?;
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for (name, shape) in clip_config::tensors(&config) {
            let tensor = weights.take(&name, &shape)?;
            tensors.insert(name, tensor);
        }
        weights.finish("CLIP")?;
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        Ok(Self {
            model: ClipModel::new(builder, &config)?,
            config,
        })
    }

    /// Values of an embedding.
    pub fn dim(&self) -> usize {
        self.config.vision_config.projection_dim
    }

    /// How pictures are brought to size.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing::clip(self.config.image_size as u32)
    }

    /// `[b, 3, side, side]` to `[b, dim]`, before scaling to length 1.
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn image_features(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        self.model.get_image_features(input)
    }

    /// The unit vector of a picture.
    ///
    /// # Errors
    /// For a picture without pixels, or one whose embedding is not finite.
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>, EmbeddingError> {
        let input = self.preprocessing().apply(image)?;
        unit(self.image_features(&input)?.flatten_all()?.to_vec1()?)
    }

    /// The unit vector of a text, as token ids with the begin and end tokens (the end token has the largest id). Texts
    /// longer than the model takes lose what is before the end token.
    ///
    /// # Errors
    /// Without tokens, or with an id beyond the vocabulary.
    pub fn embed_tokens(&self, ids: &[u32]) -> Result<Vec<f32>, EmbeddingError> {
        let text = &self.config.text_config;
        let Some(&last) = ids.last() else {
            return Err(EmbeddingError::Tokens("there are none".into()));
        };
        if let Some(id) = ids.iter().find(|&&id| id as usize >= text.vocab_size) {
            return Err(EmbeddingError::Tokens(format!(
                "token {id} is beyond the vocabulary of {}",
                text.vocab_size
            )));
        }
        let mut ids = ids.to_vec();
        if ids.len() > text.max_position_embeddings {
            ids.truncate(text.max_position_embeddings - 1);
            ids.push(last);
        }
        let length = ids.len();
        let input = Tensor::from_vec(ids, (1, length), &Device::Cpu)?;
        unit(self.model.get_text_features(&input)?.flatten_all()?.to_vec1()?)
    }
}

/// How well pictures fit their prompts: the CLIP score (Hessel et al., 2021).
pub struct ClipScore {
    clip: Clip,
    tokenizer: Tokenizer,
}

impl ClipScore {
    /// Reads a folder as [`Clip::open`], with its `tokenizer.json`.
    ///
    /// # Errors
    /// As there, and when the tokenizer cannot be read.
    pub fn open(folder: &Path) -> Result<Self, EmbeddingError> {
        let clip = Clip::open(folder)?;
        let path = folder.join("tokenizer.json");
        let mut tokenizer = Tokenizer::from_file(&path).map_err(|e| EmbeddingError::Config {
            path: path.clone(),
            message: e.to_string(),
        })?;
        // Padding would count as text, and what is cut off is decided by `embed_tokens`.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).ok();
        Ok(Self { clip, tokenizer })
    }

    /// The unit vector of a text.
    ///
    /// # Errors
    /// When it cannot be tokenized.
    pub fn text(&self, text: &str) -> Result<Vec<f32>, EmbeddingError> {
        let encoding = self.tokenizer.encode(text, true);
        let encoding = encoding.map_err(|e| EmbeddingError::Tokens(e.to_string()))?;
        self.clip.embed_tokens(encoding.get_ids())
    }

    /// Cosine of the picture and the text, in `[-1, 1]`. torchmetrics' `CLIPScore` is 100 times this, at least 0.
    ///
    /// # Errors
    /// As [`Clip::embed`] and [`Self::text`].
    pub fn score(&self, image: &RgbImage, text: &str) -> Result<f32, EmbeddingError> {
        Ok(dot(&self.clip.embed(image)?, &self.text(text)?))
    }

    /// The network.
    pub fn clip(&self) -> &Clip {
        &self.clip
    }
}
