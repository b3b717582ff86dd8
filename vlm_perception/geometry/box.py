"""Oriented boxes around points: gravity-aligned where "up" is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from vlm_perception.geometry.transforms import cross
from vlm_perception.types import FloatArray

_CLEARLY_LONGER = 1.15
_WORTH_SIFTING = 200  # points
_ROUNDING_MM2 = 0.1
_LINE = 1e-3  # a hull with less area for the square of its length is one
_HULL_POINTS = 1500
_FACETS = 40


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """Centre (3,), axes as columns (3, 3, right-handed) and lengths along them (3,)."""

    center_m: FloatArray
    R: FloatArray
    size_m: FloatArray


def oriented_boxes(xyz: FloatArray, parts: Sequence[slice], up: FloatArray | None) -> list[OrientedBox]:
    """The boxes around the points of several objects.

    With ``up``, z is up and the other two axes are those of the smallest rectangle around the points'
    footprint. Without it, one axis is the normal of that facet of the convex hull on which the smallest such
    box stands, as in Open3D's minimal oriented box; z is whichever axis is nearest to the image's "up".

    x runs along the longer horizontal side, or, where neither is clearly longer, along the one nearer to the
    camera's right, and points to the camera's right, so that it does not jump between frames.

    Args:
        xyz: (3, N) points of all objects, camera's optical frame.
        parts: each object's; at least one point each.
        up: (3,) any length, or None.
    """
    if up is not None:
        z = np.asarray(up, dtype=np.float64)
        z = z / math.sqrt(z @ z)
        return [_box_with(*standing, 2, z) for standing in _standing_boxes(xyz, parts, z)]
    boxes = []
    for part in parts:
        points = xyz[:, part]
        ((axes, low, high),) = _standing_boxes(points, [slice(None)], _smallest_base(points))
        upright = int(np.argmax(np.abs(axes[:, 1])))
        z = axes[upright]
        boxes.append(_box_with(axes, low, high, upright, -z if z[1] > 0 else z))
    return boxes


def _box_with(axes: FloatArray, low: FloatArray, high: FloatArray, upright: int, z: FloatArray) -> OrientedBox:
    """The box along the rows of ``axes``; the upright one is its ``z``, whose sign is chosen already."""
    center, size_m = (low + high) / 2 @ axes, high - low
    one, other = (axis for axis in range(3) if axis != upright)
    if max(size_m[one], size_m[other]) > _CLEARLY_LONGER * min(size_m[one], size_m[other]):
        across = one if size_m[one] >= size_m[other] else other
    else:
        across = one if abs(axes[one, 0]) >= abs(axes[other, 0]) else other
    x = -axes[across] if axes[across, 0] < 0 else axes[across]
    return OrientedBox(center, np.array((x, cross(z, x), z)).T, size_m[[across, one + other - across, upright]])


def _smallest_base(xyz: FloatArray) -> FloatArray:
    """Normal of the facet of the hull around (3, N) points that gives the box of least volume."""
    points = xyz[:, :: max(1, xyz.shape[1] // _HULL_POINTS)].T
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        # Flat, straight or a handful: the direction in which they vary least has no competitor.
        return np.asarray(np.linalg.eigh(np.cov(points.T))[1][:, 0])
    corners = points[hull.simplices]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    normals = hull.equations[:, :3]
    bases = normals[np.argsort(-areas)[:_FACETS]]
    hull_xyz = np.ascontiguousarray(points[hull.vertices].T)
    # No rectangle is smaller than the hull's shadow on it: bases are tried from the most promising one on, as long as
    # they can still win.
    shadows = np.abs(bases @ normals.T) @ areas / 2
    bounds = np.ptp(bases @ hull_xyz, axis=1) * shadows
    best, least = bases[0], np.inf
    for index in np.argsort(bounds):
        if bounds[index] >= least:
            break
        ((_, low, high),) = _standing_boxes(hull_xyz, [slice(None)], bases[index])
        volume = float(np.prod(high - low))
        if volume < least:
            best, least = bases[index], volume
    return best


def _standing_boxes(
    xyz: FloatArray, parts: Sequence[slice], normal: FloatArray
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """The smallest boxes around the points of objects that stand on a plane.

    Args:
        xyz: (3, N) points of all objects.
        parts: each object's.
        normal: (3,) unit, the plane's.

    Returns:
        For each (3, 3) axes as rows, the last one ``normal``, right-handed; (3,) lowest and highest coordinates along
        them.
    """
    helper = np.zeros(3)
    helper[int(np.argmin(np.abs(normal)))] = 1.0
    first = cross(normal, helper)
    first /= math.sqrt(first @ first)
    second = cross(normal, first)
    along = np.array((first, second, normal)) @ xyz
    # Millimetres: OpenCV's hull drops points that are within 1e-6 or so of one another.
    flat_mm = ((along[:2] - along[:2, :1]) * 1e3).astype(np.float32)
    boxes = []
    for part in parts:
        own_mm, own = flat_mm[:, part], along[:, part]
        outer = _outer(own_mm)
        turn = _tightest_turn(own_mm.take(outer, axis=1))
        cos, sin = math.cos(turn), math.sin(turn)
        footprint = np.array(((cos, sin), (-sin, cos))) @ own[:2].take(outer, axis=1)
        low = np.array((*footprint.min(axis=1), own[2].min()))
        high = np.array((*footprint.max(axis=1), own[2].max()))
        boxes.append((np.array((cos * first + sin * second, cos * second - sin * first, normal)), low, high))
    return boxes


def _tightest_turn(xy: NDArray[np.float32]) -> float:
    """By what angle the smallest rectangle around (2, N) points is turned, rad."""
    hull = cv2.convexHull(xy.T.copy())
    _, (width, height), angle_deg = cv2.minAreaRect(hull)
    if cv2.contourArea(hull) > _LINE * max(width, height) ** 2:
        return math.radians(angle_deg)
    # Points in a line: OpenCV may answer with any angle.
    # A side of the rectangle lies along an edge of the hull (Freeman & Shapira, "Determining the minimum-area encasing
    # rectangle for an arbitrary closed curve", 1975).
    x, y = hull[:, 0].T.astype(np.float64)
    angles = np.arctan2(np.roll(y, -1) - y, np.roll(x, -1) - x)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    areas = np.ptp(cos * x + sin * y, axis=1) * np.ptp(cos * y - sin * x, axis=1)
    return float(angles[np.argmin(areas)])


def _outer(xy: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of (2, N) points may be corners of their hull: those not within the quadrangle of the extreme four.

    The first step of Akl & Toussaint, "A fast convex hull algorithm", 1978. It leaves few to be sorted.
    """
    if xy.shape[1] < _WORTH_SIFTING:
        return np.arange(xy.shape[1])
    x, y = xy
    around = [x.argmax(), y.argmax(), x.argmin(), y.argmin()]
    corners_x, corners_y = x[around], y[around]
    out_x, out_y = corners_y[[1, 2, 3, 0]] - corners_y, corners_x - corners_x[[1, 2, 3, 0]]
    beyond = np.array((out_x, out_y)).T @ xy
    beyond -= (out_x * corners_x + out_y * corners_y)[:, None]
    return np.flatnonzero(beyond.max(axis=0) >= -_ROUNDING_MM2)
