"""Planes that depth shows around a box, and what of the box lies in them or just above.

Works in inverse depth ``w = 1 / z``, where a plane seen by a pinhole camera is linear in the pixel
coordinates, so no intrinsics are needed, and where the noise of stereo and structured light is the same at
every distance (Khoshelham & Elberink, "Accuracy and resolution of Kinect depth data", Sensors 2012:
sigma_z = 1.4e-3 z^2 to 3e-3 z^2, that is sigma_w = 1.4e-3 to 3e-3 per metre).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import BoolMask, FloatArray

# Two standard deviations of the noise above.
PLANE_TOLERANCE_W = 6e-3
# Two surfaces whose inverse depths differ by more than this between neighbours do not touch: 2 cm at 1 m,
# which a surface must lean by 85 degrees to reach in one pixel of a 60 degree, 640 pixel camera.
STEP_W = 2e-2
_HYPOTHESES = 120
_SAMPLES = 600
_MAX_PLANES = 3
_MIN_PLANE_SHARE = 0.1
# A smaller plane that lies mostly in the box is a face of the thing with something in line.
_MOST_INSIDE = 0.5
_MIN_HOLE_PX = 12
_HOLE_RIM_SHARE = 0.75
# A mean over so many pixels a side tells a plate from the table it lies on, which single pixels do not.
_RAISED_PX = 5
_RAISED_W = 1.5e-3
_RAISED_SIGMAS = 1.5
# Standard deviation over mean absolute deviation of a normal distribution.
_SIGMA_OF_MEAN = 1.25


@dataclass(frozen=True, eq=False)
class SeenPlane:
    """(h, w) masks over a crop.

    Attributes:
        pixels: in the plane, as far as single pixels tell.
        raised: those of them that lie above it on the mean of their neighbourhood.
    """

    pixels: BoolMask
    raised: BoolMask


def planes_around(w: NDArray[np.float32], valid: BoolMask, inside: BoolMask) -> list[SeenPlane]:
    """Each plane that holds a good share of what is around the box, and is connected to it; the largest first.

    Args:
        w: (h, w) inverse depth, 1/m.
        valid: (h, w) where there is depth.
        inside: (h, w) the box.
    """
    around = valid & ~inside
    v, u = np.nonzero(around)
    planes: list[SeenPlane] = []
    if len(v) < 3 * _MAX_PLANES:
        return planes
    rng = np.random.default_rng(0)
    grid_v, grid_u = np.indices(w.shape, dtype=np.float32)
    remaining = np.ones(len(v), dtype=np.bool_)
    for _ in range(_MAX_PLANES):
        left = np.flatnonzero(remaining)
        if len(left) < _MIN_PLANE_SHARE * len(v):
            break
        chosen = left[rng.integers(0, len(left), min(_SAMPLES, len(left)))]
        plane = _fit_plane(u[chosen], v[chosen], w[v[chosen], u[chosen]], rng)
        if plane is None:
            break
        a, b, c = plane.astype(np.float32)
        on_plane = valid & (np.abs(a * grid_u + b * grid_v + c - w) < PLANE_TOLERANCE_W)
        hit = on_plane[v, u] & remaining
        if np.count_nonzero(hit) < _MIN_PLANE_SHARE * len(v):
            break
        remaining &= ~on_plane[v, u]
        before = w - (a * grid_u + b * grid_v + c)
        connected = _connected_to(on_plane, around, most_inside=1.0 if not planes else _MOST_INSIDE)
        pixels = connected | _seen_through(on_plane & ~connected, valid & (before > STEP_W))
        planes.append(SeenPlane(pixels, _raised(pixels, before, around) & inside))
    return planes


def _fit_plane(
    u: NDArray[np.intp], v: NDArray[np.intp], w: NDArray[np.float32], rng: np.random.Generator
) -> FloatArray | None:
    """``a u + b v + c = w`` of the largest plane among samples (RANSAC, then least squares)."""
    rows = np.column_stack((u, v, np.ones(len(u)))).astype(np.float64)
    triples = rng.integers(0, len(u), (_HYPOTHESES, 3))
    systems = rows[triples]
    solvable = np.abs(np.linalg.det(systems)) > 1.0
    if not solvable.any():
        return None
    planes = np.linalg.solve(systems[solvable], w[triples[solvable]].astype(np.float64)[..., None])[..., 0]
    near = np.abs(rows @ planes.T - w[:, None]) < PLANE_TOLERANCE_W
    best = near[:, int(np.argmax(near.sum(axis=0)))]
    solution: FloatArray = np.linalg.lstsq(rows[best], w[best].astype(np.float64), rcond=None)[0]
    return solution


def _connected_to(pixels: BoolMask, around: BoolMask, most_inside: float) -> BoolMask:
    """The parts of ``pixels`` that reach into ``around`` by more than a few, and have no larger share elsewhere."""
    count, labels = cv2.connectedComponents(pixels.view(np.uint8), connectivity=4)
    reach = np.bincount(labels[around], minlength=count)
    reached = reach > np.maximum(0.01 * np.count_nonzero(around), (1 - most_inside) * np.bincount(labels.ravel()))
    reached[0] = False
    return np.asarray(reached[labels])


def _seen_through(pixels: BoolMask, nearer: BoolMask) -> BoolMask:
    """The parts of ``pixels`` that ``nearer`` ones surround: a table seen through the handle of a mug.

    The bottom of a bowl lies in the table's plane too, but the bowl rises from it without a step.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(pixels.view(np.uint8), connectivity=4)
    through = np.zeros_like(pixels)
    kernel = np.ones((5, 5), np.uint8)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] >= _MIN_HOLE_PX:
            part = labels == label
            rim = (cv2.dilate(part.view(np.uint8), kernel) > 0) & ~part
            if np.count_nonzero(rim & nearer) > _HOLE_RIM_SHARE * np.count_nonzero(rim):
                through |= part
    return through


def _raised(pixels: BoolMask, before: NDArray[np.float32], around: BoolMask) -> BoolMask:
    """Which pixels of a plane lie above it by more than its own noise, on the mean of their neighbourhood."""
    spread = np.abs(before[pixels & around])
    noise = _SIGMA_OF_MEAN * float(spread.mean()) if len(spread) else 0.0
    side = (_RAISED_PX, _RAISED_PX)
    total = cv2.blur(np.where(pixels, before, 0).astype(np.float32), side)
    count = cv2.blur(pixels.astype(np.float32), side)
    above = pixels & (total > max(_RAISED_W, _RAISED_SIGMAS * noise) * count)
    cleaned = cv2.morphologyEx(above.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # What noise left out in its midst would teach color that the thing is background.
    cleaned = cv2.morphologyEx(cleaned, cv2.MORPH_CLOSE, np.ones((2 * _RAISED_PX - 1, 2 * _RAISED_PX - 1), np.uint8))
    return np.asarray((cleaned > 0) & pixels)
