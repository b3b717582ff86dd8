"""Oriented boxes around points: gravity-aligned where "up" is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import ConvexHull, QhullError

from vlm_perception.types import FloatArray

_CLEARLY_LONGER = 1.15
_FOOTPRINT_POINTS = 4000
_HULL_POINTS = 1500
_FACETS = 40


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """Centre (3,), axes as columns (3, 3, right-handed) and lengths along them (3,)."""

    center_m: FloatArray
    R: FloatArray
    size_m: FloatArray


def oriented_box(points_m: FloatArray, up: FloatArray | None) -> OrientedBox:
    """The box around points.

    With ``up``, z is up and the other two axes are those of the smallest rectangle around the points'
    footprint. Without it, one axis is the normal of that facet of the convex hull on which the smallest such
    box stands, as in Open3D's minimal oriented box; z is whichever axis is nearest to the image's "up".

    x runs along the longer horizontal side, or, where neither is clearly longer, along the one nearer to the
    camera's right, and points to the camera's right, so that it does not jump between frames.

    Args:
        points_m: (N, 3), N >= 1, camera's optical frame.
        up: (3,) any length, or None.
    """
    if up is not None:
        z = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
        x, y = _footprint_axes(points_m, z)
    else:
        base = _smallest_base(points_m)
        axes = np.column_stack((base, *_footprint_axes(points_m, base)))
        upright = int(np.argmax(np.abs(axes[1])))
        z = axes[:, upright] * (-1.0 if axes[1, upright] > 0 else 1.0)
        x, y = (axes[:, i] for i in range(3) if i != upright)
    x = _choose_x(points_m, x, y)
    R = np.column_stack((x, _cross(z, x), z))
    along = R.T @ points_m.T
    low, high = along.min(axis=1), along.max(axis=1)
    return OrientedBox(R @ ((low + high) / 2), R, high - low)


def _smallest_base(points_m: FloatArray) -> FloatArray:
    """Normal of the hull facet that gives the box of least volume."""
    points = points_m[:: max(1, len(points_m) // _HULL_POINTS)]
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        # Flat, straight or a handful: the direction in which they vary least has no competitor.
        return np.asarray(np.linalg.eigh(np.cov(points.T))[1][:, 0])
    corners = points[hull.simplices]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    normals = hull.equations[np.argsort(-areas)[:_FACETS], :3]
    hull_points = points[hull.vertices]
    return np.asarray(min(normals, key=lambda normal: _volume(hull_points, normal)))


def _volume(points_m: FloatArray, normal: FloatArray) -> float:
    first, second = _footprint_axes(points_m, normal)
    return float(np.prod(np.ptp(np.column_stack((first, second, normal)).T @ points_m.T, axis=1)))


def _footprint_axes(points_m: FloatArray, normal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors, normal to ``normal`` and each other: sides of the smallest rectangle."""
    helper = np.zeros(3)
    helper[int(np.argmin(np.abs(normal)))] = 1.0
    first = _cross(normal, helper)
    first /= np.sqrt(first @ first)
    second = _cross(normal, first)
    every = max(1, len(points_m) // _FOOTPRINT_POINTS)
    flat = (points_m[::every] - points_m[0]) @ np.column_stack((first, second))
    # Millimetres: OpenCV's hull drops points that are within 1e-6 or so of one another.
    _, _, angle_deg = cv2.minAreaRect((flat * 1e3).astype(np.float32))
    angle = math.radians(angle_deg)
    one = math.cos(angle) * first + math.sin(angle) * second
    return one, _cross(normal, one)


def _choose_x(points_m: FloatArray, one: FloatArray, other: FloatArray) -> FloatArray:
    lengths = [float(along.max() - along.min()) for along in (points_m @ one, points_m @ other)]
    if max(lengths) > _CLEARLY_LONGER * min(lengths):
        x = one if lengths[0] >= lengths[1] else other
    else:
        x = one if abs(one[0]) >= abs(other[0]) else other
    return -x if x[0] < 0 else x


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of two (3,) vectors; NumPy's own takes ten times as long to sort out its axes."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], dtype=np.float64)
