"""Builds the demo study from nothing: ``python tools/demo/build.py --work DIR``.

Each step writes its result below the work folder and is skipped when that result is
there; training steps continue from their last checkpoint. Steps that do not depend on
each other run side by side (the diffusion model beside decoder and segmenter).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent.parent / "assets" / "demo"

UNET_STEPS, UNET_DECAY = 7460, 1100
DECODER_STEPS = 4700
SEGMENTER_PLAN = "64x8x700,128x4x950"


def start(script: str, *arguments: str) -> subprocess.Popen:
    """Start one of the scripts beside this file on one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen([sys.executable, str(HERE / script), *arguments], env=environment)


def wait(*running: subprocess.Popen) -> None:
    """Wait for scripts; stop at the first failure."""
    for process in running:
        if process.wait():
            raise SystemExit(f"failed: {process.args}")


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description="Build the demo study.")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and intermediate files")
    parser.add_argument("--study", type=Path, default=STUDY, help="where the finished study goes")
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    at = ("--work", str(work))
    if not (work / "study" / "prompts.csv").exists():
        wait(start("gallery.py", str(work / "study")))
    if not (work / "practice.npz").exists():
        wait(start("practice.py", str(work / "practice.npz"), "--count", "1500"))
    if not (work / "check.npz").exists():
        wait(start("practice.py", str(work / "check.npz"), "--count", "120", "--series", "check"))
    if not (work / "tokenizer" / "merges.txt").exists():
        wait(start("tokenizer.py", *at))
    null = start("null.py", *at, "--count", "72", "--siblings") if not (work / "null.json").exists() else None
    if not (work / "latents.npy").exists():
        wait(start("train_vae.py", "joint", *at, "--steps", "2400"))
    if not (work / "fresh.npz").exists():
        wait(start("fresh.py", *at))
    unet = start("train_unet.py", *at, "--steps", str(options.unet_steps), "--decay", str(UNET_DECAY))
    wait(start("train_vae.py", "decoder", *at, "--steps", str(DECODER_STEPS), "--batch", "4", "--rate", "1e-3"))
    wait(start("train_segmenter.py", *at, "--vae", str(work / "vae-fine"), "--plan", SEGMENTER_PLAN))
    wait(unet, *([null] if null else []))
    wait(start("export.py", str(options.study), *at))
    wait(start("evaluate.py", str(options.study), *at))
    wait(start("figures.py", str(options.study), *at))
    wait(start("card.py", str(options.study), *at))


if __name__ == "__main__":
    main()
