"""Drawings the model is trained on beside the gallery, with their latents.

A model that sees each unique picture of the gallery a hundred times memorizes it. These
drawings take the place of most of those repeats: further pictures of the unique captions
(never of the held-out ones), further backgrounds behind the four fixed objects, further
objects before the four fixed backgrounds. They are not part of the gallery; every one can be
drawn again from its name.
"""

from __future__ import annotations

import argparse
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from diffusers import AutoencoderKL

import gallery
from common import one_thread
from scenes import BACKGROUNDS, PRINTED, BackgroundSpec
from train_vae import encode

UNIQUE, BEHIND, BEFORE = 8, 240, 300
"""Drawings for each unique caption, each fixed object, each fixed background."""


def plan() -> list[gallery.Item]:
    """Every drawing, in a fixed order."""
    items = []
    for combination in gallery.combinations()[gallery.HELD_OUT :]:
        stem = "-".join(combination).replace(" ", "-")
        items += [gallery.unique_item(f"fresh/{stem}/{turn}", *combination) for turn in range(UNIQUE)]
    places = [(kind, mood) for kind, entry in BACKGROUNDS.items() for mood in entry.moods]
    for name, (caption, thing) in gallery.FOREGROUND.items():
        for turn in range(BEHIND):
            behind = BackgroundSpec(*places[turn % len(places)], f"fresh/{name}/{turn}")
            items.append(gallery.Item("", caption, "FM", name, thing, behind))
    kinds = list(PRINTED)
    for name in gallery.BACKGROUND:
        items += [gallery.printed_item(f"fresh/{name}/{turn}", kinds[turn % len(kinds)], name) for turn in range(BEFORE)]
    return items


def draw(work: Path, processes: int) -> None:
    """Draw and encode; writes ``fresh.npz`` with pictures, latents, captions and groups."""
    items = plan()
    model = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
    latents, drawn = [], []
    with Pool(processes) as pool:
        for start in range(0, len(items), 256):
            pictures = pool.map(gallery.picture, items[start : start + 256], chunksize=8)
            drawn.append(np.stack([image for image, _ in pictures]))
            latents.append(encode(model, drawn[-1]).numpy())
            print(start + len(pictures), "of", len(items), flush=True)
    captions, groups = [i.caption for i in items], [i.group for i in items]
    np.savez(
        work / "fresh.npz",
        images=np.concatenate(drawn),
        latents=np.concatenate(latents),
        captions=np.array(captions),
        groups=np.array(groups),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw and encode the training pictures that are not in the gallery.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    one_thread()
    draw(options.work, options.processes)
