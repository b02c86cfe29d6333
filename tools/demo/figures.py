"""Pictures beside the model card: a sheet of samples and the loss curves."""

from __future__ import annotations

import argparse
import csv
import io
import json
import tomllib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import gallery
from common import one_thread
from evaluate import generate, pipeline

INK, GRID = (40, 40, 48), (222, 222, 228)
LINES = {"VM": (200, 60, 60), "FM": (220, 140, 30), "BM": (50, 130, 90), "NM": (60, 90, 190)}


def save(image: Image.Image, path: Path, colours: int = 0) -> None:
    """Write a PNG, with a palette if asked."""
    if colours:
        image = image.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    gallery.write(path, buffer.getvalue())


def samples(study: Path, seeds: int = 3, side: int = 80) -> None:
    """Samples of every prompt, grouped as in ``prompts.csv``."""
    sampling = tomllib.loads((study / "study.toml").read_text())["sampling"]
    with (study / "prompts.csv").open(newline="") as file:
        prompts = list(csv.DictReader(file, delimiter=";"))
    pipe = pipeline(study / "model")
    font = ImageFont.load_default(9)
    columns, gap, text = 4, 8, 14
    width, height = seeds * side + gap, side + text + 4
    rows = -(-len(prompts) // columns)
    page = Image.new("RGB", (columns * width, rows * height), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for index, prompt in enumerate(prompts):
        x, y = index % columns * width + gap // 2, index // columns * height
        label = prompt["group"] if prompt["note"] == "planned" else prompt["note"]
        pen.text((x, y + 2), f"{label}: {prompt['Caption']}"[:54], INK, font)
        for number, picture in enumerate(generate(pipe, prompt["Caption"], range(seeds), sampling["steps"], sampling["guidance"])):
            small = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
            page.paste(small, (x + number * side, y + text))
    save(page, study / "samples.png", 160)


def curves(work: Path, study: Path) -> None:
    """Training loss per group over the steps (logarithmic)."""
    rows = [json.loads(line) for line in (work / "unet.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["step"] >= 100]
    width, height, left, top, right, bottom = 720, 360, 60, 34, 700, 320
    page = Image.new("RGB", (width, height), (255, 255, 255))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    steps = np.array([row["step"] for row in rows], float)
    values = {group: np.array([row.get(group, np.nan) for row in rows]) for group in LINES}
    low, high = 0.01, 1.0
    place = lambda s, v: (left + (right - left) * s / steps.max(), bottom - (bottom - top) * np.log(np.clip(v, low, high) / low) / np.log(high / low))
    for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        y = place(0, tick)[1]
        pen.line([(left, y), (right, y)], GRID)
        pen.text((left - 40, y - 7), f"{tick:g}", INK, font)
    for tick in range(0, int(steps.max()) + 1, 1000):
        pen.text((place(tick, 1)[0] - 10, bottom + 8), str(tick), INK, font)
    for number, (group, line) in enumerate(values.items()):
        pen.line([place(s, v) for s, v in zip(steps, line, strict=True) if np.isfinite(v)], LINES[group], 2)
        pen.text((left + 10 + number * 50, 12), group, LINES[group], font)
    pen.text((left + 230, 12), "v-prediction loss of the diffusion model over steps", INK, font)
    save(page, study / "training.png", 32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the figures of the model card.")
    parser.add_argument("study", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    one_thread()
    curves(options.work, options.study)
    samples(options.study)
