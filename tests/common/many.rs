//! Studies of a hundred thousand pictures, made cheaply: few distinct small pictures under many names, scores by
//! arithmetic. In memory for the window; on disk as a finished run of imported pictures and a gallery.

use image::{Rgb, RgbImage};
use pentimento::{
    store::{Record, RecordMatch, Run, RunParameters},
    study::{GalleryImage, Generation, GenerationKey, Match, Prompt, RegionScores, StudyOutline, Thresholds},
};
use std::{
    fs,
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

/// Distinct pictures; a file can have some ten thousand names on common file systems.
const DISTINCT: usize = 16;

/// How many of everything.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// Prompts.
    pub prompts: u32,
    /// Pictures of each.
    pub seeds: u64,
    /// Training images.
    pub gallery: u32,
}

impl Many {
    /// A hundred thousand pictures of 20 000 prompts, and as many training images.
    pub const LARGE: Self = Self {
        prompts: 20_000,
        seeds: 5,
        gallery: 100_000,
    };

    /// The prompts.
    pub fn prompts(self) -> Vec<Prompt> {
        (0..self.prompts)
            .map(|index| Prompt {
                index,
                text: format!("picture number {index} of a very long list"),
                group: None,
            })
            .collect()
    }

    /// The study, with its training images under `root`.
    pub fn outline(self, root: &Path) -> StudyOutline {
        StudyOutline {
            name: "Many".into(),
            root: Some(root.to_owned()),
            gallery_root: Some(root.join("gallery")),
            gallery: (0..self.gallery)
                .map(|i| GalleryImage {
                    path: root.join("gallery").join(format!("{i:06}.png")),
                    matte: None,
                    caption: None,
                })
                .collect(),
            prompts: self.prompts(),
            seeds: (0..self.seeds).collect(),
            thresholds: Thresholds::default(),
            ..StudyOutline::default()
        }
    }

    /// Keys of all pictures.
    pub fn keys(self) -> impl Iterator<Item = GenerationKey> {
        (0..self.prompts)
            .flat_map(move |prompt| (0..self.seeds).map(move |seed| GenerationKey { prompt, seed }))
    }

    /// Scores of a picture: spread over all four classes.
    pub fn scores(key: GenerationKey) -> RegionScores {
        let share = |salt: u64| {
            let x = (u64::from(key.prompt) * 7919 + key.seed * 104_729 + salt)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1_u64 << 24) as f32
        };
        let score = |copied: bool, at: f32| if copied { 0.82 + 0.18 * at } else { 0.35 + 0.4 * at };
        RegionScores::new(score(share(1) < 0.3, share(2)), score(share(3) < 0.4, share(4)))
    }

    /// Noise norm of a picture: 50 steps.
    fn noise(key: GenerationKey) -> Vec<f32> {
        let lift = Self::scores(key).average().unwrap_or(0.0);
        (0..50).map(|step| 3.0 + lift + 0.01 * step as f32).collect()
    }

    /// A picture as the engine tells it.
    pub fn generation(self, root: &Path, key: GenerationKey) -> Generation {
        Generation {
            key,
            prompt: format!("picture number {} of a very long list", key.prompt),
            image: root.join("run/images").join(format!("{key}.png")),
            matte: None,
            confidence: None,
            matches: self.matches(key),
            noise_norm: Self::noise(key),
            seconds: 0.0,
            thumbnail: Arc::default(),
            variant: None,
            measures: Default::default(),
            signals: None,
            cluster: None,
            edit: None,
        }
    }

    fn matches(self, key: GenerationKey) -> Vec<Match> {
        let first = (key.prompt.wrapping_mul(31) + key.seed as u32 * 17) % self.gallery;
        let best = Self::scores(key);
        (0..5)
            .map(|place| Match {
                gallery: (first + place * 101) % self.gallery,
                scores: RegionScores {
                    foreground: best.foreground.map(|s| s - 0.02 * place as f32),
                    background: best.background.map(|s| s - 0.02 * place as f32),
                },
            })
            .collect()
    }

    /// Writes a gallery folder `root/gallery` and a finished run of imported pictures `root/run`.
    pub fn write(self, root: &Path) {
        let (gallery, run) = (root.join("gallery"), root.join("run"));
        let templates = root.join("templates");
        for folder in [&gallery, &templates] {
            fs::create_dir_all(folder).unwrap();
        }
        for i in 0..DISTINCT {
            let tint = (i * 16) as u8;
            let picture = RgbImage::from_fn(96, 96, |x, y| Rgb([tint, (x * 2) as u8, (y * 2) as u8]));
            picture.save(templates.join(format!("{i}.png"))).unwrap();
        }
        let link = |number: usize, to: &Path| {
            let from = templates.join(format!("{}.png", number % DISTINCT));
            if fs::hard_link(&from, to).is_err() {
                fs::copy(&from, to).unwrap();
            }
        };
        for i in 0..self.gallery {
            link(i as usize, &gallery.join(format!("{i:06}.png")));
        }
        let parameters = RunParameters {
            study: "Many".into(),
            import: Some("made for tests".into()),
            places: pentimento::store::Places {
                gallery: Some(gallery.clone()),
                ..Default::default()
            },
            ..RunParameters::default()
        };
        drop(Run::create(&run, &parameters).unwrap());
        fs::create_dir_all(run.join("images")).unwrap();
        let mut lines = BufWriter::new(fs::File::create(run.join("generations.jsonl")).unwrap());
        for (number, key) in self.keys().enumerate() {
            let image = format!("images/{key}.png");
            link(number, &run.join(&image));
            let record = Record {
                cluster: None,
                key,
                prompt: format!("picture number {} of a very long list", key.prompt),
                image,
                sha256: "0".repeat(64),
                matte: None,
                confidence: None,
                matches: self
                    .matches(key)
                    .into_iter()
                    .map(|m| RecordMatch {
                        name: format!("{:06}.png", m.gallery),
                        gallery: m.gallery,
                        scores: m.scores,
                    })
                    .collect(),
                noise_norm: Vec::new(),
                embedding: None,
                measures: None,
                signals: None,
            };
            serde_json::to_writer(&mut lines, &record).unwrap();
            lines.write_all(b"\n").unwrap();
        }
        lines.flush().unwrap();
    }
}
