//! The window without a display: the same application, drawn into a texture and read back. Software adapters are
//! preferred, so that pictures made on one machine equal those of another.

use super::{App, theme};
use crate::study::Problem;
use eframe::egui_wgpu::{
    self, RenderState, ScreenDescriptor, WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew,
};
use egui::{Context, FullOutput, RawInput, Rect, Vec2, ViewportId};
use image::{RgbImage, imageops};
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// How large the window is, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// In points.
    pub size: [u32; 2],
    /// Pixels per point.
    pub scale: f32,
    /// Dark or light.
    pub dark: bool,
}

/// A named control, where it was drawn.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Control {
    /// AccessKit's role: `Button`, `Slider`, …
    pub role: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// Left, top, right, bottom in pixels.
    pub rect: [f32; 4],
}

/// A window that is drawn without a display.
pub struct Offscreen {
    ctx: Context,
    gpu: RenderState,
    app: App,
    view: View,
    time: f64,
    output: FullOutput,
    controls: Vec<Control>,
}

/// Longest wait for the graphics adapter.
const PATIENCE: Duration = Duration::from_secs(20);
/// A window in which nothing happens for this long is taken as it is, even when something is still owed.
const QUIET: Duration = Duration::from_secs(30);
/// Seconds between two frames, by the window's own clock.
const FRAME: f64 = 1.0 / 60.0;

impl Offscreen {
    /// Opens the window; `make` builds the application. Fails where there is no graphics adapter, or where it cannot
    /// draw a picture of this size.
    pub fn new(view: View, make: impl FnOnce(&Context, RenderState) -> App) -> Result<Self, Problem> {
        let gpu = render_state()?;
        let largest = gpu.device.limits().max_texture_dimension_2d;
        let pixels = view.size.map(|s| (s as f32 * view.scale).round() as u32);
        if pixels.iter().any(|&p| p == 0 || p > largest) {
            let advice =
                format!("Choose --size and --scale so that no side is longer than {largest} pixels.");
            let told = Problem::new("The picture would be too large, or empty", advice);
            return Err(told.detail(format!("{} × {} pixels", pixels[0], pixels[1])));
        }
        let ctx = Context::default();
        ctx.enable_accesskit();
        let mut app = make(&ctx, gpu.clone());
        app.set_theme(&ctx, view.dark);
        ctx.all_styles_mut(|style| style.visuals.text_cursor.blink = false);
        Ok(Self {
            ctx,
            gpu,
            app,
            view,
            time: 0.0,
            output: FullOutput::default(),
            controls: Vec::new(),
        })
    }

    /// The application.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// egui's context, for what commands ask of the window.
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Draws frames until the engine owes nothing and nothing moves any more; `false` when it was given up after half a
    /// minute without a change.
    pub fn settle(&mut self) -> bool {
        let mut changed = Instant::now();
        let mut calm = 0;
        let mut progress = None;
        while calm < 3 {
            self.frame(FRAME);
            let waits = self.app.is_waiting();
            let moves = self.repaint_delay() == Duration::ZERO;
            calm = if waits || moves { 0 } else { calm + 1 };
            let now = (waits, self.app.state().study.version(), self.jobs());
            if progress.as_ref() != Some(&now) {
                progress = Some(now);
                changed = Instant::now();
            }
            if changed.elapsed() > QUIET {
                return false;
            }
            if waits {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        true
    }

    /// The picture of the window. Its clock stands at the same second in every picture, so that what blinks is the same.
    pub fn picture(&mut self) -> Result<RgbImage, Problem> {
        const CLOCK: f64 = 1e6;
        self.time = CLOCK.max(self.time + 1.0);
        // What fades in or out has done so after a second.
        for _ in 0..3 {
            self.frame(1.0);
        }
        self.read_back()
    }

    /// The picture of what is below the bar.
    pub fn picture_below_bar(&mut self) -> Result<RgbImage, Problem> {
        let whole = self.picture()?;
        let top = ((theme::BAR_HEIGHT + 1.0) * self.view.scale).round() as u32;
        let (width, height) = whole.dimensions();
        Ok(imageops::crop_imm(&whole, 0, top, width, height.saturating_sub(top)).to_image())
    }

    /// What can be reached on the screen, as assistive technology is told, in the order it is walked.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    fn jobs(&self) -> Vec<(u64, Option<usize>)> {
        let jobs = &self.app.state().jobs;
        jobs.iter()
            .map(|j| (j.id.0, j.progress.map(|p| p.done)))
            .collect()
    }

    fn repaint_delay(&self) -> Duration {
        let root = self.output.viewport_output.get(&ViewportId::ROOT);
        root.map_or(Duration::MAX, |v| v.repaint_delay)
    }

    fn frame(&mut self, seconds: f64) {
        self.time += seconds;
        let size = Vec2::new(self.view.size[0] as f32, self.view.size[1] as f32);
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(self.time),
            predicted_dt: FRAME as f32,
            focused: true,
            max_texture_side: Some(self.gpu.device.limits().max_texture_dimension_2d as usize),
            ..RawInput::default()
        };
        if let Some(viewport) = input.viewports.get_mut(&ViewportId::ROOT) {
            viewport.native_pixels_per_point = Some(self.view.scale);
        }
        let app = &mut self.app;
        self.output = self.ctx.run_ui(input, |ui| app.frame(ui));
        let mut renderer = self.gpu.renderer.write();
        let delta = &mut self.output.textures_delta;
        for (id, images) in delta.set.drain() {
            for image in images {
                renderer.update_texture(&self.gpu.device, &self.gpu.queue, id, &image);
            }
        }
        for id in delta.free.drain() {
            renderer.free_texture(&id);
        }
        drop(renderer);
        if let Some(update) = self.output.platform_output.accesskit_update.take() {
            self.controls = controls(&update, self.ctx.pixels_per_point());
        }
    }

    fn read_back(&mut self) -> Result<RgbImage, Problem> {
        let failed = |reason: String| {
            let advice = "Try a smaller --size, or another adapter (WGPU_BACKEND=gl or vulkan).";
            Problem::new("The picture could not be drawn", advice).detail(reason)
        };
        let RenderState { device, queue, .. } = &self.gpu;
        let scale = self.ctx.pixels_per_point();
        let screen = ScreenDescriptor {
            pixels_per_point: scale,
            size_in_pixels: self
                .view
                .size
                .map(|s| (s as f32 * self.view.scale).round() as u32),
        };
        let [width, height] = screen.size_in_pixels;
        let extent = wgpu::Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        };
        let shapes = self.ctx.tessellate(self.output.shapes.clone(), scale);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut renderer = self.gpu.renderer.write();
        let extra = renderer.update_buffers(device, queue, &mut encoder, &shapes, &screen);
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("window without a display"),
            size: extent,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.gpu.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let target = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut pass = encoder
            .begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("window without a display"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &target,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                    depth_slice: None,
                })],
                ..wgpu::RenderPassDescriptor::default()
            })
            .forget_lifetime();
        renderer.render(&mut pass, &shapes, &screen);
        drop(pass);
        drop(renderer);

        let align = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT;
        let row = (4 * width).div_ceil(align) * align;
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture of the window"),
            size: u64::from(row) * u64::from(height),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(row),
            rows_per_image: None,
        };
        let into = wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout,
        };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), into, extent);
        let submitted = queue.submit(extra.into_iter().chain([encoder.finish()]));
        let (sent, mapped) = mpsc::channel();
        let slice = buffer.slice(..);
        slice.map_async(wgpu::MapMode::Read, move |result| drop(sent.send(result)));
        let wait = wgpu::PollType::Wait {
            submission_index: Some(submitted),
            timeout: Some(PATIENCE),
        };
        device.poll(wait).map_err(|e| failed(e.to_string()))?;
        match mapped.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let bytes = slice.get_mapped_range().map_err(|e| failed(e.to_string()))?;
        let swapped = matches!(
            self.gpu.target_format,
            wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb
        );
        let mut picture = RgbImage::new(width, height);
        for (y, line) in bytes.chunks_exact(row as usize).enumerate() {
            for (x, pixel) in line.chunks_exact(4).take(width as usize).enumerate() {
                let [a, b, c] = [pixel[0], pixel[1], pixel[2]];
                let rgb = if swapped { [c, b, a] } else { [a, b, c] };
                picture.put_pixel(x as u32, y as u32, image::Rgb(rgb));
            }
        }
        Ok(picture)
    }
}

/// A device to draw with, without a surface.
fn render_state() -> Result<RenderState, Problem> {
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.native_adapter_selector = Some(Arc::new(|adapters, _| {
        let rank = |a: &&wgpu::Adapter| {
            let info = a.get_info();
            let kind = match info.device_type {
                wgpu::DeviceType::Cpu => 0,
                wgpu::DeviceType::DiscreteGpu => 1,
                _ => 2,
            };
            (kind, info.backend == wgpu::Backend::Gl)
        };
        let best = adapters.iter().min_by_key(rank).cloned();
        best.ok_or_else(|| "there is none".to_owned())
    }));
    let setup = WgpuSetup::CreateNew(setup);
    let instance = pollster::block_on(setup.new_instance());
    let configuration = WgpuConfiguration {
        wgpu_setup: setup,
        ..WgpuConfiguration::default()
    };
    let options = egui_wgpu::RendererOptions::PREDICTABLE;
    pollster::block_on(RenderState::create(&configuration, &instance, None, options)).map_err(|error| {
        let advice = "A software adapter is enough: Mesa's lavapipe (Debian: mesa-vulkan-drivers libvulkan1). \
                      `pentimento doctor` lists what there is.";
        Problem::new("No graphics adapter can be used", advice).detail(error.to_string())
    })
}

/// Every node with a place on the screen that has a name or can be acted on.
fn controls(update: &egui::accesskit::TreeUpdate, scale: f32) -> Vec<Control> {
    use egui::accesskit::Role;
    let silent = |role: Role| {
        matches!(
            role,
            Role::Window | Role::GenericContainer | Role::Unknown | Role::TextRun | Role::ScrollView
        )
    };
    let nodes = update.nodes.iter().filter(|(_, node)| !silent(node.role()));
    nodes
        .filter_map(|(_, node)| {
            let place = node.bounds()?;
            let rect = [place.x0, place.y0, place.x1, place.y1];
            Some(Control {
                role: format!("{:?}", node.role()),
                name: node.label().or(node.value()).unwrap_or_default().to_owned(),
                // Told in points.
                rect: rect.map(|v| v as f32 * scale),
            })
        })
        .collect()
}
