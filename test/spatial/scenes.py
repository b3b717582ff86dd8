"""Table-top scenes made of boxes and bowls, seen by a tilted camera, with known truth.

World: x to the viewer's right, y away from the viewer, z up, metres; the table is z = 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.box import oriented_boxes
from vlm_perception.geometry.viewpoint import camera_viewpoint
from vlm_perception.types import ObjectGeometry, SceneObject, Viewpoint

WIDTH, HEIGHT, FOCAL = 640, 480, 580.0
_TILT = np.deg2rad(39.0)
_EYE = np.array([0.0, -0.9, 0.75])
# Rows: camera right, down, forward in the world.
R_CAMERA_WORLD = np.array(
    [[1.0, 0.0, 0.0], [0.0, -np.sin(_TILT), -np.cos(_TILT)], [0.0, np.cos(_TILT), -np.sin(_TILT)]]
)
UP_CAMERA = R_CAMERA_WORLD @ np.array([0.0, 0.0, 1.0])
IMAGE = (WIDTH, HEIGHT)


def view() -> Viewpoint:
    return camera_viewpoint(UP_CAMERA)


def to_camera(points_world: NDArray[np.float64]) -> NDArray[np.float64]:
    return (points_world - _EYE) @ R_CAMERA_WORLD.T


def _grid(a: Sequence[float], b: Sequence[float], n: int = 9) -> NDArray[np.float64]:
    u, v = np.meshgrid(np.linspace(*a, n), np.linspace(*b, n))
    return np.column_stack((u.ravel(), v.ravel()))


def block_points(x: float, y: float, z: float, w: float, d: float, h: float) -> NDArray[np.float64]:
    """What is seen of a solid block that stands at (x, y, z): its top and the side that faces the camera."""
    top = _grid((x - w / 2, x + w / 2), (y - d / 2, y + d / 2))
    front = _grid((x - w / 2, x + w / 2), (z, z + h))
    return np.vstack(
        (
            np.column_stack((top, np.full(len(top), z + h))),
            np.column_stack((front[:, 0], np.full(len(front), y - d / 2), front[:, 1])),
        )
    )


def tub_points(x: float, y: float, z: float, w: float, d: float, h: float) -> NDArray[np.float64]:
    """What is seen of an open container: its floor, its outer front and its inner back."""
    floor = _grid((x - w / 2, x + w / 2), (y - d / 4, y + d / 2))
    walls = _grid((x - w / 2, x + w / 2), (z, z + h))
    return np.vstack(
        (
            np.column_stack((floor, np.full(len(floor), z + 0.005))),
            np.column_stack((walls[:, 0], np.full(len(walls), y - d / 2), walls[:, 1])),
            np.column_stack((walls[:, 0], np.full(len(walls), y + d / 2), walls[:, 1])),
        )
    )


def thing(
    number: int,
    scores: str | Mapping[str, float],
    points_world: NDArray[np.float64],
    *,
    depth: bool = True,
    rgb: tuple[float, float, float] | None = None,
) -> SceneObject:
    """A detected thing; ``scores`` as a mapping, or phrases separated by commas that fired with 0.9."""
    if isinstance(scores, str):
        scores = {phrase.strip(): 0.9 for phrase in scores.split(",")}
    points = to_camera(points_world)
    uv = np.column_stack(
        (points[:, 0] / points[:, 2] * FOCAL + WIDTH / 2, points[:, 1] / points[:, 2] * FOCAL + HEIGHT / 2)
    )
    low, high = uv.min(axis=0), uv.max(axis=0)
    geometry = None
    if depth:
        (box,) = oriented_boxes(points.T, [slice(None)], UP_CAMERA)
        geometry = ObjectGeometry(
            points_m=points,
            pixels_uv=np.clip(uv, 0, [WIDTH - 1, HEIGHT - 1]).astype(np.int64),
            center_m=box.center_m,
            R_camera_object=box.R,
            size_m=box.size_m,
            covariance=np.eye(6) * 1e-6,
            surface_point_m=points[0],
            surface_centroid_m=points.mean(axis=0),
            valid_depth_fraction=1.0,
        )
    return SceneObject(
        number,
        (float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        dict(scores),
        next(iter(scores)),
        None,
        geometry,
        1.0 if depth else 0.0,
        rgb,
    )


def block(
    number: int,
    scores: str | Mapping[str, float],
    x: float,
    y: float,
    z: float = 0.0,
    size: Sequence[float] = (0.08, 0.08, 0.08),
    **kw: object,
) -> SceneObject:
    return thing(number, scores, block_points(x, y, z, *size), **kw)  # type: ignore[arg-type]


def bowl(
    number: int, scores: str | Mapping[str, float], x: float, y: float, z: float = 0.0, **kw: object
) -> SceneObject:
    return thing(number, scores, tub_points(x, y, z, 0.11, 0.11, 0.05), **kw)  # type: ignore[arg-type]


def plate(
    number: int, scores: str | Mapping[str, float], x: float, y: float, z: float = 0.0, **kw: object
) -> SceneObject:
    return thing(number, scores, tub_points(x, y, z, 0.18, 0.18, 0.02), **kw)  # type: ignore[arg-type]


def basket(
    number: int, scores: str | Mapping[str, float], x: float, y: float, z: float = 0.0, **kw: object
) -> SceneObject:
    return thing(number, scores, tub_points(x, y, z, 0.25, 0.25, 0.12), **kw)  # type: ignore[arg-type]
