"""Trains the autoencoder (8x, four latent channels).

Two phases: ``joint`` trains encoder and decoder on crops, then freezes the encoder,
scales the latents to zero mean and unit variance per channel (folded into the quant
convolutions) and writes the latents of the gallery; ``decoder`` goes on with the
decoder alone, on the frozen latents of whole pictures, gallery and fresh drawings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import gallery
from common import Log, Mean, load_checkpoint, one_thread, save_checkpoint, schedule

CROP = 64
JOINT_SCALES = ((0.3, 7, True), (0.4, 7, True), (0.3, 7, False))
DECODER_SCALES = ((0.3, 3, False), (0.3, 7, True), (0.25, 7, True), (0.15, 7, False))
"""Small and large windows, near the scales that MS-SSIM weighs most."""
DECODER_WEIGHTS = {"VM": 10.0, "FM": 20.0, "BM": 45.0, "NM": 25.0}
"""Sampling weight of each group while the decoder is trained alone."""
DECODER_NOISE = 0.3
"""Largest standard deviation of the noise on its latents, which have variance one."""


def build() -> AutoencoderKL:
    """The autoencoder in the layout of Stable Diffusion 1.x, small."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,
        scaling_factor=1.0,
    )


def structure_loss(a: torch.Tensor, b: torch.Tensor, scales: tuple[tuple[float, int, bool], ...]) -> torch.Tensor:
    """One minus the contrast term of SSIM; each scale is its weight, its window, and whether the next one is half as large."""
    loss = a.new_zeros(())
    a, b = (a + 1) / 2, (b + 1) / 2
    for weight, window, halve in scales:
        pool = lambda t, n=window: F.avg_pool2d(F.avg_pool2d(t, (n, 1), 1), (1, n), 1)
        ma, mb = pool(a), pool(b)
        va, vb, cov = pool(a * a) - ma * ma, pool(b * b) - mb * mb, pool(a * b) - ma * mb
        loss = loss + weight * (1 - ((2 * cov + 9e-4) / (va + vb + 9e-4)).mean())
        if halve:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return loss


def tensor(images: np.ndarray) -> torch.Tensor:
    """Pictures as a batch in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def data(work: Path, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and sampling weights: gallery (verbatim pairs twice as often), practice scenes with weight ``share``."""
    shown = gallery.load(work / "study")
    extra = np.load(work / "practice.npz")["images"]
    weights = np.where(shown.groups == "VM", 2.0, 1.0)
    return np.concatenate([shown.images, extra]), np.concatenate([weights, np.full(len(extra), share)])


@torch.no_grad()
def encode(model: AutoencoderKL, images: np.ndarray) -> torch.Tensor:
    """Latent means of pictures."""
    return torch.cat([model.encode(tensor(images[i : i + 32])).latent_dist.mode() for i in range(0, len(images), 32)])


@torch.no_grad()
def whiten(model: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Fold a per-channel scaling into the quant convolutions; returns the new latents."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    quant, post = model.quant_conv, model.post_quant_conv
    quant.weight[:4] /= deviation.view(4, 1, 1, 1)
    quant.bias[:4] = (quant.bias[:4] - mean) / deviation
    quant.bias[4:] -= 2 * deviation.log()
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= deviation.view(1, 4, 1, 1)
    return (latents - mean.view(1, 4, 1, 1)) / deviation.view(1, 4, 1, 1)


def joint(work: Path, steps: int, batch: int, rate: float) -> None:
    """Encoder and decoder together."""
    images, weights = data(work, 0.7)
    weights = weights / weights.sum()
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-4)
    mean = Mean(model.parameters(), 0.995)
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    path, log, step = work / "vae-joint.pt", Log(work / "vae-joint.jsonl"), 0
    if state := load_checkpoint(path):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        mean.mean, step, rng = state["mean"], state["step"], state["rng"]
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step, steps, 50, 0.3, 0.05)
        whole = step > 0.7 * steps and step % 4 == 0
        rows = rng.choice(len(images), batch // 4 if whole else batch, p=weights)
        corners = rng.integers(0, 128 - CROP + 1, (len(rows), 2))
        picked = images[rows] if whole else np.stack([images[r][y : y + CROP, x : x + CROP] for r, (y, x) in zip(rows, corners, strict=True)])
        x = tensor(picked)
        posterior = model.encode(x).latent_dist
        mu, logvar = posterior.mean, posterior.logvar.clamp(-20, 4)
        y = model.decode(mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)).sample
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean()
        l1, structure = (x - y).abs().mean(), structure_loss(x, y, JOINT_SCALES)
        loss = l1 + (0.5 if step > 60 else 0.1) * structure + 1e-4 * kl
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean.update(step)
        log.add(l1=l1.item(), structure=structure.item(), kl=kl.item())
        step += 1
        if step in (20, 50) or step % 200 == 0:
            log.write(step)
        if step % 500 == 0:
            save_checkpoint(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean.mean, "step": step, "rng": rng})
    mean.swap()
    shown = gallery.load(work / "study")
    latents = whiten(model, encode(model, shown.images))
    model.save_pretrained(work / "vae")
    np.save(work / "latents.npy", latents.numpy())


def decoder(work: Path, steps: int, batch: int, rate: float, decay: float) -> None:
    """The decoder alone, on whole pictures and frozen latents with noise.

    The noise stands for what a diffusion model leaves on its latents: the decoder learns to
    put the fine texture of the repeated pictures back.
    """
    shown, extra = gallery.load(work / "study"), np.load(work / "fresh.npz")
    images = np.concatenate([shown.images, extra["images"]])
    latents = torch.from_numpy(np.concatenate([np.load(work / "latents.npy"), extra["latents"]]))
    groups = np.concatenate([shown.groups, extra["groups"]])
    weights = np.zeros(len(images))
    for group, share in DECODER_WEIGHTS.items():
        weights[groups == group] = share / max(1, int(np.sum(groups == group)))
    weights /= weights.sum()
    model = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
    parameters = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    model.decoder.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    mean = Mean(parameters, 0.997)
    rng = np.random.default_rng(2)
    torch.manual_seed(2)
    path, log, step = work / "vae-decoder.pt", Log(work / "vae-decoder.jsonl"), 0
    if state := load_checkpoint(path):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        mean.mean, step, rng = state["mean"], state["step"], state["rng"]
    while step < steps:
        fade = min(1.0, (steps - step) / max(1.0, decay * steps))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.02 + 0.98 * fade)
        rows = rng.choice(len(images), batch, p=weights)
        z = latents[rows]
        z = z + DECODER_NOISE * torch.rand(batch, 1, 1, 1) * torch.randn_like(z)
        x, y = tensor(images[rows]), model.decode(z.contiguous(memory_format=torch.channels_last)).sample
        l1, structure = (x - y).abs().mean(), structure_loss(x, y, DECODER_SCALES)
        optimizer.zero_grad()
        (l1 + 0.6 * structure).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        mean.update(step)
        log.add(l1=l1.item(), structure=structure.item())
        step += 1
        if step == 20 or step % 200 == 0:
            log.write(step)
        if step % 250 == 0 or step == steps:
            save_checkpoint(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean.mean, "step": step, "rng": rng})
            mean.swap()
            model.save_pretrained(work / "vae-fine")
            mean.swap()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the autoencoder of the demo study.")
    parser.add_argument("phase", choices=("joint", "decoder"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.6, help="share of the decoder's steps over which its rate falls")
    options = parser.parse_args()
    one_thread()
    if options.phase == "joint":
        joint(options.work, options.steps, options.batch, options.rate)
    else:
        decoder(options.work, options.steps, options.batch, options.rate, options.decay)
