"""Whether two detections look like the same kind of thing twice, or like a thing and its look-alike."""

from __future__ import annotations

import colorsys
from typing import Final

import numpy as np

from vlm_perception.types import SceneObject

_SIZE_RATIO: Final = 1.5
_COLOR_DISTANCE: Final = 0.25


def look_alike(a: SceneObject, b: SceneObject) -> bool:
    """Whether nothing that was measured tells two things apart.

    Two of the same kind agree in size (up to occlusion) and color (up to shading); where neither is known they may.
    """
    return _similar_size(a, b) and _similar_color(a, b)


def _similar_size(a: SceneObject, b: SceneObject) -> bool:
    if a.geometry is None or b.geometry is None:
        return True
    first, second = (float(np.sort(o.geometry.size_m)[-1]) for o in (a, b) if o.geometry is not None)
    return max(first, second) <= _SIZE_RATIO * max(min(first, second), 1e-6)


def _similar_color(a: SceneObject, b: SceneObject) -> bool:
    if a.mean_rgb is None or b.mean_rgb is None:
        return True
    return float(np.linalg.norm(_cone(a.mean_rgb) - _cone(b.mean_rgb))) <= _COLOR_DISTANCE


def _cone(rgb: tuple[float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A color as a point of the HSV cone, brightness at half weight: shading changes it, paint changes the rest."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255.0 for channel in rgb))
    chroma = saturation * value
    return np.array([chroma * np.cos(2 * np.pi * hue), chroma * np.sin(2 * np.pi * hue), 0.5 * value])
