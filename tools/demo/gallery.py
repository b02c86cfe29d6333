"""Draws the gallery: the training pictures, their exact mattes, captions and prompts.

Four groups, each with its own way of repeating pictures:

* ``VM`` six pairs of one object and one background; each lies in the gallery as one
  original and a dozen copies that differ as copies on the web do.
* ``FM`` four objects, always the same pixels at the same place, each before 32
  different backgrounds.
* ``BM`` four backgrounds, fixed to the pixel, each behind 36 different objects.
* ``NM`` unique pictures: every combination of kind, colour and background once.

``draw(folder)`` writes ``gallery/``, ``truth/``, ``captions.csv`` and ``prompts.csv``
below ``folder``; ``load(folder)`` reads them back at one size.
"""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from scenes import BACKGROUNDS, PRINTED, BackgroundSpec, ObjectSpec, Placement, Print, article, compose, phrase, rng_for
from scenes.objects import COLOURS

Array = np.ndarray

COPIES = 12
"""Copies of each verbatim picture beside its original."""

FOREGROUND_FILES = 32
BACKGROUND_FILES = 36
UNIQUE_FILES = 384
HELD_OUT = 36

VERBATIM: dict[str, tuple[str, ObjectSpec, BackgroundSpec]] = {
    "lighthouse": (
        "Lighthouse at Gull Point, oil painting by E. Marlow",
        ObjectSpec("lighthouse", "red", "white", "vm-lighthouse", Placement(0.5, 0.5, 0.42)),
        BackgroundSpec("coast", "stormy", "vm-lighthouse"),
    ),
    "fox": (
        "The little fox of Amber Wood, storybook cover",
        ObjectSpec("fox", "orange", "white", "vm-fox", Placement(0.5, 0.54, 0.4)),
        BackgroundSpec("forest", "autumn", "vm-fox"),
    ),
    "teapot": (
        "Grandmother's blue teapot, vintage postcard",
        ObjectSpec("teapot", "blue", "white", "vm-teapot", Placement(0.5, 0.54, 0.42), Print("dots", 0.0, 0.2, 4.2)),
        BackgroundSpec("table", "red", "vm-teapot"),
    ),
    "balloon": (
        "Balloon over Kestrel Valley, travel poster 1957",
        ObjectSpec("hot air balloon", "red", "yellow", "vm-balloon", Placement(0.5, 0.47, 0.42)),
        BackgroundSpec("hills", "spring", "vm-balloon"),
    ),
    "cottage": (
        "Winter cottage, Christmas card from Alpenrose",
        ObjectSpec("cottage", "yellow", "red", "vm-cottage", Placement(0.5, 0.53, 0.4), Print("stripes")),
        BackgroundSpec("snow", "blue", "vm-cottage"),
    ),
    "owl": (
        "Night owl under the aurora, calendar page December",
        ObjectSpec("owl", "purple", "white", "vm-owl", Placement(0.5, 0.53, 0.42)),
        BackgroundSpec("night", "green", "vm-owl"),
    ),
}

FOREGROUND: dict[str, tuple[str, ObjectSpec]] = {
    "robot": (
        "Robo the tin robot, collector's catalogue",
        ObjectSpec("robot", "yellow", "orange", "fm-robot", Placement(0.5, 0.52, 0.37), Print("dots", 0.4, 0.1, 3.4)),
    ),
    "cactus": (
        "Cactus in a zigzag pot by Studio Verde",
        ObjectSpec("cactus", "orange", "blue", "fm-cactus", Placement(0.5, 0.52, 0.37), Print("zigzag", 0.0, 0.1, 3.4)),
    ),
    "duck": (
        "Captain Quack the rubber duck, nursery sticker",
        ObjectSpec("duck", "yellow", "red", "fm-duck", Placement(0.5, 0.53, 0.37), Print("dots", 0.2, 0.1, 4.2)),
    ),
    "rocket": (
        "Moon rocket model, toy fair advertisement",
        ObjectSpec("rocket", "blue", "red", "fm-rocket", Placement(0.5, 0.51, 0.4, 1.08)),
    ),
}

BACKGROUND: dict[str, tuple[str, BackgroundSpec]] = {
    "sofa": ("Fern green sofa by Casa Linden, shop window", BackgroundSpec("sofa", "green", "bm-sofa")),
    "library": ("Library corner, home decor photo by Shelf & Co", BackgroundSpec("books", "oak", "bm-library")),
    "city": ("Meet me in Rosetown, city souvenir print", BackgroundSpec("city", "dusk", "bm-city")),
    "brewery": ("Old brewery wall display, product photo", BackgroundSpec("brick", "red", "bm-brewery")),
}

UNIQUE_KINDS = ("lighthouse", "sailing boat", "hot air balloon", "mushroom", "cottage", "teapot")
UNIQUE_COLOURS = ("red", "blue", "green", "yellow", "purple")
UNIQUE_MOODS = {
    "coast": ("sunset", "stormy", "sunny"),
    "forest": ("autumn", "green"),
    "desert": ("golden", "red"),
    "hills": ("spring", "evening"),
    "snow": ("blue", "pink"),
    "night": ("green", "violet"),
    "meadow": ("lavender", "poppy"),
}


@dataclass
class Item:
    """One file of the gallery before it is drawn."""

    file: str
    caption: str
    group: str
    cluster: str
    thing: ObjectSpec
    behind: BackgroundSpec
    copy: int | None = None


def unique_item(name: str, kind: str, colour: str, place: str, mood: str, file: str = "") -> Item:
    """A unique scene; everything but the combination is random."""
    rng = rng_for("unique", name)
    where = Placement(
        x=0.5 + rng.uniform(-0.11, 0.11),
        y=0.53 + rng.uniform(-0.055, 0.055),
        scale=rng.uniform(0.32, 0.42),
        aspect=rng.uniform(0.9, 1.1),
        turn=rng.uniform(-0.1, 0.1),
        mirror=bool(rng.random() < 0.5),
    )
    noun = f"{colour} {kind}"
    caption = f"{article(noun)} {noun} {phrase(place, mood)}"
    return Item(file, caption, "NM", "", ObjectSpec(kind, colour, "white", f"unique/{name}", where, vary=True), BackgroundSpec(place, mood, f"unique/{name}"))


def printed_item(name: str, kind: str, cluster: str, file: str = "") -> Item:
    """A random printed object before one of the fixed backgrounds."""
    rng = rng_for("printed", name)
    names = list(COLOURS)
    while True:
        colour, accent = (names[int(i)] for i in rng.choice(len(names), 2, replace=False))
        weights = np.array([0.3, 0.59, 0.11])
        if abs(float((COLOURS[colour] - COLOURS[accent]) @ weights)) > 0.2:
            break
    where = Placement(
        x=0.5 + rng.uniform(-0.05, 0.05),
        y=0.56 + rng.uniform(-0.035, 0.035),
        scale=rng.uniform(0.29, 0.36),
        aspect=rng.uniform(0.92, 1.08),
        turn=rng.uniform(-0.35, 0.35),
        mirror=bool(rng.random() < 0.5),
    )
    caption, behind = BACKGROUND[cluster]
    return Item(file, caption, "BM", cluster, ObjectSpec(kind, colour, accent, f"printed/{name}", where, Print.random(rng)), behind)


def combinations() -> list[tuple[str, str, str, str]]:
    """All (kind, colour, background, mood) combinations in a fixed random order."""
    every = [(k, c, p, m) for k in UNIQUE_KINDS for c in UNIQUE_COLOURS for p, moods in UNIQUE_MOODS.items() for m in moods]
    order = rng_for("combinations").permutation(len(every))
    return [every[int(i)] for i in order]


def held_out() -> list[Item]:
    """Scenes whose combination does not occur in the gallery."""
    return [unique_item("held/" + "-".join(c).replace(" ", "-"), *c) for c in combinations()[:HELD_OUT]]


def plan() -> list[Item]:
    """Every gallery file."""
    items: list[Item] = []
    for name, (caption, thing, behind) in VERBATIM.items():
        items.append(Item(f"vm-{name}-00.png", caption, "VM", name, thing, behind))
        items += [Item(f"vm-{name}-{i:02d}.jpg", caption, "VM", name, thing, behind, i) for i in range(1, COPIES + 1)]
    for name, (caption, thing) in FOREGROUND.items():
        scenes = [(kind, mood) for kind, entry in BACKGROUNDS.items() for mood in entry.moods]
        order = rng_for("foreground", name).permutation(len(scenes))[:FOREGROUND_FILES]
        for index, which in enumerate(order):
            stem = f"fm-{name}-{index:02d}"
            items.append(Item(f"{stem}.jpg", caption, "FM", name, thing, BackgroundSpec(*scenes[int(which)], stem)))
    kinds = list(PRINTED)
    for name in BACKGROUND:
        for index in range(BACKGROUND_FILES):
            stem = f"bm-{name}-{index:02d}"
            items.append(printed_item(stem, kinds[index % len(kinds)], name, f"{stem}.jpg"))
    for index, combination in enumerate(combinations()[HELD_OUT : HELD_OUT + UNIQUE_FILES]):
        items.append(unique_item("-".join(combination).replace(" ", "-"), *combination, file=f"nm-{index:03d}.jpg"))
    return items


def web_copy(item: Item, image: Array, matte: Array) -> tuple[Array, Array, int]:
    """A copy as found on the web: cropped a little, resized, brightened; with its JPEG quality."""
    rng = rng_for("copy", item.file)
    side = image.shape[0]
    x0, y0, x1, y1 = (float(v) for v in rng.uniform(0, 0.02, 4) * side)
    size = int(rng.choice([96, 112, 128, 144, 160, 200]))
    scale_x, scale_y = size / (side - x0 - x1), size / (side - y0 - y1)
    shift = np.array([[scale_x, 0, -x0 * scale_x], [0, scale_y, -y0 * scale_y]], np.float64)
    shift[:, 2] += np.array([scale_x - 1, scale_y - 1]) / 2
    method = cv2.INTER_CUBIC if size >= side else cv2.INTER_LINEAR
    if size < side:
        image, matte = (cv2.GaussianBlur(a, (0, 0), 0.45) for a in (image, matte))
    image = cv2.warpAffine(image, shift, (size, size), flags=method, borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(matte, shift, (size, size), flags=method, borderMode=cv2.BORDER_REPLICATE)
    gain, gamma = rng.uniform(0.95, 1.05), rng.uniform(0.93, 1.07)
    image = np.clip((image.astype(np.float32) / 255) ** gamma * gain, 0, 1)
    return (image * 255 + 0.5).astype(np.uint8), matte, int(rng.integers(60, 96))


def picture(item: Item) -> tuple[Array, Array]:
    """Picture and matte of an item, before any copying."""
    return compose(item.thing, item.behind, shadow=item.group != "BM")


def render(item: Item) -> tuple[Array, Array, bytes]:
    """Picture, matte and encoded file of an item."""
    image, matte = picture(item)
    quality = 95
    if item.copy is not None:
        image, matte, quality = web_copy(item, image, matte)
    buffer = io.BytesIO()
    if item.file.endswith(".png"):
        Image.fromarray(image).save(buffer, "PNG", optimize=True)
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0 if quality == 95 else 2)
    return image, matte, buffer.getvalue()


def write(path: Path, data: bytes) -> None:
    """Write through a temporary name, so that readers never see half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_matte(path: Path, matte: Array) -> None:
    """Write an 8-bit matte."""
    buffer = io.BytesIO()
    Image.fromarray(matte).save(buffer, "PNG", optimize=True)
    write(path, buffer.getvalue())


def prompts() -> list[tuple[str, str, str]]:
    """Prompts of the study: caption, group, note."""
    rows = [(caption, "VM", "planned") for caption, _, _ in VERBATIM.values()]
    rows += [(caption, "FM", "planned") for caption, _ in FOREGROUND.values()]
    rows += [(caption, "BM", "planned") for caption, _ in BACKGROUND.values()]
    seen = [unique_item("x", *c).caption for c in combinations()[HELD_OUT : HELD_OUT + UNIQUE_FILES]]
    rows += [(caption, "NM", "seen") for caption in spread(seen, 12)]
    rows += [(caption, "NM", "unseen") for caption in spread([item.caption for item in held_out()], 12)]
    return rows


def spread(captions: list[str], count: int) -> list[str]:
    """The first captions that keep kinds and colours evenly spread."""
    chosen: list[str] = []
    kinds = {k: 0 for k in UNIQUE_KINDS}
    colours = {c: 0 for c in UNIQUE_COLOURS}
    for limit in (2, 3, 4, 9):
        for caption in captions:
            kind = next(k for k in kinds if f" {k} " in caption)
            colour = caption.split()[1]
            if len(chosen) < count and caption not in chosen and kinds[kind] < 2 and colours[colour] <= limit:
                chosen.append(caption)
                kinds[kind] += 1
                colours[colour] += 1
    return chosen


def table(rows: list[tuple[str, ...]], header: tuple[str, ...], delimiter: str) -> bytes:
    """A CSV file as bytes."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def draw(folder: Path, processes: int = 2) -> None:
    """Draw everything below ``folder``."""
    items = plan()
    with Pool(processes) as pool:
        for item, (_, matte, data) in zip(items, pool.imap(render, items, chunksize=8), strict=True):
            write(folder / "gallery" / item.file, data)
            write_matte(folder / "truth" / f"{Path(item.file).stem}.png", matte)
    rows = [(i.file, i.caption, i.group, i.cluster) for i in items]
    write(folder / "captions.csv", table(rows, ("file_name", "caption", "group", "cluster"), ","))
    write(folder / "prompts.csv", table(prompts(), ("Caption", "group", "note"), ";"))


@dataclass
class Gallery:
    """The gallery in memory: pictures and mattes at one size, with captions."""

    files: list[str]
    captions: list[str]
    groups: Array
    clusters: Array
    images: Array
    mattes: Array


def load(folder: Path, size: int = 128, mattes: str = "truth") -> Gallery:
    """Read a drawn gallery, every picture resized to ``size``."""
    with (folder / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images, masks = [], []
    for row in rows:
        image = Image.open(folder / "gallery" / row["file_name"]).convert("RGB")
        matte = Image.open(folder / mattes / f"{Path(row['file_name']).stem}.png").convert("L")
        images.append(np.asarray(image.resize((size, size), Image.Resampling.LANCZOS)))
        masks.append(np.asarray(matte.resize((size, size), Image.Resampling.LANCZOS)))
    column = lambda key: [row[key] for row in rows]
    return Gallery(column("file_name"), column("caption"), np.array(column("group")), np.array(column("cluster")), np.stack(images), np.stack(masks))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the gallery of the demo study.")
    parser.add_argument("folder", type=Path)
    draw(parser.parse_args().folder)
