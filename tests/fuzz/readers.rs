//! The readers of the program's own files, of checkpoints, tables and pictures, and the whole files from which damaged
//! ones are made.

use super::foreign;
use image::{DynamicImage, ImageFormat, RgbImage};
use pentimento::{
    diffusion::Checkpoint,
    gallery,
    segmentation::Segmenter,
    store::{
        Run, StudyFile, parse_picture_name, picture_text, read_prompts, read_scores, read_variant, recognise,
    },
    study::parse_seeds,
};
use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

/// Reads a file that lies at a path, or its bytes.
pub type Read = Box<dyn Fn(&Path, &[u8])>;

/// A reader of outside data.
pub struct Reader {
    pub name: &'static str,
    /// How many times fewer inputs the short run makes: for readers that build models.
    pub slow: usize,
    pub seeds: Vec<Vec<u8>>,
    pub read: Read,
}

impl Reader {
    /// Reads one input; `folder` is there for its files.
    pub fn read(&self, folder: &Path, bytes: &[u8]) {
        (self.read)(folder, bytes);
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn file(path: &str) -> Vec<u8> {
    fs::read(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Reads a damaged file that lies alone in the folder.
pub fn alone(name: &'static str, read: impl Fn(&Path) + 'static) -> Read {
    Box::new(move |folder, bytes| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        read(&path);
    })
}

/// Reads a folder of whole files in which one is damaged; the whole ones are laid out once.
pub fn among(whole: &'static str, damaged: &'static str, read: impl Fn(&Path) + 'static) -> Read {
    Box::new(move |folder, bytes| {
        let here = folder.join(Path::new(whole).file_name().unwrap());
        if !here.is_dir() {
            copy(&root().join(whole), &here);
        }
        fs::write(here.join(damaged), bytes).unwrap();
        read(&here);
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

const RUN: &str = "tests/fixtures/formats/1/run";
const SD: &str = "tests/fixtures/diffusion/sd1";

fn open_run(folder: &Path) {
    if let Ok(run) = Run::open_read(folder) {
        run.generations(&[], |_| None);
    }
}

fn open_checkpoint(folder: &Path) {
    if let Ok(checkpoint) = Checkpoint::open(folder) {
        checkpoint.summary();
        checkpoint.memory_estimate(64, 64, 1);
        if let Ok(tokens) =
            pentimento::diffusion::ClipTokenizer::open(&checkpoint.tokenizer, &checkpoint.text)
        {
            tokens
                .encode("a photo of a red house, é 猫 \u{0} <|endoftext|>")
                .ok();
        }
    }
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 28, y as u8 * 36, 90]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

pub fn all() -> Vec<Reader> {
    let reader = |name, slow, seeds, read| Reader {
        name,
        slow,
        seeds,
        read,
    };
    let pictures = || {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
        let mut seeds: Vec<_> = [Png, Jpeg, Gif, Bmp, Tiff, WebP].map(picture).into();
        for name in ["cmyk.jpg", "grey16.png", "palette.png"] {
            seeds.push(file(&format!("tests/fixtures/files/{name}")));
        }
        seeds
    };
    let prompts = || {
        vec![
            b";Caption;URL;type;mean_sscd;max_sscd;Index\n0;\"a \"\"b\"\"; c\";https://x;VM;0.9;0.91;17\n1;d;e;TM;;;2\n".to_vec(),
            b"prompt,group\n\"a, b\",FM\nc,\n".to_vec(),
            b"{\"caption\": \"a\", \"index\": 3, \"url\": \"u\"}\n{\"caption\": \"b\"}\n".to_vec(),
            b"first\nsecond\n".to_vec(),
            [0xFF, 0xFE]
                .into_iter()
                .chain("Prompt\tGroup\nä\tFM\n".encode_utf16().flat_map(u16::to_le_bytes))
                .collect(),
        ]
    };
    let scores = b"original image,generated image,Background Scores,Foreground Scores,Average Scores\n\
        17.png,img_0000_01.jpg,0.5,0.25,0.375\n3.png,img_0000_01.jpg,,nan,\n";
    vec![
        reader(
            "study",
            1,
            vec![file("tests/fixtures/formats/1/study.toml"), file("assets/demo/study.toml")],
            alone("study.toml", |p| drop(StudyFile::read(p))),
        ),
        reader(
            "variant",
            1,
            ["neurons.toml", "mask.toml", "embedding.toml", "guidance-timestep.toml"]
                .map(|n| file(&format!("tests/fixtures/variants/{n}")))
                .into(),
            alone("variant.toml", |p| drop(read_variant(p))),
        ),
        reader("prompts-csv", 1, prompts(), alone("p.csv", |p| drop(read_prompts(p)))),
        reader("prompts-jsonl", 1, prompts(), alone("p.jsonl", |p| drop(read_prompts(p)))),
        reader("prompts-txt", 1, prompts(), alone("p.txt", |p| drop(read_prompts(p)))),
        reader("scores", 1, vec![scores.to_vec()], alone("scores.csv", |p| drop(read_scores(p)))),
        reader("captions", 1, prompts(), {
            Box::new(|folder, bytes| {
                fs::write(folder.join("0.png"), "").unwrap();
                fs::write(folder.join("captions.csv"), bytes).unwrap();
                gallery::scan(folder, Some(&folder.join("captions.csv")), None).ok();
            })
        }),
        reader(
            "run-lines",
            1,
            vec![file("tests/fixtures/formats/1/run/generations.jsonl")],
            among(RUN, "generations.jsonl", open_run),
        ),
        reader(
            "run-parameters",
            1,
            vec![file("tests/fixtures/formats/1/run/run.toml")],
            among(RUN, "run.toml", open_run),
        ),
        reader("picture", 1, pictures(), alone("a.png", |p| {
            gallery::decode_rgb(p).ok();
            gallery::decode_matte(p).ok();
        })),
        reader(
            "picture-text",
            1,
            vec![file("tests/fixtures/formats/1/run/images/img_0000_00.png"), picture(ImageFormat::Png)],
            alone("a.png", |p| drop(picture_text(p))),
        ),
        reader("names", 1, vec![b"2_img_0003_01.jpg".to_vec(), b"0..4,7..=9".to_vec()], {
            Box::new(|_, bytes| {
                let text = String::from_utf8_lossy(bytes);
                parse_picture_name(&text);
                // A long list of seeds is what was asked for, up to its limit.
                parse_seeds(&text).ok();
            })
        }),
        reader(
            "safetensors",
            1,
            vec![file("tests/fuzz/corpus/safetensors/small.safetensors")],
            alone("small.safetensors", |p| {
                Segmenter::open(p).ok();
                recognise(p).ok();
            }),
        ),
        reader(
            "pth",
            1,
            vec![file("tests/fuzz/corpus/pth/small.pth")],
            alone("small.pth", |p| drop(Segmenter::open(p))),
        ),
        reader(
            "segmenter-config",
            1,
            vec![br#"{"architecture": "u2netp", "size": 320, "mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}"#.to_vec()],
            Box::new(|folder, bytes| {
                fs::write(folder.join("config.json"), bytes).unwrap();
                fs::write(folder.join("model.safetensors"), "").unwrap();
                recognise(folder).ok();
                Segmenter::open(folder).ok();
            }),
        ),
        reader("unet-config", 8, vec![file("tests/fixtures/diffusion/sd1/unet/config.json")], among(SD, "unet/config.json", open_checkpoint)),
        reader("vae-config", 8, vec![file("tests/fixtures/diffusion/sd1/vae/config.json")], among(SD, "vae/config.json", open_checkpoint)),
        reader("text-config", 8, vec![file("tests/fixtures/diffusion/sd1/text_encoder/config.json")], among(SD, "text_encoder/config.json", open_checkpoint)),
        reader("scheduler-config", 8, vec![file("tests/fixtures/diffusion/sd1/scheduler/scheduler_config.json")], among(SD, "scheduler/scheduler_config.json", open_checkpoint)),
        reader("model-index", 8, vec![file("tests/fixtures/diffusion/sd1/model_index.json")], among(SD, "model_index.json", open_checkpoint)),
        reader("vocabulary", 8, vec![file("tests/fixtures/diffusion/sd1/tokenizer/vocab.json")], among(SD, "tokenizer/vocab.json", open_checkpoint)),
        reader("merges", 8, vec![file("tests/fixtures/diffusion/sd1/tokenizer/merges.txt")], among(SD, "tokenizer/merges.txt", open_checkpoint)),
        reader(
            "tokenizer-json",
            8,
            vec![file("tests/fixtures/diffusion/groups16/tokenizer/tokenizer.json")],
            among("tests/fixtures/diffusion/groups16", "tokenizer/tokenizer.json", open_checkpoint),
        ),
        reader(
            "checkpoint-header",
            8,
            vec![file("tests/fixtures/diffusion/sd1/text_encoder/model.safetensors")],
            among(SD, "text_encoder/model.safetensors", open_checkpoint),
        ),
    ]
    .into_iter()
    .chain(foreign::all())
    .collect()
}
