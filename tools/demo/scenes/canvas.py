"""Drawing primitives on a square float canvas: noise, polygons, ellipses, relief shading.

Everything works on float32 arrays of ``SIZE`` x ``SIZE`` with values in 0..1 and
uses numpy and OpenCV on one thread only, so a scene is the same on every run.
"""

from __future__ import annotations

import cv2
import numpy as np

cv2.setNumThreads(1)

SIZE = 256
"""Side of the canvas the scenes are drawn on."""

OUT = 128
"""Side of the finished pictures (half the canvas: every edge is antialiased twice)."""

Array = np.ndarray
Rng = np.random.Generator

Y, X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE


def rgb(red: float, green: float, blue: float) -> Array:
    """A colour given in 0..255, returned in 0..1."""
    return np.array([red, green, blue], np.float32) / 255


def noise(
    rng: Rng,
    cells: int,
    octaves: int = 3,
    persistence: float = 0.5,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Array:
    """Smooth fractal noise around .5 with a standard deviation of about .2.

    ``cells`` is the number of grid cells of the coarsest octave, ``stretch``
    multiplies that number along x and y (``(1, 4)`` gives horizontal streaks).
    """
    total = np.zeros((SIZE, SIZE), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        count = cells * 2**octave
        columns = max(2, int(count * stretch[0]))
        rows = max(2, int(count * stretch[1]))
        if octave and max(columns, rows) > SIZE // 2:
            break
        grid = rng.random((rows, columns)).astype(np.float32)
        total += amplitude * cv2.resize(grid, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        amplitude *= persistence
    total = (total - total.mean()) / (total.std() + 1e-6)
    return np.clip(total * 0.2 + 0.5, 0, 1)


def ridge(rng: Rng, height: float, amplitude: float, bumps: int = 4, octaves: int = 2) -> Array:
    """One random height per column (in pixels from the top), e.g. a hill line."""
    line = np.zeros(SIZE, np.float32)
    scale = 1.0
    for octave in range(octaves):
        knots = rng.random((1, bumps * 2**octave + 1)).astype(np.float32) - 0.5
        line += scale * cv2.resize(knots, (SIZE, 1), interpolation=cv2.INTER_CUBIC)[0]
        scale *= 0.45
    return (height + amplitude * line) * SIZE


def below(line: Array, softness: float = 1.0) -> Array:
    """Mask of everything below a line given by one height per column."""
    rows = np.arange(SIZE, dtype=np.float32)[:, None]
    return np.clip((rows - line[None, :]) / softness + 0.5, 0, 1)


def gradient(top: Array, bottom: Array, start: float = 0.0, end: float = 1.0) -> Array:
    """Vertical colour gradient between two heights given in 0..1."""
    t = np.clip((np.linspace(0, 1, SIZE, dtype=np.float32) - start) / (end - start), 0, 1)
    column = top * (1 - t[:, None]) + bottom * t[:, None]
    return np.repeat(column[:, None, :], SIZE, 1).astype(np.float32)


def polygon(points: list[tuple[float, float]] | Array) -> Array:
    """Antialiased mask of a polygon; points in pixels."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    fixed = np.round(np.asarray(points, np.float64) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def ellipse(x: float, y: float, rx: float, ry: float) -> Array:
    """Antialiased mask of an axis-parallel ellipse; centre and radii in pixels."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return polygon(np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], 1))


def blend(image: Array, mask: Array, colour: Array) -> Array:
    """Paint a colour (or a picture) through a mask."""
    mask = mask[..., None]
    return image * (1 - mask) + np.asarray(colour, np.float32) * mask


def relief(mask: Array, width: float, amount: float = 0.5) -> Array:
    """Brightness factor that makes a flat mask look rounded, lit from the upper left."""
    blurred = cv2.GaussianBlur(mask, (0, 0), max(width, 1.0) / 2)
    dx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=3) * width / 4
    dy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=3) * width / 4
    return 1 + amount * np.clip(dx * 0.7 + dy * 0.9, -0.8, 0.8)


def shrink(image: Array) -> Array:
    """Canvas to finished picture: area-averaged to ``OUT`` and rounded to 8 bits."""
    small = cv2.resize(np.clip(image, 0, 1).astype(np.float32), (OUT, OUT), interpolation=cv2.INTER_AREA)
    return (small * 255 + 0.5).astype(np.uint8)
