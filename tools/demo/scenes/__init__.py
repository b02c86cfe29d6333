"""Drawn scenes: one foreground object with an exact matte over one textured background."""

from .compose import BackgroundSpec, ObjectSpec, article, compose, rng_for
from .backgrounds import BACKGROUNDS, phrase
from .objects import CHARACTERS, COLOURS, OBJECTS, PRINTED, STORY, Placement, Print

__all__ = [
    "BACKGROUNDS",
    "CHARACTERS",
    "COLOURS",
    "OBJECTS",
    "PRINTED",
    "STORY",
    "BackgroundSpec",
    "ObjectSpec",
    "Placement",
    "Print",
    "article",
    "compose",
    "phrase",
    "rng_for",
]
