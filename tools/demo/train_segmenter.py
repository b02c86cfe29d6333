"""Trains the segmenter (U2-Net-P) on drawn scenes with their exact mattes.

Only drawn pictures are used: gallery and extra scenes, as they are and after a round
trip through the autoencoder (with a little noise on the latents, which makes them look
as soft as generated pictures do). First at 64 pixels, then at 128.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import gallery
from common import Log, load_checkpoint, one_thread, save_checkpoint, schedule
from train_vae import encode
from u2netp import U2NetP, segmenter

Array = np.ndarray

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def tensors(images: Array, mattes: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures in 0..1 and mattes as batches."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    return x, torch.from_numpy(np.ascontiguousarray(mattes))[:, None].float() / 255


@torch.no_grad()
def round_trips(vae: Path, images: Array, count: int, seed: int) -> tuple[Array, Array]:
    """``count`` pictures after encoding, a little noise, and decoding; with their rows."""
    model = AutoencoderKL.from_pretrained(vae)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    rows = rng.permutation(len(images))[:count]
    done = []
    for start in range(0, len(rows), 16):
        z = encode(model, images[rows[start : start + 16]])
        strength = 0.35 * torch.rand(len(z), 1, 1, 1, generator=generator)
        z = (1 - 0.5 * strength**2) * z + strength * torch.randn(z.shape, generator=generator)
        y = model.decode(z).sample.clamp(-1, 1)
        done.append(((y + 1) * 127.5 + 0.5).byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(done), rows


def augment(x: torch.Tensor, a: torch.Tensor, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror, zoom, colour and brightness changes, blur and noise; result at ``size``."""
    count = len(x)
    theta = torch.zeros(count, 2, 3)
    for i in range(count):
        zoom, flip = rng.uniform(0.75, 1.12), -1 if rng.random() < 0.5 else 1
        reach = max(0.0, 1 - zoom) + 0.08
        theta[i] = torch.tensor([[flip * zoom, 0, rng.uniform(-reach, reach)], [0, zoom, rng.uniform(-reach, reach)]])
    grid = F.affine_grid(theta, (count, 3, size, size), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    a = F.grid_sample(a, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (count, 3, 1, 1))).float()
    offset = torch.from_numpy(rng.uniform(-0.06, 0.06, (count, 3, 1, 1))).float()
    x = x * gain + offset
    if rng.random() < 0.3:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
    if rng.random() < 0.4:
        x = x + rng.uniform(0, 0.05) * torch.randn_like(x)
    return x.clamp(0, 1), a


def loss_of(outputs: list[torch.Tensor], a: torch.Tensor) -> torch.Tensor:
    """Cross-entropy on every map plus one minus IoU on the fused map."""
    entropy = sum(F.binary_cross_entropy_with_logits(o, a) for o in outputs)
    p = torch.sigmoid(outputs[0])
    both, either = (p * a).sum((1, 2, 3)), (p + a - p * a).sum((1, 2, 3))
    return entropy + (1 - (both + 1) / (either + 1)).mean()


@torch.no_grad()
def predict(model: U2NetP, images: Array, size: int = 128) -> Array:
    """8-bit mattes of 128-pixel pictures."""
    model.eval()
    done = []
    for start in range(0, len(images), 16):
        x, _ = tensors(images[start : start + 16], images[start : start + 16, :, :, 0])
        p = torch.sigmoid(model((x - MEAN) / DEVIATION)[0])[:, 0]
        done.append((p * 255 + 0.5).byte().numpy())
    return np.concatenate(done)


def iou(guess: Array, truth: Array) -> Array:
    """IoU of mattes cut at one half."""
    g, t = guess > 127, truth > 127
    return (g & t).sum((1, 2)) / np.maximum(1, (g | t).sum((1, 2)))


def check(model: U2NetP, work: Path, vae: Path) -> dict[str, float]:
    """IoU on held-out drawings, as they are and after a round trip, per kind of scene."""
    held = np.load(work / "check.npz")
    images, mattes, groups = held["images"], held["mattes"], held["groups"]
    result = {}
    trips, rows = round_trips(vae, images, len(images), 9)
    for name, pictures, truth, group in (("drawn", images, mattes, groups), ("trip", trips, mattes[rows], groups[rows])):
        scores = iou(predict(model, pictures), truth)
        result |= {f"{name}_{g}": float(scores[group == g].mean()) for g in ("NM", "BM", "FM")}
        result[f"{name}_low"] = float(np.percentile(scores, 5))
    return {key: round(value, 4) for key, value in result.items()}


def train(work: Path, vae: Path, plan: list[tuple[int, int, int]], rate: float, begin: Path | None) -> None:
    """Train through a plan of (size, batch, steps); ``begin`` is a segmenter folder to start from."""
    shown, extra = gallery.load(work / "study"), np.load(work / "practice.npz")
    images = np.concatenate([shown.images, extra["images"]])
    mattes = np.concatenate([shown.mattes, extra["mattes"]])
    if vae.exists():
        trips, rows = round_trips(vae, images, 1000, 5)
        images, mattes = np.concatenate([images, trips]), np.concatenate([mattes, mattes[rows]])

    torch.manual_seed(3)
    model = (segmenter(begin) if begin else U2NetP()).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-4)
    rng = np.random.default_rng(3)
    path, log, step = work / "segmenter.pt", Log(work / "segmenter.jsonl"), 0
    if state := load_checkpoint(path):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, rng = state["step"], state["rng"]
    total = sum(steps for _, _, steps in plan)
    while step < total:
        passed, size, batch = 0, 128, 4
        for size, batch, steps in plan:
            passed += steps
            if step < passed:
                break
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step, total, 50, 0.4, 0.02)
        model.train()
        picked = rng.integers(0, len(images), batch)
        x, a = augment(*tensors(images[picked], mattes[picked]), size, rng)
        loss = loss_of(model(((x - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last)), a)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        log.add(loss=loss.item())
        step += 1
        if step == 20 or step % 100 == 0 or step == total:
            log.write(step, size=size)
        if step % 200 == 0 or step == total:
            save_checkpoint(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "rng": rng})
    if vae.exists():
        scores = check(model, work, vae)
        (work / "segmenter.json").write_text(json.dumps(scores) + "\n")
        print(scores, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the segmenter of the demo study.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--vae", type=Path, default=None)
    parser.add_argument("--plan", default="64x8x900,128x4x600", help="size x batch x steps, comma separated")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--begin", type=Path, default=None, help="segmenter folder to start from instead of random weights")
    options = parser.parse_args()
    one_thread()
    stages = [tuple(int(n) for n in part.split("x")) for part in options.plan.split(",")]
    train(options.work, options.vae or options.work / "vae", stages, options.rate, options.begin)
