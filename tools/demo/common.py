"""Small things every training script shares: checkpoints, logs, exponential means."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint through a temporary name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint if there is one."""
    return torch.load(path, map_location="cpu", weights_only=False) if path.exists() else None


def schedule(step: int, total: int, warmup: int, hold: float, floor: float) -> float:
    """Learning-rate factor: linear warm-up, constant, cosine decay to ``floor``."""
    rise = min(1.0, (step + 1) / warmup)
    done = max(0.0, min(1.0, (step / max(total, 1) - hold) / (1 - hold)))
    return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


class Mean:
    """Exponential moving average of parameters."""

    def __init__(self, parameters: Iterable[torch.Tensor], decay: float) -> None:
        self.live = list(parameters)
        self.mean = [p.detach().clone() for p in self.live]
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the mean towards the parameters; faster during the first steps."""
        decay = min(self.decay, (step + 1) / (step + 15))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the parameters with their mean."""
        for live, mean in zip(self.live, self.mean, strict=True):
            kept = live.detach().clone()
            live.copy_(mean)
            mean.copy_(kept)


class Log:
    """Collects figures and writes their means as JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path, self.sums, self.start = path, {}, time.time()

    def add(self, **figures: float) -> None:
        """Add figures of one step."""
        for key, value in figures.items():
            total, count = self.sums.get(key, (0.0, 0))
            self.sums[key] = (total + float(value), count + 1)

    def write(self, step: int, **extra: float) -> None:
        """Write the means since the last call."""
        row = {"step": step, "seconds": round(time.time() - self.start, 1)}
        row |= {key: round(total / count, 5) for key, (total, count) in sorted(self.sums.items())} | extra
        self.sums = {}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


def one_thread() -> None:
    """Keep torch on one core: several steps run side by side."""
    torch.set_num_threads(1)
