//! `pentimento init`: the folder of a new study, with every setting explained where it is made.

use super::args::InitArgs;
use crate::{
    store::{STUDY_FILE, write_whole},
    study::Problem,
};
use std::{fs, path::Path};

const PROMPTS: &str = "prompt,group\n\"a lighthouse, oil painting\",\n";

/// Writes `study.toml` and `prompts.csv`, and makes `gallery/` when no other gallery is named.
pub fn run(args: &InitArgs) -> Result<(), Problem> {
    let folder = &args.folder;
    let file = folder.join(STUDY_FILE);
    if file.exists() {
        return Err(Problem::new(
            "There is a study in this folder already",
            "Choose another folder.",
        )
        .at(file));
    }
    let made = |path: &Path| {
        fs::create_dir_all(path).map_err(|e| Problem::io("The folder cannot be made", path, &e))
    };
    made(folder)?;
    if args.gallery.is_none() {
        made(&folder.join("gallery"))?;
    }
    let prompts = folder.join("prompts.csv");
    if !prompts.exists() {
        write_whole(&prompts, PROMPTS.as_bytes())?;
    }
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
    let text = study(
        &name.unwrap_or_else(|| "My study".to_owned()),
        args.model.as_deref(),
        args.gallery.as_deref(),
    );
    write_whole(&file, text.as_bytes())?;
    println!("{}", file.display());
    Ok(())
}

/// The text of the study file.
fn study(name: &str, model: Option<&Path>, gallery: Option<&Path>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    // A path given on the command line is meant from there, one in the file from the file.
    let placed = |path: Option<&Path>, or: &str| match path {
        Some(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            quoted(&path.to_string_lossy())
        }
        None => quoted(or),
    };
    format!(
        r#"# A study of Pentimento. Paths are relative to this file's folder; every part may be left out.
format = 1
name = {name}

# The checkpoint: Stable Diffusion 1.x or 2.x, a folder in diffusers layout or a single .safetensors file with the
# model's tokenizer/ folder beside it.
[model]
path = {model}

# The training images. Captions come from metadata.csv or NAME.txt in the folder, or from the file named here;
# ready-made mattes from a folder with NAME.png (255 = foreground).
[gallery]
path = {gallery}
# captions = "captions.csv"
# mattes = "mattes"

# What splits pictures into foreground and background: U²-Net or U²-Net-P weights of the authors. Without this the
# demo's segmenter is used, which knows drawn scenes only.
# [segmenter]
# path = "u2net.pth"

# One prompt a line (.txt), or a column "prompt" or "Caption" (.csv, .jsonl). A column "group" or "type" sorts the
# results.
[prompts]
path = "prompts.csv"

[sampling]
# What is not set here is the checkpoint's own.
# steps = 50
# guidance = 7.0
# width = 512
# height = 512
# scheduler = "ddim"      # ddim, pndm, dpm++, euler, euler-a
# rng = "torch-cpu"       # torch-cuda: noise as drawn on an NVIDIA GPU
# negative = ""
seeds = "0..4"            # 0 to 3, for every prompt

# A score at or above its threshold counts as memorized. 0.8 and 0.8 are the FB-Mem code's, for its arithmetic
# "reference"; "corrected" gives other numbers.
[thresholds]
foreground = 0.8
background = 0.8
arithmetic = "corrected"  # corrected, torchmetrics, reference
"#,
        name = quoted(name),
        model = placed(model, "model"),
        gallery = placed(gallery, "gallery"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StudyFile;

    #[test]
    fn the_study_that_is_laid_out_can_be_read() {
        let text = study("A \"quoted\" \\ name", Some(Path::new("/m")), None);
        let read = StudyFile::parse(&text, Path::new("/s/study.toml")).unwrap();
        assert_eq!(read.name, "A \"quoted\" \\ name");
        assert_eq!(read.model.as_deref(), Some(Path::new("/m")));
        assert_eq!(read.gallery.as_deref(), Some(Path::new("/s/gallery")));
        assert_eq!(read.notices, []);
        // With every setting switched on it still can.
        let all: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.starts_with('[') => format!("{setting}\n"),
                Some(setting)
                    if setting
                        .split_once(" = ")
                        .is_some_and(|(key, _)| !key.contains(' ')) =>
                {
                    format!("{setting}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let read = StudyFile::parse(&all, Path::new("/s/study.toml")).unwrap();
        assert_eq!(read.notices, []);
        assert_eq!(read.sampling.steps, Some(50));
        assert!(read.segmenter.is_some() && read.captions.is_some() && read.mattes.is_some());
    }
}
