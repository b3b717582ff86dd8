"""How much a box loses when it is written in a model's coordinates: measured on the codecs themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from vlm_perception.models import codecs
from vlm_perception.types import BoxXyxy, FloatArray

_Size = tuple[int, int]


def _shikra(box: BoxXyxy, size: _Size) -> BoxXyxy:
    return codecs.fraction_to_pixels([round(value, 3) for value in codecs.pixels_to_fraction(box, size)], size)


def _resized(box: BoxXyxy, size: _Size) -> BoxXyxy:
    resized = codecs.qwen_resized(size, factor=28, min_pixels=56 * 56, max_pixels=1280 * 28 * 28)
    return codecs.resized_to_pixels(codecs.pixels_to_resized(box, size, resized), size, resized)


# There and back again: pixels -> the model's own numbers -> pixels.
WRITINGS: Final[Mapping[str, Callable[[BoxXyxy, _Size], BoxXyxy]]] = {
    "Kosmos-2, 32 x 32 cells": lambda b, s: codecs.kosmos_to_pixels(*codecs.pixels_to_kosmos(b, s), s),
    "PaliGemma, 1024 bins": lambda b, s: codecs.paligemma_to_pixels(codecs.pixels_to_paligemma(b, s), s),
    "Florence-2, 1000 bins": lambda b, s: codecs.florence_to_pixels(codecs.pixels_to_florence(b, s), s),
    "Qwen3-VL, InternVL, Molmo 2, per mille": lambda b, s: codecs.per_mille_to_pixels(
        codecs.pixels_to_per_mille(b, s), s
    ),
    "Shikra, three decimals": _shikra,
    "Qwen2.5-VL, resized pixels": _resized,
}


def random_boxes(size: _Size, count: int, *, seed: int = 0) -> FloatArray:
    """(N, 4) boxes of 10 pixels and more inside an image of ``(width, height)``."""
    rng = np.random.default_rng(seed)
    limits = np.array(size, dtype=float)
    sides = rng.uniform(10.0, limits * 0.5, (count, 2))
    corners = rng.uniform(0.0, 1.0, (count, 2)) * (limits - sides)
    return np.concatenate([corners, corners + sides], axis=1)


def edge_errors(writing: str, size: _Size, count: int = 500, *, seed: int = 0) -> FloatArray:
    """How far each edge of random boxes moves, in pixels.

    Args:
        writing: a key of :data:`WRITINGS`.
        size: ``(width, height)`` of the original image.
        count: boxes.
        seed: of the boxes.

    Returns:
        (4 * count,), read minus written.
    """
    boxes = random_boxes(size, count, seed=seed)
    there_and_back = WRITINGS[writing]
    back = [there_and_back((float(a), float(b), float(c), float(d)), size) for a, b, c, d in boxes]
    errors: FloatArray = (np.array(back) - boxes).ravel()
    return errors
