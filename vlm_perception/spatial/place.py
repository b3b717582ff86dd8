"""Where to put something down: a free spot on, in or beside a thing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from vlm_perception.spatial.layout import FORWARD, RIGHT, UP, hollow_share
from vlm_perception.spatial.narrowing import SERVES, Fit, Further, fit_of
from vlm_perception.types import FloatArray, ObjectGeometry, PlacePose, SceneObject, Viewpoint

_DEFAULT_SIZE_M: Final = 0.06
_GRID: Final = 9
_HEADROOM_M: Final = 0.15
_NOISE_M: Final = 0.01
_NEARBY_M: Final = 0.05
_LIFT_M: Final = 0.05  # "above" keeps off the surface
_SQUEEZE: Final = 1.1  # a thing seen a little larger than the opening may still go in
_LEAST_SUPPORT: Final = 0.3  # of the width of what is put down
_TWICE: Final = 0.6  # overlap from which two boxes are one thing
# Step from the thing to the spot beside it, in (right, forward).
_BESIDE: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "left_of": ((-1, 0),), "right_of": ((1, 0),), "in_front_of": ((0, -1),), "behind": ((0, 1),), "at_front_of": ((0, -1),),
    "at_back_of": ((0, 1),),
}  # fmt: skip
# Parts of a thing's own footprint, any of several, as shares of the reach along (right, forward).
_REGIONS: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "at_front_of": ((0.0, -0.75),), "at_back_of": ((0.0, 0.75),), "at_left_of": ((-0.75, 0.0),), "at_right_of": ((0.75, 0.0),),
    "at_center_of": ((0.0, 0.0),), "at_edge_of": ((0.0, -0.9), (-0.9, 0.0), (0.9, 0.0), (0.0, 0.9)),
    "at_corner_of": ((-0.9, -0.9), (0.9, -0.9), (-0.9, 0.9), (0.9, 0.9)),
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


# How far along a side a spot may be that serves further relations, metres.
_ASIDES: Final = (0.0, -0.04, 0.04, -0.08, 0.08, -0.12, 0.12)


def find_place(
    predicate: str,
    anchors: Sequence[SceneObject],
    obstacles: Sequence[SceneObject],
    moved: SceneObject | None,
    view: Viewpoint,
    clearance_m: float,
    further: Sequence[Further] = (),
) -> PlacePose | None:
    """Find a free spot.

    On and in a thing the spot is one of its own footprint, with the thing that is put there held inside ("in") or
    supported ("on"). "Under" is the ground below it; "between" the middle of two; the rest are spots beside it.

    Args:
        predicate: what the moved thing is to be to the anchor: "on", "in", "left_of", "next_to", ...
        anchors: the thing at the destination, for "between" two; must have geometry.
        obstacles: everything else that stays where it is.
        moved: what is to be put there, for its size; None: something 6 cm wide.
        view: axes; its up should be gravity's.
        clearance_m: room to leave around.
        further: more relations that the spot is to serve.

    Returns:
        The spot, or None when there is no room for it.
    """
    known = [anchor.geometry for anchor in anchors if anchor.geometry is not None]
    if not known:
        return None
    geometry = known[0]
    axes = np.column_stack((view.right, view.up, view.forward))
    boxes = [_block(g, axes) for g in known]
    blocks = [_block(o.geometry, axes) for o in obstacles if o.geometry is not None]
    blocks = [block for block in blocks if not any(_same(block, box) for box in boxes)]
    size = np.full(3, _DEFAULT_SIZE_M)
    if moved is not None and moved.geometry is not None:
        low, high, _ = _block(moved.geometry, axes)
        size = np.maximum(high - low, 0.01)
    fit = fit_of(further, size, view)
    if predicate == "between" and len(boxes) > 1:
        return _amid(boxes, axes, blocks, size, clearance_m)
    if predicate in {"under", "below"}:
        resting = [float(block.low[UP]) for block in blocks]
        if moved is not None and moved.geometry is not None:
            resting.append(float(_block(moved.geometry, axes).low[UP]))
        return _beneath(boxes[0], axes, blocks, size, min(resting, default=None))
    if predicate in _REGIONS and not (moved is not None and anchors[0] is moved):
        within = hollow_share(boxes[0].points.T, boxes[0].low, boxes[0].high) > 0.5
        return _upon(geometry, axes, blocks, size, within=within, toward=_REGIONS[predicate], fit=fit)
    if predicate in _BESIDE or predicate in {"next_to", "near", "around", "against", "touching", "far_from", "between"}:
        return _beside(predicate, geometry, axes, blocks, size, clearance_m, fit)
    return _upon(
        geometry,
        axes,
        blocks,
        size,
        within=predicate in {"in", "at"},
        lift_m=_LIFT_M if predicate == "above" else 0.0,
        fit=fit,
    )


class _Block(NamedTuple):
    """What a thing fills, along (right, up, forward)."""

    low: FloatArray
    high: FloatArray
    points: FloatArray


def _block(geometry: ObjectGeometry, axes: FloatArray) -> _Block:
    step = max(1, len(geometry.points_m) // 600)
    points = geometry.points_m[::step] @ axes
    return _Block(points.min(axis=0), points.max(axis=0), points)


def _same(a: _Block, b: _Block) -> bool:
    """Whether two boxes are one thing that was detected twice."""
    shared = np.prod(np.clip(np.minimum(a.high, b.high) - np.maximum(a.low, b.low), 0.0, None)[[RIGHT, FORWARD]])
    areas = [np.prod((high - low)[[RIGHT, FORWARD]]) for low, high, _ in (a, b)]
    return bool(shared > _TWICE * (areas[0] + areas[1] - shared)) and abs(float(a.high[UP] - b.high[UP])) < _NOISE_M


def _pose(spot: FloatArray, axes: FloatArray, room: FloatArray, clearance_m: float) -> PlacePose:
    """Right, forward and up of the viewer become x, y and z of the place."""
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2] = axes[:, RIGHT], axes[:, FORWARD], axes[:, UP]
    if np.linalg.det(T[:3, :3]) < 0:
        T[:3, 0] = -T[:3, 0]
    T[:3, 3] = axes @ spot
    return PlacePose(T, np.array([room[RIGHT], room[FORWARD], room[UP]]), float(clearance_m))


def _distance(low: FloatArray, high: FloatArray, blocks: Sequence[_Block], floor: float, ceiling: float) -> float:
    """Horizontal distance from a footprint to the nearest thing that stands between two heights; negative: overlap."""
    nearest = np.inf
    plane = [RIGHT, FORWARD]
    for block in blocks:
        if block.high[UP] <= floor + 0.01 or block.low[UP] >= ceiling:
            continue
        gaps = np.maximum(block.low - high, low - block.high)[plane]
        if gaps.max() > _NEARBY_M:
            nearest = min(nearest, float(np.linalg.norm(np.maximum(gaps, 0.0))))
            continue
        # Close by, the box is too coarse: a thing that stands askew leaves its corners free.
        between = (block.points[:, UP] > floor + 0.01) & (block.points[:, UP] < ceiling)
        spread = np.maximum(block.points - high, low - block.points)[between][:, plane]
        if len(spread):
            outside = np.linalg.norm(np.maximum(spread, 0.0), axis=1)
            nearest = min(nearest, float(np.where(spread.max(axis=1) > 0, outside, spread.max(axis=1)).min()))
    return nearest


def _upon(
    geometry: ObjectGeometry,
    axes: FloatArray,
    blocks: Sequence[_Block],
    size: FloatArray,
    *,
    within: bool,
    lift_m: float = 0.0,
    toward: tuple[tuple[float, float], ...] = ((0.0, 0.0),),
    fit: Fit | None = None,
) -> PlacePose | None:
    """On top of a thing, or in it: the spot of its footprint with the most room, the middle first."""
    points = geometry.points_m @ axes
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    if not _fits(size, half, within=within):
        return None
    # In a container all of the thing has to be inside; on a surface half of what reaches over the middle may overhang.
    reach_out = np.clip(half - (0.5 if within else 0.25) * size, 0.0, 0.8 * half)
    best: tuple[float, FloatArray, float] | None = None
    for u in np.linspace(-1.0, 1.0, _GRID):
        for v in np.linspace(-1.0, 1.0, _GRID):
            spot = middle.copy()
            spot[RIGHT] += u * reach_out[RIGHT]
            spot[FORWARD] += v * reach_out[FORWARD]
            reach = np.maximum(0.25 * half, 0.01)
            here = np.abs(points[:, [RIGHT, FORWARD]] - spot[[RIGHT, FORWARD]]) <= reach[[RIGHT, FORWARD]]
            heights = points[here.all(axis=1), UP]
            if len(heights) < 3:
                continue
            # In a container the floor is the lowest surface seen there; on top of a thing, the highest.
            spot[UP] = np.quantile(heights, 0.1 if within else 0.8)
            foot = np.minimum(size, 2.0 * half) / 2.0
            floor = float(low[UP] if within else spot[UP])
            room = _distance(spot - foot, spot + foot, blocks, floor, float(spot[UP]) + _HEADROOM_M)
            if room < -(_NOISE_M if within else max(_NOISE_M, 0.25 * float(min(foot[RIGHT], foot[FORWARD])))):
                continue
            serves = 1.0 if fit is None else fit(spot)
            if serves < SERVES:
                continue
            off = min(float(np.hypot(u - x, v - y)) for x, y in toward) if fit is None else 1.0 - serves
            value = min(room, 0.05) - 0.1 * off * float(half[[RIGHT, FORWARD]].max())
            if within:  # the floor rather than the rim, the open drawer rather than the top of its cabinet
                value += 0.5 * min(float(high[UP] - spot[UP]), 0.05)
                beneath = (np.abs(points - spot) <= foot)[:, [RIGHT, FORWARD]].all(axis=1)
                if beneath.any():
                    value -= 0.5 * min(float(np.quantile(points[beneath, UP], 0.9) - spot[UP]), 0.05)
            if best is None or value > best[0]:
                best = (value, spot, room)
    if best is None:
        return None
    _, spot, room = best
    spot[UP] += lift_m
    free = 2.0 * half
    free[UP] = max(high[UP] - spot[UP], 0.0) if within else size[UP]
    wall = float(np.min((half - np.abs(spot - middle))[[RIGHT, FORWARD]]))
    return _pose(spot, axes, free, min(max(room, 0.0), wall))


def _fits(size: FloatArray, half: FloatArray, *, within: bool) -> bool:
    """Whether a thing of some size goes into an opening, stood on end if need be, or finds support on a surface."""
    opening = np.sort(2.0 * half[[RIGHT, FORWARD]])
    if within:
        return bool((np.sort(size)[:2] <= _SQUEEZE * opening + _NOISE_M).all())
    return bool(opening[0] >= _LEAST_SUPPORT * float(np.sort(size[[RIGHT, FORWARD]])[0]))


def _beneath(
    box: _Block,
    axes: FloatArray,
    blocks: Sequence[_Block],
    size: FloatArray,
    ground: float | None,
) -> PlacePose | None:
    """On the ground below a thing, where there is height for it."""
    low, high = box.low, box.high
    if ground is None or low[UP] - ground < 0.8 * size[UP]:
        return None
    for right in (0.0, -0.25, 0.25, -0.5, 0.5):
        spot = (low + high) / 2.0
        spot[RIGHT] += right * (high - low)[RIGHT] / 2.0
        spot[UP] = ground
        room = _distance(spot - size / 2.0, spot + size / 2.0, blocks, ground, float(low[UP]))
        if room >= 0.0:
            free = (high - low).copy()
            free[UP] = low[UP] - ground
            return _pose(spot, axes, free, min(room, float(low[UP] - ground - size[UP]) if room == np.inf else room))
    return None


def _amid(
    boxes: Sequence[_Block],
    axes: FloatArray,
    blocks: Sequence[_Block],
    size: FloatArray,
    clearance_m: float,
) -> PlacePose | None:
    """Between two things: the middle of the space that separates them, or the free spot nearest to it on their line."""
    (low_a, high_a, _), (low_b, high_b, _) = boxes[0], boxes[1]
    start, end = (low_a + high_a) / 2.0, (low_b + high_b) / 2.0
    for t in (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7):
        spot = start + t * (end - start)
        spot[UP] = min(low_a[UP], low_b[UP])
        foot = size / 2.0
        around = [*blocks, *boxes]
        room = _distance(spot - foot, spot + foot, around, float(spot[UP]) - 0.02, float(spot[UP]) + _HEADROOM_M)
        if room >= clearance_m:
            return _pose(spot, axes, size + 2.0 * min(room, 0.05), room)
    return None


def _beside(
    predicate: str,
    geometry: ObjectGeometry,
    axes: FloatArray,
    blocks: Sequence[_Block],
    size: FloatArray,
    clearance_m: float,
    fit: Fit | None = None,
) -> PlacePose | None:
    """Beside a thing, at the height of its foot: the nearest spot on that side that is free."""
    points = geometry.points_m @ axes
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    near = 0.0 if predicate in {"touching", "against"} else clearance_m + 0.01
    steps = np.linspace(near, near + 0.12, 7) + (0.2 if predicate == "far_from" else 0.0)
    asides = (0.0,) if fit is None else _ASIDES
    for step, aside in product(steps, asides):
        for right, forward in _BESIDE.get(predicate, _ALL_ROUND):
            spot = middle.copy()
            spot[RIGHT] += right * (half[RIGHT] + size[RIGHT] / 2.0 + step) + (aside if right == 0 else 0.0)
            spot[FORWARD] += forward * (half[FORWARD] + size[FORWARD] / 2.0 + step) + (aside if forward == 0 else 0.0)
            spot[UP] = low[UP]
            if fit is not None and fit(spot) < SERVES:
                continue
            foot = size / 2.0
            room = _distance(spot - foot, spot + foot, blocks, float(spot[UP]) - 0.02, float(spot[UP]) + _HEADROOM_M)
            if room >= clearance_m:
                return _pose(spot, axes, size + 2.0 * min(room, 0.05), min(room, float(step) + 1e-9) if step else 0.0)
    return None
