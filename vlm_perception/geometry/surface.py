"""Which pixels of a mask show the object's surface: valid, not mixed with the background, not leaked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
from vlm_perception.types import BoolMask

_HISTOGRAM_BINS = 512


@dataclass(frozen=True)
class SurfaceSettings:
    """How pixels are chosen.

    Attributes:
        erode_px: the mask's rim that is not trusted; parts that are thinner than twice this keep theirs.
        mixed_step_m: a pixel whose depth lies this far from both the nearest and the farthest of its eight
            neighbours is a mixture of two surfaces (a "flying pixel"). Grows with the square of the distance
            beyond 1 m.
        mixed_step_px: and this many times a pixel's width: 8 is a surface seen at 7 degrees, more grazing
            than a depth camera measures one.
        gap_m: along the ray, an empty stretch this long separates two surfaces; grows likewise.
        min_cluster: of the surfaces so separated, those with a smaller share of the mask are dropped.
        max_gap_extents: and those that are farther off than this many times the object's own width.
    """

    erode_px: int = 1
    mixed_step_m: float = 0.02
    mixed_step_px: float = 8.0
    gap_m: float = 0.025
    min_cluster: float = 0.04
    max_gap_extents: float = 1.0


@dataclass(frozen=True, eq=False)
class Surface:
    """Pixels of one mask, all (h, w) over the crop that starts at ``origin_uv``.

    Attributes:
        visible: valid depth on the object: what the mean of the surface is taken over.
        core: ``visible`` without the mask's rim: what shape is taken from.
        mask_pixels: size of the whole mask.
        valid_pixels: those of the mask with valid depth.
    """

    visible: BoolMask
    core: BoolMask
    origin_uv: tuple[int, int]
    mask_pixels: int
    valid_pixels: int


def find_surface(
    mask: BoolMask,
    depth_m: NDArray[np.floating[Any]],
    focal_px: float,
    settings: SurfaceSettings,
) -> Surface:
    """Choose the pixels that geometry is taken from.

    Args:
        mask: (H, W) bool with at least one pixel set.
        depth_m: (H, W) metres.
        focal_px: to compare lengths across the ray with lengths along it.
        settings: limits.
    """
    u, v, width, height = cv2.boundingRect(mask.view(np.uint8))
    # One pixel more all around: neighbours outside the mask tell a mixed pixel.
    v0, v1 = max(v - 1, 0), min(v + height + 1, mask.shape[0])
    u0, u1 = max(u - 1, 0), min(u + width + 1, mask.shape[1])
    crop = np.ascontiguousarray(mask[v0:v1, u0:u1])
    depth = np.ascontiguousarray(depth_m[v0:v1, u0:u1], dtype=np.float32)
    valid = valid_depth(depth)
    seen = crop & valid
    valid_pixels = int(np.count_nonzero(seen))
    visible = seen
    if valid_pixels:
        visible = visible & ~_mixed(depth, valid, settings.mixed_step_m, settings.mixed_step_px / focal_px)
        visible = visible & _same_object(depth, visible, max(width, height) / focal_px, settings)
    core = visible & _without_rim(crop, settings.erode_px)
    return Surface(visible, core, (u0, v0), int(np.count_nonzero(crop)), valid_pixels)


def _without_rim(mask: BoolMask, erode_px: int) -> BoolMask:
    """The mask less its rim, except where it is so thin that nothing would be left.

    Parts that an opening removes (a handle, a spoon, a wire) are kept as they are.
    """
    if erode_px < 1:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erode_px + 1, 2 * erode_px + 1))
    rim = (erode_px,) * 4
    padded = cv2.copyMakeBorder(mask.view(np.uint8), *rim, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, kernel)
    thin = cv2.subtract(padded, cv2.dilate(eroded, kernel))
    # Corners vanish in an opening too, yet are no thin parts: those reach farther than the kernel does.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
    large = np.zeros(count, np.uint8)
    large[1:] = np.maximum(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]) > 2 * erode_px
    kept = cv2.max(eroded, large[labels])
    inner = slice(erode_px, -erode_px)
    return np.asarray(kept[inner, inner] > 0)


def _mixed(depth: NDArray[np.float32], valid: BoolMask, step_m: float, step_slope: float) -> BoolMask:
    """Pixels in between a nearer and a farther surface."""
    kernel = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(valid, depth, np.float32(1e6)), kernel)
    farthest = cv2.dilate(np.where(valid, depth, np.float32(-1e6)), kernel)
    step = np.maximum(np.float32(step_m) * np.maximum(depth, np.float32(1.0)) ** 2, step_slope * depth)
    with np.errstate(invalid="ignore"):
        return np.asarray((depth - nearest > step) & (farthest - depth > step))


def _same_object(
    depth: NDArray[np.float32], visible: BoolMask, extent_slope: float, settings: SurfaceSettings
) -> BoolMask:
    """Drop surfaces that lie apart along the ray: background that the mask leaked onto.

    An object may have several (the bars of a rack and what is between them), so a surface is dropped only
    when it is small or farther off than the object is wide.
    """
    values = depth[visible]
    if not values.size:
        return visible
    low, high = float(values.min()), float(values.max())
    gap = settings.gap_m * max(float(values.mean()), 1.0) ** 2
    if high - low <= gap:
        return visible
    bins = min(_HISTOGRAM_BINS, max(8, int(4 * (high - low) / gap)))
    scale = (bins - 1) / (high - low)
    counts = np.bincount(((values - low) * scale).astype(np.intp), minlength=bins)
    filled = np.flatnonzero(counts)
    breaks = np.flatnonzero(np.diff(filled) > gap * scale)
    starts, ends = filled[np.r_[0, breaks + 1]], filled[np.r_[breaks, len(filled) - 1]]
    if len(starts) == 1:
        return visible
    sizes = np.add.reduceat(counts, starts)
    main = int(np.argmax(sizes))
    main_depth = low + (starts[main] + ends[main]) / 2 / scale
    reach = settings.max_gap_extents * extent_slope * main_depth * scale
    kept = {main}
    for order in (range(main + 1, len(starts)), range(main - 1, -1, -1)):
        edge = ends[main] if order.step > 0 else starts[main]
        for index in order:
            distance = starts[index] - edge if order.step > 0 else edge - ends[index]
            if distance > reach:
                break
            if sizes[index] >= settings.min_cluster * values.size:
                kept.add(index)
                edge = ends[index] if order.step > 0 else starts[index]
    same = np.zeros_like(visible)
    for index in kept:
        first, last = low + (starts[index] - 0.5) / scale, low + (ends[index] + 1.5) / scale
        same |= (depth >= first) & (depth <= last)
    return same & visible
