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
    /// Where guidance changed the last step: its score difference, 255 = most.
    pub change: Option<Arc<GrayImage>>,
    /// Where the attention of the last step stays bright, 255 = most.
    pub ending: Option<Arc<GrayImage>>,
}

impl Pictures {
    /// The bits of [`flags`](super::flags) that say what is there.
    pub fn flags(&self) -> u32 {
        use super::flags::{HAS_CHANGE, HAS_ENDING, HAS_GENERATED, HAS_MAPS, HAS_TRAINING};
        let bit = |there: bool, flag: u32| if there { flag } else { 0 };
        bit(self.generated.is_some(), HAS_GENERATED)
            | bit(self.training.is_some(), HAS_TRAINING)
            | bit(self.similarity.is_some() || self.compared.is_some(), HAS_MAPS)
            | bit(self.change.is_some(), HAS_CHANGE)
            | bit(self.ending.is_some(), HAS_ENDING)
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

/// A grey picture's bytes; one pixel of `missing` without one.
pub(super) fn grey(picture: Option<&GrayImage>, missing: u8) -> (u32, u32, Vec<u8>) {
    match picture {
        Some(p) if p.width() > 0 && p.height() > 0 => (p.width(), p.height(), p.as_raw().clone()),
        _ => (1, 1, vec![missing]),
    }
}

/// How a picture is cut into tiles, as the shader reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Grid {
    /// Size of the picture.
    pub size: [u32; 2],
    /// Size of each tile.
    pub tile: [u32; 2],
}

impl Grid {
    /// As few tiles of at most `side` pixels as hold the picture.
    pub fn new(width: u32, height: u32, side: u32) -> Self {
        let along = |length: u32| length.div_ceil(length.div_ceil(side.max(1)).max(1)).max(1);
        Self {
            size: [width, height],
            tile: [along(width), along(height)],
        }
    }

    /// Tiles across and down.
    pub fn cells(self) -> [u32; 2] {
        std::array::from_fn(|i| self.size[i].div_ceil(self.tile[i]).max(1))
    }
}

/// A picture on the card, in the layers of one texture.
pub(super) struct Tiled {
    pub grid: Grid,
    pub view: wgpu::TextureView,
    texture: wgpu::Texture,
    channels: u32,
}

impl Tiled {
    /// Uploads a picture of `channels` bytes a pixel (1 or 4) in tiles of at most `side` pixels; `None` when even so
    /// it is larger than the card takes.
    pub fn upload(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        label: &str,
        side: u32,
        channels: u32,
        (width, height, bytes): &(u32, u32, Vec<u8>),
    ) -> Option<Self> {
        let grid = Grid::new(*width, *height, side);
        let [columns, rows] = grid.cells();
        let layers = columns.checked_mul(rows)?;
        if layers > device.limits().max_texture_array_layers {
            log::warn!("{label} of {width} × {height} is larger than this graphics card takes");
            return None;
        }
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width: grid.tile[0],
                height: grid.tile[1],
                depth_or_array_layers: layers,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            // Not ...Srgb: egui paints in gamma space, into a target that is not sRGB.
            format: if channels == 1 {
                wgpu::TextureFormat::R8Unorm
            } else {
                wgpu::TextureFormat::Rgba8Unorm
            },
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            dimension: Some(wgpu::TextureViewDimension::D2Array),
            ..Default::default()
        });
        let tiled = Self {
            grid,
            view,
            texture,
            channels,
        };
        tiled.write(queue, bytes);
        Some(tiled)
    }

    /// A texture that was made on the card, as one tile.
    pub fn whole(texture: wgpu::Texture, channels: u32) -> Self {
        let size = [texture.width(), texture.height()];
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            dimension: Some(wgpu::TextureViewDimension::D2Array),
            ..Default::default()
        });
        Self {
            grid: Grid { size, tile: size },
            view,
            texture,
            channels,
        }
    }

    /// Replaces the content by another of the same size.
    pub fn write(&self, queue: &wgpu::Queue, bytes: &[u8]) {
        let Grid { size, tile } = self.grid;
        let [columns, rows] = self.grid.cells();
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (column * tile[0], row * tile[1]);
                let at = wgpu::TexelCopyTextureInfo {
                    texture: &self.texture,
                    mip_level: 0,
                    origin: wgpu::Origin3d {
                        x: 0,
                        y: 0,
                        z: row * columns + column,
                    },
                    aspect: wgpu::TextureAspect::All,
                };
                let layout = wgpu::TexelCopyBufferLayout {
                    offset: (u64::from(y) * u64::from(size[0]) + u64::from(x)) * u64::from(self.channels),
                    bytes_per_row: Some(size[0] * self.channels),
                    rows_per_image: None,
                };
                let extent = wgpu::Extent3d {
                    width: tile[0].min(size[0] - x),
                    height: tile[1].min(size[1] - y),
                    depth_or_array_layers: 1,
                };
                queue.write_texture(at, bytes, layout, extent);
            }
        }
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

/// The colour ramps as a texture of their own.
pub(super) fn upload_ramps(device: &wgpu::Device, queue: &wgpu::Queue) -> wgpu::TextureView {
    let table = super::ramp_table();
    let width = super::Ramp::ENTRIES as u32;
    let descriptor = wgpu::TextureDescriptor {
        label: Some("colour ramps"),
        size: wgpu::Extent3d {
            width,
            height: table.len() as u32 / (4 * width),
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    };
    let order = wgpu::util::TextureDataOrder::LayerMajor;
    device
        .create_texture_with_data(queue, &descriptor, order, &table)
        .create_view(&wgpu::TextureViewDescriptor::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_the_picture_and_none_is_too_large() {
        for (width, height, side) in [
            (40, 30, 16),
            (40, 30, 64),
            (1, 1, 1),
            (17, 16, 16),
            (8193, 3, 8192),
        ] {
            let grid = Grid::new(width, height, side);
            let [columns, rows] = grid.cells();
            assert!(grid.tile.iter().all(|t| *t <= side), "{grid:?}");
            assert!(columns * grid.tile[0] >= width && rows * grid.tile[1] >= height);
            assert!((columns - 1) * grid.tile[0] < width && (rows - 1) * grid.tile[1] < height);
        }
        assert_eq!(Grid::new(40, 30, 64).cells(), [1, 1]);
    }
}
