//! The job files in `docs/jobs`: run by a shell with a program in place of ours that writes down what it is called with.

#![cfg(unix)]

use clap::Parser as _;
use pentimento::cli::{Cli, Command as Asked};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

/// Runs a shell with a stand-in for the program, and gives the one command line that reached it.
fn called(arguments: &[&str], variables: &[(&str, &str)]) -> Cli {
    let mut all = all_called(arguments, variables);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Every command line that reached the stand-in, in their order.
fn all_called(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<Cli> {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = folder.path().join("pentimento");
    fs::write(
        &stand_in,
        "#!/bin/sh\nprintf '%s\\n' pentimento \"$@\" '' >> \"$CALLED\"\n",
    )
    .unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let said = folder.path().join("called");
    let status = Command::new(arguments[0])
        .args(&arguments[1..])
        .envs(variables.iter().copied())
        .env("CALLED", &said)
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .status()
        .unwrap();
    assert!(status.success());
    let text = fs::read_to_string(said).unwrap();
    let one = |block: &str| Cli::try_parse_from(block.lines()).unwrap_or_else(|e| panic!("{block}\n{e}"));
    text.split_terminator("\n\n").map(one).collect()
}

fn job(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/jobs").join(name)
}

/// Checks that a task draws part 3 of 16 of a study into a shared run.
fn draws_part_three(cli: &Cli, study: &str, run: &str) {
    let Some(Asked::Scan(scan)) = &cli.command else {
        panic!("not a scan: {cli:?}");
    };
    assert_eq!(scan.study.as_deref(), Some(Path::new(study)));
    assert_eq!(scan.out, Path::new(run));
    assert_eq!(scan.shard.unwrap().folder(), "shard-03-of-16");
    assert_eq!(scan.seeds.as_ref().unwrap().0.len(), 20);
    assert!(cli.common.quiet);
}

#[test]
fn the_job_for_slurm_draws_its_part() {
    let file = job("slurm.sh");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("#SBATCH --array=1-16\n"),
        "parts are counted from 1"
    );
    let cli = called(
        &["bash", file.to_str().unwrap(), "/shared/study", "/shared/run"],
        &[
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "16"),
            ("SLURM_CPUS_PER_TASK", "8"),
        ],
    );
    draws_part_three(&cli, "/shared/study", "/shared/run");
    assert_eq!(cli.common.threads, 8);
}

#[test]
fn the_job_for_kubernetes_draws_its_part() {
    let text = fs::read_to_string(job("kubernetes.yaml")).unwrap();
    assert!(text.contains("completionMode: Indexed\n") && text.contains("  completions: 16\n"));
    // A folded block: its lines joined by spaces, up to the next line that is indented less.
    let block: Vec<&str> = text.split("- >-\n").nth(1).unwrap().lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let folded: Vec<&str> = block
        .iter()
        .take_while(|line| indent(line) >= indent(block[0]))
        .map(|line| line.trim())
        .collect();
    let cli = called(
        &["/bin/sh", "-c", &folded.join(" ")],
        &[("JOB_COMPLETION_INDEX", "2")],
    );
    draws_part_three(&cli, "/shared/STUDY", "/shared/RUN");
}

/// What the job file uses of Ray, run at once and in order.
const RAY: &str = r#"
def init():
    pass

def remote(**options):
    assert options["num_cpus"] == 8 and options["retry_exceptions"]
    class Task:
        def __init__(self, work):
            self.remote = work
    return Task

def wait(tasks):
    return tasks[:1], tasks[1:]

def get(done):
    return done
"#;

#[test]
fn the_job_for_ray_draws_every_part_once() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("no python3: not tested");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ray.py"), RAY).unwrap();
    let all = all_called(
        &[
            "python3",
            job("ray_job.py").to_str().unwrap(),
            "/shared/study",
            "/shared/run",
        ],
        &[
            ("PYTHONPATH", folder.path().to_str().unwrap()),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ],
    );
    assert_eq!(all.len(), 16);
    draws_part_three(&all[2], "/shared/study", "/shared/run");
    for (part, cli) in (1..).zip(&all) {
        let Some(Asked::Scan(scan)) = &cli.command else {
            panic!("not a scan: {cli:?}");
        };
        let want = format!("shard-{part:02}-of-16");
        assert_eq!((scan.shard.unwrap().folder(), cli.common.threads), (want, 8));
    }
}
