//! The overlay shader: valid WGSL, the same layout as the Rust struct, and the same picture as the
//! reference in plain Rust, in every mode.

#![allow(clippy::unwrap_used)]

#[path = "shaders/local_map.rs"]
mod local_map;
#[path = "shaders/stage.rs"]
mod stage;

use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::render::{
    Highlight, Mode, OverlayParams, OverlayRenderer, Pictures, Ramp, SHADER, ViewId, flags, render_reference,
};
use std::{collections::HashSet, mem::offset_of, sync::Arc};
use wgpu::naga;

fn parse(source: &str) -> naga::Module {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::empty(),
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
    module
}

#[test]
fn every_shader_file_is_valid() {
    // The overlay is compiled behind the colour ramps; every other file stands alone.
    parse(SHADER);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            seen += 1;
            if path.file_name().is_some_and(|n| n != "overlay.wgsl") {
                parse(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(seen >= 2);
}

#[test]
fn the_uniform_block_has_the_layout_of_the_struct() {
    let module = parse(SHADER);
    let (_, block) = module
        .types
        .iter()
        .find(|(_, t)| t.name.as_deref() == Some("Overlay"))
        .unwrap();
    let naga::TypeInner::Struct { members, span } = &block.inner else {
        panic!("not a struct")
    };
    assert_eq!(*span as usize, size_of::<OverlayParams>());
    let offset = |name: &str| {
        members
            .iter()
            .find(|m| m.name.as_deref() == Some(name))
            .unwrap()
            .offset as usize
    };
    macro_rules! same {
        ($($field:ident),* $(,)?) => {
            let mut fields = 0;
            $(
                assert_eq!(offset(stringify!($field)), offset_of!(OverlayParams, $field), stringify!($field));
                fields += 1;
            )*
            assert_eq!(fields, members.len());
        };
    }
    same!(
        viewport,
        image,
        pan,
        zoom,
        crisp,
        foreground_opacity,
        background_opacity,
        threshold,
        softness,
        mode,
        flags,
        foreground_ramp,
        background_ramp,
        split_normal,
        split,
        reveal,
        gain,
        blink,
        line_width,
        highlight,
        change,
        ending,
        layer_ramp,
        dim,
        backdrop,
        foreground_line,
        background_line,
    );
}

type Gpu = (wgpu::Device, wgpu::Queue);

/// A device, or `None` with a remark; with REQUIRE_GPU set, none is a failure.
fn gpu() -> Option<Gpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    let Ok(adapter) = adapter else {
        assert!(std::env::var_os("REQUIRE_GPU").is_none(), "no graphics adapter");
        eprintln!("skipped: no graphics adapter");
        return None;
    };
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::downlevel_webgl2_defaults().using_resolution(adapter.limits()),
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor)).ok()
}

/// Draws one view and reads it back. The width is a multiple of 64, as rows of a readback must be.
fn render(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    pictures: &Pictures,
    params: &OverlayParams,
) -> RgbImage {
    let renderer = OverlayRenderer::new(device, queue, wgpu::TextureFormat::Rgba8Unorm);
    render_with(&(device.clone(), queue.clone()), renderer, pictures, params)
}

/// The same by a renderer that is there.
fn render_with(
    gpu: &Gpu,
    mut renderer: OverlayRenderer,
    pictures: &Pictures,
    params: &OverlayParams,
) -> RgbImage {
    renderer.set_pictures(&gpu.0, &gpu.1, ViewId(0), pictures);
    draw(gpu, &mut renderer, params)
}

/// Draws the pictures that the renderer has.
fn draw((device, queue): &Gpu, renderer: &mut OverlayRenderer, params: &OverlayParams) -> RgbImage {
    let [width, height] = params.viewport.map(|v| v as u32);
    assert_eq!(width % 64, 0);
    let format = wgpu::TextureFormat::Rgba8Unorm;
    renderer.set_params(queue, ViewId(0), params);
    let size = wgpu::Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    };
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let readback = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(width * height * 4),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let view = target.create_view(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations::default(),
            })],
            ..Default::default()
        });
        renderer.draw(&mut pass, ViewId(0));
        // A view nobody filled draws nothing and does no harm.
        renderer.draw(&mut pass, ViewId(9));
    }
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(width * 4),
        rows_per_image: None,
    };
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &readback,
            layout,
        },
        size,
    );
    queue.submit([encoder.finish()]);
    readback.slice(..).map_async(wgpu::MapMode::Read, |r| r.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let bytes = readback.slice(..).get_mapped_range().unwrap();
    RgbImage::from_fn(width, height, |x, y| {
        let at = ((y * width + x) * 4) as usize;
        Rgb([bytes[at], bytes[at + 1], bytes[at + 2]])
    })
}

fn pictures() -> Pictures {
    let (w, h) = (40, 30);
    Pictures {
        generated: Some(Arc::new(RgbImage::from_fn(w, h, |x, y| {
            Rgb([(x * 6) as u8, (y * 8) as u8, ((x * y) % 256) as u8])
        }))),
        training: Some(Arc::new(RgbImage::from_fn(w, h, |x, y| {
            Rgb([
                255 - (x * 5) as u8,
                (y * 7) as u8,
                if (x / 4 + y / 4) % 2 == 0 { 220 } else { 40 },
            ])
        }))),
        similarity: Some(Arc::new(GrayImage::from_fn(w, h, |x, y| {
            Luma([(127.0 + 120.0 * ((x as f32 * 0.35).sin() * (y as f32 * 0.27).cos())) as u8])
        }))),
        matte: Some(Arc::new(GrayImage::from_fn(w, h, |x, y| {
            let (dx, dy) = (x as f32 - 18.0, y as f32 - 14.0);
            Luma([(255.0 * (1.2 - (dx * dx + dy * dy).sqrt() / 11.0).clamp(0.0, 1.0)) as u8])
        }))),
        ..Pictures::default()
    }
}

/// Zoomed and shifted, so that hardly a pixel falls on a pixel of the picture.
fn params(mode: Mode) -> OverlayParams {
    OverlayParams {
        viewport: [192.0, 120.0],
        image: [40.0, 30.0],
        pan: [21.3, -7.6],
        zoom: 3.7,
        crisp: 1.0,
        threshold: 0.513,
        softness: 0.31,
        mode: mode as u32,
        flags: pictures().flags(),
        backdrop: [0.04, 0.05, 0.06, 1.0],
        ..OverlayParams::default()
    }
}

/// Draws with both and compares; gives the number of colours drawn.
fn compare((device, queue): &Gpu, name: &str, pictures: &Pictures, params: &OverlayParams) -> usize {
    let drawn = render(device, queue, pictures, params);
    let expected = render_reference(pictures, params, drawn.width(), drawn.height());
    let worst = drawn
        .as_raw()
        .iter()
        .zip(expected.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap();
    assert!(worst <= 1, "{name}: worst difference {worst} of 255");
    drawn.pixels().collect::<HashSet<_>>().len()
}

#[test]
fn the_shader_draws_what_the_reference_draws() {
    let Some(gpu) = gpu() else { return };
    let compare = |name: &str, params: &OverlayParams| {
        let colors = compare(&gpu, name, &pictures(), params);
        assert!(colors > 20, "{name}: only {colors} colours were drawn");
    };
    for mode in Mode::ALL {
        compare(mode.name(), &params(mode));
        let split = OverlayParams {
            flags: pictures().flags() | flags::SPLIT,
            split: 0.37,
            split_normal: [0.8, 0.6],
            blink: 1.0,
            highlight: Highlight::Foreground as u32,
            crisp: 2.7,
            foreground_ramp: Ramp::Cividis as u32,
            reveal: 0.6,
            ..params(mode)
        };
        compare(&format!("{} split", mode.name()), &split);
        let dim = OverlayParams {
            highlight: Highlight::Background as u32,
            foreground_opacity: 0.1,
            softness: 0.0,
            ..params(mode)
        };
        // A hard threshold is compared on the picture's own pixels: between them, rounding may decide.
        let exact = OverlayParams {
            pan: [0.0; 2],
            zoom: 1.0,
            viewport: [64.0, 32.0],
            threshold: 0.5001,
            ..dim
        };
        compare(&format!("{} hard", mode.name()), &exact);
    }
}

#[test]
fn missing_pictures_leave_a_checkerboard_and_previews_are_soft() {
    let Some(gpu) = gpu() else { return };
    let (device, queue) = &gpu;
    let none = Pictures::default();
    let blank = OverlayParams {
        flags: none.flags(),
        ..params(Mode::Heat)
    };
    let drawn = render(device, queue, &none, &blank);
    let expected = render_reference(&none, &blank, drawn.width(), drawn.height());
    assert_eq!(drawn, expected);
    let colors: HashSet<_> = drawn.pixels().collect();
    assert_eq!(colors.len(), 3, "two of the board, one around it");

    let alone = Pictures {
        generated: pictures().generated,
        ..Pictures::default()
    };
    for mode in [Mode::Difference, Mode::Reveal, Mode::Blink, Mode::Heat] {
        compare(
            &gpu,
            "without partner",
            &alone,
            &OverlayParams {
                flags: alone.flags() | flags::SPLIT,
                ..params(mode)
            },
        );
    }
    let soft = compare(
        &gpu,
        "preview",
        &alone,
        &OverlayParams {
            flags: alone.flags() | flags::FORMING,
            ..params(Mode::Heat)
        },
    );
    assert!(soft > 100, "only {soft} colours in a smooth preview");
}

#[test]
fn an_unknown_mode_or_ramp_is_seen() {
    let magenta = Rgb([255, 0, 255]);
    let wrong = OverlayParams {
        mode: 99,
        ..params(Mode::Plain)
    };
    assert_eq!(
        *render_reference(&pictures(), &wrong, 192, 120).get_pixel(90, 60),
        magenta
    );
    let wrong = OverlayParams {
        foreground_ramp: 99,
        foreground_opacity: 1.0,
        threshold: 0.0,
        softness: 0.0,
        ..params(Mode::Heat)
    };
    let drawn = render_reference(&pictures(), &wrong, 192, 120);
    assert!(drawn.pixels().any(|p| *p == magenta));
}
