"""Puts an object on a background and returns the finished picture with its matte."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import cv2
import numpy as np

from .backgrounds import BACKGROUNDS
from .canvas import Array, Rng, ellipse, shrink
from .objects import COLOURS, OBJECTS, Pen, Placement, Print, Style

MASTER_SEED = 20260
"""Every random number of the data set derives from this seed and a name."""

FLOATING = {"hot air balloon", "kite", "star", "heart"}
"""Objects that cast no shadow on the ground."""


def rng_for(*name: object) -> Rng:
    """Random generator of a named thing; independent of the order things are drawn in."""
    return np.random.default_rng([MASTER_SEED, zlib.crc32("/".join(map(str, name)).encode())])


def article(noun: str) -> str:
    """``a`` or ``an``."""
    return "an" if noun[0] in "aeio" else "a"


@dataclass
class BackgroundSpec:
    """A background: kind, mood and the name its randomness derives from."""

    kind: str
    mood: str
    name: str

    def draw(self) -> Array:
        """The background on the canvas."""
        picture = BACKGROUNDS[self.kind].draw(rng_for("background", self.name), self.mood)
        return np.clip(picture, 0, 1).astype(np.float32)


@dataclass
class ObjectSpec:
    """An object: kind, colours, print, placement and the name its randomness derives from."""

    kind: str
    colour: str
    accent: str
    name: str
    place: Placement = field(default_factory=Placement)
    print: Print | None = None
    vary: bool = False

    def draw(self) -> Pen:
        """The object on its own canvas, with its matte."""
        pen = Pen(rng_for("object", self.name), self.place)
        OBJECTS[self.kind](pen, Style(COLOURS[self.colour], COLOURS[self.accent], self.print, self.vary))
        return pen


def compose(thing: ObjectSpec, behind: BackgroundSpec, shadow: bool = True) -> tuple[Array, Array]:
    """Picture (RGB) and matte, both 8 bits at the final size.

    The soft contact shadow belongs to the background, as it would in a photograph;
    it is left out where the background has to stay fixed to the pixel.
    """
    image = behind.draw()
    pen = thing.draw()
    if shadow and thing.kind not in FLOATING:
        spot = ellipse(pen.origin[0], pen.origin[1] + pen.unit * 0.92, pen.unit * 0.8, pen.unit * 0.16)
        image = image * (1 - 0.45 * cv2.GaussianBlur(spot, (0, 0), 6))[..., None]
    matte = pen.matte[..., None]
    return shrink(image * (1 - matte) + np.clip(pen.image, 0, 1) * matte), shrink(pen.matte)
