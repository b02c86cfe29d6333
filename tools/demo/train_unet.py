"""Trains the diffusion model: U-Net and text encoder, on frozen latents.

v-prediction with the noise schedule of Stable Diffusion; captions are dropped now and
then for classifier-free guidance. The run can be stopped and continued at any time.
Two files in the work folder steer it while it runs: ``unet.weights.json`` (sampling
weight of each group) and ``unet.decay`` (a number of steps: decay the rate to zero
over that many steps from now on, then stop).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import gallery
from common import Log, Mean, load_checkpoint, one_thread, save_checkpoint
from tokenizer import LENGTH

WIDTH = 96
"""Width of the text encoder and of the cross-attention."""

WEIGHTS = {"VM": 7.0, "FM": 20.0, "BM": 29.0, "NM": 44.0}
DROPPED = 0.1
WARMUP = 100
EVERY = 100
SNAPSHOT = 400


def build(tokens: CLIPTokenizer) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """U-Net and text encoder with the blocks of Stable Diffusion 1.x."""
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(64, 96, 128, 128),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            hidden_act="quick_gelu",
            bos_token_id=tokens.bos_token_id,
            eos_token_id=tokens.eos_token_id,
            pad_token_id=tokens.pad_token_id,
        )
    )
    return unet, text


def scheduler() -> DDIMScheduler:
    """Sampler with the noise schedule used in training."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


class Sampler:
    """Draws training rows with a total weight per group."""

    def __init__(self, groups: np.ndarray, path: Path) -> None:
        self.groups, self.path = groups, path
        self.refresh()

    def refresh(self) -> None:
        """Read the weights again."""
        weights = WEIGHTS | (json.loads(self.path.read_text()) if self.path.exists() else {})
        share = np.array([float(weights[g]) for g in self.groups])
        for group in weights:
            share[self.groups == group] /= max(1, int(np.sum(self.groups == group)))
        self.share = share / share.sum()


def train(work: Path, batch: int, rate: float, steps: int, decay_steps: int, begin: Path | None) -> None:
    """Train on gallery and fresh drawings until the decay has run out; ``begin`` is a model folder to start from."""
    shown, extra = gallery.load(work / "study"), np.load(work / "fresh.npz")
    latents = torch.from_numpy(np.concatenate([np.load(work / "latents.npy"), extra["latents"]]))
    known = [*shown.captions, *extra["captions"].tolist()]
    groups = np.concatenate([shown.groups, extra["groups"]])
    tokens = CLIPTokenizer.from_pretrained(work / "tokenizer")
    captions = ["", *sorted(set(known))]
    ids = torch.tensor(tokens(captions, padding="max_length", max_length=LENGTH, truncation=True).input_ids)
    number = {caption: i for i, caption in enumerate(captions)}
    caption_of = np.array([number[c] for c in known])

    torch.manual_seed(0)
    unet, text = build(tokens)
    if begin:
        unet = UNet2DConditionModel.from_pretrained(begin / "unet", torch_dtype=torch.float32)
        text = CLIPTextModel.from_pretrained(begin / "text_encoder", torch_dtype=torch.float32)
    unet = unet.to(memory_format=torch.channels_last)
    parameters = [p for module in (unet, text) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    mean = Mean(parameters, 0.998)
    alphas = scheduler().alphas_cumprod
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(1)
    path, log, step, decay = work / "unet.pt", Log(work / "unet.jsonl"), 0, None
    if state := load_checkpoint(path):
        unet.load_state_dict(state["unet"])
        text.load_state_dict(state["text"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        mean.mean, step, rng, decay = state["mean"], state["step"], state["rng"], state["decay"]
    sampler = Sampler(groups, work / "unet.weights.json")

    def save() -> None:
        state = {"unet": unet.state_dict(), "text": text.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean.mean}
        state |= {"generator": generator.get_state(), "step": step, "rng": rng, "decay": decay}
        save_checkpoint(path, state)
        mean.swap()
        unet.save_pretrained(work / "snapshot" / "unet")
        text.save_pretrained(work / "snapshot" / "text_encoder")
        scheduler().save_pretrained(work / "snapshot" / "scheduler")
        mean.swap()

    while True:
        if step % 20 == 0 and decay is None:
            asked = work / "unet.decay"
            if asked.exists():
                decay = (step, int(asked.read_text()))
            elif steps and step >= steps - decay_steps:
                decay = (step, decay_steps)
        fade = 1.0 if decay is None else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - decay[0]) / decay[1])))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARMUP) * fade
        rows = rng.choice(len(latents), batch, p=sampler.share)
        chosen = caption_of[rows].copy()
        chosen[rng.random(batch) < DROPPED] = 0
        z = latents[rows]
        t = ((torch.arange(batch) + torch.rand(batch, generator=generator)) * (1000 / batch)).long().clamp(0, 999)
        noise = torch.randn(z.shape, generator=generator)
        a = alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z
        used, inverse = np.unique(chosen, return_inverse=True)
        context = text(input_ids=ids[used]).last_hidden_state[torch.from_numpy(inverse)]
        guess = unet(noisy.contiguous(memory_format=torch.channels_last), t, context, return_dict=False)[0]
        each = ((guess - target) ** 2).mean((1, 2, 3))
        each.mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean.update(step)
        for row, value in zip(rows, each.tolist(), strict=True):
            log.add(**{str(groups[row]): value})
        high = each[t >= 700]
        log.add(all=each.mean().item(), early=high.mean().item())
        step += 1
        finished = decay is not None and step >= decay[0] + decay[1]
        if step in (10, 50) or step % EVERY == 0 or finished:
            log.write(step, rate=optimizer.param_groups[0]["lr"])
            sampler.refresh()
        if step % SNAPSHOT == 0 or finished:
            save()
        if finished:
            break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the diffusion model of the demo study.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=6000, help="total steps; 0: until unet.decay appears")
    parser.add_argument("--decay", type=int, default=1200, help="steps of the final decay")
    parser.add_argument("--begin", type=Path, default=None, help="model folder to start from instead of random weights")
    options = parser.parse_args()
    one_thread()
    train(options.work, options.batch, options.rate, options.steps, options.decay, options.begin)
