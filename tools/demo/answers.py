"""What mitigations and signals do to the demo study, measured by the program itself.

    python tools/demo/answers.py --program target/release/pentimento --work DIR [--card assets/demo/model-card.md]

Draws the study as it is (eight seeds), makes a variant with every method of ``pentimento locate``, draws each variant
at the first seeds, and sums up with ``compare`` and ``detect``. Every step is skipped when its result is there, so that a
run that was stopped goes on. Settings are those of the papers, or follow from the unmemorized prompts alone; none was
chosen by its outcome. Uses the standard library only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "assets/demo"
SEEDS, MANY = 2, 8  # of the variants, and of the original
UNIQUE = 6  # unique prompts of each kind (seen, unseen) beside the fourteen planned ones
CLASSES = ["VM", "FM", "BM", "NM"]
GUIDANCE = "4"
MARKS = ("<!-- answers -->", "<!-- /answers -->")


class Program:
    """Runs the program and keeps what it said."""

    def __init__(self, path: Path, work: Path) -> None:
        self.path, self.work = path, work
        work.mkdir(parents=True, exist_ok=True)

    def __call__(self, *words: object, quiet: bool = False) -> str:
        command = [str(self.path), *map(str, words)]
        begun = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RUST_BACKTRACE": "1"})
        seconds = time.monotonic() - begun
        if not quiet:
            print(f"{seconds:7.1f} s  {' '.join(command[1:4])} … {command[-1]}", flush=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
        return done.stdout

    def scan(self, name: str, seeds: int, *more: object) -> Path:
        """Draws and judges; an interrupted run goes on."""
        run = self.work / "runs" / name
        done = self.work / "runs" / f"{name}.json"
        if not done.exists():
            prompts = self.work / "prompts.csv"
            text = self("scan", STUDY, "--prompts", prompts, "--seeds", f"0..{seeds}", *more, "--json", "--out", run)
            done.write_text(text)
        return run

    def locate(self, name: str, *words: object) -> Path:
        """Makes a variant."""
        out = self.work / "variants" / f"{name}.toml"
        out.parent.mkdir(exist_ok=True)
        said = out.with_suffix(".said.txt")
        if not said.exists():
            text = self("locate", "--model", STUDY / "model", "--steps", 25, "--scheduler", "ddim", *words, "--out", out)
            said.write_text(text)
        return out


def prompts() -> list[dict[str, str]]:
    """The planned prompts of the study, and some of the others."""
    with (STUDY / "prompts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    some = [r for kind in ("planned", "seen", "unseen") for r in [r for r in rows if r["note"] == kind]]
    taken = {kind: 0 for kind in ("seen", "unseen")}
    chosen = []
    for row in some:
        if row["note"] in taken:
            taken[row["note"]] += 1
            if taken[row["note"]] > UNIQUE:
                continue
        chosen.append(row)
    return chosen


def write_lists(work: Path) -> None:
    """What the program reads: the prompts, those that nobody memorized, and as many of these as planned ones."""
    rows = prompts()
    lines = ["Caption;group;note"] + [";".join((r["Caption"], r["group"], r["note"])) for r in rows]
    (work / "prompts.csv").write_text("\n".join(lines) + "\n")
    with (STUDY / "prompts.csv").open(newline="") as file:
        calm = [r["Caption"] for r in csv.DictReader(file, delimiter=";") if r["group"] == "NM"]
    (work / "calm.txt").write_text("\n".join(calm) + "\n")
    planned = sum(r["group"] != "NM" for r in rows)
    (work / "as-many.txt").write_text("\n".join(calm[:planned]) + "\n")


def records(run: Path) -> dict[tuple[int, int], dict]:
    lines = (run / "generations.jsonl").read_text().splitlines()
    found = map(json.loads, lines)
    return {(r["key"]["prompt"], r["key"]["seed"]): r for r in found}


def variants(program: Program, base: Path) -> dict[str, Path]:
    """Every method, made on the planned prompts; prompt edits for all prompts, since whoever draws does not know."""
    lists, calm, as_many = (program.work / n for n in ("prompts.csv", "calm.txt", "as-many.txt"))
    memorized = [w for g in CLASSES[:3] for w in ("--group", g)]
    # What unmemorized prompts show at the first step, over a batch of all seeds: the target of Wen et al.
    kinds = [p["group"] for p in prompts()]
    firsts = [r["noise_norm"][0] for (k, _), r in records(base).items() if kinds[k] == "NM"]
    target = statistics.median(firsts) * SEEDS**0.5
    found = {
        "guidance 0 until timestep 650": program.locate("guidance-static", "--method", "guidance", "--transition", "timestep:650"),
        "guidance −2 until timestep 650": program.locate(
            "guidance-opposite", "--method", "guidance", "--transition", "timestep:650", "--before", "-2"
        ),
        "guidance 0 until the first minimum": program.locate("guidance-dynamic", "--method", "guidance", "--transition", "dynamic"),
        "4 random numbers": program.locate("numbers", "--method", "prompt", "--prompts", lists, "--insert", "numbers:4"),
        "4 random tokens": program.locate("tokens", "--method", "prompt", "--prompts", lists, "--insert", "tokens:4"),
        "4 repeated words": program.locate("repeats", "--method", "prompt", "--prompts", lists, "--insert", "repeats:4"),
        "Wanda, 1 %": program.locate(
            "wanda", "--method", "wanda", "--prompts", lists, *memorized, "--base", as_many, "--guidance", GUIDANCE
        ),
        "optimised embedding (Wen et al.)": program.locate(
            "wen", "--method", "prompt", "--prompts", lists, "--seeds", f"0..{SEEDS}", "--guidance", GUIDANCE, "--target", f"{target:.4f}"
        ),
        "NeMo": program.locate(
            "nemo", "--method", "nemo", "--prompts", lists, *memorized, "--statistics-from", calm, "--calibrate", calm, "--samples", 6
        ),
    }
    return {name: path for name, path in found.items() if path.exists()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--card", type=Path, help="model card to write the section into")
    options = parser.parse_args()
    program = Program(options.program.resolve(), options.work.resolve())
    write_lists(program.work)
    base = program.scan("as-it-is", MANY)
    for name, variant in variants(program, base).items():
        program.scan(variant.stem, SEEDS, "--variant", variant)
