"""Measures that predicates are made of: gaps, extents, shares of footprints, directions.

Arguments are extents ``a`` and ``b`` that broadcast against each other; see ``layout``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vlm_perception.spatial.layout import FORWARD, RIGHT, UP, Extents
from vlm_perception.types import FloatArray

TINY: Final = 1e-9
_DEPTH_NOISE_M: Final = 0.012


def ramp(x: FloatArray, zero: float, one: float) -> FloatArray:
    """0 below ``zero``, 1 above ``one``, straight between."""
    return np.clip((x - zero) / (one - zero), 0.0, 1.0)


def bell(x: FloatArray, width: FloatArray | float) -> FloatArray:
    """1 at 0, falling off as a Gaussian of some width."""
    return np.exp(-np.square(x / np.maximum(width, TINY)))


def axes_of(a: Extents) -> list[int]:
    """The axes of the ground: right and forward in space, right in the image."""
    return [RIGHT, FORWARD] if a.solid else [RIGHT]


def gaps_between(a: Extents, b: Extents) -> FloatArray:
    """Free space between the boxes along each axis; 0 where they overlap."""
    return np.maximum(0.0, np.maximum(a.low - b.high, b.low - a.high))


def gap(a: Extents, b: Extents) -> FloatArray:
    """Distance between the boxes, in metres or pixels; 0 when they meet."""
    gaps = gaps_between(a, b)
    return np.linalg.norm(gaps if a.solid else gaps[..., :2], axis=-1)


def extent(a: Extents) -> FloatArray:
    """One number for how big a thing is: the mean of its two longest sides."""
    sides = np.sort(a.size if a.solid else a.size[..., :2], axis=-1)
    return np.mean(sides[..., -2:], axis=-1)


def mean_extent(a: Extents, b: Extents) -> FloatArray:
    """The size to measure proximity with; a huge anchor counts no more than three times the subject."""
    mine, other = extent(a), extent(b)
    return np.maximum((mine + np.minimum(other, 3.0 * mine)) / 2.0, TINY)


def noise_of(a: Extents) -> float:
    """How far a surface may be off: metres in space, pixels in the image."""
    return _DEPTH_NOISE_M if a.solid else 2.0


def footprint_share(a: Extents, b: Extents) -> FloatArray:
    """Share of a's footprint that lies over b's."""
    share: FloatArray = np.ones(())
    for axis in axes_of(a):
        overlap = np.minimum(a.high[..., axis], b.high[..., axis]) - np.maximum(a.low[..., axis], b.low[..., axis])
        share = share * np.clip(overlap / np.maximum(a.size[..., axis], TINY), 0.0, 1.0)
    return np.asarray(share)


def toward(a: Extents, b: Extents, axis: int, across: tuple[int, ...]) -> FloatArray:
    """How clearly a lies before b along an axis: by at least half a mean width, and more along it than across."""
    along = b.center[..., axis] - a.center[..., axis]
    width = (a.size[..., axis] + b.size[..., axis]) / 2.0
    if not a.solid and axis == FORWARD:
        width = (a.size[..., UP] + b.size[..., UP]) / 2.0
    aside = np.zeros_like(along)
    for other in across:
        aside = aside + np.square(b.center[..., other] - a.center[..., other])
    amount = np.clip(along / np.maximum(0.5 * width + noise_of(a), TINY), 0.0, 1.0)
    direction = np.clip(along, 0.0, None) / np.maximum(np.sqrt(np.square(along) + 0.5 * aside), TINY)
    return amount * direction


def distance(a: Extents, b: Extents) -> FloatArray:
    """Space between two things, and a little of the distance of their middles to tell those that touch apart."""
    axes = slice(None) if a.solid else slice(0, 2)
    return gap(a, b) + 0.05 * np.linalg.norm((a.center - b.center)[..., axes], axis=-1)
