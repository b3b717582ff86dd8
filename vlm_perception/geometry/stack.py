"""The windows of several masks under one another in one image, so that an image operation runs once for all of them.

A mask is a few thousand pixels, so that most of the time of such an operation goes into the call itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.window import Window
from vlm_perception.types import BoolMask

# What a stack may grow to: windows that are large on their own gain nothing, and take memory.
_MAX_PIXELS = 500_000


@dataclass(frozen=True, eq=False)
class WindowStack:
    """Windows of M masks, with a margin of their surroundings, between empty rows.

    Attributes:
        mask: (H, W) bool, each window's own mask; false in between.
        depth_m: (H, W) float32; 0 in between.
        first_rows: (M,) row with which each one's part of the stack begins; it reaches to the next one's.
        origins_uv: (2, M) what to add to a pixel of the stack to have it in the frame.
        sizes_uv: (M, 2) width and height of each mask.
    """

    mask: BoolMask
    depth_m: NDArray[np.float32]
    first_rows: NDArray[np.intp]
    origins_uv: NDArray[np.intp]
    sizes_uv: NDArray[np.intp]

    def counts(self, pixels: NDArray[np.intp]) -> NDArray[np.intp]:
        """(M,) how many of some flat indices, in order, lie in each part."""
        ends = np.append(self.first_rows[1:], len(self.mask)) * self.mask.shape[1]
        return np.diff(pixels.searchsorted(ends), prepend=0)

    def in_frame(self, pixels: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.int64]:
        """(2, N) pixels ``u, v`` of the frame for flat indices of which each part has ``counts``."""
        uv = np.empty((2, len(pixels)), dtype=np.int64)
        np.divmod(pixels, self.mask.shape[1], out=(uv[1], uv[0]))
        uv += self.origins_uv.repeat(counts, axis=1)
        return uv


def stack_windows(
    masks: Sequence[BoolMask], windows: Sequence[Window], depth_m: NDArray[np.floating[Any]], *, margin_px: int
) -> Iterator[WindowStack]:
    """Put windows of a frame under one another, in order; as many in a stack as is worth while.

    Args:
        masks: (H, W) bool each.
        windows: each mask's, see :func:`vlm_perception.geometry.window.mask_window`.
        depth_m: (H, W) metres.
        margin_px: depth that comes along around each window, where the frame has it; and empty rows between them.
    """
    gathered: list[int] = []
    width = height = 0
    for index, (rows, columns) in enumerate(windows):
        wide = max(width, columns.stop - columns.start)
        high = height + rows.stop - rows.start
        if gathered and wide * high > _MAX_PIXELS:
            yield _stack([masks[i] for i in gathered], [windows[i] for i in gathered], depth_m, margin_px)
            gathered, wide, high = [], columns.stop - columns.start, rows.stop - rows.start
        gathered.append(index)
        width, height = wide, high
    if gathered:
        yield _stack([masks[i] for i in gathered], [windows[i] for i in gathered], depth_m, margin_px)


def _stack(
    masks: Sequence[BoolMask], windows: Sequence[Window], depth_m: NDArray[np.floating[Any]], margin_px: int
) -> WindowStack:
    sizes = np.array([(u.stop - u.start, v.stop - v.start) for v, u in windows], dtype=np.intp)
    # A window's part: the empty rows before it (its upper margin among them), itself, and the margin below.
    heights = sizes[:, 1] + 3 * margin_px
    first_rows = np.cumsum(heights) - heights
    shape = int(heights.sum()) + margin_px, int(sizes[:, 0].max()) + 2 * margin_px
    mask, depth = np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    origins = np.empty((2, len(masks)), dtype=np.intp)
    for index, (own, (rows, columns)) in enumerate(zip(masks, windows, strict=True)):
        # Where the frame's origin would lie in the stack.
        dv, du = int(first_rows[index]) + 2 * margin_px - rows.start, margin_px - columns.start
        origins[:, index] = -du, -dv
        mask[rows.start + dv : rows.stop + dv, columns.start + du : columns.stop + du] = own[rows, columns]
        above, left = max(rows.start - margin_px, 0), max(columns.start - margin_px, 0)
        around = depth_m[above : rows.stop + margin_px, left : columns.stop + margin_px]
        v, u = above + dv, left + du
        depth[v : v + around.shape[0], u : u + around.shape[1]] = around
    return WindowStack(mask, depth, first_rows, origins, sizes)
