//! The study that is scanned, the scan under a fault, and what it must have left behind.

use crate::contents::contents;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Pictures of the study.
pub const PICTURES: usize = 6;

const RECORDS: &str = "generations.jsonl";

/// A small study, the run that nothing interrupted, and the library that makes things go wrong.
pub struct Bench {
    folder: PathBuf,
    /// The uninterrupted run's files.
    pub whole: BTreeMap<PathBuf, Vec<u8>>,
    /// Operations of the uninterrupted run on files of its folder.
    pub operations: usize,
    /// Time the uninterrupted run took, with everything prepared.
    pub took: Duration,
}

impl Bench {
    /// Made once for all tests of this file.
    pub fn get() -> &'static Self {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(Self::new)
    }

    fn new() -> Self {
        // A fixed place: what a former run of the tests left is removed.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        // A copy: a long run does not mind that the program is built again meanwhile.
        fs::copy(env!("CARGO_BIN_EXE_pentimento"), folder.join("pentimento")).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
        let study = folder.join("study");
        fs::create_dir_all(study.join("gallery")).unwrap();
        let mut images: Vec<_> = fs::read_dir(demo.join("gallery"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        images.sort();
        for image in images.iter().step_by(images.len() / 6).take(6) {
            fs::copy(image, study.join("gallery").join(image.file_name().unwrap())).unwrap();
        }
        let quoted = |part: &str| format!("{:?}", demo.join(part).to_str().unwrap());
        let text = format!(
            "name = \"Faults\"\n[model]\npath = {}\n[segmenter]\npath = {}\n[gallery]\npath = \"gallery\"\n\
             [prompts]\npath = \"prompts.txt\"\n[sampling]\nsteps = 2\nguidance = 4\nwidth = 64\nheight = 64\n\
             seeds = \"0..2\"\n",
            quoted("model"),
            quoted("segmenter"),
        );
        fs::write(study.join("study.toml"), text).unwrap();
        fs::write(study.join("prompts.txt"), "a lighthouse\na teapot\na fox\n").unwrap();
        let shim = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.join("shim.so"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c"))
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(
            shim.success(),
            "the C compiler could not build tests/faults/shim.c"
        );
        let mut bench = Self {
            folder,
            whole: BTreeMap::new(),
            operations: 0,
            took: Duration::ZERO,
        };
        // The first scan prepares the gallery, the second is timed.
        bench.trial("prepare").scan(None).expect_success();
        let trial = bench.trial("whole");
        let start = Instant::now();
        trial.scan(None).expect_success();
        let took = start.elapsed();
        let (whole, operations) = (contents(&trial.run), trial.log().len());
        bench = Self {
            whole,
            operations,
            took,
            ..bench
        };
        let pictures = bench.whole.keys().filter(|p| p.starts_with("images")).count();
        assert_eq!(pictures, PICTURES, "{:?}", bench.whole.keys());
        bench
    }

    /// A run folder to be.
    pub fn trial(&self, name: &str) -> Trial<'_> {
        let root = self.folder.join("trials").join(name);
        fs::create_dir_all(&root).unwrap();
        Trial {
            bench: self,
            run: root.join("run"),
            root,
        }
    }
}

/// How a scan ended.
#[derive(Debug)]
pub struct Ended(pub Output);

impl Ended {
    /// What it wrote to standard error.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Whether it was killed.
    pub fn killed(&self) -> bool {
        self.0.status.signal() == Some(9)
    }

    /// Whether it did all of its work.
    pub fn success(&self) -> bool {
        self.0.status.success()
    }

    pub fn expect_success(&self) {
        assert!(self.success(), "{:?}: {}", self.0.status, self.said());
    }
}

/// One run folder and what happens to it.
pub struct Trial<'a> {
    bench: &'a Bench,
    root: PathBuf,
    /// The run's folder.
    pub run: PathBuf,
}

impl Trial<'_> {
    /// Starts the scan, with a fault (see `shim.c`) or without.
    pub fn start(&self, fault: Option<&str>) -> Child {
        let bench = &self.bench.folder;
        let mut command = Command::new(bench.join("pentimento"));
        command
            .args(["scan", "--quiet", "--json"])
            .arg(bench.join("study"))
            .arg("--out")
            .arg(&self.run)
            .env("PENTIMENTO_CACHE", bench.join("cache"))
            .env("LD_PRELOAD", bench.join("shim.so"))
            .env("FAULT_UNDER", &self.run)
            .env("FAULT_LOG", self.root.join("log"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(fault) = fault {
            command.env("FAULT", fault);
        }
        command.spawn().unwrap()
    }

    /// Scans to whatever end.
    pub fn scan(&self, fault: Option<&str>) -> Ended {
        Ended(self.start(fault).wait_with_output().unwrap())
    }

    /// Scans and kills from outside after a while.
    pub fn scan_and_kill(&self, after: Duration) -> Ended {
        let mut child = self.start(None);
        std::thread::sleep(after);
        child.kill().unwrap();
        Ended(child.wait_with_output().unwrap())
    }

    /// Operations on files of the run so far.
    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often each picture was put in place.
    pub fn drawn(&self) -> BTreeMap<String, usize> {
        let mut drawn = BTreeMap::new();
        for line in self.log() {
            if let Some((_, picture)) = line.split_once("/images/img_")
                && line.starts_with("rename ")
            {
                *drawn.entry(picture.to_owned()).or_default() += 1;
            }
        }
        drawn
    }

    /// After an interruption: whole lines are a beginning of the uninterrupted run's, and every recorded picture is
    /// complete. Gives the number of recorded pictures.
    pub fn check_interrupted(&self, context: &str) -> usize {
        let records = fs::read(self.run.join(RECORDS)).unwrap_or_default();
        let lines = records.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
        let whole = &self.bench.whole[Path::new(RECORDS)];
        assert!(
            whole.starts_with(&records[..lines]),
            "{context}: the records are no beginning of the uninterrupted run's"
        );
        let mut count = 0;
        for line in records[..lines].split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
            let record: serde_json::Value = serde_json::from_slice(line).unwrap();
            let image = record["image"].as_str().unwrap();
            let bytes = fs::read(self.run.join(image)).unwrap();
            assert_eq!(
                hex::encode(Sha256::digest(&bytes)),
                record["sha256"].as_str().unwrap(),
                "{context}: {image}"
            );
            let matte = record["matte"].as_str().unwrap();
            let bytes = fs::read(self.run.join(matte)).unwrap();
            assert_eq!(bytes, self.bench.whole[Path::new(matte)], "{context}: {matte}");
            count += 1;
        }
        count
    }

    /// After everything: byte for byte the uninterrupted run, and not more than one picture made again for each of
    /// `interruptions`. Gives the number of pictures made again.
    pub fn check_whole(&self, interruptions: usize, context: &str) -> usize {
        let found = contents(&self.run);
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&self.bench.whole), "{context}");
        for (name, bytes) in &self.bench.whole {
            assert!(found[name] == *bytes, "{context}: {} differs", name.display());
        }
        let drawn = self.drawn();
        assert_eq!(drawn.len(), PICTURES, "{context}: {drawn:?}");
        let again: usize = drawn.values().map(|n| n - 1).sum();
        assert!(again <= interruptions, "{context}: {drawn:?}");
        again
    }

    /// Removes everything of the trial.
    pub fn clean(self) {
        fs::remove_dir_all(&self.root).ok();
    }
}
