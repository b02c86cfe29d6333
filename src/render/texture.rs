//! Pictures on their way to the graphics card.

use image::{GrayImage, RgbImage};
use std::sync::Arc;
use wgpu::util::DeviceExt as _;

/// The pictures of one view. Sizes may differ: each is stretched over the same rectangle.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// The generated picture, or its preview.
    pub generated: Option<Arc<RgbImage>>,
    /// The training image.
    pub training: Option<Arc<RgbImage>>,
    /// Local similarity, 255 = alike.
    pub similarity: Option<Arc<GrayImage>>,
    /// The two pictures at the metric's 512², for the graphics card to make the similarity of while there is none.
    pub compared: Option<[Arc<RgbImage>; 2]>,
    /// Matte of the generated picture, 255 = foreground. Without one, all of it counts as foreground.
    pub matte: Option<Arc<GrayImage>>,
}

impl Pictures {
    /// The bits of [`flags`](super::flags) that say what is there.
    pub fn flags(&self) -> u32 {
        use super::flags::{HAS_GENERATED, HAS_MAPS, HAS_TRAINING};
        let bit = |there: bool, flag: u32| if there { flag } else { 0 };
        bit(self.generated.is_some(), HAS_GENERATED)
            | bit(self.training.is_some(), HAS_TRAINING)
            | bit(self.similarity.is_some() || self.compared.is_some(), HAS_MAPS)
    }

    /// Similarity and matte side by side, two bytes a pixel; 1 × 1 and empty without a similarity.
    /// A matte of another size than the similarity is read at the nearest pixel.
    pub fn maps(&self) -> (u32, u32, Vec<u8>) {
        let Some(similarity) = &self.similarity else {
            return (1, 1, vec![0; 2]);
        };
        let (width, height) = similarity.dimensions();
        let mut bytes = Vec::with_capacity(similarity.as_raw().len() * 2);
        for (x, y, s) in similarity.enumerate_pixels() {
            let matte = self.matte.as_ref().map_or(255, |m| {
                let (mw, mh) = m.dimensions();
                if (mw, mh) == (width, height) {
                    m.get_pixel(x, y).0[0]
                } else {
                    let scale =
                        |v: u32, from: u32, to: u32| (u64::from(v) * u64::from(to) / u64::from(from)) as u32;
                    m.get_pixel(scale(x, width, mw), scale(y, height, mh)).0[0]
                }
            });
            bytes.extend([s.0[0], matte]);
        }
        (width, height, bytes)
    }
}

/// A picture as RGBA bytes; 1 × 1 black when missing.
pub(super) fn rgba(picture: Option<&RgbImage>) -> (u32, u32, Vec<u8>) {
    match picture {
        Some(p) if p.width() > 0 && p.height() > 0 => (
            p.width(),
            p.height(),
            p.as_raw()
                .chunks_exact(3)
                .flat_map(|c| [c[0], c[1], c[2], 255])
                .collect(),
        ),
        _ => (1, 1, vec![0, 0, 0, 255]),
    }
}

/// Uploads bytes as a texture; `None` when a side is larger than the card takes.
pub(super) fn upload(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    label: &str,
    format: wgpu::TextureFormat,
    (width, height, bytes): &(u32, u32, Vec<u8>),
) -> Option<wgpu::TextureView> {
    if *width.max(height) > device.limits().max_texture_dimension_2d {
        log::warn!("{label} of {width} × {height} is larger than this graphics card takes");
        return None;
    }
    let descriptor = wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d {
            width: *width,
            height: *height,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        // Not ...Srgb: egui paints in gamma space, into a target that is not sRGB.
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    };
    let texture = device.create_texture_with_data(
        queue,
        &descriptor,
        wgpu::util::TextureDataOrder::LayerMajor,
        bytes,
    );
    Some(texture.create_view(&wgpu::TextureViewDescriptor::default()))
}
