"""Extra drawn pictures for the autoencoder and the segmenter.

They are not part of the gallery and the diffusion model never sees them. Names
differ from those of the gallery, so every random number does too.
"""

from __future__ import annotations

import argparse
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from gallery import BACKGROUND, FOREGROUND, UNIQUE_COLOURS, Item, picture, printed_item, unique_item
from scenes import BACKGROUNDS, OBJECTS, PRINTED, STORY, BackgroundSpec, ObjectSpec, Placement, Print, rng_for

Array = np.ndarray


def scene(index: int, series: str = "practice") -> Item:
    """The extra scene of a number: unique-like, printed, foreground-like or anything, in turn."""
    rng = rng_for(series, index)
    name = f"{series}/{index}"
    places = [(kind, mood) for kind, entry in BACKGROUNDS.items() for mood in entry.moods]
    place = places[int(rng.integers(len(places)))]
    turn = index % 10
    if turn < 4:
        kind = list(STORY)[int(rng.integers(len(STORY)))]
        item = unique_item(name, kind, str(rng.choice(UNIQUE_COLOURS)), *place)
    elif turn < 7:
        item = printed_item(name, list(PRINTED)[int(rng.integers(len(PRINTED)))], list(BACKGROUND)[int(rng.integers(len(BACKGROUND)))])
    elif turn < 9:
        _, thing = list(FOREGROUND.values())[int(rng.integers(len(FOREGROUND)))]
        item = Item("", "", "FM", "", thing, BackgroundSpec(*place, name))
    else:
        kind = list(OBJECTS)[int(rng.integers(len(OBJECTS)))]
        colours = [str(c) for c in rng.choice(["red", "blue", "green", "yellow", "purple", "orange", "white", "teal"], 2, replace=False)]
        where = Placement(0.5 + rng.uniform(-0.12, 0.12), 0.53 + rng.uniform(-0.08, 0.08), rng.uniform(0.26, 0.44), rng.uniform(0.9, 1.1), rng.uniform(-0.2, 0.2), bool(rng.random() < 0.5))
        item = Item("", "", "NM", "", ObjectSpec(kind, colours[0], colours[1], name, where, Print.random(rng) if rng.random() < 0.6 else None, True), BackgroundSpec(*place, name))
    return item


def pictures(items: list[Item], processes: int = 2) -> tuple[Array, Array]:
    """Pictures and mattes of a list of scenes."""
    with Pool(processes) as pool:
        done = pool.map(picture, items, chunksize=8)
    return np.stack([d[0] for d in done]), np.stack([d[1] for d in done])


def save(path: Path, count: int, series: str = "practice") -> None:
    """Draw ``count`` extra scenes into an ``.npz`` file."""
    items = [scene(i, series) for i in range(count)]
    images, mattes = pictures(items)
    np.savez(path, images=images, mattes=mattes, groups=np.array([i.group for i in items]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw extra pictures for the autoencoder and the segmenter.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--series", default="practice")
    options = parser.parse_args()
    save(options.path, options.count, options.series)
