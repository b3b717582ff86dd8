"""Two masks of one frame that claim the same pixels: depth tells whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
from vlm_perception.models.depth_planes import STEP_W
from vlm_perception.types import BoolMask

# Of a mask: of what claims more of it, it may be the same thing found twice.
_MAX_SHARE = 0.75
_MIN_PX = 12
# Of the rim between them: a mug on a plate hides what is behind it, and touches the plate before it.
_STEP_SHARE = 0.25
# Nor does a surface reach this ratio of depths within the rim that leans by less than 70 degrees.
_STEP_RATIO = 1.02
_REACH_PX = 2


def stand_apart(masks: Sequence[BoolMask], depth_m: NDArray[np.floating[Any]]) -> list[BoolMask]:
    """Take from each mask what stands before it and belongs to another's: the apple in the bowl.

    What is flush with it stays: a drawer is part of its cabinet.

    Args:
        masks: (H, W) each.
        depth_m: (H, W) registered to them.

    Returns:
        Masks in the order given; those that nothing was taken from are the same arrays.
    """
    out = list(masks)
    rects = [cv2.boundingRect(mask.view(np.uint8)) for mask in masks]
    sizes = [int(np.count_nonzero(mask)) for mask in masks]
    for back, front in permutations(range(len(masks)), 2):
        window = _common(rects[back], rects[front], masks[back].shape)
        if window is None:
            continue
        ours, theirs = masks[back][window], masks[front][window]
        shared = ours & theirs
        if not _MIN_PX <= np.count_nonzero(shared) <= _MAX_SHARE * sizes[back]:
            continue
        down_to_ours = _step_down(shared, ours & ~theirs, depth_m[window])
        if down_to_ours >= max(_STEP_SHARE, 2 * _step_down(shared, theirs & ~ours, depth_m[window])):
            if out[back] is masks[back]:
                out[back] = masks[back].copy()
            out[back][window] &= ~theirs
    return out


def _common(
    a: Sequence[int], b: Sequence[int], shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Where two (x, y, width, height) meet, and some pixels around it; None where they do not."""
    x0, y0 = max(a[0], b[0]), max(a[1], b[1])
    x1, y1 = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    if x1 <= x0 or y1 <= y0:
        return None
    more = 2 * _REACH_PX
    rows = slice(max(0, y0 - more), min(shape[0], y1 + more))
    return rows, slice(max(0, x0 - more), min(shape[1], x1 + more))


def _step_down(region: BoolMask, rest: BoolMask, depth_m: NDArray[np.floating[Any]]) -> float:
    """Which share of the rim between two regions is a step from the first down to the second; 0 without a rim."""
    valid = valid_depth(depth_m)
    w = np.zeros(depth_m.shape, np.float32)
    np.divide(1.0, depth_m, out=w, where=valid)
    # Depth is lost beside steps, so the rim is as wide as what is missing there.
    kernel = np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)
    nearest = cv2.dilate(np.where(region, w, 0).astype(np.float32), kernel)
    rim = rest & valid & (nearest > 0)
    if not rim.any():
        return 0.0
    return float(np.mean(nearest[rim] > np.maximum(w[rim] + STEP_W, w[rim] * _STEP_RATIO)))
