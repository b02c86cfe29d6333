"""MS-SSIM of foregrounds and backgrounds, the arithmetic of the program's scoring.

Pictures and mattes are brought to 512 x 512 (Lanczos); the foreground is the picture
on black, the background the picture with the object painted white; RGB, data range 1.
The MS-SSIM equals that of torchmetrics (1.4.2 and later) to about five decimals: the
contrast terms are cropped by five pixels, the last scale is averaged over everything.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

cv2.setNumThreads(1)
Array = np.ndarray

SIDE = 512
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS = np.exp(-(((np.arange(11) - 5) / 1.5) ** 2) / 2)
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)
C1, C2 = 0.01**2, 0.03**2


def blur(x: Array) -> Array:
    """The 11-tap Gaussian window of SSIM."""
    return cv2.sepFilter2D(x, cv2.CV_32F, _TAPS, _TAPS, borderType=cv2.BORDER_REFLECT_101)


def parts(image: Array, matte: Array, side: int = SIDE) -> tuple[Array, Array]:
    """Foreground on black and background on white at the scoring size."""
    big = Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
    soft = Image.fromarray(matte).resize((side, side), Image.Resampling.LANCZOS)
    x = np.asarray(big, np.float32) / 255
    a = np.asarray(soft, np.float32)[..., None] / 255
    return np.ascontiguousarray(x * a), x * (1 - a) + a


def pyramid(x: Array, levels: int = 5) -> list[tuple[Array, Array, Array]]:
    """Picture, local mean and local variance at each scale."""
    result = []
    for level in range(levels):
        mean = blur(x)
        result.append((x, mean, np.maximum(blur(x * x) - mean * mean, 0)))
        if level < levels - 1:
            height, width, channels = x.shape
            x = x.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3), dtype=np.float32)
    return result


def ms_ssim(first: list, second: list, weights: tuple[float, ...] = WEIGHTS) -> float:
    """MS-SSIM of two pyramids."""
    result = 1.0
    for level, weight in enumerate(weights):
        (x, mx, vx), (y, my, vy) = first[level], second[level]
        contrast = (2 * (blur(x * y) - mx * my) + C2) / (vx + vy + C2)
        if level == len(weights) - 1:
            contrast = contrast * ((2 * mx * my + C1) / (mx * mx + my * my + C1))
        else:
            contrast = contrast[5:-5, 5:-5]
        result *= max(float(contrast.mean(dtype=np.float64)), 0.0) ** weight
    return result


class Picture:
    """A picture prepared for scoring."""

    def __init__(self, image: Array, matte: Array) -> None:
        front, back = parts(image, matte)
        self.front, self.back = pyramid(front), pyramid(back)


def score(first: Picture, second: Picture) -> tuple[float, float]:
    """Foreground and background score of two pictures."""
    return ms_ssim(first.front, second.front), ms_ssim(first.back, second.back)


class Searcher:
    """Finds the gallery row with the largest mean of foreground and background score.

    All rows are ranked by a two-scale MS-SSIM at 64 pixels; the best ``keep`` of them
    are scored exactly.
    """

    def __init__(self, images: Array, mattes: Array, keep: int = 8) -> None:
        self.images, self.mattes, self.keep = images, mattes, keep
        self.small = [tuple(pyramid(p, 2) for p in parts(i, m, 64)) for i, m in zip(images, mattes, strict=True)]
        self.exact = lru_cache(maxsize=96)(lambda row: Picture(images[row], mattes[row]))

    def nearest(self, image: Array, matte: Array, skip: set[int] | frozenset[int] = frozenset()) -> tuple[int, float, float]:
        """Row, foreground score and background score of the best match."""
        front, back = (pyramid(p, 2) for p in parts(image, matte, 64))
        rough = np.full(len(self.small), -1.0)
        for row, (f, b) in enumerate(self.small):
            if row not in skip:
                rough[row] = ms_ssim(front, f, (0.75, 0.25)) + ms_ssim(back, b, (0.75, 0.25))
        query = Picture(image, matte)
        best = (-1, 0.0, -1.0)
        for row in np.argsort(-rough)[: self.keep]:
            f, b = score(query, self.exact(int(row)))
            if f + b > best[1] + best[2]:
                best = (int(row), f, b)
        return best
