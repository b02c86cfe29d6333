//! Searches that were ended in the middle go on where they were, with the same result.

use pentimento::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Pipeline},
    mitigation::{
        MitigationError, Progress, Watch,
        neurons::{ActivationStatistics, NoiseSettings, calibrate},
        prompt::{self, PromptSettings},
        pruning::{self, PruningSettings},
    },
    study::Sampling,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PROMPTS: [&str; 5] = [
    "a house",
    "a red house",
    "the car near the house",
    "the sea",
    "a man",
];

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mitigation/unet7")
}

/// Keeps bytes, as a folder would, and stops after so many were kept.
#[derive(Default)]
struct Ends {
    after: usize,
    keeps: usize,
    kept: BTreeMap<String, Vec<u8>>,
    furthest: f64,
}

impl Watch for Ends {
    fn at(&mut self, done: f64, _total: f64) {
        self.furthest = self.furthest.max(done);
    }

    fn is_stopped(&self) -> bool {
        self.keeps >= self.after
    }

    fn kept(&self, part: &str) -> Option<Progress> {
        Progress::read(self.kept.get(part)?)
    }

    fn keep(&mut self, part: &str, progress: &Progress) -> Result<(), MitigationError> {
        self.keeps += 1;
        self.kept.insert(part.to_owned(), progress.bytes().unwrap());
        Ok(())
    }
}

/// What `work` gives when it is ended after every part that it keeps, and how often it was begun.
fn in_pieces<T>(work: &dyn Fn(&mut dyn Watch) -> Result<T, MitigationError>) -> (T, usize) {
    let mut kept = BTreeMap::new();
    for begun in 1..100 {
        let mut ends = Ends {
            after: 1,
            kept,
            ..Ends::default()
        };
        match work(&mut ends) {
            Ok(found) => return (found, begun),
            Err(error) => assert!(matches!(error, MitigationError::Stopped), "{error}"),
        }
        assert_eq!(ends.keeps, 1, "nothing new was kept");
        kept = ends.kept;
    }
    panic!("it does not come to an end");
}

fn whole<T>(work: &dyn Fn(&mut dyn Watch) -> Result<T, MitigationError>) -> T {
    let mut through = Ends {
        after: usize::MAX,
        ..Ends::default()
    };
    work(&mut through).unwrap()
}

#[test]
fn every_method_gives_the_same_when_it_is_ended_after_each_part() {
    let checkpoint = Checkpoint::open(&model()).unwrap();
    let sampling = Sampling {
        steps: 6,
        ..checkpoint.default_sampling()
    };
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();

    let many: Vec<String> = (0..19).map(|i| format!("the house number {i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let statistics = |w: &mut dyn Watch| ActivationStatistics::measure(&pipeline, &many, w);
    let (found, begun) = in_pieces(&statistics);
    assert_eq!((found, begun), (whole(&statistics), 3));

    let pruning = PruningSettings {
        sampling: sampling.clone(),
        steps: 3,
        skill_ratio: 0.2,
        ..PruningSettings::default()
    };
    let base = [""; PROMPTS.len()];
    let prune = |w: &mut dyn Watch| pruning::prune(&pipeline, &PROMPTS, &base, &pruning, w);
    let (found, begun) = in_pieces(&prune);
    assert_eq!(found, whole(&prune));
    // Each prompt once, and the empty one.
    assert_eq!(begun, PROMPTS.len() + 2);
    assert!(found.layers.iter().any(|l| l.mask.is_some()));

    let settings = PromptSettings {
        sampling: sampling.clone(),
        noise: InitialNoise::Seeds(vec![0, 1]),
        iterations: 4,
        target: None,
        ..PromptSettings::default()
    };
    let optimise = |w: &mut dyn Watch| prompt::optimise(&pipeline, PROMPTS[1], &settings, "prompt-0", w);
    let (found, begun) = in_pieces(&optimise);
    let through = whole(&optimise);
    assert_eq!(
        (found.embedding, &found.norms),
        (through.embedding, &through.norms)
    );
    assert_eq!((found.norms.len(), begun), (5, 5));

    let noise = NoiseSettings {
        samples: 3,
        ..NoiseSettings::default()
    };
    let size = (sampling.width, sampling.height);
    let calibration = |w: &mut dyn Watch| calibrate(&pipeline, &PROMPTS[..3], size, noise, w);
    let (found, _) = in_pieces(&calibration);
    assert_eq!(found, whole(&calibration));
}

#[test]
fn a_killed_search_leaves_its_progress_and_writes_the_same_bytes_when_it_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let command = |out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pentimento"));
        command
            .args([
                "locate", "--quiet", "--method", "prompt", "--size", "64", "--seeds", "0..2",
            ])
            .args([
                "--iterations",
                "60",
                "--prompt",
                PROMPTS[0],
                "--prompt",
                PROMPTS[2],
                "--model",
            ])
            .arg(model())
            .args(["--name", "same", "--out"])
            .arg(out)
            .stdout(Stdio::null());
        command
    };
    let progress = |folder: &Path| {
        let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
        files
            .filter(|f| f.extension().is_some_and(|e| e == "progress"))
            .collect::<Vec<_>>()
    };
    let (through, killed) = (folder.path().join("through"), folder.path().join("killed"));
    std::fs::create_dir(&through).unwrap();
    std::fs::create_dir(&killed).unwrap();
    assert!(command(&through.join("v.toml")).status().unwrap().success());
    assert!(progress(&through).is_empty());

    let mut child = command(&killed.join("v.toml")).spawn().unwrap();
    let patience = Instant::now();
    while progress(&killed)
        .first()
        .is_none_or(|p| !p.join("prompt-0.safetensors").exists())
    {
        assert!(patience.elapsed() < Duration::from_secs(300));
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("v.toml").exists());
    let kept = progress(&killed)[0].join("prompt-0.safetensors");
    let updates = Progress::read(&std::fs::read(kept).unwrap())
        .unwrap()
        .count("updates")
        .unwrap();
    assert!((1..60).contains(&updates), "{updates}");

    assert!(command(&killed.join("v.toml")).status().unwrap().success());
    assert!(progress(&killed).is_empty());
    let all = |folder: &Path| {
        let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap());
        let read = |f: std::fs::DirEntry| (f.file_name(), std::fs::read(f.path()).unwrap());
        files.map(read).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(all(&through), all(&killed));
}
