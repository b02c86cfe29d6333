"""Foreground objects with exact mattes.

An object is drawn by a :class:`Pen` in its own coordinates: x and y run from -1 to
1, y downwards. The pen places it on the canvas (position, scale, aspect, rotation,
mirror) and keeps the matte: whatever the pen paints is foreground.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import SIZE, Array, Rng, X, Y, blend, noise, polygon, relief, rgb

COLOURS: dict[str, Array] = {
    "red": rgb(215, 40, 40),
    "blue": rgb(40, 95, 205),
    "green": rgb(40, 155, 75),
    "yellow": rgb(248, 200, 40),
    "purple": rgb(140, 65, 185),
    "orange": rgb(238, 130, 40),
    "pink": rgb(240, 140, 170),
    "white": rgb(242, 238, 230),
    "navy": rgb(35, 40, 85),
    "teal": rgb(35, 150, 155),
}
CREAM, INK, WOOD, STONE = rgb(247, 241, 228), rgb(45, 40, 48), rgb(140, 92, 52), rgb(120, 112, 108)


@dataclass
class Placement:
    """Where and how an object lies on the canvas; lengths in units of the canvas side."""

    x: float = 0.5
    y: float = 0.53
    scale: float = 0.38
    aspect: float = 1.0
    turn: float = 0.0
    mirror: bool = False


class Pen:
    """Paints shapes given in object coordinates and accumulates the matte."""

    def __init__(self, rng: Rng, place: Placement) -> None:
        self.rng = rng
        self.place = place
        self.unit = place.scale * SIZE
        c, s = np.cos(place.turn), np.sin(place.turn)
        stretch = np.diag([place.scale * SIZE * place.aspect * (-1 if place.mirror else 1), place.scale * SIZE / place.aspect])
        self.matrix = np.array([[c, -s], [s, c]]) @ stretch
        self.origin = np.array([place.x * SIZE, place.y * SIZE])
        self.image = np.zeros((SIZE, SIZE, 3), np.float32)
        self.matte = np.zeros((SIZE, SIZE), np.float32)
        inverse = np.linalg.inv(self.matrix)
        dx, dy = X * SIZE - self.origin[0], Y * SIZE - self.origin[1]
        self.u = (inverse[0, 0] * dx + inverse[0, 1] * dy).astype(np.float32)
        self.v = (inverse[1, 0] * dx + inverse[1, 1] * dy).astype(np.float32)

    def shape(self, points: list[tuple[float, float]] | Array) -> Array:
        """Mask of a polygon."""
        return polygon(np.asarray(points, np.float64) @ self.matrix.T + self.origin)

    def oval(self, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Array:
        """Mask of an ellipse, optionally turned (radians)."""
        t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        px, py = rx * np.cos(t), ry * np.sin(t)
        c, s = np.cos(turn), np.sin(turn)
        return self.shape(np.stack([x + px * c - py * s, y + px * s + py * c], 1))

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Array:
        """Mask of a rectangle."""
        return self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def paint(self, mask: Array, colour: Array, round_: float = 0.16, amount: float = 0.6, grain: float = 0.1) -> None:
        """Paint a mask with relief shading; ``round_`` is the width of the shaded rim."""
        tone = np.asarray(colour, np.float32) * relief(mask, self.unit * round_, amount)[..., None]
        if grain:
            tone = tone * (1 + grain * 2 * (noise(self.rng, 9, 2) - 0.5))[..., None]
        self.image = blend(self.image, mask, np.clip(tone, 0, 1))
        self.matte = np.maximum(self.matte, mask)


@dataclass
class Print:
    """A two-coloured print: its kind, direction, phase and number of repeats."""

    kind: str = "stripes"
    angle: float = 0.0
    phase: float = 0.0
    count: float = 4.0

    @staticmethod
    def random(rng: Rng) -> Print:
        """A random print (five kinds, any angle)."""
        kinds = ("stripes", "dots", "checks", "zigzag", "rings")
        return Print(kinds[int(rng.integers(5))], float(rng.uniform(0, np.pi)), float(rng.uniform(0, 1)), float(rng.uniform(2.2, 4.2)))

    def fill(self, pen: Pen, first: Array, second: Array) -> Array:
        """The print as a picture in the pen's coordinates."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        x, y = pen.u * c + pen.v * s + self.phase, -pen.u * s + pen.v * c + self.phase * 0.7
        n = self.count
        if self.kind == "stripes":
            inside = np.sin(x * n * 3.1) > 0
        elif self.kind == "dots":
            inside = (((x * n * 0.7) % 1 - 0.5) ** 2 + ((y * n * 0.7) % 1 - 0.5) ** 2) < 0.11
        elif self.kind == "checks":
            inside = ((x * n * 0.8) % 2 < 1) ^ ((y * n * 0.8) % 2 < 1)
        elif self.kind == "zigzag":
            inside = np.sin((y + 0.25 * np.abs((x * n * 0.6) % 2 - 1)) * n * 2.8) > 0
        else:
            inside = np.sin(np.hypot(pen.u - self.phase + 0.5, pen.v + self.phase - 0.5) * n * 3.0) > 0
        return np.where(inside[..., None], second, first).astype(np.float32)


@dataclass
class Style:
    """Colours and print of an object; ``vary`` lets details differ from picture to picture."""

    colour: Array
    accent: Array
    print: Print | None = None
    vary: bool = False

    def fill(self, pen: Pen) -> Array:
        """Body fill: the print if there is one, else the plain colour."""
        return self.print.fill(pen, self.colour, self.accent) if self.print else self.colour


# ------------------------------------------------------------------ story objects


def lighthouse(pen: Pen, style: Style) -> None:
    """A tower with light bands on a rock."""
    rng = pen.rng
    pen.paint(pen.shape([(-0.72, 1), (-0.58, 0.74), (-0.28, 0.62), (0.24, 0.62), (0.55, 0.72), (0.75, 1)]), STONE, grain=0.4)
    foot = rng.uniform(0.34, 0.44) if style.vary else 0.38
    pen.paint(pen.shape([(-0.25, -0.55), (0.25, -0.55), (foot, 0.7), (-foot, 0.7)]), style.colour, 0.3)
    bands = int(rng.integers(1, 4)) if style.vary else 2
    shift = rng.uniform(-0.1, 0.1) if style.vary else 0.0
    for band in range(bands):
        y = -0.5 + (band + 0.75) / (bands + 0.4) * 1.05 + shift
        half = lambda v: 0.25 + (foot - 0.25) * (v + 0.55) / 1.25
        pen.paint(pen.shape([(-half(y), y), (half(y), y), (half(y + 0.15), y + 0.15), (-half(y + 0.15), y + 0.15)]), CREAM, 0.3)
    pen.paint(pen.box(-0.34, -0.64, 0.34, -0.53), INK)
    pen.paint(pen.box(-0.19, -0.86, 0.19, -0.63), rgb(255, 238, 150), grain=0)
    pen.paint(pen.shape([(-0.27, -0.83), (0.27, -0.83), (0, -1.06)]), style.colour * 0.85)
    pen.paint(pen.box(-0.1, 0.44, 0.1, 0.7), rgb(80, 52, 42))


def boat(pen: Pen, style: Style) -> None:
    """A sailing boat: coloured hull and main sail, light jib."""
    rng = pen.rng
    peak = rng.uniform(-1.0, -0.8) if style.vary else -0.92
    boom = rng.uniform(0.55, 0.8) if style.vary else 0.72
    jib = rng.uniform(-0.8, -0.5) if style.vary else -0.62
    pen.paint(pen.box(-0.035, peak - 0.06, 0.035, 0.5), rgb(110, 75, 50))
    sail = pen.shape([(0.06, peak), (boom * 0.45, -0.36), (boom, 0.34), (0.06, 0.38)])
    pen.paint(sail, style.fill(pen) if style.print else style.colour, 0.35)
    if style.vary:
        y = rng.uniform(-0.4, 0.15)
        pen.paint(sail * ((pen.v > y) & (pen.v < y + 0.16)), CREAM, 0.2)
    pen.paint(pen.shape([(-0.07, peak + 0.15), (jib, 0.34), (-0.07, 0.38)]), CREAM, 0.35)
    pen.paint(pen.shape([(-0.92, 0.45), (0.95, 0.43), (0.66, 0.9), (-0.6, 0.9)]), style.colour, 0.3)
    pen.paint(pen.shape([(-0.92, 0.45), (0.95, 0.43), (0.9, 0.54), (-0.87, 0.56)]), CREAM)


def balloon(pen: Pen, style: Style) -> None:
    """A hot air balloon with light gores."""
    rng = pen.rng
    envelope = np.maximum(pen.oval(0, -0.3, 0.74, 0.7), pen.shape([(-0.62, 0.02), (0.62, 0.02), (0.18, 0.62), (-0.18, 0.62)]))
    width = np.sqrt(np.clip(1 - ((pen.v + 0.3) / 0.82) ** 2, 0.06, 1))
    phase = rng.uniform(0, 1) if style.vary else 0.0
    gores = int(rng.integers(2, 5)) if style.vary else 3
    around = np.arcsin(np.clip(pen.u / (0.76 * width), -1, 1)) / np.pi + 0.5
    part = (around * gores + phase) % 1
    second = CREAM if style.vary else style.accent
    fill = np.where((part < 0.3)[..., None], second, style.colour)
    pen.paint(envelope, fill, 0.5)
    if style.vary:
        y = rng.uniform(-0.5, 0.1)
        pen.paint(envelope * ((pen.v > y) & (pen.v < y + 0.13)), style.colour * 0.6, 0.2)
    for x in (-0.14, 0.14):
        pen.paint(pen.box(x - 0.02, 0.6, x + 0.02, 0.82), rgb(70, 50, 40), grain=0)
    pen.paint(pen.shape([(-0.2, 0.78), (0.2, 0.78), (0.16, 1.04), (-0.16, 1.04)]), rgb(160, 108, 58), grain=0.3)


def mushroom(pen: Pen, style: Style) -> None:
    """A mushroom with light dots on the cap."""
    rng = pen.rng
    thick = rng.uniform(0.2, 0.32) if style.vary else 0.25
    pen.paint(pen.shape([(-thick, -0.1), (thick, -0.1), (thick + 0.1, 0.96), (-thick - 0.1, 0.96)]), rgb(240, 229, 208))
    top = rng.uniform(0.68, 0.9) if style.vary else 0.8
    cap = pen.oval(0, 0.0, 0.92, top) * (pen.v < 0.06)
    pen.paint(cap, style.colour, 0.45)
    pen.paint(pen.oval(0, 0.06, 0.9, 0.13), rgb(228, 208, 182))
    spots = [(-0.5, -0.22), (-0.08, -0.52), (0.42, -0.38), (0.2, -0.14), (-0.25, -0.1)]
    if style.vary:
        count = int(rng.integers(3, 6))
        spots = [(-0.65 + 1.3 * (i + rng.uniform(0.2, 0.8)) / count, -rng.uniform(0.1, 0.62) * top) for i in range(count)]
    for x, y in spots:
        radius = rng.uniform(0.09, 0.17) if style.vary else 0.13
        pen.paint(pen.oval(x, y, radius, radius * 0.85) * (cap > 0.5), CREAM, grain=0)


def cottage(pen: Pen, style: Style) -> None:
    """A cottage with coloured walls and a dark roof."""
    rng = pen.rng
    chimney = rng.uniform(0.3, 0.5) if style.vary else 0.4
    pen.paint(pen.box(chimney - 0.09, -0.85, chimney + 0.09, -0.2), rgb(150, 84, 66), grain=0.3)
    pen.paint(pen.box(-0.72, -0.08, 0.72, 0.9), style.colour, 0.25)
    ridge = rng.uniform(-0.95, -0.72) if style.vary else -0.85
    roof = pen.shape([(-0.94, 0.02), (-0.1, ridge), (0.1, ridge), (0.94, 0.02)])
    rows = 0.9 + 0.18 * np.sign(np.sin(pen.v * 30))
    pen.paint(roof, rgb(82, 66, 74) * rows[..., None] if not style.print else style.accent * rows[..., None])
    door = rng.uniform(-0.5, 0.5) if style.vary else 0.0
    pen.paint(pen.box(door - 0.13, 0.34, door + 0.13, 0.9), rgb(92, 58, 40))
    for x in (-0.46, 0.0, 0.46):
        if abs(x - door) > 0.3:
            pen.paint(pen.box(x - 0.17, 0.2, x + 0.17, 0.56), CREAM, grain=0)
            pen.paint(pen.box(x - 0.12, 0.25, x + 0.12, 0.51), rgb(255, 220, 120), 0.05, grain=0)


def teapot(pen: Pen, style: Style) -> None:
    """A teapot with lid, spout and handle."""
    rng = pen.rng
    ring = np.clip(pen.oval(0.74, 0.02, 0.34, 0.38) - pen.oval(0.7, 0.02, 0.18, 0.22), 0, 1)
    pen.paint(ring, style.colour)
    lift = rng.uniform(-0.45, -0.2) if style.vary else -0.32
    pen.paint(pen.shape([(-0.45, 0.35), (-0.64, 0.05), (-1.0, lift), (-0.82, lift - 0.06), (-0.42, -0.1)]), style.colour)
    belly = pen.oval(0, 0.12, 0.7, 0.58)
    pen.paint(belly, style.fill(pen), 0.5)
    if style.vary:
        y, width = rng.uniform(-0.2, 0.3), rng.uniform(0.1, 0.18)
        pen.paint(belly * ((pen.v > y) & (pen.v < y + width)), CREAM, 0.3)
    pen.paint(pen.oval(0, -0.38, 0.38, 0.14), style.colour * 0.85)
    pen.paint(pen.oval(0, -0.56, 0.11, 0.11), CREAM if style.vary else style.accent)
    pen.paint(pen.shape([(-0.4, 0.6), (0.4, 0.6), (0.48, 0.76), (-0.48, 0.76)]), style.colour * 0.75)


def fox(pen: Pen, style: Style) -> None:
    """A sitting fox."""
    fur, light, dark = style.colour, rgb(250, 242, 230), rgb(72, 46, 36)
    pen.paint(pen.shape([(0.2, 0.95), (0.78, 0.9), (0.98, 0.5), (0.88, 0.08), (0.68, 0.03), (0.7, 0.4), (0.45, 0.6)]), fur)
    pen.paint(pen.shape([(0.88, 0.08), (0.68, 0.03), (0.73, 0.3), (0.95, 0.34)]), light)
    pen.paint(pen.shape([(-0.36, 0.98), (-0.44, 0.5), (-0.26, 0), (0.2, 0), (0.46, 0.5), (0.46, 0.98)]), fur, 0.4)
    pen.paint(pen.shape([(-0.22, 0.9), (-0.2, 0.3), (0.12, 0.3), (0.1, 0.9)]), light)
    for x in (-0.25, 0.12):
        pen.paint(pen.oval(x, 0.92, 0.17, 0.09), dark)
    for side in (-1, 1):
        pen.paint(pen.shape([(-0.05 + side * 0.12, -0.5), (-0.05 + side * 0.5, -1), (-0.05 + side * 0.46, -0.3)]), fur)
        pen.paint(pen.shape([(-0.05 + side * 0.22, -0.55), (-0.05 + side * 0.44, -0.84), (-0.05 + side * 0.41, -0.45)]), dark)
    pen.paint(pen.shape([(-0.57, -0.35), (-0.3, -0.6), (0.2, -0.6), (0.47, -0.35), (0.2, -0.02), (-0.05, 0.15), (-0.3, -0.02)]), fur)
    pen.paint(pen.shape([(-0.57, -0.33), (-0.15, -0.2), (-0.05, 0.15), (-0.3, -0.02)]), light)
    pen.paint(pen.shape([(0.47, -0.33), (0.05, -0.2), (-0.05, 0.15), (0.2, -0.02)]), light)
    for x in (-0.24, 0.14):
        pen.paint(pen.oval(x, -0.3, 0.065, 0.08), INK, grain=0)
    pen.paint(pen.oval(-0.05, 0.1, 0.08, 0.06), INK, grain=0)


def owl(pen: Pen, style: Style) -> None:
    """An owl with big eyes and a zigzag breast."""
    body = style.colour
    pen.paint(pen.oval(0, 0.2, 0.62, 0.78), body, 0.4, grain=0.25)
    for side in (-1, 1):
        pen.paint(pen.shape([(side * 0.25, -0.62), (side * 0.6, -1.02), (side * 0.6, -0.35)]), body)
        pen.paint(pen.oval(side * 0.52, 0.3, 0.2, 0.52, -side * 0.18), body * 0.65)
    zigzag = Print("zigzag", 0.0, 0.1, 3.4).fill(pen, rgb(240, 220, 185), body)
    pen.paint(pen.oval(0, 0.42, 0.36, 0.48), zigzag)
    pen.paint(pen.oval(0, -0.36, 0.58, 0.43), body * 1.08)
    for side in (-1, 1):
        pen.paint(pen.oval(side * 0.25, -0.36, 0.24, 0.24), rgb(252, 243, 220))
        pen.paint(pen.oval(side * 0.25, -0.36, 0.16, 0.16), rgb(248, 182, 40))
        pen.paint(pen.oval(side * 0.25, -0.36, 0.085, 0.085), INK, grain=0)
        pen.paint(pen.oval(side * 0.2, 0.97, 0.15, 0.07), rgb(238, 162, 52))
    pen.paint(pen.shape([(-0.09, -0.26), (0.09, -0.26), (0, -0.06)]), rgb(238, 162, 52))


def robot(pen: Pen, style: Style) -> None:
    """A tin robot."""
    metal = rgb(160, 166, 178)
    pen.paint(pen.box(-0.03, -1.0, 0.03, -0.8), rgb(90, 90, 95))
    pen.paint(pen.oval(0, -1.0, 0.08, 0.08), style.accent)
    for side in (-1, 1):
        pen.paint(pen.shape([(side * 0.5, -0.08), (side * 0.8, 0.1), (side * 0.76, 0.52), (side * 0.58, 0.52), (side * 0.58, 0.22), (side * 0.5, 0.2)]), metal)
        pen.paint(pen.shape([(side * 0.1, 0.6), (side * 0.36, 0.6), (side * 0.42, 1), (side * 0.06, 1)]), metal * 0.85)
    pen.paint(pen.box(-0.54, -0.14, 0.54, 0.66), style.fill(pen), 0.2)
    pen.paint(pen.box(-0.44, -0.84, 0.44, -0.17), style.colour, 0.2)
    for side in (-1, 1):
        pen.paint(pen.oval(side * 0.21, -0.56, 0.15, 0.15), rgb(252, 252, 244))
        pen.paint(pen.oval(side * 0.21, -0.56, 0.07, 0.07), INK, grain=0)
    pen.paint(pen.box(-0.25, -0.36, 0.25, -0.25), INK)
    pen.paint(pen.oval(0, 0.26, 0.2, 0.2), CREAM)
    pen.paint(pen.oval(0, 0.26, 0.11, 0.11), style.accent)


def cactus(pen: Pen, style: Style) -> None:
    """A flowering cactus in a printed pot."""

    def pillar(x0: float, y0: float, x1: float, y1: float) -> Array:
        radius = (x1 - x0) / 2
        return np.maximum(pen.box(x0, y0 + radius, x1, y1), pen.oval((x0 + x1) / 2, y0 + radius, radius, radius))

    green = rgb(72, 150, 82) * (1 + 0.18 * np.sin(pen.u * 32))[..., None]
    for arm in ((-0.7, -0.4, -0.42, 0.12), (0.42, -0.6, 0.7, -0.02)):
        pen.paint(pillar(*arm), green)
    pen.paint(pen.box(-0.7, -0.05, -0.1, 0.2), green)
    pen.paint(pen.box(0.1, -0.22, 0.7, 0.04), green)
    pen.paint(pillar(-0.26, -0.95, 0.26, 0.45), green)
    for x, y in ((0, -0.95), (-0.56, -0.42), (0.56, -0.62)):
        pen.paint(pen.oval(x, y, 0.13, 0.09), rgb(242, 110, 155))
    pen.paint(pen.shape([(-0.5, 0.36), (0.5, 0.36), (0.38, 1), (-0.38, 1)]), style.fill(pen), 0.2)
    pen.paint(pen.box(-0.57, 0.28, 0.57, 0.46), style.colour * 0.9)


def duck(pen: Pen, style: Style) -> None:
    """A rubber duck with a neckerchief."""
    body = style.colour
    pen.paint(pen.shape([(-0.95, -0.12), (-0.6, 0.12), (-0.2, 0.1), (0.5, 0.05), (0.82, 0.3), (0.72, 0.72), (0.35, 0.95), (-0.4, 0.95), (-0.78, 0.65)]), body, 0.4)
    pen.paint(pen.oval(0.36, -0.42, 0.46, 0.46), body, 0.4)
    pen.paint(pen.shape([(0.72, -0.5), (1.05, -0.4), (0.98, -0.22), (0.68, -0.22)]), rgb(238, 120, 40))
    pen.paint(pen.oval(0.48, -0.54, 0.11, 0.13), CREAM, grain=0)
    pen.paint(pen.oval(0.5, -0.53, 0.06, 0.07), INK, grain=0)
    pen.paint(pen.oval(-0.25, 0.42, 0.36, 0.22, 0.2), body * 0.82)
    pen.paint(pen.shape([(-0.05, -0.1), (0.72, -0.08), (0.62, 0.14), (0.2, 0.42), (0.02, 0.12)]), style.fill(pen) if style.print else style.accent)


def rocket(pen: Pen, style: Style) -> None:
    """A toy rocket with fins and a porthole."""
    for side in (-1, 1):
        pen.paint(pen.shape([(side * 0.28, 0.2), (side * 0.72, 0.62), (side * 0.72, 0.96), (side * 0.28, 0.7)]), style.accent)
    pen.paint(pen.shape([(-0.2, 0.72), (0.2, 0.72), (0.12, 1.02), (0, 0.9), (-0.12, 1.02)]), rgb(250, 170, 50))
    t = np.linspace(-1, 1, 24)
    half = 0.4 * np.sqrt(np.clip(1 - np.abs(t - 0.25) ** 2.2 / 1.75, 0, 1))
    left = np.stack([-half, t * 0.9 - 0.12], 1)
    right = np.stack([half, t * 0.9 - 0.12], 1)[::-1]
    hull = pen.shape(np.concatenate([left, right]))
    pen.paint(hull, CREAM, 0.4)
    pen.paint(hull * (pen.v < -0.52), style.accent, 0.4)
    pen.paint(hull * ((pen.v > 0.32) & (pen.v < 0.5)), style.accent, 0.3)
    pen.paint(pen.oval(0, -0.12, 0.24, 0.24), style.colour)
    pen.paint(pen.oval(0, -0.12, 0.16, 0.16), rgb(160, 215, 245), grain=0)


# ------------------------------------------------------------------ printed things


def rounded(pen: Pen, half_x: float, half_y: float, radius: float, y: float = 0.0) -> Array:
    """Mask of a rectangle with round corners."""
    corners = []
    for cx, cy, start in ((1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270)):
        turn = np.deg2rad(np.arange(start, start + 91, 15))
        corners.append(np.stack([cx * (half_x - radius) + radius * np.cos(turn), y + cy * (half_y - radius) + radius * np.sin(turn)], 1))
    return pen.shape(np.concatenate(corners))


def cushion(pen: Pen, style: Style) -> None:
    """A square cushion with pointed corners."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    square = 1 / np.maximum(np.abs(np.cos(t)), np.abs(np.sin(t)))
    radius = 0.78 * square**0.85 * (1 + 0.06 * np.cos(4 * t + np.pi))
    pen.paint(pen.shape(np.stack([radius * np.cos(t), radius * 0.88 * np.sin(t)], 1)), style.fill(pen), 0.35)


def gift(pen: Pen, style: Style) -> None:
    """A wrapped box with a bow."""
    ribbon = CREAM if pen.rng.random() < 0.5 else INK
    pen.paint(pen.box(-0.72, -0.48, 0.72, 0.86), style.fill(pen), 0.2)
    x = pen.rng.uniform(-0.3, 0.3)
    pen.paint(pen.box(x - 0.12, -0.48, x + 0.12, 0.86), ribbon)
    for side in (-1, 1):
        pen.paint(pen.oval(x + side * 0.27, -0.64, 0.28, 0.17, side * 0.35), ribbon)


def ball(pen: Pen, style: Style) -> None:
    """A ball with a print."""
    pen.paint(pen.oval(0, 0.05, 0.84, 0.84), style.fill(pen), 0.5, 0.8)


def star(pen: Pen, style: Style) -> None:
    """A five-pointed star."""
    t = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.05, 0.52)
    pen.paint(pen.shape(np.stack([radius * np.cos(t), 0.06 + radius * np.sin(t)], 1)), style.fill(pen), 0.25)


def heart(pen: Pen, style: Style) -> None:
    """A heart."""
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    pen.paint(pen.shape(np.stack([x / 17.5, y / 16.5], 1)), style.fill(pen), 0.35)


def kite(pen: Pen, style: Style) -> None:
    """A diamond kite."""
    pen.paint(pen.shape([(0, -1.1), (0.78, -0.15), (0, 1.05), (-0.78, -0.15)]), style.fill(pen), 0.2)
    pen.paint(pen.box(-0.03, -1.05, 0.03, 1.0), INK)


def bottle(pen: Pen, style: Style) -> None:
    """A tall bottle."""
    pen.paint(pen.box(-0.16, -1.1, 0.16, -0.5), style.accent * 0.8)
    pen.paint(rounded(pen, 0.42, 0.78, 0.2, 0.25), style.fill(pen), 0.3)
    pen.paint(pen.box(-0.2, -1.15, 0.2, -0.95), INK)


def drum(pen: Pen, style: Style) -> None:
    """A wide drum."""
    pen.paint(np.maximum(pen.box(-0.92, -0.35, 0.92, 0.5), pen.oval(0, 0.5, 0.92, 0.22)), style.fill(pen), 0.3)
    pen.paint(pen.oval(0, -0.35, 0.92, 0.26), CREAM, 0.1)


def umbrella(pen: Pen, style: Style) -> None:
    """An open umbrella."""
    pen.paint(pen.box(-0.05, -0.1, 0.05, 0.95), WOOD)
    pen.paint(pen.oval(0, 0.06, 1.08, 0.98) * (pen.v < 0.06), style.fill(pen), 0.4)


def mug(pen: Pen, style: Style) -> None:
    """A mug with a handle."""
    handle = np.clip(pen.oval(0.62, 0.1, 0.38, 0.4) - pen.oval(0.62, 0.1, 0.2, 0.22), 0, 1)
    pen.paint(handle, style.colour * 0.9)
    pen.paint(np.maximum(pen.box(-0.7, -0.6, 0.55, 0.75), pen.oval(-0.075, 0.75, 0.625, 0.14)), style.fill(pen), 0.4)
    pen.paint(pen.oval(-0.075, -0.6, 0.625, 0.17), rgb(90, 58, 40))


def bell(pen: Pen, style: Style) -> None:
    """A bell."""
    pen.paint(pen.oval(0, 0.78, 0.2, 0.2), INK)
    pen.paint(pen.shape([(-0.22, -0.8), (0.22, -0.8), (0.46, -0.35), (0.56, 0.3), (0.86, 0.74), (-0.86, 0.74), (-0.56, 0.3), (-0.46, -0.35)]), style.fill(pen), 0.35)
    pen.paint(pen.oval(0, -0.86, 0.16, 0.16), INK)


def shirt(pen: Pen, style: Style) -> None:
    """A T-shirt."""
    outline = [(-0.35, -0.8), (-0.12, -0.66), (0.12, -0.66), (0.35, -0.8), (1.02, -0.4), (0.82, 0.0), (0.56, -0.12), (0.56, 0.88), (-0.56, 0.88), (-0.56, -0.12), (-0.82, 0.0), (-1.02, -0.4)]
    pen.paint(pen.shape(outline), style.fill(pen), 0.25)


Draw = Callable[[Pen, Style], None]

STORY: dict[str, Draw] = {
    "lighthouse": lighthouse,
    "sailing boat": boat,
    "hot air balloon": balloon,
    "mushroom": mushroom,
    "cottage": cottage,
    "teapot": teapot,
}
"""Kinds used for the unique pictures."""

CHARACTERS: dict[str, Draw] = {"fox": fox, "owl": owl, "robot": robot, "cactus": cactus, "duck": duck, "rocket": rocket}
"""Kinds used only in the planned groups."""

PRINTED: dict[str, Draw] = {
    "cushion": cushion,
    "gift": gift,
    "ball": ball,
    "star": star,
    "heart": heart,
    "kite": kite,
    "bottle": bottle,
    "drum": drum,
    "umbrella": umbrella,
    "mug": mug,
    "bell": bell,
    "shirt": shirt,
}
"""Kinds shown before the fixed backgrounds."""

OBJECTS: dict[str, Draw] = {**STORY, **CHARACTERS, **PRINTED}
