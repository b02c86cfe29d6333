//! Segment Anything (Kirillov et al., "Segment Anything", 2023) and MobileSAM (Zhang et al., 2023): the object that a
//! person points at. Picture encoders and mask decoder are candle-transformers'; the prompt encoder is this room's
//! own, since candle-transformers' joins the corners of boxes along the wrong axis.

use super::{Matte, SegmentationError, hash::hash_file, pooling::stretch};
use crate::similarity::{Filter, resize_rgb};
use crate::weights_file::{Weights, WeightsFileError};
use candle_core::{D, DType, Device, IndexOp, Module, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_transformers::models::segment_anything::{
    image_encoder::ImageEncoderViT,
    mask_decoder::MaskDecoder,
    sam::IMAGE_SIZE,
    tiny_vit::{TinyViT, tiny_vit_5m},
};
use image::{GrayImage, RgbImage};
use std::{collections::HashMap, path::Path};

/// Pixels of the picture per cell of the embedding.
const PATCH: usize = 16;
/// Cells of the embedding along a side.
const CELLS: usize = IMAGE_SIZE / PATCH;
/// Channels of the embedding.
const WIDTH: usize = 256;
/// Side of the windows of a full-sized encoder.
const WINDOW: usize = 14;
/// Side of the decoder's masks.
const MASK: usize = 256;
/// Of the authors' training pictures, in bytes.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const STD: [f32; 3] = [58.395, 57.12, 57.375];
/// Points and a box of one question.
const MOST_POINTS: usize = 1000;

/// A point on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Click {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
    /// Whether the object is here; else it is known not to be.
    pub inside: bool,
}

/// What a person points at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clicks {
    /// Points on the object and beside it.
    pub points: Vec<Click>,
    /// A box around the object: left, top, right, bottom, in pixels.
    pub rect: Option<[f32; 4]>,
}

/// A picture as SAM sees it. Made once, asked many times. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Embedded {
    features: Tensor,
    /// Width and height of the picture.
    size: (u32, u32),
    /// Of the picture in the encoder's square.
    scaled: (u32, u32),
}

enum Encoder {
    Full(Box<ImageEncoderViT>),
    Tiny(Box<TinyViT>),
}

/// Finds the object a person points at. Works in the caller's rayon pool.
pub struct ClickSegmenter {
    encoder: Encoder,
    /// `[2, 128]`: frequencies of the encoding of places.
    frequencies: Tensor,
    /// `[1, 256]` each: beside the object, on it, upper left corner of a box, lower right one.
    kinds: [Tensor; 4],
    /// Ends a list of points without a box.
    padding: Tensor,
    no_mask: Tensor,
    /// Encoding of the places of all cells, `[1, 256, 64, 64]`.
    places: Tensor,
    decoder: MaskDecoder,
    hash: String,
}

impl ClickSegmenter {
    /// Opens the authors' weights of SAM (ViT-B, -L or -H) or MobileSAM: `.pth`, `.pt` or `.safetensors`.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks a tensor (named).
    pub fn open(path: &Path) -> std::result::Result<Self, SegmentationError> {
        let tensors = Weights::read(path, super::MOST_BYTES)?.into_tensors()?;
        let wrong = |e: candle_core::Error| {
            SegmentationError::File(WeightsFileError::Tensors {
                path: path.to_owned(),
                architecture: "SAM",
                problems: vec![e.to_string()],
            })
        };
        Self::load(tensors, hash_file(path, "sam")?).map_err(wrong)
    }

    fn load(tensors: HashMap<String, Tensor>, hash: String) -> Result<Self> {
        let (full, depth) = (full_encoder(&tensors)?, blocks(&tensors));
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let images = vb.pp("image_encoder");
        let encoder = match full {
            None => Encoder::Tiny(Box::new(tiny_vit_5m(images)?)),
            Some(Full { width, heads, global }) => Encoder::Full(Box::new(ImageEncoderViT::new(
                IMAGE_SIZE, PATCH, 3, width, depth, heads, WIDTH, true, true, true, WINDOW, &global, images,
            )?)),
        };
        let prompts = vb.pp("prompt_encoder");
        let kind = |i: usize| prompts.pp("point_embeddings").pp(i).get((1, WIDTH), "weight");
        let frequencies = prompts
            .pp("pe_layer")
            .get((2, WIDTH / 2), "positional_encoding_gaussian_matrix")?;
        Ok(Self {
            encoder,
            places: all_places(&frequencies)?,
            frequencies,
            kinds: [kind(0)?, kind(1)?, kind(2)?, kind(3)?],
            padding: prompts.pp("not_a_point_embed").get((1, WIDTH), "weight")?,
            no_mask: prompts.pp("no_mask_embed").get((1, WIDTH), "weight")?,
            decoder: MaskDecoder::new(WIDTH, 3, 3, WIDTH, vb.pp("mask_decoder"))?,
            hash,
        })
    }

    /// A line for people.
    pub fn describe(&self) -> &'static str {
        match self.encoder {
            Encoder::Full(_) => "Segment Anything",
            Encoder::Tiny(_) => "MobileSAM",
        }
    }

    /// SHA-256 of the weights file, in hexadecimal.
    pub fn weights_hash(&self) -> &str {
        &self.hash
    }

    /// Encodes a picture: the slow part, seconds to a minute.
    ///
    /// # Errors
    /// When the picture has no pixels or the network fails.
    pub fn embed(&self, image: &RgbImage) -> std::result::Result<Embedded, SegmentationError> {
        let size = image.dimensions();
        if size.0 == 0 || size.1 == 0 {
            return Err(SegmentationError::Empty);
        }
        let scale = IMAGE_SIZE as f64 / f64::from(size.0.max(size.1));
        let side = |n: u32| ((f64::from(n) * scale + 0.5) as u32).max(1);
        let scaled = (side(size.0), side(size.1));
        let small = resize_rgb(image, scaled.0, scaled.1, Filter::Bilinear);
        // Zeros around the picture, after normalising.
        let mut input = vec![0f32; 3 * IMAGE_SIZE * IMAGE_SIZE];
        for (channel, plane) in input.chunks_exact_mut(IMAGE_SIZE * IMAGE_SIZE).enumerate() {
            for (row, line) in small.rows().zip(plane.chunks_exact_mut(IMAGE_SIZE)) {
                for (pixel, v) in row.zip(line) {
                    *v = (f32::from(pixel[channel]) - MEAN[channel]) / STD[channel];
                }
            }
        }
        let input = Tensor::from_vec(input, (1, 3, IMAGE_SIZE, IMAGE_SIZE), &Device::Cpu)?;
        let features = match &self.encoder {
            Encoder::Full(encoder) => encoder.forward(&input)?,
            Encoder::Tiny(encoder) => encoder.forward(&input)?,
        };
        Ok(Embedded {
            features,
            size,
            scaled,
        })
    }

    /// The object at these places, as a soft matte of the picture's size (half = edge); its confidence is the overlap
    /// that the network itself expects. A single point leaves open whether a part or the whole is meant: of SAM's
    /// three answers the one it is surest of is given.
    ///
    /// # Errors
    /// When nothing is pointed at, a place is not finite, or the network fails.
    pub fn segment(
        &self,
        picture: &Embedded,
        clicks: &Clicks,
    ) -> std::result::Result<Matte, SegmentationError> {
        let (logits, quality) = self.masks(picture, clicks)?;
        let best = if quality.len() == 1 {
            0
        } else {
            let by = |a: &usize, b: &usize| quality[*a].total_cmp(&quality[*b]);
            (0..quality.len()).max_by(by).unwrap_or(0)
        };
        let (width, height) = picture.size;
        let (inner_width, inner_height) = (picture.scaled.0 as usize, picture.scaled.1 as usize);
        let mask = logits.i((.., best..=best))?.contiguous()?;
        let mask = stretch(&mask, IMAGE_SIZE, IMAGE_SIZE)?;
        let mask = mask.i((.., .., ..inner_height, ..inner_width))?;
        let mask = stretch(&mask, height as usize, width as usize)?;
        let values = candle_nn::ops::sigmoid(&mask)?.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.iter().map(|p| (p * 255.0).round() as u8).collect();
        Ok(Matte {
            alpha: GrayImage::from_raw(width, height, bytes).unwrap_or_default(),
            confidence: quality[best].clamp(0.0, 1.0),
        })
    }

    /// Logits `[1, n, 256, 256]` and their expected overlaps, n = 3 for a single point, else 1.
    fn masks(&self, picture: &Embedded, clicks: &Clicks) -> Result<(Tensor, Vec<f32>)> {
        let sparse = self.prompt(picture, clicks)?;
        let dense = self.no_mask.reshape((1, WIDTH, 1, 1))?;
        let dense = dense.broadcast_as((1, WIDTH, CELLS, CELLS))?;
        let open = clicks.points.len() == 1 && clicks.rect.is_none();
        let (masks, quality) =
            self.decoder
                .forward(&picture.features, &self.places, &sparse, &dense, open)?;
        debug_assert_eq!(masks.dims(), [1, if open { 3 } else { 1 }, MASK, MASK]);
        Ok((masks, quality.flatten_all()?.to_vec1()?))
    }

    /// One token per point, `[1, n, 256]`.
    fn prompt(&self, picture: &Embedded, clicks: &Clicks) -> Result<Tensor> {
        let mut places: Vec<(f32, f32, usize)> = clicks
            .points
            .iter()
            .map(|p| (p.x, p.y, usize::from(p.inside)))
            .collect();
        if let Some([left, top, right, bottom]) = clicks.rect {
            places.extend([(left, top, 2), (right, bottom, 3)]);
        }
        if places.is_empty() || places.len() > MOST_POINTS {
            bail!(
                "{} places to look at; one to {MOST_POINTS} are possible",
                places.len()
            );
        }
        if !places.iter().all(|(x, y, _)| x.is_finite() && y.is_finite()) {
            bail!("a place to look at is not finite");
        }
        let (across, down) = (
            picture.scaled.0 as f32 / picture.size.0 as f32,
            picture.scaled.1 as f32 / picture.size.1 as f32,
        );
        let side = IMAGE_SIZE as f32;
        let coordinates: Vec<f32> = places
            .iter()
            .flat_map(|(x, y, _)| [(x * across + 0.5) / side, (y * down + 0.5) / side])
            .collect();
        let coordinates = Tensor::from_vec(coordinates, (places.len(), 2), &Device::Cpu)?;
        let encoded = encode(&coordinates, &self.frequencies)?;
        let mut tokens = Vec::with_capacity(places.len() + 1);
        for (i, (.., kind)) in places.iter().enumerate() {
            tokens.push((encoded.i(i..=i)? + &self.kinds[*kind])?);
        }
        // The authors' order: points, the padding where there is no box, corners.
        if clicks.rect.is_none() {
            tokens.push(self.padding.clone());
        }
        Tensor::cat(&tokens, 0)?.unsqueeze(0)
    }
}

/// Sines and cosines of places in the unit square: `[n, 2]` to `[n, 256]`.
fn encode(places: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let phases = (places.affine(2.0, -1.0)?.matmul(frequencies)? * std::f64::consts::TAU)?;
    Tensor::cat(&[phases.sin()?, phases.cos()?], D::Minus1)
}

fn all_places(frequencies: &Tensor) -> Result<Tensor> {
    let at = |i: usize| (i as f32 + 0.5) / CELLS as f32;
    let places: Vec<f32> = (0..CELLS * CELLS)
        .flat_map(|i| [at(i % CELLS), at(i / CELLS)])
        .collect();
    let places = Tensor::from_vec(places, (CELLS * CELLS, 2), &Device::Cpu)?;
    let places = encode(&places, frequencies)?.t()?.contiguous()?;
    places.reshape((1, WIDTH, CELLS, CELLS))
}

/// Shape of a full-sized encoder.
struct Full {
    width: usize,
    heads: usize,
    /// Blocks whose attention spans the whole picture.
    global: Vec<usize>,
}

/// The shape of the encoder, from its tensors; `None` for MobileSAM's.
fn full_encoder(tensors: &HashMap<String, Tensor>) -> Result<Option<Full>> {
    if tensors.contains_key("image_encoder.patch_embed.seq.0.c.weight") {
        return Ok(None);
    }
    let Some(places) = tensors.get("image_encoder.pos_embed") else {
        bail!(
            "it has neither image_encoder.pos_embed (SAM) nor image_encoder.patch_embed.seq.0.c.weight (MobileSAM)"
        );
    };
    let (.., width) = places.dims4()?;
    let reach = |block: usize| {
        let name = format!("image_encoder.blocks.{block}.attn.rel_pos_h");
        tensors.get(&name).and_then(|t| t.dims2().ok())
    };
    let Some((_, head)) = reach(0).filter(|(_, head)| *head > 0 && width % head == 0) else {
        bail!("image_encoder.blocks.0.attn.rel_pos_h is missing or fits no number of heads");
    };
    Ok(Some(Full {
        width,
        heads: width / head,
        global: (0..blocks(tensors))
            .filter(|&block| reach(block).is_some_and(|(rows, _)| rows == 2 * CELLS - 1))
            .collect(),
    }))
}

/// Blocks of a full-sized encoder.
fn blocks(tensors: &HashMap<String, Tensor>) -> usize {
    (0..64)
        .take_while(|block| tensors.contains_key(&format!("image_encoder.blocks.{block}.norm1.weight")))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_weights::{Listing, distance, fixture};

    fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([
                ((3 * x + 5 * y) % 256) as u8,
                ((x * x / 7 + y) % 256) as u8,
                ((x ^ y) * 2 % 256) as u8,
            ])
        })
    }

    /// Against PyTorch definitions of their own (tools/fixtures/segmentation_sam.py), random weights: a small ViT, and
    /// MobileSAM's TinyViT at full size. The picture is 192×128, so that the encoder's square is padded below.
    #[test]
    fn embeddings_and_masks_equal_pytorch() {
        for (name, features_off, masks_off) in [
            // candle-transformers approximates GELU by tanh in the decoder, and in all of TinyViT.
            ("sam_vit", 1e-3, 1e-3),
            ("sam_tiny", 1e-2, 1e-3),
        ] {
            let stored = fixture(name);
            let sam = ClickSegmenter::load(Listing::read(name).weights(), String::new()).unwrap();
            let embedded = sam.embed(&pattern(192, 128)).unwrap();
            assert_eq!(embedded.scaled, (1024, 683));
            let some = embedded.features.i((0, ..2)).unwrap();
            let off = distance(&some, &stored["features"]);
            println!("{name}: features off by {off}");
            assert!(off < features_off, "{name}: features off by {off}");
            let point = |x, y, inside| Click { x, y, inside };
            let rect = Some([30.0, 20.0, 150.0, 110.0]);
            for (case, points, rect) in [
                ("one", vec![point(60.0, 40.0, true)], None),
                (
                    "two",
                    vec![point(60.0, 40.0, true), point(100.5, 90.0, false)],
                    None,
                ),
                ("box", vec![], rect),
                ("both", vec![point(60.0, 40.0, true)], rect),
            ] {
                let (logits, quality) = sam.masks(&embedded, &Clicks { points, rect }).unwrap();
                let probabilities = candle_nn::ops::sigmoid(&logits).unwrap();
                let off = distance(
                    &probabilities.i((0, 0, 64..128, 64..128)).unwrap(),
                    &stored[&format!("mask_{case}")],
                );
                println!("{name}, {case}: masks off by {off}");
                assert!(off < masks_off, "{name}, {case}: masks off by {off}");
                let count = quality.len();
                let quality = Tensor::from_vec(quality, count, &Device::Cpu).unwrap();
                let off = distance(&quality, &stored[&format!("quality_{case}")]);
                assert!(off < 1e-2, "{name}, {case}: quality off by {off}");
            }
            let nothing = sam.segment(&embedded, &Clicks::default());
            assert!(nothing.unwrap_err().to_string().contains("places"));
            let clicks = Clicks {
                points: vec![point(60.0, 40.0, true)],
                rect: None,
            };
            let matte = sam.segment(&embedded, &clicks).unwrap();
            assert_eq!(matte.alpha.dimensions(), (192, 128));
        }
    }
}
