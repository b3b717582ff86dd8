"""Scenes as a camera sees them: surfaces through a depth buffer, so that things hide one another, with noise on the depth.

World and camera are those of ``scenes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scenes import FOCAL, HEIGHT, UP_CAMERA, WIDTH, to_camera

from vlm_perception.geometry.box import oriented_boxes
from vlm_perception.types import ObjectGeometry, SceneObject

_STEP_PX = 2  # one ray in so many pixels
_STEP_M = 0.003

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Body:
    """A thing with its whole surface in the world, metres."""

    name: str
    scores: Mapping[str, float]
    surface: Points


def body(name: str, scores: str | Mapping[str, float], *surfaces: Points) -> Body:
    if isinstance(scores, str):
        scores = {phrase.strip(): 0.9 for phrase in scores.split(",")}
    return Body(name, scores, np.vstack(surfaces))


def _sheet(origin: Points, u: Points, v: Points) -> Points:
    n, m = (max(2, int(np.linalg.norm(side) / _STEP_M)) for side in (u, v))
    a, b = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m))
    return np.asarray(origin + a.reshape(-1, 1) * u + b.reshape(-1, 1) * v)


def solid(x: float, y: float, z: float, w: float, d: float, h: float, *, lid: bool = True) -> Points:
    """A box that stands at (x, y, z); without a lid, a tub with a thin floor."""
    o = np.array([x - w / 2, y - d / 2, z])
    X, Y, Z = np.diag([w, d, h])
    floor = o + (Z if lid else np.array([0.0, 0.0, 0.004]))
    return np.vstack((_sheet(o, X, Z), _sheet(o + Y, X, Z), _sheet(o, Y, Z), _sheet(o + X, Y, Z), _sheet(floor, X, Y)))


def round_bowl(x: float, y: float, z: float, radius: float = 0.055, height: float = 0.05) -> Points:
    t, angle = np.meshgrid(np.linspace(0, 1, 22), np.linspace(0, 2 * np.pi, 150))
    r = radius * (0.45 + 0.55 * np.sqrt(t))
    side = np.column_stack(
        ((x + r * np.cos(angle)).ravel(), (y + r * np.sin(angle)).ravel(), (z + 0.003 + height * t).ravel())
    )
    return np.vstack((side, dish(x, y, z, 0.45 * radius, 0.0)))


def dish(x: float, y: float, z: float, radius: float = 0.09, height: float = 0.015) -> Points:
    r, angle = np.meshgrid(np.linspace(0, radius, 40), np.linspace(0, 2 * np.pi, 200))
    rise = z + 0.004 + height * (r / radius) ** 4
    return np.column_stack(((x + r * np.cos(angle)).ravel(), (y + r * np.sin(angle)).ravel(), rise.ravel()))


def seen(bodies: Sequence[Body], *, noise_m: float = 0.0, depth: bool = True) -> tuple[list[str], list[SceneObject]]:
    """What is visible: names and objects with ids from 1; what is wholly hidden is left out."""
    rng = np.random.default_rng(0)
    width, height = WIDTH // _STEP_PX, HEIGHT // _STEP_PX
    nearest, owner = np.full((height, width), np.inf), np.full((height, width), -1)
    for k, item in enumerate(bodies):
        points = to_camera(item.surface)
        u = np.round((points[:, 0] / points[:, 2] * FOCAL + WIDTH / 2) / _STEP_PX).astype(int)
        v = np.round((points[:, 1] / points[:, 2] * FOCAL + HEIGHT / 2) / _STEP_PX).astype(int)
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        mine = np.full((height, width), np.inf)
        np.minimum.at(mine, (v[inside], u[inside]), points[inside, 2])
        owner[mine < nearest] = k
        nearest = np.minimum(nearest, mine)
    names, objects = [], []
    for k, item in enumerate(bodies):
        rows, columns = np.nonzero(owner == k)
        if len(rows) < 12:
            continue
        z = nearest[rows, columns] + noise_m * rng.standard_normal(len(rows))
        u, v = columns * _STEP_PX, rows * _STEP_PX
        points = np.column_stack(((u - WIDTH / 2) / FOCAL * z, (v - HEIGHT / 2) / FOCAL * z, z))
        (box,) = oriented_boxes(points.T, [slice(None)], UP_CAMERA)
        geometry = ObjectGeometry(
            points, np.column_stack((u, v)), box.center_m, box.R, box.size_m, np.eye(6) * 1e-6, points[0], points.mean(axis=0), 1.0
        )  # fmt: skip
        names.append(item.name)
        objects.append(
            SceneObject(
                len(objects) + 1,
                (float(u.min()), float(v.min()), float(u.max() + _STEP_PX), float(v.max() + _STEP_PX)),
                dict(item.scores),
                next(iter(item.scores)),
                geometry=geometry if depth else None,
                valid_depth_fraction=1.0 if depth else 0.0,
            )
        )
    return names, objects
