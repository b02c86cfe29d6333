//! What the Stage needs of the shader besides its modes: tiles, live regions, layers, reloading.

use crate::{Gpu, compare, gpu, params, parse, pictures, render_with};
use image::{GrayImage, Luma, RgbImage};
use pentimento::render::{
    Mode, OverlayParams, OverlayRenderer, Pictures, Ramp, SHADER, ViewId, flags, render_reference,
};
use std::sync::Arc;
use wgpu::naga;

/// Every mode has its arm here, so that a new one does not compile until somebody has looked at what draws it; the
/// tests below and `the_shader_draws_what_the_reference_draws` go through [`Mode::ALL`].
fn number(mode: Mode) -> u32 {
    match mode {
        Mode::Plain => 0,
        Mode::Heat => 1,
        Mode::Isolate => 2,
        Mode::Outline => 3,
        Mode::Reveal => 4,
        Mode::Difference => 5,
        Mode::Blink => 6,
    }
}

fn constants(prefix: &str) -> Vec<(String, u32)> {
    let module = parse(SHADER);
    let mut found: Vec<(String, u32)> = module
        .constants
        .iter()
        .filter_map(|(_, c)| {
            let name = c.name.clone()?;
            match module.global_expressions[c.init] {
                naga::Expression::Literal(naga::Literal::U32(value)) if name.starts_with(prefix) => {
                    Some((name, value))
                }
                _ => None,
            }
        })
        .collect();
    found.sort_by_key(|(_, value)| *value);
    found
}

#[test]
fn every_mode_of_the_shader_is_a_mode_of_the_stage_and_is_compared() {
    let modes: Vec<(String, u32)> = Mode::ALL
        .into_iter()
        .map(|m| (format!("MODE_{}", m.name().to_uppercase()), number(m)))
        .collect();
    assert_eq!(constants("MODE_"), modes);
    for mode in Mode::ALL {
        assert_eq!(mode as u32, number(mode));
    }
    let has = [
        ("HAS_GENERATED", flags::HAS_GENERATED),
        ("HAS_TRAINING", flags::HAS_TRAINING),
        ("HAS_MAPS", flags::HAS_MAPS),
        ("HAS_CHANGE", flags::HAS_CHANGE),
        ("HAS_ENDING", flags::HAS_ENDING),
    ];
    assert_eq!(constants("HAS_"), has.map(|(n, v)| (n.to_owned(), v)));
    let ramp = constants("DIFFERENCE_RAMP");
    assert_eq!(ramp[0].1, Ramp::Diverging as u32);
}

/// All pictures at once, the maps of other sizes than the picture, as what is recorded while drawing is.
fn all_pictures() -> Pictures {
    let map = |phase: f32| {
        Some(Arc::new(GrayImage::from_fn(8, 8, |x, y| {
            Luma([(127.0 + 120.0 * (x as f32 * 0.9 + y as f32 * 0.5 + phase).sin()) as u8])
        })))
    };
    Pictures {
        change: map(0.0),
        ending: map(2.0),
        ..pictures()
    }
}

fn layered(mode: Mode) -> OverlayParams {
    OverlayParams {
        flags: all_pictures().flags() | flags::EDITING,
        change: 0.6,
        ending: 0.3,
        layer_ramp: Ramp::Cividis as u32,
        dim: 0.35,
        ..params(mode)
    }
}

#[test]
fn layers_and_the_edited_region_are_drawn_over_every_mode() {
    let Some(gpu) = gpu() else { return };
    for mode in Mode::ALL {
        compare(&gpu, mode.name(), &all_pictures(), &layered(mode));
        let without = OverlayParams {
            flags: pictures().flags(),
            ..layered(mode)
        };
        let (with, plain) = (
            render_reference(&all_pictures(), &layered(mode), 192, 120),
            render_reference(&all_pictures(), &without, 192, 120),
        );
        assert_ne!(with, plain, "{}: nothing was drawn over it", mode.name());
    }
}

#[test]
fn a_picture_in_tiles_is_the_picture_whole_in_every_mode() {
    let Some(gpu) = gpu() else { return };
    let (device, queue) = &gpu;
    for side in [16, 7, 1] {
        // One layer a tile; the smallest tiles only for a small picture.
        let pictures = if side == 1 {
            Pictures {
                generated: Some(Arc::new(RgbImage::from_fn(9, 7, |x, y| {
                    image::Rgb([x as u8 * 25, y as u8 * 30, 90])
                }))),
                ..Pictures::default()
            }
        } else {
            all_pictures()
        };
        for mode in Mode::ALL {
            for extra in [0, flags::SPLIT, flags::FORMING] {
                let view = OverlayParams {
                    flags: pictures.flags() | extra,
                    ..layered(mode)
                };
                let renderer =
                    OverlayRenderer::new(device, queue, wgpu::TextureFormat::Rgba8Unorm).with_tiles_of(side);
                let drawn = render_with(&gpu, renderer, &pictures, &view);
                let expected = render_reference(&pictures, &view, drawn.width(), drawn.height());
                let worst = drawn.as_raw().iter().zip(expected.as_raw());
                let worst = worst.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(worst <= 1, "{} in tiles of {side}: {worst}", mode.name());
            }
        }
    }
}

#[test]
fn a_picture_wider_than_the_card_takes_is_shown() {
    let Some((device, queue)) = gpu() else { return };
    let gpu: Gpu = (device, queue);
    let side = gpu.0.limits().max_texture_dimension_2d + 5;
    let wide = Pictures {
        generated: Some(Arc::new(RgbImage::from_fn(side, 2, |x, _| {
            image::Rgb([(x / 97 % 256) as u8, 120, 30])
        }))),
        ..Pictures::default()
    };
    let view = OverlayParams {
        viewport: [256.0, 8.0],
        image: [side as f32, 2.0],
        pan: [-(side as f32) * 2.0 + 200.0, 0.0],
        zoom: 2.0,
        mode: Mode::Plain as u32,
        flags: wide.flags(),
        ..OverlayParams::default()
    };
    assert!(compare(&gpu, "wide", &wide, &view) > 2);
}

#[test]
fn a_region_is_replaced_in_place_and_only_by_one_of_its_size() {
    let Some(gpu) = gpu() else { return };
    let (device, queue) = &gpu;
    let all = all_pictures();
    let other = GrayImage::from_fn(40, 30, |x, _| Luma([if x < 17 { 255 } else { 0 }]));
    for side in [64, 16] {
        let mut renderer =
            OverlayRenderer::new(device, queue, wgpu::TextureFormat::Rgba8Unorm).with_tiles_of(side);
        assert!(!renderer.set_matte(queue, ViewId(0), &other), "no pictures yet");
        renderer.set_pictures(device, queue, ViewId(0), &all);
        assert!(!renderer.set_matte(queue, ViewId(0), &GrayImage::new(40, 31)));
        assert!(renderer.set_matte(queue, ViewId(0), &other));
        let edited = Pictures {
            matte: Some(Arc::new(other.clone())),
            ..all.clone()
        };
        let view = layered(Mode::Heat);
        let drawn = crate::draw(&gpu, &mut renderer, &view);
        let expected = render_reference(&edited, &view, drawn.width(), drawn.height());
        let worst = drawn.as_raw().iter().zip(expected.as_raw());
        assert!(worst.map(|(a, b)| a.abs_diff(*b)).max().unwrap() <= 1);
    }
}

#[test]
fn a_shader_that_does_not_compile_or_fit_leaves_the_former_one_in_use() {
    let Some(gpu) = gpu() else { return };
    let (device, queue) = &gpu;
    let mut renderer = OverlayRenderer::new(device, queue, wgpu::TextureFormat::Rgba8Unorm);
    renderer.set_pictures(device, queue, ViewId(0), &pictures());
    let view = params(Mode::Heat);
    let before = crate::draw(&gpu, &mut renderer, &view);
    let torn = SHADER.replacen("fn luma(", "fn luma((", 1);
    let said = renderer.reload(device, &torn).unwrap_err();
    assert!(said.contains("luma") && said.contains(':'), "{said}");
    let untyped = SHADER.replacen("return dot(c,", "return 1u + dot(c,", 1);
    assert!(renderer.reload(device, &untyped).is_err());
    // Valid, and yet not what the pipeline binds.
    let unbound = SHADER.replacen(
        "@binding(8) var<uniform> grids",
        "@binding(12) var<uniform> grids",
        1,
    );
    assert_ne!(unbound, SHADER);
    assert!(renderer.reload(device, &unbound).is_err());
    assert_eq!(crate::draw(&gpu, &mut renderer, &view), before);
    let darker = SHADER.replacen(
        "return vec4<f32>(color, 1.0);",
        "return vec4<f32>(color * 0.5, 1.0);",
        1,
    );
    assert_ne!(darker, SHADER);
    renderer.reload(device, &darker).unwrap();
    assert_ne!(crate::draw(&gpu, &mut renderer, &view), before);
}

#[test]
fn hard_pixels_are_the_pictures_own() {
    let Some(gpu) = gpu() else { return };
    let view = OverlayParams {
        crisp: 1e6,
        // No pixel centre on an edge between pixels, where rounding would decide.
        pan: [21.37, -7.61],
        ..params(Mode::Plain)
    };
    compare(&gpu, "nearest", &pictures(), &view);
    let drawn = render_reference(&pictures(), &view, 192, 120);
    let own = pictures().generated.unwrap();
    let inside = (30..150).map(|x| *drawn.get_pixel(x, 60));
    assert!(inside.into_iter().all(|c| own.pixels().any(|p| *p == c)));
}
