"""Where to put something down: a free spot on, in or beside a thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vlm_perception.spatial.layout import FORWARD, RIGHT, UP
from vlm_perception.types import FloatArray, ObjectGeometry, PlacePose, SceneObject, Viewpoint

_DEFAULT_SIZE_M: Final = 0.06
_GRID: Final = 9
_HEADROOM_M: Final = 0.15
# Step from the thing to the spot beside it, in (right, forward).
_BESIDE: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "left_of": ((-1, 0),), "right_of": ((1, 0),), "in_front_of": ((0, -1),), "behind": ((0, 1),), "at_front_of": ((0, -1),),
    "at_back_of": ((0, 1),),
}  # fmt: skip
_ALL_ROUND: Final = (
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (0.7, -0.7),
    (-0.7, -0.7),
    (0.7, 0.7),
    (-0.7, 0.7),
)


def find_place(
    predicate: str,
    anchor: SceneObject,
    obstacles: Sequence[SceneObject],
    moved: SceneObject | None,
    view: Viewpoint,
    clearance_m: float,
) -> PlacePose | None:
    """Find a free spot.

    Args:
        predicate: what the moved thing is to be to the anchor: "on", "in", "left_of", "next_to", ...
        anchor: the thing at the destination; must have geometry.
        obstacles: everything else that stays where it is.
        moved: what is to be put there, for its size; None: something 6 cm wide.
        view: axes; its up should be gravity's.
        clearance_m: room to leave around.

    Returns:
        The spot, or None when there is no room for it.
    """
    geometry = anchor.geometry
    if geometry is None:
        return None
    axes = np.column_stack((view.right, view.up, view.forward))
    blocks = [_box(o.geometry, axes) for o in obstacles if o.geometry is not None]
    size = np.full(3, _DEFAULT_SIZE_M)
    if moved is not None and moved.geometry is not None:
        low, high = _box(moved.geometry, axes)
        size = np.maximum(high - low, 0.01)
    if predicate in _BESIDE or predicate in {"next_to", "near", "around", "against", "touching", "far_from", "between"}:
        return _beside(predicate, geometry, axes, blocks, size, clearance_m)
    return _upon(geometry, axes, blocks, size, within=predicate in {"in", "at"})


def _box(geometry: ObjectGeometry, axes: FloatArray) -> tuple[FloatArray, FloatArray]:
    step = max(1, len(geometry.points_m) // 1000)
    points = geometry.points_m[::step] @ axes
    return points.min(axis=0), points.max(axis=0)


def _pose(spot: FloatArray, axes: FloatArray, room: FloatArray, clearance_m: float) -> PlacePose:
    """Right, forward and up of the viewer become x, y and z of the place."""
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2] = axes[:, RIGHT], axes[:, FORWARD], axes[:, UP]
    if np.linalg.det(T[:3, :3]) < 0:
        T[:3, 0] = -T[:3, 0]
    T[:3, 3] = axes @ spot
    return PlacePose(T, np.array([room[RIGHT], room[FORWARD], room[UP]]), float(clearance_m))


def _distance(
    low: FloatArray, high: FloatArray, blocks: Sequence[tuple[FloatArray, FloatArray]], floor: float, ceiling: float
) -> float:
    """Horizontal distance from a footprint to the nearest thing that stands between two heights; negative: overlap."""
    nearest = np.inf
    for block_low, block_high in blocks:
        if block_high[UP] <= floor + 0.01 or block_low[UP] >= ceiling:
            continue
        gaps = np.maximum(block_low - high, low - block_high)[[RIGHT, FORWARD]]
        nearest = min(nearest, float(np.linalg.norm(np.maximum(gaps, 0.0))) if gaps.max() > 0 else float(gaps.max()))
    return nearest


def _upon(
    geometry: ObjectGeometry,
    axes: FloatArray,
    blocks: Sequence[tuple[FloatArray, FloatArray]],
    size: FloatArray,
    *,
    within: bool,
) -> PlacePose | None:
    """On top of a thing, or in it: the spot of its footprint with the most room, the middle first."""
    points = geometry.points_m @ axes
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    best: tuple[float, FloatArray, float] | None = None
    for u in np.linspace(-0.8, 0.8, _GRID):
        for v in np.linspace(-0.8, 0.8, _GRID):
            spot = middle.copy()
            spot[RIGHT] += u * half[RIGHT]
            spot[FORWARD] += v * half[FORWARD]
            reach = np.maximum(0.25 * half, 0.01)
            here = np.abs(points[:, [RIGHT, FORWARD]] - spot[[RIGHT, FORWARD]]) <= reach[[RIGHT, FORWARD]]
            heights = points[here.all(axis=1), UP]
            if len(heights) < 3:
                continue
            # In a container the floor is the lowest surface seen there; on top of a thing, the highest.
            spot[UP] = np.quantile(heights, 0.1 if within else 0.8)
            foot = np.minimum(size, 2.0 * half) / 2.0
            room = _distance(spot - foot, spot + foot, blocks, float(spot[UP]), float(spot[UP]) + _HEADROOM_M)
            if room < -0.25 * float(min(foot[RIGHT], foot[FORWARD])):
                continue
            value = min(room, 0.05) - 0.1 * float(np.hypot(u, v)) * float(half[[RIGHT, FORWARD]].max())
            if best is None or value > best[0]:
                best = (value, spot, room)
    if best is None:
        return None
    _, spot, room = best
    free = 2.0 * half
    free[UP] = max(high[UP] - spot[UP], 0.0) if within else size[UP]
    wall = float(np.min((half - np.abs(spot - middle))[[RIGHT, FORWARD]]))
    return _pose(spot, axes, free, min(max(room, 0.0), wall))


def _beside(
    predicate: str,
    geometry: ObjectGeometry,
    axes: FloatArray,
    blocks: Sequence[tuple[FloatArray, FloatArray]],
    size: FloatArray,
    clearance_m: float,
) -> PlacePose | None:
    """Beside a thing, at the height of its foot: the nearest spot on that side that is free."""
    points = geometry.points_m @ axes
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    near = 0.0 if predicate in {"touching", "against"} else clearance_m + 0.01
    steps = np.linspace(near, near + 0.12, 7) + (0.2 if predicate == "far_from" else 0.0)
    for step in steps:
        for right, forward in _BESIDE.get(predicate, _ALL_ROUND):
            spot = middle.copy()
            spot[RIGHT] += right * (half[RIGHT] + size[RIGHT] / 2.0 + step)
            spot[FORWARD] += forward * (half[FORWARD] + size[FORWARD] / 2.0 + step)
            spot[UP] = low[UP]
            foot = size / 2.0
            room = _distance(spot - foot, spot + foot, blocks, float(spot[UP]) - 0.02, float(spot[UP]) + _HEADROOM_M)
            if room >= clearance_m:
                return _pose(spot, axes, size + 2.0 * min(room, 0.05), min(room, float(step) + 1e-9) if step else 0.0)
    return None
