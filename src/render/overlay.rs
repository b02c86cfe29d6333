//! The overlay pipeline: one for all views and modes, one uniform slot and one set of pictures a view.

use super::{
    OverlayParams, Pictures,
    local_map::{LocalMapPass, SIDE},
    texture::{Grid, Tiled, grey, rgba, upload, upload_ramps},
};
use image::GrayImage;
use std::collections::HashMap;

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
    target: wgpu::TextureFormat,
    /// Longest side of a tile.
    side: u32,
    ramps: wgpu::TextureView,
    local_map: Option<LocalMapPass>,
    views: HashMap<ViewId, View>,
}

/// Pictures of a view, in the order of the shader's grids.
const PICTURES: usize = 6;
/// Place of the matte among them.
const MATTE: usize = 3;
/// Their bindings.
const BINDINGS: [u32; PICTURES] = [1, 2, 3, 5, 6, 7];

struct View {
    uniforms: wgpu::Buffer,
    grids: wgpu::Buffer,
    matte: Option<Tiled>,
    bind_group: Option<wgpu::BindGroup>,
}

impl OverlayRenderer {
    /// Builds the pipeline for a target of the given format (not sRGB: colours are in gamma space).
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, target: wgpu::TextureFormat) -> Self {
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty,
            count: None,
        };
        let uniform = |size: usize| wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: std::num::NonZeroU64::new(size as u64),
        };
        let texture = |view_dimension| wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension,
            multisampled: false,
        };
        let mut entries = vec![
            entry(0, uniform(size_of::<OverlayParams>())),
            entry(4, texture(wgpu::TextureViewDimension::D2)),
            entry(8, uniform(size_of::<[Grid; PICTURES]>())),
        ];
        entries.extend(BINDINGS.map(|at| entry(at, texture(wgpu::TextureViewDimension::D2Array))));
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("overlay"),
            entries: &entries,
        });
        Self {
            pipeline: pipeline(device, &layout, target, SHADER),
            layout,
            target,
            side: device.limits().max_texture_dimension_2d,
            ramps: upload_ramps(device, queue),
            local_map: LocalMapPass::new(device),
            views: HashMap::new(),
        }
    }

    /// Whether pictures without a similarity get one here, from [`Pictures::compared`]: the device was opened with
    /// compute shaders. Elsewhere such pictures are drawn as if nothing were copied.
    pub fn makes_maps(&self) -> bool {
        self.local_map.is_some()
    }

    /// Similarity made on the card, where only the two pictures are given.
    fn make_map(&self, device: &wgpu::Device, queue: &wgpu::Queue, pictures: &Pictures) -> Option<Tiled> {
        let (pass, compared) = (self.local_map.as_ref()?, pictures.compared.as_ref()?);
        let whole = |p: &image::RgbImage| p.dimensions() == (SIDE, SIDE);
        let (width, height) = pictures.generated.as_ref()?.dimensions();
        if pictures.similarity.is_some()
            || !compared.iter().all(|p| whole(p))
            || width.max(height) > device.limits().max_texture_dimension_2d
        {
            return None;
        }
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let [a, b] = [0, 1].map(|i: usize| {
            let bytes = rgba(Some(&compared[i]));
            upload(device, queue, "compared picture", format, &bytes)
        });
        let size = (width, height);
        let map = pass.run(device, queue, [&a?, &b?], pictures.matte.as_deref(), size)?;
        Some(Tiled::whole(map, 4))
    }

    /// The same with tiles of at most `side` pixels, as on a card that takes no larger textures.
    #[must_use]
    pub fn with_tiles_of(mut self, side: u32) -> Self {
        self.side = self.side.min(side.max(1));
        self
    }

    /// Draws with another shader from now on.
    ///
    /// # Errors
    /// What the compiler says, with line and column; the former shader stays in use.
    pub fn reload(&mut self, device: &wgpu::Device, source: &str) -> Result<(), String> {
        self.pipeline = self.workshop().build(device, source)?;
        Ok(())
    }

    /// What builds pipelines for this renderer, apart from it.
    pub fn workshop(&self) -> Workshop {
        Workshop {
            layout: self.layout.clone(),
            target: self.target,
        }
    }

    /// Draws with another pipeline from now on, and makes local maps with another pass where there is one.
    pub fn exchange(&mut self, pipeline: wgpu::RenderPipeline, local_map: Option<LocalMapPass>) {
        self.pipeline = pipeline;
        self.local_map = local_map.or(self.local_map.take());
    }

    /// Replaces the pictures of a view. One that is too large for the card even in tiles leaves the view empty.
    pub fn set_pictures(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        id: ViewId,
        pictures: &Pictures,
    ) {
        let side = self.side;
        let up = |label, channels, bytes| Tiled::upload(device, queue, label, side, channels, &bytes);
        let tiled = [
            up("generated picture", 4, rgba(pictures.generated.as_deref())),
            up("training image", 4, rgba(pictures.training.as_deref())),
            self.make_map(device, queue, pictures)
                .or_else(|| up("similarity", 1, grey(pictures.similarity.as_deref(), 0))),
            up("matte", 1, grey(pictures.matte.as_deref(), 255)),
            up("score difference", 1, grey(pictures.change.as_deref(), 0)),
            up("bright ending", 1, grey(pictures.ending.as_deref(), 0)),
        ];
        let view = self.views.entry(id).or_insert_with(|| {
            let buffer = |size: usize| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("overlay"),
                    size: size as u64,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            View {
                uniforms: buffer(size_of::<OverlayParams>()),
                grids: buffer(size_of::<[Grid; PICTURES]>()),
                matte: None,
                bind_group: None,
            }
        });
        view.bind_group = None;
        let all: Option<Vec<Tiled>> = tiled.into_iter().collect();
        let Some(mut all) = all else {
            view.matte = None;
            return;
        };
        let grids: Vec<Grid> = all.iter().map(|t| t.grid).collect();
        queue.write_buffer(&view.grids, 0, bytemuck::cast_slice(&grids));
        let mut entries = vec![
            wgpu::BindGroupEntry {
                binding: 0,
                resource: view.uniforms.as_entire_binding(),
            },
            wgpu::BindGroupEntry {
                binding: 4,
                resource: wgpu::BindingResource::TextureView(&self.ramps),
            },
            wgpu::BindGroupEntry {
                binding: 8,
                resource: view.grids.as_entire_binding(),
            },
        ];
        entries.extend(
            BINDINGS
                .into_iter()
                .zip(&all)
                .map(|(binding, tiled)| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::TextureView(&tiled.view),
                }),
        );
        view.bind_group = Some(device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("overlay"),
            layout: &self.layout,
            entries: &entries,
        }));
        view.matte = Some(all.swap_remove(MATTE));
    }

    /// Replaces the matte of a view alone, in place; false when it has another size than the one that is there, so
    /// that all pictures have to be set.
    pub fn set_matte(&self, queue: &wgpu::Queue, id: ViewId, matte: &GrayImage) -> bool {
        let there = self.views.get(&id).and_then(|v| v.matte.as_ref());
        match there.filter(|t| t.grid.size == <[u32; 2]>::from(matte.dimensions())) {
            Some(tiled) => {
                tiled.write(queue, matte.as_raw());
                true
            }
            None => false,
        }
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

/// Builds overlay pipelines on any thread.
pub struct Workshop {
    layout: wgpu::BindGroupLayout,
    target: wgpu::TextureFormat,
}

impl Workshop {
    /// Builds a pipeline from a shader's text.
    ///
    /// # Errors
    /// What the compiler says, with line and column, or what of it does not fit the bindings.
    pub fn build(&self, device: &wgpu::Device, source: &str) -> Result<wgpu::RenderPipeline, String> {
        checked(device, source, || {
            pipeline(device, &self.layout, self.target, source)
        })
    }
}

/// Builds something of a shader that may be wrong.
///
/// # Errors
/// What the compiler says, with line and column, or what of the shader does not fit its bindings.
pub(super) fn checked<T>(
    device: &wgpu::Device,
    source: &str,
    build: impl FnOnce() -> T,
) -> Result<T, String> {
    use wgpu::naga;
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    let flags = naga::valid::ValidationFlags::all();
    naga::valid::Validator::new(flags, naga::valid::Capabilities::empty())
        .validate(&module)
        .map_err(|e| e.emit_to_string(source))?;
    // Valid in itself, it may still not fit the bindings.
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let made = build();
    match pollster::block_on(scope.pop()) {
        Some(error) => Err(error.to_string()),
        None => Ok(made),
    }
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    target: wgpu::TextureFormat,
    source: &str,
) -> wgpu::RenderPipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("overlay.wgsl"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("overlay"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("overlay"),
        layout: Some(&layout),
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
    })
}
