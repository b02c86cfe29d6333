//! The local map of the graphics card against the processor's.

use image::{GrayImage, Luma, RgbImage};
use pentimento::{
    render::{LocalMapPass, Mode, OverlayParams, OverlayRenderer, Pictures, ViewId},
    similarity::{local_map, resize_lanczos_rgb},
};
use std::{sync::Arc, time::Instant};

const SIDE: u32 = 512;

/// A device with compute shaders, as the window opens it; `None` with a remark, a failure with REQUIRE_GPU.
fn computing() -> Option<super::Gpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    let device = adapter.map(|a| pollster::block_on(a.request_device(&wgpu::DeviceDescriptor::default())));
    match device {
        Ok(Ok(found)) => Some(found),
        other => {
            assert!(
                std::env::var_os("REQUIRE_GPU").is_none(),
                "no compute: {:?}",
                other.err()
            );
            eprintln!("skipped: no graphics adapter with compute shaders");
            None
        }
    }
}

fn scene(name: &str) -> RgbImage {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("assets/demo/gallery")
        .join(name);
    image::open(path).unwrap().into_rgb8()
}

/// Runs the passes and reads similarity and matte back.
fn on_card(
    (device, queue): &super::Gpu,
    pass: &LocalMapPass,
    [a, b]: [&RgbImage; 2],
    matte: Option<&GrayImage>,
) -> [GrayImage; 2] {
    let [view_a, view_b] = [a, b].map(|image| {
        let small = resize_lanczos_rgb(image, SIDE, SIDE);
        let bytes: Vec<u8> = small.pixels().flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let size = wgpu::Extent3d {
            width: SIDE,
            height: SIDE,
            depth_or_array_layers: 1,
        };
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(SIDE * 4),
            rows_per_image: None,
        };
        queue.write_texture(texture.as_image_copy(), &bytes, layout, size);
        texture.create_view(&Default::default())
    });
    let (width, height) = a.dimensions();
    let map = pass
        .run(device, queue, [&view_a, &view_b], matte, (width, height))
        .unwrap();
    let row = (width * 4).next_multiple_of(256);
    let readback = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(row * height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(
        map.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &readback,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(row),
                rows_per_image: None,
            },
        },
        map.size(),
    );
    queue.submit([encoder.finish()]);
    readback.slice(..).map_async(wgpu::MapMode::Read, |r| r.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let bytes = readback.slice(..).get_mapped_range().unwrap();
    [0, 1].map(|channel| {
        GrayImage::from_fn(width, height, |x, y| {
            Luma([bytes[(y * row + x * 4) as usize + channel]])
        })
    })
}

fn worst(a: &GrayImage, b: &GrayImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// A disc that fades out at its edge.
fn disc(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 / width as f32 - 0.4, y as f32 / height as f32 - 0.5);
        Luma([(255.0 * (3.0 - 10.0 * (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0)) as u8])
    })
}

#[test]
fn the_card_makes_the_map_of_the_processor() {
    let Some(gpu) = computing() else { return };
    let pass = LocalMapPass::new(&gpu.0).expect("compute shaders");
    let [a, b] = [scene("bm-brewery-00.jpg"), scene("bm-brewery-01.jpg")];
    let other = scene("bm-brewery-04.jpg");
    let small = image::imageops::thumbnail(&a, 200, 136);
    let half = RgbImage::from_fn(a.width(), a.height(), |x, y| {
        *(if x < a.width() / 2 { &a } else { &other }).get_pixel(x, y)
    });
    let flat = RgbImage::from_pixel(300, 300, image::Rgb([250, 3, 128]));
    for (name, pair) in [
        ("one background", [&a, &b]),
        ("unlike", [&a, &other]),
        ("copied half", [&half, &a]),
        ("of another size", [&small, &b]),
        ("flat", [&flat, &flat]),
        ("flat and not", [&flat, &a]),
    ] {
        let (width, height) = pair[0].dimensions();
        for matte in [None, Some(disc(width, height))] {
            let [map, region] = on_card(&gpu, &pass, pair, matte.as_ref());
            let want = local_map(pair[0], pair[1]);
            // 1e-2 of the range is 2.55 steps of 255.
            let off = worst(&map, &want);
            assert!(off <= 2, "{name}: {off} of 255");
            let matte = matte.unwrap_or_else(|| GrayImage::from_pixel(width, height, Luma([255])));
            assert_eq!(worst(&region, &matte), 0, "{name}: the matte passes through");
        }
        let spread = local_map(pair[0], pair[1]);
        println!(
            "{name}: mean {}",
            spread.as_raw().iter().map(|&v| u64::from(v)).sum::<u64>() as f64 / spread.len() as f64
        );
    }
    let begun = Instant::now();
    for _ in 0..10 {
        on_card(&gpu, &pass, [&a, &b], None);
    }
    println!("with upload and readback: {:?}", begun.elapsed() / 10);
}

#[test]
fn pictures_without_a_similarity_get_one_in_the_overlay() {
    let Some((device, queue)) = computing() else {
        return;
    };
    let [a, b] = ["bm-brewery-00.jpg", "bm-brewery-01.jpg"].map(|name| {
        let image = scene(name);
        Arc::new(resize_lanczos_rgb(&image, SIDE, SIDE))
    });
    let given = Pictures {
        generated: Some(a.clone()),
        training: Some(b.clone()),
        matte: Some(Arc::new(disc(SIDE, SIDE))),
        similarity: Some(Arc::new(local_map(&a, &b))),
        ..Pictures::default()
    };
    let made = Pictures {
        similarity: None,
        compared: Some([a, b]),
        ..given.clone()
    };
    assert_eq!(given.flags(), made.flags());
    let params = OverlayParams {
        viewport: [512.0; 2],
        image: [512.0; 2],
        mode: Mode::Heat as u32,
        softness: 0.6,
        flags: made.flags(),
        ..OverlayParams::default()
    };
    let [want, drawn] = [&given, &made].map(|p| super::render(&device, &queue, p, &params));
    let pairs = want.as_raw().iter().zip(drawn.as_raw());
    let off = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(off <= 6, "{off} of 255 after the ramp");
    let plain = OverlayParams {
        mode: Mode::Plain as u32,
        ..params
    };
    assert_ne!(drawn, super::render(&device, &queue, &made, &plain));
}

#[test]
fn without_compute_shaders_the_renderer_says_so_and_draws_nothing_wrong() {
    let Some((device, queue)) = super::gpu() else {
        return;
    };
    let mut renderer = OverlayRenderer::new(&device, &queue, wgpu::TextureFormat::Rgba8Unorm);
    assert!(!renderer.makes_maps(), "opened with the limits of WebGL 2");
    let image = Arc::new(RgbImage::new(SIDE, SIDE));
    let pictures = Pictures {
        generated: Some(image.clone()),
        compared: Some([image.clone(), image]),
        ..Pictures::default()
    };
    renderer.set_pictures(&device, &queue, ViewId(0), &pictures);
}
