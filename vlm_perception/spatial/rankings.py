"""Orders: leftmost, nearest, largest, second from the left, in the middle."""

from __future__ import annotations

import numpy as np

from vlm_perception.spatial.layout import FORWARD, RIGHT, UP, Extents
from vlm_perception.spatial.measures import distance, extent
from vlm_perception.types import FloatArray


def rank_values(
    key: str, things: Extents, image: Extents, *, by_image: bool, anchor: Extents | None = None
) -> FloatArray:
    """What to sort by, smallest first.

    Args:
        key: as in ``Ranking.key``; an unknown one orders from left to right.
        things: (N,) in space, or in the image when there is no depth.
        image: (N,) the same things in the image.
        by_image: whether the viewer is the camera: then left, right, top and bottom are meant as seen in the image.
        anchor: for "distance", one thing.
    """
    if key == "distance" and anchor is not None:
        return distance(things.rows(), anchor.columns())[:, 0]
    center, size = things.center, things.size
    horizontal = image.center[:, RIGHT] if by_image else center[:, RIGHT]
    if key in {"left", "right"}:
        return horizontal if key == "left" else -horizontal
    if key in {"high", "low"}:
        height = _height(things, image, by_image=by_image)
        return -height if key == "high" else height
    if key in {"front", "back"}:
        return center[:, FORWARD] if key == "front" else -center[:, FORWARD]
    if key in {"near", "far"}:
        away = np.linalg.norm(center, axis=1) if things.solid else center[:, FORWARD]
        return away if key == "near" else -away
    if key == "middle":
        return _off_middle(things)
    lying = size[:, [RIGHT, FORWARD]] if things.solid else size[:, [RIGHT]]
    sides = np.sort(size if things.solid else size[:, :2], axis=1)
    values = {
        "large": -extent(things), "small": extent(things), "tall": -size[:, UP], "short": size[:, UP],
        "wide": -lying.max(axis=1), "narrow": lying.min(axis=1), "long": -sides[:, -1], "thin": sides[:, 0], "thick": -sides[:, 0],
    }  # fmt: skip
    return values.get(key, horizontal)


def _height(things: Extents, image: Extents, *, by_image: bool) -> FloatArray:
    """Height in space where things do stand at different heights; else, for the camera, height in the image."""
    if not things.solid:
        return image.center[:, UP]
    middle = (things.low[:, UP] + things.high[:, UP]) / 2.0
    spread = float(np.ptp(things.low[:, UP])) if len(things) else 0.0
    stacked = spread > 0.5 * float(np.median(things.size[:, UP])) if len(things) else False
    return middle if stacked or not by_image else image.center[:, UP]


def _off_middle(things: Extents) -> FloatArray:
    """Distance from the middle of the row that the things make, along the row."""
    axes = [RIGHT, UP, FORWARD] if things.solid else [RIGHT, UP]
    points = things.center[:, axes]
    if len(points) < 3:
        return np.linalg.norm(points - points.mean(axis=0), axis=1)
    spread = points - points.mean(axis=0)
    direction = np.linalg.svd(spread, full_matrices=False)[2][0]
    along = spread @ direction
    return np.abs(along - np.median(along)) + 1e-6 * np.linalg.norm(spread, axis=1)


def rank_margin(key: str, things: Extents, share: float) -> float:
    """Difference in ``rank_values`` that is too small to tell two things apart."""
    if not len(things):
        return 0.0
    typical = float(np.median(extent(things)))
    if key in {"large", "small", "tall", "short", "wide", "narrow", "long", "thin", "thick"}:
        return 0.5 * share * typical
    return share * typical
