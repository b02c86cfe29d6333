//! The local map on the graphics card, from the two pictures' textures: what a person sees in the frame in which
//! another training image is chosen, before the processor's map is there. Both agree to one hundredth.

use super::{overlay::checked, texture::upload};
use image::GrayImage;

/// Workgroups of the second pass: tiles of 16 × 16 over 256², 128², 64² and 32².
const TILES: u32 = 256 + 64 + 16 + 4;
/// Pixels of the four scales together.
const PIXELS: u64 = 87_040;
/// Bytes of memory that the threads of a workgroup share.
const SHARED: u32 = 676 * 8 + 416 * 20;
/// Width and height of the pictures that are compared.
pub(super) const SIDE: u32 = 512;

const SHADER: &str = include_str!("../../shaders/local_map.wgsl");

/// The three compute passes and their buffers.
pub struct LocalMapPass {
    layout: wgpu::BindGroupLayout,
    pipelines: [wgpu::ComputePipeline; 3],
    values: wgpu::Buffer,
    agreement: wgpu::Buffer,
}

impl LocalMapPass {
    /// `None` where the device was opened without compute shaders, or with too small ones.
    pub fn new(device: &wgpu::Device) -> Option<Self> {
        Self::fits(device).then(|| Self::build(device, SHADER))
    }

    /// The same from another shader's text.
    ///
    /// # Errors
    /// What the compiler says, with line and column, or what of it does not fit the bindings.
    pub fn from_source(device: &wgpu::Device, source: &str) -> Result<Option<Self>, String> {
        if !Self::fits(device) {
            return Ok(None);
        }
        checked(device, source, || Self::build(device, source)).map(Some)
    }

    fn fits(device: &wgpu::Device) -> bool {
        let limits = device.limits();
        limits.max_compute_invocations_per_workgroup >= 256
            && limits.max_compute_workgroup_size_x >= 16
            && limits.max_compute_workgroup_size_y >= 16
            && limits.max_compute_workgroups_per_dimension >= TILES
            && limits.max_compute_workgroup_storage_size >= SHARED
            && limits.max_storage_buffers_per_shader_stage >= 2
            && limits.max_storage_textures_per_shader_stage >= 1
    }

    fn build(device: &wgpu::Device, source: &str) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("local_map.wgsl"),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let layout = layout(device);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("local map"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipelines = ["halve", "agree", "combine"].map(|entry| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        });
        let buffer = |label, floats: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: floats * 4,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        };
        Self {
            layout,
            pipelines,
            values: buffer("scales of a pair", 2 * 3 * PIXELS),
            agreement: buffer("agreement of a pair", PIXELS),
        }
    }

    /// The map and the matte side by side (r, g), in the given size, of two 512² textures. `None` when the size is
    /// 0 or more than the card takes. Without a matte all of it counts as foreground.
    pub fn run(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        pictures: [&wgpu::TextureView; 2],
        matte: Option<&GrayImage>,
        (width, height): (u32, u32),
    ) -> Option<wgpu::Texture> {
        if width.min(height) == 0 || width.max(height) > device.limits().max_texture_dimension_2d {
            return None;
        }
        let matte = match matte {
            Some(m) if m.width() > 0 && m.height() > 0 => (m.width(), m.height(), m.as_raw().clone()),
            _ => (1, 1, vec![255]),
        };
        let matte = upload(device, queue, "matte", wgpu::TextureFormat::R8Unorm, &matte)?;
        let map = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("maps"),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let map_view = map.create_view(&wgpu::TextureViewDescriptor::default());
        let view = wgpu::BindingResource::TextureView;
        let resources = [
            view(pictures[0]),
            view(pictures[1]),
            view(&matte),
            self.values.as_entire_binding(),
            self.agreement.as_entire_binding(),
            view(&map_view),
        ];
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("local map"),
            layout: &self.layout,
            entries: &entries,
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_bind_group(0, &bind_group, &[]);
            let groups = [
                [SIDE / 16, SIDE / 16],
                [TILES, 1],
                [width.div_ceil(16), height.div_ceil(16)],
            ];
            for (pipeline, [x, y]) in self.pipelines.iter().zip(groups) {
                pass.set_pipeline(pipeline);
                pass.dispatch_workgroups(x, y, 1);
            }
        }
        queue.submit([encoder.finish()]);
        Some(map)
    }
}

fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty,
        count: None,
    };
    let texture = wgpu::BindingType::Texture {
        sample_type: wgpu::TextureSampleType::Float { filterable: true },
        view_dimension: wgpu::TextureViewDimension::D2,
        multisampled: false,
    };
    let storage = wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only: false },
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    let written = wgpu::BindingType::StorageTexture {
        access: wgpu::StorageTextureAccess::WriteOnly,
        format: wgpu::TextureFormat::Rgba8Unorm,
        view_dimension: wgpu::TextureViewDimension::D2,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("local map"),
        entries: &[
            entry(0, texture),
            entry(1, texture),
            entry(2, texture),
            entry(3, storage),
            entry(4, storage),
            entry(5, written),
        ],
    })
}
