"""Which pixels of a mask show the object's surface: valid, not mixed with the background, not leaked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.depth import valid_depth
from vlm_perception.geometry.stack import WindowStack, stack_windows
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
class Surfaces:
    """The pixels of M masks that show their objects, mask after mask.

    Attributes:
        uv: (2, N) pixels: what the mean of a surface is taken over.
        depth_m: (N,) float32 their depth.
        core: (N,) bool, those not of a mask's rim: what shape is taken from.
        counts: (M,) how many of N each mask has; may be 0.
        mask_pixels: (M,) size of each whole mask.
        valid_pixels: (M,) those of it with valid depth.
    """

    uv: NDArray[np.int64]
    depth_m: NDArray[np.float32]
    core: BoolMask
    counts: NDArray[np.intp]
    mask_pixels: NDArray[np.intp]
    valid_pixels: NDArray[np.intp]

    def keep(self, which: BoolMask) -> Surfaces:
        """Those of the (N,) pixels."""
        if which.all():
            return self
        counts = np.array([part.sum() for part in np.split(which, self.counts.cumsum()[:-1])], dtype=np.intp)
        return replace(
            self, uv=self.uv[:, which], depth_m=self.depth_m[which], core=self.core[which], counts=counts
        )

    def take(self, which: BoolMask) -> Surfaces:
        """Those of the (M,) masks."""
        if which.all():
            return self
        kept = self.keep(which.repeat(self.counts))
        return replace(
            kept,
            counts=kept.counts[which],
            mask_pixels=self.mask_pixels[which],
            valid_pixels=self.valid_pixels[which],
        )


def find_surfaces(
    masks: Sequence[BoolMask],
    windows: Sequence[Window],
    depth_m: NDArray[np.floating[Any]],
    focal_px: float,
    settings: SurfaceSettings,
) -> Surfaces:
    """Choose the pixels that geometry is taken from.

    Args:
        masks: (H, W) bool each, at least one.
        windows: each mask's, see :func:`vlm_perception.geometry.window.mask_window`.
        depth_m: (H, W) metres.
        focal_px: to compare lengths across the ray with lengths along it.
        settings: limits.
    """
    # One pixel more all around: neighbours outside the mask tell a mixed pixel.
    stacks = stack_windows(masks, windows, depth_m, margin_px=max(1, settings.erode_px))
    found = [_of_stack(stack, focal_px, settings) for stack in stacks]
    if len(found) == 1:
        return found[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in found], axis=-1) for name in Surfaces.__dataclass_fields__
    }
    return Surfaces(**joined)


def _of_stack(stack: WindowStack, focal_px: float, settings: SurfaceSettings) -> Surfaces:
    mask, depth = stack.mask, stack.depth_m
    valid = valid_depth(depth)
    mask_pixels = stack.counts(np.flatnonzero(mask))
    visible = np.flatnonzero(mask & valid)
    valid_pixels = stack.counts(visible)
    if len(visible):
        mixed = _mixed(visible, depth, valid, settings.mixed_step_m, settings.mixed_step_px / focal_px)
        visible = visible[~mixed]
    values, counts = depth.ravel()[visible], stack.counts(visible)
    same = np.ones(values.shape, dtype=np.bool_)
    stop = 0
    for count, size_uv in zip(counts.tolist(), stack.sizes_uv.tolist(), strict=True):
        start, stop = stop, stop + count
        if count:
            _drop_leaked(same[start:stop], values[start:stop], max(size_uv) / focal_px, settings)
    if not same.all():
        visible, values = visible[same], values[same]
        counts = stack.counts(visible)
    core = _without_rim(mask, settings.erode_px).ravel()[visible]
    return Surfaces(stack.in_frame(visible, counts), values, core, counts, mask_pixels, valid_pixels)


def _without_rim(mask: BoolMask, erode_px: int) -> BoolMask:
    """A mask less its rim, except where it is so thin that nothing would be left.

    Parts that an opening removes (a handle, a spoon, a wire) are kept as they are. There is nothing of it within
    ``erode_px`` of the image's border.
    """
    if erode_px < 1:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erode_px + 1, 2 * erode_px + 1))
    whole = mask.view(np.uint8)
    eroded = cv2.erode(whole, kernel)
    thin = cv2.subtract(whole, cv2.dilate(eroded, kernel))
    # Corners vanish in an opening too, yet are no thin parts: those reach farther than the kernel does.
    count, labels = cv2.connectedComponents(thin, connectivity=8)
    if np.bincount(labels.ravel())[1:].max(initial=0) > 2 * erode_px:  # else none has the pixels to reach so far
        _, _, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
        large = np.zeros(count, np.uint8)
        large[1:] = np.maximum(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]) > 2 * erode_px
        eroded = cv2.max(eroded, large[labels])
    return eroded.view(np.bool_)


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


def _drop_leaked(
    kept: BoolMask, values: NDArray[np.float32], extent_slope: float, settings: SurfaceSettings
) -> None:
    """Unset those of some depths that are of surfaces apart along the ray: background that the mask leaked onto.

    An object may have several (the bars of a rack and what is between them), so a surface is dropped only
    when it is small or farther off than the object is wide.
    """
    low, high = float(values.min()), float(values.max())
    gap = settings.gap_m * max(float(values.sum()) / values.size, 1.0) ** 2
    if high - low <= gap:
        return
    bins = min(_HISTOGRAM_BINS, max(8, int(4 * (high - low) / gap)))
    scale = (bins - 1) / (high - low)
    counts = np.bincount(((values - low) * scale).astype(np.intp), minlength=bins)
    filled = np.flatnonzero(counts)
    breaks = np.flatnonzero(filled[1:] - filled[:-1] > gap * scale)
    if not len(breaks):
        return
    starts, ends = filled[np.r_[0, breaks + 1]], filled[np.r_[breaks, len(filled) - 1]]
    sizes = np.add.reduceat(counts, starts)
    main = int(np.argmax(sizes))
    main_depth = low + (starts[main] + ends[main]) / 2 / scale
    reach = settings.max_gap_extents * extent_slope * main_depth * scale
    clusters = {main}
    for order in (range(main + 1, len(starts)), range(main - 1, -1, -1)):
        edge = ends[main] if order.step > 0 else starts[main]
        for index in order:
            distance = starts[index] - edge if order.step > 0 else edge - ends[index]
            if distance > reach:
                break
            if sizes[index] >= settings.min_cluster * values.size:
                clusters.add(index)
                edge = ends[index] if order.step > 0 else starts[index]
    kept[:] = False
    for index in clusters:
        first, last = low + (starts[index] - 0.5) / scale, low + (ends[index] + 1.5) / scale
        kept |= (values >= first) & (values <= last)
