"""Which pixels of a mask show the object's surface: valid, not mixed with the background, not leaked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
from vlm_perception.geometry.window import Window
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
    """The pixels of one mask that show its object.

    Attributes:
        uv: (2, N) pixels: what the mean of the surface is taken over.
        depth_m: (N,) float32 their depth.
        core: (N,) bool, those not of the mask's rim: what shape is taken from.
        mask_pixels: size of the whole mask.
        valid_pixels: those of the mask with valid depth.
    """

    uv: NDArray[np.int64]
    depth_m: NDArray[np.float32]
    core: BoolMask
    mask_pixels: int
    valid_pixels: int


def find_surface(
    mask: BoolMask,
    depth_m: NDArray[np.floating[Any]],
    focal_px: float,
    window: Window,
    settings: SurfaceSettings,
) -> Surface:
    """Choose the pixels that geometry is taken from.

    Args:
        mask: (H, W) bool.
        depth_m: (H, W) metres.
        focal_px: to compare lengths across the ray with lengths along it.
        window: the mask's, see :func:`vlm_perception.geometry.window.mask_window`.
        settings: limits.
    """
    rows, columns = window
    extent_px = max(rows.stop - rows.start, columns.stop - columns.start)
    # One pixel more all around: neighbours outside the mask tell a mixed pixel.
    v0, u0 = max(rows.start - 1, 0), max(columns.start - 1, 0)
    around = slice(v0, rows.stop + 1), slice(u0, columns.stop + 1)
    crop = np.ascontiguousarray(mask[around])
    depth = np.ascontiguousarray(depth_m[around], dtype=np.float32)
    valid = valid_depth(depth)
    visible = np.flatnonzero(crop & valid)
    valid_pixels = len(visible)
    if valid_pixels:
        mixed = _mixed(visible, depth, valid, settings.mixed_step_m, settings.mixed_step_px / focal_px)
        visible = visible[~mixed]
    values = depth.ravel()[visible]
    if values.size:
        same = _same_object(values, extent_px / focal_px, settings)
        if not same.all():
            visible, values = visible[same], values[same]
    core = _without_rim(crop, settings.erode_px).ravel()[visible]
    uv = np.empty((2, len(visible)), dtype=np.int64)
    np.divmod(visible, crop.shape[1], out=(uv[1], uv[0]))
    uv += ((u0,), (v0,))
    return Surface(uv, values, core, int(np.count_nonzero(crop)), valid_pixels)


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
    count, labels = cv2.connectedComponents(thin, connectivity=8)
    if np.bincount(labels.ravel())[1:].max(initial=0) > 2 * erode_px:  # else none has the pixels to reach so far
        _, _, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
        large = np.zeros(count, np.uint8)
        large[1:] = np.maximum(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]) > 2 * erode_px
        eroded = cv2.max(eroded, large[labels])
    inner = slice(erode_px, -erode_px)
    return eroded[inner, inner].view(np.bool_)


def _mixed(
    pixels: NDArray[np.intp], depth: NDArray[np.float32], valid: BoolMask, step_m: float, step_slope: float
) -> BoolMask:
    """Which of some flat indices are pixels in between a nearer and a farther surface."""
    kernel = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(valid, depth, np.float32(1e6)), kernel).ravel()[pixels]
    farthest = cv2.dilate(np.where(valid, depth, np.float32(-1e6)), kernel).ravel()[pixels]
    mixed = farthest - nearest > 2 * step_m
    # That is a few pixels, mostly along the outline; between two of *their* steps are fewer.
    few = np.flatnonzero(mixed)
    here = depth.ravel()[pixels[few]]
    step = np.maximum(step_m * np.maximum(here, 1.0) ** 2, step_slope * here)
    mixed[few] = (here - nearest[few] > step) & (farthest[few] - here > step)
    return mixed


def _same_object(values: NDArray[np.float32], extent_slope: float, settings: SurfaceSettings) -> BoolMask:
    """Which of some depths are not of surfaces that lie apart along the ray: background that the mask leaked onto.

    An object may have several (the bars of a rack and what is between them), so a surface is dropped only
    when it is small or farther off than the object is wide.
    """
    everything = np.ones(values.shape, dtype=np.bool_)
    low, high = float(values.min()), float(values.max())
    gap = settings.gap_m * max(float(values.sum()) / values.size, 1.0) ** 2
    if high - low <= gap:
        return everything
    bins = min(_HISTOGRAM_BINS, max(8, int(4 * (high - low) / gap)))
    scale = (bins - 1) / (high - low)
    counts = np.bincount(((values - low) * scale).astype(np.intp), minlength=bins)
    filled = np.flatnonzero(counts)
    breaks = np.flatnonzero(filled[1:] - filled[:-1] > gap * scale)
    if not len(breaks):
        return everything
    starts, ends = filled[np.r_[0, breaks + 1]], filled[np.r_[breaks, len(filled) - 1]]
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
    same = ~everything
    for index in kept:
        first, last = low + (starts[index] - 0.5) / scale, low + (ends[index] + 1.5) / scale
        same |= (values >= first) & (values <= last)
    return same
