"""What depth alone says of the pixels around a box: the thing, what it stands on or before, or nothing.

Works in inverse depth ``w = 1 / z``, where a plane seen by a pinhole camera is linear in the pixel
coordinates, so no intrinsics are needed, and where the noise of stereo and structured light is the same at
every distance (Khoshelham & Elberink, "Accuracy and resolution of Kinect depth data", Sensors 2012:
sigma_z = 1.4e-3 z^2 to 3e-3 z^2, that is sigma_w = 1.4e-3 to 3e-3 per metre).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
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
_MIN_PART_SHARE = 0.02
_OUTSIDE_SHARE = 0.35
_DOUBTFUL_SHARE = 0.2
_MIN_FILL = 0.5
_MIN_HOLE_PX = 12
_HOLE_RIM_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class DepthEvidence:
    """(h, w) masks over a crop; a pixel in none has no depth, or none that decides.

    Attributes:
        thing: stands before what is around the box, and inside it.
        background: continues a surface that is seen around the box.
        doubtful: inside the box, of a surface that goes on outside: the thing or a neighbour that it touches.
    """

    thing: BoolMask
    background: BoolMask
    doubtful: BoolMask


def depth_evidence(depth_m: NDArray[np.floating[Any]], inside: BoolMask) -> DepthEvidence:
    """Tell a boxed thing from what is around it.

    Planes that are seen around the box are background, and so is what continues them into it: a table, a
    shelf, the floor of a tray, a wall. What is left falls into parts at depth steps; a part that lies for the
    most part outside the box is a neighbour, the others are the thing.

    Args:
        depth_m: (h, w) crop that reaches beyond the box on all sides (where the image does).
        inside: (h, w) the box.
    """
    valid = valid_depth(depth_m)
    w = np.zeros(depth_m.shape, np.float32)
    np.divide(1.0, depth_m, out=w, where=valid)
    planes = _planes_around(w, valid, inside)
    everything = np.any(planes, axis=0) if planes else np.zeros_like(valid)
    evidence = _judge_parts(w, valid, everything, inside)
    if len(planes) > 1 and _fill(evidence.thing, inside) < _MIN_FILL:
        # What is left spans too little of the box. A neighbour's face in line with the thing's own has taken
        # the rest along: hold only the largest plane for background, and leave the others to color.
        evidence = _judge_parts(w, valid, planes[0], inside)
    return evidence


def _judge_parts(
    w: NDArray[np.float32], valid: BoolMask, background: BoolMask, inside: BoolMask
) -> DepthEvidence:
    parts, count = _parts(w, valid & ~background)
    total = np.bincount(parts.ravel(), minlength=count)
    within = np.bincount(parts[inside], minlength=count)
    box_pixels = np.count_nonzero(inside)
    straddles = within < (1 - _OUTSIDE_SHARE) * total
    is_thing = ~straddles & (within >= _MIN_PART_SHARE * box_pixels)
    is_doubtful = straddles & (within >= _DOUBTFUL_SHARE * box_pixels)
    is_neighbour = straddles & ~is_doubtful
    is_thing[0] = is_doubtful[0] = is_neighbour[0] = False
    behind = is_thing & _behind_in_a_corner(w, parts, count, is_thing, inside)
    is_thing &= ~behind
    is_neighbour |= behind
    return DepthEvidence(
        thing=is_thing[parts] & inside,
        background=background | is_neighbour[parts],
        doubtful=is_doubtful[parts] & inside,
    )


def _behind_in_a_corner(
    w: NDArray[np.float32], parts: NDArray[np.int32], count: int, is_thing: BoolMask, inside: BoolMask
) -> BoolMask:
    """Which parts lie behind the main one and fill a corner of the box.

    That is what is seen past a round or slanted thing where nothing around the box tells of it: the floor of a
    bin whose rim has no depth. The main part is the one that has most pixels about the middle of the box.
    """
    u, v, width, height = cv2.boundingRect(inside.view(np.uint8))
    box = np.s_[v : v + height, u : u + width]
    across = 1 - np.abs(np.linspace(-1, 1, width))
    down = 1 - np.abs(np.linspace(-1, 1, height))
    weight = np.where(is_thing[parts[box]], down[:, None] * across[None, :], 0.0)
    central = np.bincount(parts[box].ravel(), weights=weight.ravel(), minlength=count)
    pixels = np.maximum(np.bincount(parts.ravel(), minlength=count), 1)
    mean_w = np.bincount(parts.ravel(), weights=w.ravel(), minlength=count) / pixels
    reach = max(2, min(width, height) // 12)
    columns = (np.arange(width) < reach) | (np.arange(width) >= width - reach)
    rows = (np.arange(height) < reach) | (np.arange(height) >= height - reach)
    in_corner = np.zeros(count, dtype=np.bool_)
    in_corner[np.unique(parts[box][rows][:, columns])] = True
    return np.asarray(in_corner & (mean_w < mean_w[int(np.argmax(central))] - STEP_W))


def _fill(thing: BoolMask, inside: BoolMask) -> float:
    """Share of the box that the thing's own bounding box takes."""
    _, _, width, height = cv2.boundingRect(thing.view(np.uint8))
    return float(width * height / max(1, int(np.count_nonzero(inside))))


def _planes_around(w: NDArray[np.float32], valid: BoolMask, inside: BoolMask) -> list[BoolMask]:
    """Pixels of each plane that holds a good share of what is around the box, and is connected to it."""
    around = valid & ~inside
    v, u = np.nonzero(around)
    planes: list[BoolMask] = []
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
        connected = _connected_to(on_plane, around)
        planes.append(connected | _seen_through(on_plane & ~connected, valid & (before > STEP_W)))
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


def _connected_to(pixels: BoolMask, around: BoolMask) -> BoolMask:
    """The parts of ``pixels`` that reach into ``around`` by more than a few pixels."""
    count, labels = cv2.connectedComponents(pixels.view(np.uint8), connectivity=4)
    reach = np.bincount(labels[around], minlength=count)
    reached = reach > 0.01 * np.count_nonzero(around)
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


def _parts(w: NDArray[np.float32], pixels: BoolMask) -> tuple[NDArray[np.int32], int]:
    """Label pixels by surface: neighbours without a depth step between them are of one part."""
    kernel = np.ones((2, 2), np.uint8)
    step = cv2.dilate(w, kernel) - cv2.erode(w, kernel) > STEP_W
    solid = (pixels & ~step).astype(np.uint8)
    count, labels = cv2.connectedComponents(solid, connectivity=4)
    # Pixels at a step belong to whichever labelled neighbour is there.
    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
    labels = np.where((labels == 0) & pixels, grown, labels)
    return labels, count
