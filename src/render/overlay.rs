//! The overlay pipeline: one for all views and modes, one uniform slot and one set of pictures a view.

use super::{
    OverlayParams, Pictures,
    local_map::{LocalMapPass, SIDE},
    ramp_table,
    texture::{rgba, upload},
};
use std::{collections::HashMap, sync::Arc};

/// The whole shader: colour ramps, then the overlay.
pub const SHADER: &str = concat!(
    include_str!("../../shaders/colormap.wgsl"),
    include_str!("../../shaders/overlay.wgsl")
);

/// Names a view on the screen. Views do not share uniforms: all of a frame's are written before the
/// first is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewId(pub u64);

/// Draws pairs of pictures.
pub struct OverlayRenderer {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    ramps: Option<wgpu::TextureView>,
    local_map: Option<LocalMapPass>,
    views: HashMap<ViewId, View>,
}

struct View {
    uniforms: wgpu::Buffer,
    bind_group: Option<wgpu::BindGroup>,
}

impl OverlayRenderer {
    /// Builds the pipeline for a target of the given format (not sRGB: colours are in gamma space).
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, target: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay.wgsl"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let texture = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("overlay"),
            entries: &[
                wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::FRAGMENT,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: std::num::NonZeroU64::new(size_of::<OverlayParams>() as u64),
                    },
                    count: None,
                },
                texture(1),
                texture(2),
                texture(3),
                texture(4),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("overlay"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("overlay"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vs_main"),
                buffers: &[],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            },
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fs_main"),
                targets: &[Some(target.into())],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            }),
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            multiview_mask: None,
            cache: None,
        });
        let table = ramp_table();
        let rows = table.len() / (4 * super::Ramp::ENTRIES);
        let ramps = upload(
            device,
            queue,
            "colour ramps",
            wgpu::TextureFormat::Rgba8Unorm,
            &(super::Ramp::ENTRIES as u32, rows as u32, table),
        );
        Self {
            pipeline,
            layout,
            ramps,
            local_map: LocalMapPass::new(device),
            views: HashMap::new(),
        }
    }

    /// Whether pictures without a similarity get one here, from [`Pictures::compared`]: the device was opened with
    /// compute shaders. Elsewhere such pictures are drawn as if nothing were copied.
    pub fn makes_maps(&self) -> bool {
        self.local_map.is_some()
    }

    /// Replaces the pictures of a view. A picture larger than the card takes leaves the view empty.
    pub fn set_pictures(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        id: ViewId,
        pictures: &Pictures,
    ) {
        let color = |label, picture: Option<&image::RgbImage>| {
            upload(
                device,
                queue,
                label,
                wgpu::TextureFormat::Rgba8Unorm,
                &rgba(picture),
            )
        };
        let generated = color("generated picture", pictures.generated.as_deref());
        let training = color("training image", pictures.training.as_deref());
        let made = || self.make_maps(device, queue, pictures, [&generated, &training]);
        let maps = made().or_else(|| {
            let format = wgpu::TextureFormat::Rg8Unorm;
            upload(device, queue, "maps", format, &pictures.maps())
        });
        let view = self.views.entry(id).or_insert_with(|| View {
            uniforms: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("overlay"),
                size: size_of::<OverlayParams>() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            bind_group: None,
        });
        view.bind_group = match (generated, training, maps, &self.ramps) {
            (Some(generated), Some(training), Some(maps), Some(ramps)) => {
                let entry = |binding, view| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::TextureView(view),
                };
                Some(device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("overlay"),
                    layout: &self.layout,
                    entries: &[
                        wgpu::BindGroupEntry {
                            binding: 0,
                            resource: view.uniforms.as_entire_binding(),
                        },
                        entry(1, &generated),
                        entry(2, &training),
                        entry(3, &maps),
                        entry(4, ramps),
                    ],
                }))
            }
            _ => None,
        };
    }

    /// Similarity and matte made on the card, where only the two pictures are given.
    fn make_maps(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        pictures: &Pictures,
        uploaded: [&Option<wgpu::TextureView>; 2],
    ) -> Option<wgpu::TextureView> {
        let (pass, compared) = (self.local_map.as_ref()?, pictures.compared.as_ref()?);
        let whole = |p: &image::RgbImage| p.dimensions() == (SIDE, SIDE);
        if pictures.similarity.is_some() || !compared.iter().all(|p| whole(p)) {
            return None;
        }
        let shown = [&pictures.generated, &pictures.training];
        let [a, b] = std::array::from_fn(|i| {
            let same = shown[i].as_ref().is_some_and(|s| Arc::ptr_eq(s, &compared[i]));
            let there = uploaded[i].clone().filter(|_| same);
            let format = wgpu::TextureFormat::Rgba8Unorm;
            there.or_else(|| {
                upload(
                    device,
                    queue,
                    "compared picture",
                    format,
                    &rgba(Some(&compared[i])),
                )
            })
        });
        let size = pictures.generated.as_ref()?.dimensions();
        let map = pass.run(device, queue, [&a?, &b?], pictures.matte.as_deref(), size)?;
        Some(map.create_view(&wgpu::TextureViewDescriptor::default()))
    }

    /// Sets what a view draws next. A view without pictures ignores it.
    pub fn set_params(&self, queue: &wgpu::Queue, id: ViewId, params: &OverlayParams) {
        if let Some(view) = self.views.get(&id) {
            queue.write_buffer(&view.uniforms, 0, bytemuck::bytes_of(params));
        }
    }

    /// Draws a view over the pass's viewport. A view without pictures draws nothing.
    pub fn draw(&self, pass: &mut wgpu::RenderPass<'_>, id: ViewId) {
        if let Some(bind_group) = self.views.get(&id).and_then(|v| v.bind_group.as_ref()) {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.draw(0..3, 0..1);
        }
    }
}
