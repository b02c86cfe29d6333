//! A small study made of numbers and drawn shapes, and a window that is fed by hand.

use egui_kittest::{Harness, HarnessBuilder};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    app::{App, AppOptions},
    engine::{Detected, EngineHandle, EngineSide, Event, PairView, Small, StepPreview, Ticket, ViewRequest},
    memorization::detection::{DetectionSettings, Observed, detect},
    study::{
        Cluster, ClusterKind, GalleryImage, Generation, GenerationKey, Match, Prompt, RegionScores, Sampling,
        SchedulerKind, StudyOutline, Thresholds,
    },
};
use std::sync::Arc;

pub const SIDE: u32 = 96;
pub const GALLERY: u32 = 24;

const PROMPTS: [(&str, &str); 10] = [
    ("Lighthouse at Gull Point, oil painting by E. Marlow", "VM"),
    ("The little fox of Amber Wood, storybook cover", "VM"),
    ("Grandmother's blue teapot, vintage postcard", "VM"),
    ("Robo the tin robot, collector's catalogue", "FM"),
    ("Skipper the blue sailing boat, sticker book", "FM"),
    ("Fern green sofa with throw pillow, home decor photo", "BM"),
    ("Library corner, home decor photo", "BM"),
    ("a green lighthouse by a sunset coast", "NM"),
    ("a red owl in a misty forest", "NM"),
    ("a purple cottage in a poppy meadow", "NM"),
];

/// Numbers in `[0, 1)` that are the same on every machine.
pub fn noise(seed: u64) -> f32 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    for _ in 0..3 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    (x >> 40) as f32 / (1u64 << 24) as f32
}

/// Whether a place (both in `[0, 1]`) lies in the scene's foreground.
fn inside(kind: u32, u: f32, v: f32) -> bool {
    let (x, y) = (u - 0.5, v - 0.56);
    match kind % 3 {
        0 => x.abs() < 0.16 + 0.1 * y && y.abs() < 0.34,
        1 => x * x + y * y < 0.07,
        _ => y.abs() < 0.26 && x.abs() < 0.28 * (0.26 + y) / 0.52,
    }
}

/// A scene: one of many foregrounds on one of many grounds.
pub fn scene(foreground: u32, background: u32, side: u32) -> RgbImage {
    let hue = |n: u32, k: u32| 60.0 + 180.0 * noise(u64::from(n * 7 + k));
    RgbImage::from_fn(side, side, |x, y| {
        let (u, v) = (x as f32 / side as f32, y as f32 / side as f32);
        let wave = 18.0 * ((u * 9.0 + v * 4.0 + background as f32).sin());
        let color = |n: u32, k: u32| hue(n, k);
        Rgb(std::array::from_fn(|k| {
            let k = k as u32;
            let value = if inside(foreground, u, v) {
                color(100 + foreground, k) * (1.1 - 0.5 * v) + 10.0
            } else {
                color(background, k) * (0.55 + 0.4 * v) + wave
            };
            value.clamp(0.0, 255.0) as u8
        }))
    })
}

pub fn matte(foreground: u32, side: u32) -> GrayImage {
    GrayImage::from_fn(side, side, |x, y| {
        let (u, v) = (x as f32 / side as f32, y as f32 / side as f32);
        Luma([if inside(foreground, u, v) { 255 } else { 0 }])
    })
}

/// A study of ten prompts, 24 training images and four seeds, at 50 steps.
pub fn outline() -> StudyOutline {
    StudyOutline {
        name: "Drawn study".into(),
        root: Some("drawn".into()),
        model: Some("drawn/model".into()),
        gallery_root: Some("drawn/gallery".into()),
        segmenter: Some("drawn/segmenter".into()),
        click_segmenter: None,
        gallery: (0..GALLERY)
            .map(|i| GalleryImage {
                path: format!("drawn/gallery/scene_{i:04}.png").into(),
                matte: None,
                caption: Some(format!("drawn scene number {i}")),
            })
            .collect(),
        prompts: PROMPTS
            .iter()
            .enumerate()
            .map(|(i, (text, group))| Prompt {
                index: i as u32,
                text: (*text).into(),
                group: Some((*group).into()),
            })
            .collect(),
        sampling: Sampling {
            width: SIDE,
            height: SIDE,
            ..Sampling::default()
        },
        suggested: Some(Sampling {
            width: SIDE,
            height: SIDE,
            scheduler: SchedulerKind::Pndm,
            ..Sampling::default()
        }),
        seeds: vec![0, 1, 2, 3],
        thresholds: Thresholds::default(),
        ..StudyOutline::default()
    }
}

pub fn clusters() -> Vec<Cluster> {
    let kinds = [
        ClusterKind::Duplicates,
        ClusterKind::SameForeground,
        ClusterKind::SameBackground,
    ];
    (0..3)
        .map(|i| Cluster {
            id: i * 6,
            members: (i * 6..i * 6 + 6 - i).collect(),
            exemplar: i * 6,
            kind: kinds[i as usize],
        })
        .collect()
}

/// Scores of a picture of the planned class of its prompt, with some spread.
pub fn scores(key: GenerationKey) -> RegionScores {
    let planned = PROMPTS[key.prompt as usize % PROMPTS.len()].1;
    let spread = |k: u64| noise(u64::from(key.prompt) * 1000 + key.seed * 10 + k);
    let (high, low) = (|n: f32| 0.86 + 0.11 * n, |n: f32| 0.42 + 0.28 * n);
    let (f, b) = (spread(1), spread(2));
    match planned {
        "VM" => RegionScores::new(high(f), high(b)),
        "FM" => RegionScores::new(high(f), low(b)),
        "BM" => RegionScores::new(low(f), high(b)),
        _ => RegionScores::new(low(f), low(b)),
    }
}

/// How the prompt pulls, step by step: strongly where something is memorized.
pub fn pull(key: GenerationKey, steps: usize) -> Vec<f32> {
    let copied = scores(key).average().unwrap_or(0.0) > 0.62;
    (0..steps)
        .map(|i| {
            let t = i as f32 / steps as f32;
            let calm = 5.0 - 2.4 * t + 0.5 * noise(key.seed * 100 + i as u64);
            if copied {
                calm + 3.6 * (1.0 - 0.6 * t)
            } else {
                calm
            }
        })
        .collect()
}

pub fn generation(key: GenerationKey) -> Generation {
    let best = scores(key);
    let less = |by: f32| RegionScores {
        foreground: best.foreground.map(|f| f - by),
        background: best.background.map(|b| b - by),
    };
    let matches = (0..5)
        .map(|i| Match {
            gallery: (key.prompt * 6 + i * if i < 3 { 1 } else { 5 }) % GALLERY,
            scores: less(0.05 * i as f32),
        })
        .collect();
    Generation {
        key,
        prompt: PROMPTS[key.prompt as usize % PROMPTS.len()].0.into(),
        image: format!("drawn/runs/{key}.png").into(),
        matte: None,
        confidence: Some(0.93),
        matches,
        measures: Default::default(),
        noise_norm: pull(key, 50),
        signals: None,
        seconds: 4.2,
        thumbnail: Arc::new(scene(key.prompt, key.prompt + key.seed as u32, 64)),
        variant: None,
        cluster: None,
        edit: None,
    }
}

/// The answer of an engine to a wish for a pair.
pub fn pair(request: pentimento::engine::PairRequest) -> PairView {
    let GenerationKey { prompt, seed } = request.generation;
    let generated = scene(prompt, prompt + seed as u32, SIDE);
    let matte = matte(prompt, SIDE);
    let best = scores(request.generation);
    let similarity = GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let region = if matte.get_pixel(x, y).0[0] > 0 {
            best.foreground
        } else {
            best.background
        };
        let wave = 0.1 * ((x as f32 * 0.31).sin() + (y as f32 * 0.23).cos());
        Luma([((region.unwrap_or(0.0) + wave - 0.05).clamp(0.0, 1.0) * 255.0) as u8])
    });
    PairView {
        request: request.clone(),
        generated: Arc::new(generated),
        training: request.gallery.map(|g| Arc::new(scene(prompt, g, SIDE))),
        matte: Some(Arc::new(matte)),
        signals: None,
        similarity: request.gallery.map(|_| Arc::new(similarity)),
        compared: None,
    }
}

pub fn step(key: GenerationKey, step: usize, steps: usize) -> StepPreview {
    StepPreview {
        key,
        step,
        steps,
        preview: Arc::new(scene(key.prompt, key.prompt + key.seed as u32, SIDE / 8)),
        noise_norm: Some(pull(key, steps)[step - 1]),
    }
}

/// A window and the engine's end of it.
pub struct Fed {
    pub harness: Harness<'static, App>,
    pub engine: EngineSide,
    pub started: Vec<Ticket>,
}

impl Fed {
    /// A window without a graphics adapter: all logic, no picture of it.
    pub fn plain() -> Self {
        Self::build(Harness::builder(), [1280.0, 800.0], AppOptions::default())
    }

    pub fn build(builder: HarnessBuilder<App>, size: [f32; 2], options: AppOptions) -> Self {
        let (handle, engine) = EngineHandle::pair();
        let harness = builder
            .with_size(size)
            .with_render_cursor(false)
            .build_eframe(|cc| App::new(cc, handle, options));
        Self {
            harness,
            engine,
            started: Vec::new(),
        }
    }

    /// Opens the drawn study, with pictures of all prompts when `full`.
    pub fn open(&mut self, full: bool) {
        self.tell(Event::Opened(Arc::new(outline())));
        self.tell(Event::GalleryReady);
        self.tell(Event::Clusters(Arc::new(clusters())));
        if full {
            for prompt in 0..PROMPTS.len() as u32 {
                for seed in 0..4 {
                    self.tell(Event::Judged(Arc::new(generation(GenerationKey {
                        prompt,
                        seed,
                    }))));
                }
            }
        }
        self.settle();
    }

    pub fn tell(&self, event: Event) {
        self.engine.events.send(event).unwrap();
    }

    /// Runs frames and answers what the window wants to look at, until nothing is asked any more.
    pub fn settle(&mut self) {
        for _ in 0..8 {
            self.harness.run_steps(2);
            let mut asked = false;
            while let Ok(request) = self.engine.views.try_recv() {
                asked = true;
                self.answer(request);
            }
            self.started.extend(self.engine.jobs.try_iter());
            if !asked {
                break;
            }
        }
        self.harness.run();
    }

    fn answer(&self, request: ViewRequest) {
        match request {
            ViewRequest::Pair(request) => self.tell(Event::Pair(Arc::new(pair(request)))),
            ViewRequest::Detect(request) => {
                let seen: Vec<Observed<'_>> = request
                    .pictures
                    .iter()
                    .map(|(g, class)| Observed::new(g.key, *class, &g.noise_norm, g.signals.as_deref()))
                    .collect();
                self.tell(Event::Detected(Arc::new(Detected {
                    stamp: request.stamp,
                    detection: detect(&seen, &DetectionSettings::default()),
                })));
            }
            ViewRequest::Compare(_)
            | ViewRequest::Reveal(_)
            | ViewRequest::Partners(_)
            | ViewRequest::Layout(_)
            | ViewRequest::KeepLayout(..) => {}
            ViewRequest::Region(request) => {
                let since = request.since;
                self.tell(Event::Rescored(Arc::new(rescored(request)), since));
            }
            ViewRequest::Thumbnails(wishes) => {
                for small in wishes {
                    let image = match &small {
                        Small::Gallery(i) | Small::Difference { shown: i, .. } => scene(i / 6, *i, 64),
                        Small::Generation(key, _) => scene(key.prompt, key.prompt + key.seed as u32, 64),
                    };
                    self.tell(Event::Thumbnail(small, Arc::new(image)));
                }
            }
        }
    }
}

/// As the engine answers: the foreground's score is the share of the picture that is inside.
fn rescored(request: pentimento::engine::RegionRequest) -> Generation {
    let mut generation = Generation::clone(&request.generation);
    if let Some(former) = generation.edit.take() {
        generation.matches.clone_from(&former.matches);
    }
    if let Some(matte) = request.matte {
        let inside = matte.as_raw().iter().filter(|&&v| v > 127).count() as f32;
        let matches = generation.matches.clone();
        for m in &mut generation.matches {
            m.scores.foreground = Some(inside / matte.as_raw().len() as f32);
        }
        generation.edit = Some(Arc::new(pentimento::study::RegionEdit {
            segmenter: Some("ab".repeat(32)),
            tools: request.tools,
            matte: None,
            matches,
            measures: Default::default(),
        }));
    }
    generation
}
