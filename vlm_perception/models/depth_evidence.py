"""What depth alone says of the pixels around a box: the thing, what it stands on or before, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
from vlm_perception.models.depth_planes import STEP_W, planes_around
from vlm_perception.types import BoolMask

_MIN_PART_SHARE = 0.02
_OUTSIDE_SHARE = 0.35
_FAR_SHARE = 0.15
_FULL_MARGIN_SHARE = 0.8
_DOUBTFUL_SHARE = 0.2
_MIN_FILL = 0.5
# Of the box: what spans as much needs no neighbour to be whole.
_WHOLE_FILL = 0.75


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

    def scaled(self, size_wh: tuple[int, int]) -> DepthEvidence:
        """The same at another width and height."""

        def resized(mask: BoolMask) -> BoolMask:
            return np.asarray(cv2.resize(mask.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0)

        return DepthEvidence(resized(self.thing), resized(self.background), resized(self.doubtful))


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
    planes = planes_around(w, valid, inside)
    everything = _union([p.pixels for p in planes]) if planes else np.zeros_like(valid)
    evidence = _judge_parts(w, valid, everything, inside)
    if len(planes) > 1 and _fill(evidence.thing, inside) < _MIN_FILL:
        # What is left spans too little of the box. A neighbour's face in line with the thing's own has taken
        # the rest along: hold only the largest plane for background, and leave the others to color.
        planes = planes[:1]
        evidence = _judge_parts(w, valid, planes[0].pixels, inside)
    if not planes:
        return evidence
    raised = _union([p.raised for p in planes]) & ~_union([p.pixels & ~p.raised for p in planes])
    doubtful = evidence.doubtful
    if _fill(evidence.thing, inside) < _MIN_FILL:
        # A plate, a pen: what little stands out from the table is all there is of it.
        doubtful = doubtful | raised
    return DepthEvidence(evidence.thing, evidence.background & ~raised, doubtful)


def _union(masks: list[BoolMask]) -> BoolMask:
    return reduce(np.bitwise_or, masks)


def _judge_parts(
    w: NDArray[np.float32], valid: BoolMask, background: BoolMask, inside: BoolMask
) -> DepthEvidence:
    parts, count = _parts(w, valid & ~background)
    total = np.bincount(parts.ravel(), minlength=count)
    within = np.bincount(parts[inside], minlength=count)
    box_pixels = np.count_nonzero(inside)
    straddles = within < (1 - _OUTSIDE_SHARE) * total
    straddles |= np.bincount(parts[_far_border(inside)], minlength=count) >= _far_px(inside)
    is_thing = ~straddles & (within >= _MIN_PART_SHARE * box_pixels)
    is_doubtful = straddles & (within >= _DOUBTFUL_SHARE * box_pixels)
    is_neighbour = straddles & ~is_doubtful
    is_thing[0] = is_doubtful[0] = is_neighbour[0] = False
    behind = is_thing & _behind_in_a_corner(w, parts, count, is_thing, inside)
    is_thing &= ~behind
    is_neighbour |= behind
    if is_doubtful.any() and _fill(is_thing[parts] & inside, inside) >= _WHOLE_FILL:
        # Its box is spanned without them: they stand before it.
        is_neighbour |= is_doubtful
        is_doubtful = np.zeros_like(is_doubtful)
    return DepthEvidence(
        thing=is_thing[parts] & inside,
        background=background | is_neighbour[parts],
        doubtful=is_doubtful[parts] & inside,
    )


def _far_border(inside: BoolMask) -> BoolMask:
    """The crop's outermost pixels, but for sides where the image ends sooner: a box may well stop short of that."""
    u, v, width, height = cv2.boundingRect(inside.view(np.uint8))
    border = np.zeros_like(inside)
    sides = border[0], border[-1], border[:, 0], border[:, -1]
    gaps = v, inside.shape[0] - v - height, u, inside.shape[1] - u - width
    for side, gap in zip(sides, gaps, strict=True):
        if gap > 0 and gap >= _FULL_MARGIN_SHARE * max(gaps):
            side[:] = True
    return border


def _far_px(inside: BoolMask) -> float:
    """How much of that border a surface takes that goes on beyond it, and is not noise."""
    _, _, width, height = cv2.boundingRect(inside.view(np.uint8))
    return max(3.0, _FAR_SHARE * min(width, height))


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
