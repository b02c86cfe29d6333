"""Times single passes of a checkpoint here and in diffusers, in turn, in one run.

    cargo build --release --bench diffusion
    python tools/bench/against_diffusers.py MODEL_FOLDER target/release/deps/diffusion-HASH --threads 2 \\
        --case "unet 32 1" --case "unet 64 1" --case "vae 64 1"

Prints the least wall time and the least CPU time of several rounds for both, and diffusers' divided by ours: above 1
means that Pentimento is faster. Both compute in single precision on the same number of threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import time
from pathlib import Path


def cases_of(pipe, threads: int):
    """Runs one case in diffusers."""
    import torch

    torch.set_num_threads(threads)
    width = pipe.text_encoder.config.hidden_size
    length = pipe.tokenizer.model_max_length

    @torch.no_grad()
    def run(case: str) -> None:
        what, *numbers = case.split()
        numbers = [int(n) for n in numbers]
        if what == "picture":
            pipe("a house", num_inference_steps=numbers[0], guidance_scale=7.0, generator=torch.Generator().manual_seed(0))
            return
        side, batch = numbers
        latents = torch.randn(batch, pipe.unet.config.in_channels, side, side)
        if what == "unet":
            pipe.unet(latents, 481, encoder_hidden_states=torch.randn(batch, length, width))
        else:
            pipe.vae.decode(latents / pipe.vae.config.scaling_factor)

    return run


def measure(run, case: str) -> tuple[float, float]:
    """Wall and CPU milliseconds of one call."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    start, cpu = time.perf_counter(), used()
    run(case)
    return 1e3 * (time.perf_counter() - start), 1e3 * (used() - cpu)


def main() -> None:
    """Alternate between both programs."""
    parser = argparse.ArgumentParser(description="Compare speed with diffusers.")
    parser.add_argument("model", type=Path)
    parser.add_argument("bench", type=Path, help="the built bench “diffusion”")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", required=True, help="as the bench reads them: unet SIDE BATCH, vae SIDE BATCH, picture STEPS")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(options.model, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    theirs = cases_of(pipe, options.threads)
    environment = os.environ | {"PENTIMENTO_MODEL": str(options.model), "PENTIMENTO_THREADS": str(options.threads)}
    ours = subprocess.Popen([options.bench, "passes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    if not ours.stdout.readline().startswith("ready"):
        raise SystemExit("the bench did not start")

    def ask(case: str) -> tuple[float, float]:
        ours.stdin.write(case + "\n")
        ours.stdin.flush()
        wall, cpu = ours.stdout.readline().split()
        return float(wall), float(cpu)

    print(f"{'case':14} {'threads':>7} {'ours ms':>9} {'diffusers':>9} {'ratio':>6} {'cpu ours':>9} {'cpu diff.':>9} {'ratio':>6}")
    for case in options.case:
        rounds = [(ask(case), measure(theirs, case)) for _ in range(options.rounds)]
        least = lambda who, what: min(r[who][what] for r in rounds)
        a, b, c, d = least(0, 0), least(1, 0), least(0, 1), least(1, 1)
        print(f"{case:14} {options.threads:7} {a:9.1f} {b:9.1f} {b / a:6.2f} {c:9.1f} {d:9.1f} {d / c:6.2f}", flush=True)


if __name__ == "__main__":
    main()
