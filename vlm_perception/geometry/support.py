"""The plane that things stand on, found in a depth image, for "up" when no transform tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.camera import deproject
from vlm_perception.geometry.depth import valid_depth
from vlm_perception.types import CameraIntrinsics, FloatArray

_GLANCE = 5
_LEADING = 20


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """``normal @ point + offset_m == 0`` for points of the plane, in the camera's optical frame.

    Attributes:
        normal: (3,) unit length, to the side the camera is on: up.
        offset_m: the camera's height above the plane, positive.
        inlier_fraction: share of the sampled depth that lies on it.
    """

    normal: FloatArray
    offset_m: float
    inlier_fraction: float

    def height_m(self, points_m: FloatArray) -> FloatArray:
        """(N,) signed distances of (N, 3) points, positive above."""
        return np.asarray(points_m @ self.normal + self.offset_m)


@dataclass(frozen=True)
class SupportSettings:
    """Limits of the search.

    Attributes:
        samples: about how many pixels are looked at.
        hypotheses: planes tried.
        tolerance_m: how far a point of the plane may lie off it at 1 m; grows with the square of the
            distance, as a depth camera's error does.
        min_inlier_fraction: a smaller plane is none.
        max_tilt_deg: from ``up_hint``, where there is one.
        min_image_up: without a hint, the least component of the normal along the image's "up" or towards the
            camera's back. It keeps out side walls, and ceilings.
    """

    samples: int = 1500
    hypotheses: int = 200
    tolerance_m: float = 0.008
    min_inlier_fraction: float = 0.12
    max_tilt_deg: float = 20.0
    min_image_up: float = 0.25


def fit_support_plane(
    depth_m: NDArray[np.floating[Any]],
    camera: CameraIntrinsics,
    *,
    up_hint: FloatArray | None = None,
    settings: SupportSettings | None = None,
) -> SupportPlane | None:
    """The largest plane that things could stand on.

    RANSAC (Fischler & Bolles, 1981) over a pixel grid with a fixed seed, then least squares over the inliers.

    Without a hint a wall that fills the picture of a level camera cannot be told from a table seen straight
    from above; among planes of like size the one that faces the image's "up" wins.

    Args:
        depth_m: (H, W) metres; invalid values as in :mod:`vlm_perception.geometry.depth`.
        camera: intrinsics at that size.
        up_hint: (3,) roughly up in the optical frame; planes tilted away from it (walls) are refused.
        settings: limits.

    Returns:
        The plane, or None when none is large enough.
    """
    limits = settings if settings is not None else SupportSettings()
    points = _sample(depth_m, camera, limits.samples)
    if len(points) < 50:
        return None
    hint = None if up_hint is None else np.asarray(up_hint, dtype=np.float64) / np.linalg.norm(up_hint)
    tolerance = limits.tolerance_m * np.maximum(points[:, 2], 0.5) ** 2

    rng = np.random.default_rng(0)
    a, b, c = points[rng.integers(0, len(points), (3, limits.hypotheses))]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    keep = lengths > 1e-8
    normals = normals[keep] / lengths[keep, None]
    offsets = -np.einsum("ij,ij->i", normals, a[keep])
    flip = np.where(offsets < 0, -1.0, 1.0)
    normals, offsets = normals * flip[:, None], offsets * flip
    allowed = _could_support(normals, hint, limits)
    normals, offsets = normals[allowed], offsets[allowed]
    if not len(normals):
        return None
    preference = np.ones(len(normals)) if hint is not None else 0.6 - 0.4 * normals[:, 1]
    # A fifth of the points tells which planes can win.
    votes = _count_inliers(normals, offsets, points[::_GLANCE], tolerance[::_GLANCE]) * preference
    leading = np.argsort(-votes, kind="stable")[:_LEADING]
    votes = _count_inliers(normals[leading], offsets[leading], points, tolerance) * preference[leading]
    best = leading[int(np.argmax(votes))]

    normal, offset = normals[best], float(offsets[best])
    for _ in range(3):
        near = np.abs(points @ normal + offset) < tolerance
        if near.sum() < 10:
            return None
        normal, offset = _least_squares(points[near], tolerance[near])
    near = np.abs(points @ normal + offset) < tolerance
    fraction = float(near.mean())
    if fraction < limits.min_inlier_fraction or not _could_support(normal[None], hint, limits)[0]:
        return None
    return SupportPlane(normal, offset, fraction)


def _sample(depth_m: NDArray[np.floating[Any]], camera: CameraIntrinsics, samples: int) -> FloatArray:
    height, width = depth_m.shape
    step = max(1, round((height * width / samples) ** 0.5))
    v, u = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1)
    depth = depth_m[v, u]
    valid = valid_depth(depth)
    points = deproject(np.column_stack((u[valid], v[valid])), depth[valid], camera)
    return points[np.isfinite(points).all(axis=1)]


def _count_inliers(
    normals: FloatArray, offsets: FloatArray, points: FloatArray, tolerance: FloatArray
) -> NDArray[np.intp]:
    """How many of (N, 3) points lie on each of M planes.

    In single precision and without a matrix product: for four columns that would wait for its threads.
    """
    x, y, z = points.T.astype(np.float32)
    a, b, c = normals.T.astype(np.float32)[..., None]
    distance = a * x
    distance += b * y
    distance += c * z
    distance += offsets.astype(np.float32)[:, None]
    np.abs(distance, out=distance)
    return np.asarray(np.count_nonzero(distance < tolerance.astype(np.float32), axis=1))


def _could_support(normals: FloatArray, hint: FloatArray | None, limits: SupportSettings) -> NDArray[np.bool_]:
    """Which of (N, 3) normals, all on the camera's side, may be "up"."""
    if hint is not None:
        return np.asarray(normals @ hint > np.cos(np.deg2rad(limits.max_tilt_deg)))
    up, back = -normals[:, 1], -normals[:, 2]
    return np.asarray((up > -0.1) & (np.maximum(up, back) > limits.min_image_up) & (np.abs(normals[:, 0]) < 0.7))


def _least_squares(points: FloatArray, tolerance: FloatArray) -> tuple[FloatArray, float]:
    """Plane through points, each weighted by the inverse of its tolerance."""
    weights = (1.0 / tolerance)[:, None] ** 2
    middle = (points * weights).sum(axis=0) / weights.sum()
    centred = points - middle
    normal = np.linalg.eigh((centred * weights).T @ centred)[1][:, 0]
    offset = -float(normal @ middle)
    return (-normal, -offset) if offset < 0 else (normal, offset)
