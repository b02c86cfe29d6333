"""Textured backgrounds: landscapes and interiors, each in two or three moods.

A background is a function ``(rng, mood) -> picture``. ``BACKGROUNDS`` lists them
with their moods and the phrase that names them in a caption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import SIZE, Array, Rng, X, Y, below, blend, ellipse, gradient, noise, polygon, relief, rgb, ridge

WHITE = rgb(255, 255, 255)


def sky(rng: Rng, top: Array, bottom: Array, cloud: Array, horizon: float) -> Array:
    """A gradient with a few large soft clouds."""
    image = gradient(top, bottom, 0, horizon)
    cover = np.clip((noise(rng, 3, 4, 0.55, (1, 2)) - 0.5) * 4.5, 0, 1)
    light = 1.08 - 0.3 * noise(rng, 5, 3)
    return blend(image, cover * 0.95, np.clip(cloud * light[..., None], 0, 1))


def coast(rng: Rng, mood: str) -> Array:
    """Sea with wave streaks, sky above and a rock in the foreground."""
    top, bottom, cloud, water = {
        "sunset": (rgb(95, 60, 130), rgb(255, 165, 85), rgb(255, 205, 150), rgb(150, 95, 120)),
        "stormy": (rgb(60, 72, 92), rgb(150, 165, 175), rgb(212, 216, 222), rgb(58, 86, 104)),
        "sunny": (rgb(70, 150, 225), rgb(195, 230, 245), WHITE, rgb(35, 130, 180)),
    }[mood]
    horizon = rng.uniform(0.44, 0.54)
    image = sky(rng, top, bottom, cloud, horizon)
    if mood == "sunset":
        image = blend(image, ellipse(rng.uniform(0.15, 0.85) * SIZE, (horizon - 0.08) * SIZE, 20, 20), rgb(255, 240, 170))
    depth = np.clip((Y - horizon) / (1 - horizon), 0, 1)
    waves = noise(rng, 4, 4, 0.65, (1, 4))
    sea = water * (0.75 + 0.35 * depth + 0.9 * (waves - 0.5))[..., None]
    sea = blend(sea, np.clip((waves - 0.66) * 12, 0, 1) * 0.7, bottom * 0.5 + 0.5)
    image = np.where(Y[..., None] > horizon, sea, image)
    line = ridge(rng, rng.uniform(0.84, 0.92), 0.2, 3, 3) + (X[0] - 0.5) * SIZE * rng.uniform(-0.25, 0.25)
    shore = below(line)
    stone = rgb(120, 102, 86) * ((0.55 + 0.9 * noise(rng, 7, 3, 0.6)) * relief(shore, 9, 0.8))[..., None]
    return blend(image, shore, stone)


def forest(rng: Rng, mood: str) -> Array:
    """Tree trunks in three depths under patches of foliage."""
    haze, leaf, ground = {
        "autumn": (rgb(245, 205, 130), rgb(222, 110, 35), rgb(165, 80, 30)),
        "green": (rgb(200, 225, 160), rgb(60, 135, 55), rgb(50, 100, 45)),
        "misty": (rgb(205, 218, 222), rgb(100, 135, 135), rgb(75, 100, 98)),
    }[mood]
    image = np.ones((SIZE, SIZE, 3), np.float32) * haze * (0.9 + 0.2 * noise(rng, 4, 2))[..., None]
    for layer in range(3):
        depth = layer / 2
        bark = haze * 0.62 * (1 - depth) + rgb(78, 54, 40) * (0.45 + 0.55 * depth)
        count = 8 - 2 * layer
        for index in range(count):
            x = (index + rng.uniform(0.0, 1.0)) / count * SIZE
            width = (4 + 7 * depth) * rng.uniform(0.8, 1.25)
            lean = rng.uniform(-8, 8)
            foot = SIZE * (0.72 + 0.1 * depth)
            trunk = polygon([(x - width * 0.7 + lean, 0), (x + width * 0.7 + lean, 0), (x + width, foot), (x - width, foot)])
            light = np.clip(1.25 - 0.5 * np.clip((X * SIZE - x) / (2 * width) + 0.5, 0, 1), 0, 2)
            image = blend(image, trunk, bark * light[..., None])
        crown = noise(rng, 5 + 2 * layer, 3, 0.55)
        cover = np.clip((crown - (0.46 + 0.4 * np.abs(Y - 0.1))) * 9, 0, 1) * (Y < 0.66)
        tone = leaf * (1 - 0.22 * depth)
        image = blend(image, cover, tone * (0.6 + 0.8 * noise(rng, 12, 2))[..., None] * relief(cover, 7, 0.4)[..., None])
    floor = below(ridge(rng, 0.74, 0.06, 4), 6)
    return blend(image, floor, ground * (0.6 + 0.9 * noise(rng, 12, 3, 0.6))[..., None])


def desert(rng: Rng, mood: str) -> Array:
    """Four dunes with wind ripples."""
    top, bottom, sand = {
        "golden": (rgb(95, 165, 220), rgb(235, 240, 225), rgb(238, 180, 95)),
        "red": (rgb(125, 135, 195), rgb(250, 205, 165), rgb(208, 92, 52)),
        "pale": (rgb(110, 180, 220), rgb(225, 235, 235), rgb(230, 210, 165)),
    }[mood]
    horizon = rng.uniform(0.36, 0.48)
    image = sky(rng, top, bottom, rgb(255, 250, 240), horizon)
    for layer in range(4):
        line = ridge(rng, horizon - 0.02 + 0.17 * layer, 0.16, 2)
        slope = np.clip(np.gradient(line), -1, 1)
        distance = Y - line[None, :] / SIZE
        wobble = noise(rng, 3, 2) * 4
        ripples = np.sin(distance * rng.uniform(80, 130) * (1 - 0.4 * distance) + wobble + X * rng.uniform(-8, 8))
        light = 0.86 + 0.05 * layer + 0.13 * ripples + 0.4 * slope[None, :] - 0.25 * np.clip(distance, 0, 1)
        image = blend(image, below(line), sand * light[..., None])
    return image


def hills(rng: Rng, mood: str) -> Array:
    """Rolling fields in stripes with round bushes."""
    top, bottom, field = {
        "spring": (rgb(90, 165, 230), rgb(210, 235, 248), rgb(105, 180, 65)),
        "evening": (rgb(85, 75, 150), rgb(252, 180, 125), rgb(120, 120, 70)),
        "summer": (rgb(60, 130, 210), rgb(230, 235, 220), rgb(190, 180, 65)),
    }[mood]
    horizon = rng.uniform(0.46, 0.54)
    image = sky(rng, top, bottom, WHITE if mood != "evening" else rgb(255, 205, 170), horizon)
    for layer in range(4):
        line = ridge(rng, horizon - 0.02 + 0.14 * layer, 0.14, 2)
        angle = rng.uniform(-0.9, 0.9)
        furrows = np.sin((X * np.cos(angle) + (Y - line[None, :] / SIZE) * 2.5 * np.sin(angle + 1.3)) * rng.uniform(45, 75))
        tint = np.array([rng.uniform(0.8, 1.25), rng.uniform(0.88, 1.1), rng.uniform(0.75, 1.15)], np.float32)
        tone = field * (0.7 + 0.1 * layer) * tint
        image = blend(image, below(line), tone * (0.95 + 0.16 * furrows)[..., None])
        for _ in range(int(rng.integers(3, 7))):
            x = rng.uniform(0, SIZE)
            radius = (4 + 2.2 * layer) * rng.uniform(0.7, 1.4)
            bush = ellipse(x, float(line[int(min(x, SIZE - 1))]) + rng.uniform(2, 14), radius, radius * 0.9)
            image = blend(image, bush, rgb(45, 95, 45) * relief(bush, 7, 0.9)[..., None])
    return image


def firs(rng: Rng, image: Array, count: int, top: float, bottom: float, size: tuple[float, float], tone: Array, snow: bool) -> Array:
    """Fir trees in rows, far ones first."""
    for y in np.sort(rng.uniform(top, bottom, count)):
        x = rng.uniform(0, 1) * SIZE
        height = rng.uniform(*size) * (0.6 + 0.8 * (y - top) / (bottom - top))
        foot = y * SIZE
        tree = np.zeros((SIZE, SIZE), np.float32)
        for tier in range(3):
            half = height * (0.2 + 0.1 * tier)
            tip, base = foot - height * (1.2 - 0.3 * tier), foot - height * (0.62 - 0.31 * tier)
            tree = np.maximum(tree, polygon([(x, tip), (x - half, base), (x + half, base)]))
        light = relief(tree, 6, 1.0)
        colour = tone * light[..., None]
        if snow:
            colour = np.where((light > 1.12)[..., None], rgb(235, 243, 252), colour)
        image = blend(image, tree, colour)
    return image


def mountains(rng: Rng, height: float, rise: float) -> Array:
    """Jagged ridge made of a few peaks."""
    xs = np.sort(rng.uniform(-0.1, 1.1, 7)) * SIZE
    peaks = np.where(np.arange(7) % 2 == 0, rng.uniform(0.6, 1.0, 7), rng.uniform(0.0, 0.3, 7))
    line = np.interp(np.arange(SIZE), xs, height - rise * peaks) * SIZE
    return line.astype(np.float32) + (ridge(rng, 0, 0.05, 12, 2))


def snow(rng: Rng, mood: str) -> Array:
    """Snowy mountains with firs."""
    top, bottom, shadow = {
        "blue": (rgb(65, 130, 205), rgb(195, 225, 248), rgb(120, 150, 195)),
        "pink": (rgb(120, 100, 175), rgb(255, 190, 185), rgb(160, 130, 175)),
        "grey": (rgb(110, 125, 145), rgb(215, 222, 228), rgb(130, 140, 155)),
    }[mood]
    image = sky(rng, top, bottom, WHITE, 0.5)
    for layer in range(2):
        line = mountains(rng, 0.56 + 0.08 * layer, 0.34 - 0.12 * layer)
        rock = np.clip((noise(rng, 6, 3, 0.6, (1.2, 0.8)) - 0.5) * 9, 0, 1)
        side = np.clip(np.gradient(line) * 0.35, -0.25, 0.25)[None, :]
        face = blend(rgb(240, 246, 254) * np.ones((SIZE, SIZE, 1), np.float32), rock, shadow * (0.75 + 0.2 * layer))
        image = blend(image, below(line), face * (0.92 - side)[..., None])
    ground = below(ridge(rng, 0.68, 0.06, 3), 3)
    drift = noise(rng, 4, 3, 0.5, (1, 3))
    image = blend(image, ground, rgb(232, 241, 252) * (0.8 + 0.3 * drift)[..., None])
    return firs(rng, image, 10, 0.6, 0.98, (30, 46), rgb(35, 80, 62), True)


def night(rng: Rng, mood: str) -> Array:
    """Northern lights over a dark ridge with firs."""
    top, bottom, light = {
        "green": (rgb(12, 18, 50), rgb(30, 70, 85), rgb(80, 235, 150)),
        "violet": (rgb(22, 12, 52), rgb(75, 42, 105), rgb(205, 110, 250)),
        "blue": (rgb(8, 16, 50), rgb(35, 70, 120), rgb(90, 170, 250)),
    }[mood]
    image = gradient(top, bottom)
    for band in range(3):
        centre = 0.18 + 0.3 * band + rng.uniform(-0.08, 0.08)
        curtain = centre + 0.1 * np.sin(Y * rng.uniform(4, 7) + rng.uniform(0, 6))
        glow = np.exp(-(((X - curtain) / 0.075) ** 2)) * (0.5 + 0.7 * noise(rng, 3, 3, 0.5, (5, 1))) * np.clip(1.3 - Y * 1.6, 0, 1)
        image = image + light * (glow * 0.85)[..., None]
    for _ in range(45):
        radius = rng.uniform(1.0, 2.2)
        image = blend(image, ellipse(rng.uniform(0, SIZE), rng.uniform(0, 0.65 * SIZE), radius, radius), rgb(255, 250, 230))
    line = mountains(rng, 0.72, 0.26)
    image = blend(image, below(line), rgb(52, 58, 92) * (0.6 + 0.8 * noise(rng, 6, 3, 0.6))[..., None])
    return firs(rng, image, 13, 0.76, 1.02, (34, 56), rgb(22, 42, 46), False)


def meadow(rng: Rng, mood: str) -> Array:
    """A field of flowers growing towards the viewer."""
    petals = {
        "poppy": (rgb(228, 45, 40), rgb(245, 100, 60)),
        "lavender": (rgb(135, 85, 205), rgb(185, 135, 235)),
        "daisy": (rgb(250, 250, 245), rgb(250, 215, 80)),
    }[mood]
    horizon = rng.uniform(0.34, 0.42)
    image = sky(rng, rgb(85, 155, 225), rgb(212, 234, 247), WHITE, horizon)
    image = blend(image, below(ridge(rng, horizon - 0.05, 0.08, 7)), rgb(52, 92, 55))
    grass = below(ridge(rng, horizon + 0.02, 0.02, 3), 3)
    image = blend(image, grass, rgb(95, 158, 60) * (0.65 + 0.7 * noise(rng, 9, 3, 0.6, (1.6, 1)))[..., None])
    for y in np.sort(rng.uniform(horizon + 0.06, 1.02, 130)):
        radius = 1.8 + 8.0 * ((y - horizon) / (1 - horizon)) ** 1.3
        tone = petals[int(rng.integers(2))] * rng.uniform(0.85, 1.1)
        image = blend(image, ellipse(rng.uniform(0, SIZE), y * SIZE, radius, radius * 0.8), np.clip(tone, 0, 1))
    return image


def planks(rng: Rng, image: Array, start: float, tone: Array) -> Array:
    """Wooden boards from ``start`` to the lower edge."""
    edges = start + (1 - start) * (np.arange(6) / 5) ** 1.3
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        grain = noise(rng, 3, 3, 0.6, (1, 8))
        board = tone * rng.uniform(0.85, 1.12) * (0.7 + 0.6 * grain)[..., None]
        image = np.where(((Y >= low) & (Y < high))[..., None], board, image)
        image = np.where((np.abs(Y - low) < 0.007)[..., None], tone * 0.3, image)
    return image


def brick(rng: Rng, mood: str) -> Array:
    """A brick wall over a wooden floor."""
    tone = {"red": rgb(180, 78, 58), "white": rgb(218, 212, 202), "brown": rgb(145, 102, 76)}[mood]
    image = np.ones((SIZE, SIZE, 3), np.float32) * rgb(112, 104, 98)
    height = rng.uniform(20, 25)
    width, shift = height * 2.1, rng.uniform(0, height * 2)
    for row in range(int(SIZE / height) + 1):
        for column in range(-2, int(SIZE / width) + 2):
            x0 = column * width + (row % 2) * width / 2 + shift - width / 2
            y0 = row * height
            box = (slice(int(max(y0 + 2, 0)), int(max(y0 + height - 1, 0))), slice(int(max(x0 + 2, 0)), int(max(x0 + width - 1, 0))))
            tint = np.array([1, rng.uniform(0.9, 1.1), rng.uniform(0.9, 1.1)], np.float32)
            image[box] = tone * rng.uniform(0.68, 1.22) * tint
    image = image * (0.85 + 0.3 * noise(rng, 8, 3, 0.6))[..., None] * (1.1 - 0.3 * X[..., None])
    return planks(rng, image, 0.73, rgb(158, 108, 64))


def table(rng: Rng, mood: str) -> Array:
    """A checkered tablecloth before a dotted wallpaper."""
    dark, light = {
        "red": (rgb(205, 45, 45), rgb(246, 240, 230)),
        "blue": (rgb(45, 90, 170), rgb(240, 243, 248)),
        "green": (rgb(50, 130, 80), rgb(245, 242, 225)),
    }[mood]
    paper = rng.uniform(0.6, 0.92, 3).astype(np.float32)
    count = rng.uniform(12, 18)
    row = (Y * count // 2) % 2
    dots = (((X * count + row) % 2 - 1) ** 2 + ((Y * count) % 2 - 1) ** 2) < 0.3
    image = np.where(dots[..., None], paper * rng.uniform(0.5, 0.7), paper)
    edge = rng.uniform(0.54, 0.6)
    across = (X - 0.5) / (0.35 + 1.2 * (Y - edge))
    along = np.log(np.clip(Y - edge + 0.25, 0.01, 9)) * 5
    turns, shift = rng.uniform(4, 5.5), rng.random() * 3
    first = ((across * turns * 0.5 + shift) % 1) < 0.5
    second = ((along * turns * 0.35 + shift) % 1) < 0.5
    cloth = np.where((first & second)[..., None], dark, np.where((first | second)[..., None], (dark + light) / 2, light))
    cloth = cloth * (0.9 + 0.2 * noise(rng, 6, 2))[..., None]
    image = np.where((Y > edge)[..., None], cloth, image)
    return np.where((np.abs(Y - edge) < 0.008)[..., None], image * 0.45, image)


def sofa(rng: Rng, mood: str) -> Array:
    """A sofa before striped wallpaper with two framed pictures."""
    tone = {"green": rgb(70, 132, 98), "orange": rgb(220, 122, 60), "grey": rgb(125, 130, 142)}[mood]
    paper = rng.uniform(0.68, 0.95, 3).astype(np.float32)
    stripes = np.sign(np.sin(X * rng.uniform(60, 100)))
    image = paper * (0.84 + 0.12 * stripes)[..., None] * np.ones((SIZE, SIZE, 1), np.float32)
    left = rng.uniform(0.08, 0.55) * SIZE
    for index in range(2):
        x = left + index * 50
        image = blend(image, polygon([(x, 14), (x + 40, 14), (x + 40, 66), (x, 66)]), rgb(66, 45, 32))
        inner = polygon([(x + 5, 19), (x + 35, 19), (x + 35, 61), (x + 5, 61)])
        image = blend(image, inner, np.clip(rng.random(3) * (0.5 + noise(rng, 4, 2))[..., None], 0, 1))
    image = planks(rng, image, 0.87, rgb(172, 124, 82))
    cloth = (0.9 + 0.2 * noise(rng, 14, 2))[..., None]

    def block(box: tuple[float, float, float, float], width: float, colour: Array, image: Array) -> Array:
        x0, y0, x1, y1 = box
        r = 9
        outline = [(x0, y0 + r), (x0 + r * 0.3, y0 + r * 0.3), (x0 + r, y0), (x1 - r, y0), (x1 - r * 0.3, y0 + r * 0.3), (x1, y0 + r), (x1, y1), (x0, y1)]
        mask = polygon(outline)
        return blend(image, mask, colour * cloth * relief(mask, width, 0.9)[..., None])

    image = block((18, 92, 238, 216), 21, tone * 0.9, image)
    for index in range(3):
        image = block((30 + index * 66, 90, 94 + index * 66, 174), 13, tone * rng.uniform(0.92, 1.05), image)
    for index in range(3):
        image = block((30 + index * 66, 168, 94 + index * 66, 208), 13, tone * rng.uniform(1.02, 1.14), image)
    image = block((4, 130, 38, 228), 15, tone, image)
    return block((218, 130, 252, 228), 15, tone, image)


def books(rng: Rng, mood: str) -> Array:
    """Three shelves of books over a wooden floor."""
    wood = {"oak": rgb(168, 116, 68), "dark": rgb(86, 56, 40), "white": rgb(228, 222, 214)}[mood]
    image = np.ones((SIZE, SIZE, 3), np.float32) * wood * 0.4
    for shelf in range(3):
        bottom = shelf * 62 + 54
        x = 2.0
        while x < SIZE:
            width, height = rng.uniform(11, 20), rng.uniform(36, 52)
            spine = rng.uniform(0.12, 0.95, 3).astype(np.float32)
            x0, x1, y0 = int(x), int(min(SIZE, x + width)), int(bottom - height)
            if x1 > x0:
                curve = np.linspace(-1, 1, x1 - x0, dtype=np.float32)[None, :, None]
                image[y0:bottom, x0:x1] = spine * (1.05 - 0.4 * curve**2)
                band = int(y0 + rng.uniform(0.15, 0.7) * height)
                image[band : band + 5, x0:x1] = np.clip(spine * 0.4 + 0.5, 0, 1)
            x += width + 1
        image[bottom : bottom + 8] = wood * (0.8 + 0.4 * noise(rng, 4, 2, 0.6, (1, 8))[:8, :, None])
    return planks(rng, image, 0.73, wood * 1.05)


def city(rng: Rng, mood: str) -> Array:
    """Rows of houses with lit windows over a street."""
    top, bottom, window = {
        "dusk": (rgb(70, 55, 120), rgb(250, 160, 115), rgb(255, 225, 140)),
        "noon": (rgb(90, 160, 220), rgb(215, 230, 240), rgb(175, 212, 235)),
        "midnight": (rgb(14, 18, 46), rgb(55, 60, 102), rgb(255, 225, 140)),
    }[mood]
    image = sky(rng, top, bottom, bottom * 0.6 + 0.35, 0.7)
    for layer in range(3):
        x = -6.0
        while x < SIZE:
            width = rng.uniform(30, 52)
            roof = int((0.18 + 0.2 * layer + rng.uniform(0, 0.26)) * SIZE)
            wall = top * 0.5 * (1 - layer / 2) + rng.uniform(0.15, 0.6, 3).astype(np.float32) * (0.4 + 0.25 * layer)
            x0, x1 = int(max(x, 0)), int(min(SIZE, x + width))
            if x1 > x0:
                image[roof:, x0:x1] = wall * np.linspace(1.1, 0.75, x1 - x0, dtype=np.float32)[None, :, None]
                step_x, step_y = int(rng.integers(9, 13)), int(rng.integers(11, 15))
                columns, rows = np.arange(x1 - x0), np.arange(SIZE - roof)
                frame = ((rows % step_y) < step_y * 0.55)[:, None] & ((columns % step_x) < step_x * 0.55)[None, :]
                lit = rng.random((24, 8)) < 0.55
                shown = frame & lit[(rows // step_y) % 24][:, (columns // step_x) % 8]
                image[roof:, x0:x1] = np.where(shown[..., None], window, image[roof:, x0:x1])
            x += width * rng.uniform(0.85, 1.12)
    street = below(np.full(SIZE, 0.88 * SIZE, np.float32))
    return blend(image, street, rgb(98, 98, 104) * (0.75 + 0.5 * noise(rng, 8, 3, 0.6, (1, 3)))[..., None])


@dataclass(frozen=True)
class Background:
    """A kind of background: its drawing function, its moods, and its caption phrase."""

    draw: Callable[[Rng, str], Array]
    moods: tuple[str, ...]
    phrase: str


BACKGROUNDS: dict[str, Background] = {
    "coast": Background(coast, ("sunset", "stormy", "sunny"), "by a {} coast"),
    "forest": Background(forest, ("autumn", "green", "misty"), "in {a} {} forest"),
    "desert": Background(desert, ("golden", "red", "pale"), "in a {} desert"),
    "hills": Background(hills, ("spring", "evening", "summer"), "among {} hills"),
    "snow": Background(snow, ("blue", "pink", "grey"), "in snowy mountains under a {} sky"),
    "night": Background(night, ("green", "violet", "blue"), "under {} northern lights"),
    "meadow": Background(meadow, ("lavender", "poppy", "daisy"), "in a {} meadow"),
    "brick": Background(brick, ("red", "white", "brown"), "in front of a {} brick wall"),
    "table": Background(table, ("red", "blue", "green"), "on a {} checkered tablecloth"),
    "sofa": Background(sofa, ("green", "orange", "grey"), "on {a} {} sofa"),
    "books": Background(books, ("oak", "dark", "white"), "in front of {a} {} bookshelf"),
    "city": Background(city, ("dusk", "noon", "midnight"), "in front of a city at {}"),
}


def phrase(kind: str, mood: str) -> str:
    """The caption phrase of a background, e.g. ``in an autumn forest``."""
    article = "an" if mood[0] in "aeio" else "a"
    return BACKGROUNDS[kind].phrase.format(mood, a=article)
