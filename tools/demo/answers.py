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
import tomllib
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


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def effect(base: dict, run: Path) -> dict[str, dict]:
    """Per kind of prompt: classes, and mean change of both scores at the same prompt and seed."""
    rows, limits = prompts(), study_thresholds()
    out: dict[str, dict] = {}
    for key, record in records(run).items():
        row = rows[key[0]]
        kind = row["group"] if row["note"] == "planned" else f"NM {row['note']}"
        entry = out.setdefault(kind, {"classes": dict.fromkeys(CLASSES, 0), "F": [], "B": []})
        now, was = (r["matches"][0]["scores"] for r in (record, base[key]))
        entry["classes"][class_of(now, limits)] += 1
        for short, name in (("F", "foreground"), ("B", "background")):
            if now[name] is not None and was[name] is not None:
                entry[short].append(now[name] - was[name])
    return out


def study_thresholds() -> tuple[float, float]:
    thresholds = tomllib.loads((STUDY / "study.toml").read_text())["thresholds"]
    return thresholds["foreground"], thresholds["background"]


def class_of(scores: dict, limits: tuple[float, float]) -> str:
    f, b = ((scores[n] or 0.0) >= t for n, t in zip(("foreground", "background"), limits))
    return {(True, True): "VM", (True, False): "FM", (False, True): "BM", (False, False): "NM"}[(f, b)]


def number(estimate: dict | None, digits: int = 2) -> str:
    if not estimate or estimate["value"] is None:
        return "–"
    text = f"{estimate['value']:.{digits}f}"
    if estimate["interval"]:
        low, high = estimate["interval"]
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text


def mitigation_table(program: Program, base: Path, found: dict[str, Path]) -> list[str]:
    before = records(base)
    lines = [
        "| method | VM prompts: VM FM BM NM | FM prompts: VM FM BM NM | BM prompts: VM FM BM NM | unique: VM FM BM NM "
        "| ΔF, ΔB on VM | ΔF, ΔB on unique | score | FM that stays FM | copied foreground that stays | quality "
        "| diversity, B over A | ruined |",
        "|" + " --- |" * 12,
    ]
    kept = {}
    for name, variant in found.items():
        run = program.work / "runs" / variant.stem
        compared = json.loads(program("compare", base, run, "--json", quiet=True))
        kept[name] = compared
        by = effect(before, run)
        unique = [by[k] for k in ("NM seen", "NM unseen") if k in by]
        counts = lambda entries: " ".join(str(sum(e["classes"][c] for e in entries)) for c in CLASSES)
        change = lambda entries: ", ".join(f"{mean([v for e in entries for v in e[s]]):+.2f}" for s in "FB")
        diversity = compared["diversity"]
        ratio = diversity["b"]["value"] / diversity["a"]["value"] if diversity else float("nan")
        stays = compared["persistence"]
        lines.append(
            f"| {name} | {counts([by['VM']])} | {counts([by['FM']])} | {counts([by['BM']])} | {counts(unique)} "
            f"| {change([by['VM']])} | {change(unique)} "
            f"| {compared['reference']['score']:.1f} of {compared['reference']['attainable']:.0f} "
            f"| {number(stays['foreground_only'])} | {number(stays['foreground'])} "
            f"| {compared['quality']['score']:.2f} | {ratio:.2f} | {'yes' if compared['ruined'] else 'no'} |"
        )
    (program.work / "compared.json").write_text(json.dumps(kept, indent=1) + "\n")
    return lines


NAMES = {
    "noise_norm": "noise norm",
    "localised": "localised norm (LD)",
    "ending": "bright ending, mean",
    "entropy_late": "attention entropy D",
    "entropy_first": "attention entropy E",
}


def detection_table(program: Program, base: Path) -> tuple[list[str], dict]:
    found = json.loads(program("detect", base, "--prompts", program.work / "prompts.csv", "--json", quiet=True))
    (program.work / "detected.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        "| signal | taken at | all memorized against NM: AUC | TPR@1 % FPR (FB-Mem, Wen et al.) | VM | FM | BM |",
        "|" + " --- |" * 7,
    ]
    contrasts = found["contrasts"]

    def row(name: str, at: str, pick) -> None:
        cells = [pick(next(s for s in c["signals"] if s["signal"] == name)) for c in contrasts]
        if not all(cells):
            return
        first = cells[0]
        areas = " | ".join(number(c["auc"]) for c in cells[1:])
        lines.append(
            f"| {NAMES[name]} | {at} | {number(first['auc'])} "
            f"| {first['tpr_nearest_fpr']:.2f}, {first['tpr_below_fpr']:.2f} | {areas} |"
        )

    for name in NAMES:
        whole = next(s for s in contrasts[0]["signals"] if s["signal"] == name)
        if whole["steps"]:
            row(name, "mean of all steps", lambda s: s["mean"])
            last = len(whole["steps"])
            for step in sorted({1, whole["best"], (last + 1) // 2, last}):
                words = f"step {step}" + (" (best)" if step == whole["best"] else "")
                row(name, words, lambda s, i=step - 1: s["steps"][i] if s["steps"] else None)
        else:
            row(name, "–", lambda s: s["mean"])
    return lines, found


def section(program: Program, base: Path, found: dict[str, Path]) -> str:
    """What is written into the model card between its marks; the words around the tables are kept beside this script."""
    table, detected = detection_table(program, base)
    rows = prompts()
    planned = sum(r["note"] == "planned" for r in rows)
    head = [
        MARKS[0],
        "## What mitigations and signals do here",
        "",
        f"Measured by the program (`tools/demo/answers.py`): {planned} planned and {len(rows) - planned} unique prompts (half of",
        f"them seen), {SEEDS} seeds with each variant at the same noise as the original; so few that a count may differ by one",
        "or two elsewhere. Settings are the papers', or follow from unmemorized prompts alone. Intervals are 95 % bootstraps over",
        "prompts. No CLIP weights belong to the demo: alignment with the prompt was not measured.",
        "",
        *mitigation_table(program, base, found),
        "",
        "Classes are counts of pictures, in the order of the head; as it is, every picture is in its planned class. The score is",
        "FB-Mem's mitigation score and the most it could be; *quality* is the share of pictures that look as ordinary as the",
        "original's; ΔF and ΔB are mean changes of foreground and background score.",
        "",
        f"Signals, {detected['pictures']} pictures of {detected['prompts']} prompts at {detected['seeds']} seeds, labelled by their",
        f"prompts' planned class; {detected['steps']} steps. An area below 0.5 is an inverted signal.",
        "",
        *table,
        "",
    ]
    words = Path(__file__).with_name("answers.md")
    if words.exists():
        head += [words.read_text().strip(), ""]
    return "\n".join([*head, MARKS[1]]) + "\n"


def write_card(card: Path, text: str) -> None:
    old = card.read_text()
    if MARKS[0] in old:
        before, rest = old.split(MARKS[0])
        old = before + text.rstrip("\n") + rest.split(MARKS[1])[1]
    else:
        before, after = old.split("## Limits")
        old = before + text + "\n## Limits" + after
    card.write_text(old)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--card", type=Path, help="model card to write the section into")
    options = parser.parse_args()
    program = Program(options.program.resolve(), options.work.resolve())
    write_lists(program.work)
    base = program.scan("as-it-is", MANY)
    found = variants(program, base)
    for variant in found.values():
        program.scan(variant.stem, SEEDS, "--variant", variant)
    text = section(program, base, found)
    (program.work / "answers.md").write_text(text)
    print(text)
    if options.card:
        write_card(options.card, text)
