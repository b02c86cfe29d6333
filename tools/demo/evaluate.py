"""Known-answer check: generates every prompt with several seeds and classifies the pictures.

The planned group of a prompt is the known answer. Everything is read from the exported
study, so this is also a test of the files: model through ``StableDiffusionPipeline``,
segmenter from its tensors, gallery mattes from their folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import tomllib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline

import gallery
from common import one_thread
from scorer import Searcher
from train_segmenter import predict
from u2netp import segmenter

Array = np.ndarray


def pipeline(folder: Path) -> StableDiffusionPipeline:
    """The exported model in single precision."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(pipe: StableDiffusionPipeline, caption: str, seeds: range, steps: int, guidance: float) -> Array:
    """Pictures of one caption, one per seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    made = pipe([caption] * len(seeds), height=128, width=128, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type="np")
    return (np.asarray(made.images) * 255 + 0.5).astype(np.uint8)


def class_of(front: float, back: float, thresholds: dict[str, float]) -> str:
    """VM, FM, BM or NM."""
    f, b = front >= thresholds["foreground"], back >= thresholds["background"]
    return "VM" if f and b else "FM" if f else "BM" if b else "NM"


def sheet(cells: list[Array], columns: int, path: Path, scale: float = 1.0) -> None:
    """Write a contact sheet."""
    cells = cells + [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    picture = np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])
    if scale != 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), picture[..., ::-1])


def evaluate(study: Path, work: Path, seeds: int) -> dict:
    """Classify every prompt and seed; writes rows and a summary below ``work``."""
    settings = tomllib.loads((study / "study.toml").read_text())
    sampling, thresholds = settings["sampling"], settings["thresholds"]
    with (study / "prompts.csv").open(newline="") as file:
        prompts = list(csv.DictReader(file, delimiter=";"))
    pipe, cutter = pipeline(study / "model"), segmenter(study / "segmenter")
    shown = gallery.load(study, mattes="mattes")
    search = Searcher(shown.images, shown.mattes)
    rows, counts = [], {}
    for prompt in prompts:
        images = generate(pipe, prompt["Caption"], range(seeds), sampling["steps"], sampling["guidance"])
        for seed, (image, matte) in enumerate(zip(images, predict(cutter, images), strict=True)):
            row, front, back = search.nearest(image, matte)
            found = class_of(front, back, thresholds)
            name = prompt["group"] if prompt["note"] == "planned" else f"NM {prompt['note']}"
            counts.setdefault(name, Counter())[found] += 1
            rows.append([prompt["Caption"], name, seed, shown.files[row], shown.captions[row] == prompt["Caption"], round(front, 4), round(back, 4), found])
        last = rows[-seeds:]
        print(prompt["Caption"], prompt["group"], Counter(r[-1] for r in last), "F %.3f..%.3f B %.3f..%.3f" % (min(r[5] for r in last), max(r[5] for r in last), min(r[6] for r in last), max(r[6] for r in last)), flush=True)
    with (work / "evaluation.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["caption", "group", "seed", "match", "own picture", "foreground", "background", "class"])
        writer.writerows(rows)
    summary = {"seeds": seeds, "thresholds": thresholds, "classes": {name: dict(count) for name, count in counts.items()}}
    for name in counts:
        mine = np.array([[r[5], r[6]] for r in rows if r[1] == name])
        summary.setdefault("scores", {})[name] = {"foreground 0/50/100": np.percentile(mine[:, 0], (0, 50, 100)).round(3).tolist(), "background 0/50/100": np.percentile(mine[:, 1], (0, 50, 100)).round(3).tolist()}
    (work / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Known-answer check of the exported demo study.")
    parser.add_argument("study", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    one_thread()
    print(json.dumps(evaluate(options.study, options.work, options.seeds), indent=1))
