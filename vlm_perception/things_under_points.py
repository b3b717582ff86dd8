"""Clicks and scribbles -> the things they lie on, as masks and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.camera import deproject
from vlm_perception.geometry.depth import valid_depth
from vlm_perception.geometry.support import fit_support_plane
from vlm_perception.models.base import PointSegmenter, Segmenter
from vlm_perception.models.depth_planes import STEP_W
from vlm_perception.types import BoolMask, BoxXyxy, CameraIntrinsics, CommandError

PointUv = tuple[float, float]

_NEAR_PLANE_M: Final = 0.008  # at 1 m; grows with the square of the distance, as the depth's noise does
_COLOR_STEP: Final = 10  # of 255, each channel, from the point's own color
_MAX_SHARE: Final = 0.5  # of the image: what is larger is the background, not a thing
_MIN_PIXELS: Final = 16
_WINDOW_SHARE: Final = 0.06  # half the side of the window where nothing can be told, of the shorter side


def things_at(
    groups_uv: Sequence[Sequence[PointUv]],
    color_rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32] | None,
    camera: CameraIntrinsics,
    segmenter: Segmenter | None = None,
) -> list[tuple[BoolMask, BoxXyxy]]:
    """What a person means who clicks on one point or scribbles over several, and what a model points at.

    A segmenter that takes points is asked, once for all groups. Without one, the surface that each point lies on is
    followed until its depth jumps or the support plane begins; without depth there, until its color changes. Where
    neither ends within half of the image, a small window around the points stands for the thing.

    Args:
        groups_uv: pixels, at least one a group, those of a group on one thing.
        color_rgb: (H, W, 3) uint8.
        depth_m: (H, W) metres registered to color, or None.
        camera: intrinsics at that size.
        segmenter: the pipeline's.

    Returns:
        For each group the (H, W) mask and its bounding box, both with every point inside.

    Raises:
        CommandError: a group has no point, or one lies outside the image.
    """
    height, width = color_rgb.shape[:2]
    groups_px = [_pixels(points_uv, (width, height)) for points_uv in groups_uv]
    if not groups_px:
        return []
    masks = _prompted(segmenter, color_rgb, groups_uv)
    surroundings = _Surroundings(color_rgb, depth_m, camera)
    found = []
    for pixels, prompted in zip(groups_px, masks, strict=True):
        mask = prompted
        if mask is None or not _is_thing(mask):
            mask = _followed(pixels, surroundings)
        if not _is_thing(mask):
            mask = _window(pixels, (height, width))
        for u, v in pixels:
            mask[v, u] = True
        found.append((mask, box_of(mask)))
    return found


def box_of(mask: BoolMask) -> BoxXyxy:
    """The bounding box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _pixels(points_uv: Sequence[PointUv], size_wh: tuple[int, int]) -> list[tuple[int, int]]:
    width, height = size_wh
    pixels = [(int(u), int(v)) for u, v in points_uv if np.isfinite([u, v]).all()]
    if not pixels or len(pixels) < len(points_uv):
        raise CommandError("a region needs a box, or one or more points in pixels")
    for (u, v), given in zip(pixels, points_uv, strict=True):
        if not (0 <= u < width and 0 <= v < height):
            raise CommandError(f"the point {given} does not lie in the {width} x {height} image")
    return pixels


def _prompted(
    segmenter: Segmenter | None, color_rgb: NDArray[np.uint8], groups_uv: Sequence[Sequence[PointUv]]
) -> list[BoolMask | None]:
    if not isinstance(segmenter, PointSegmenter):
        return [None] * len(groups_uv)
    proposals = segmenter.segment_points(color_rgb, [list(points_uv) for points_uv in groups_uv])
    return [np.array(proposal.mask, dtype=np.bool_) for proposal in proposals]


def _is_thing(mask: BoolMask) -> bool:
    return _MIN_PIXELS <= int(mask.sum()) <= _MAX_SHARE * mask.size


class _Surroundings:
    """What is the same for every point of an image."""

    def __init__(
        self, color_rgb: NDArray[np.uint8], depth_m: NDArray[np.float32] | None, camera: CameraIntrinsics
    ) -> None:
        self._color_rgb, self._depth_m, self._camera = color_rgb, depth_m, camera

    @cached_property
    def smooth(self) -> NDArray[np.uint8]:
        """(H, W, 3) without single pixels' noise."""
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(self._color_rgb), 3), dtype=np.uint8)

    @cached_property
    def inverse_depth(self) -> NDArray[np.float32] | None:
        """(H, W) 1/m, 0 where there is no depth."""
        if self._depth_m is None:
            return None
        inverse = np.zeros(self._depth_m.shape, np.float32)
        np.divide(1.0, self._depth_m, out=inverse, where=valid_depth(self._depth_m))
        return inverse

    @cached_property
    def on_plane(self) -> BoolMask | None:
        """(H, W) pixels of the plane that things stand on, if one is seen."""
        if self._depth_m is None:
            return None
        plane = fit_support_plane(self._depth_m, self._camera)
        if plane is None:
            return None
        v, u = np.nonzero(valid_depth(self._depth_m))
        z = self._depth_m[v, u].astype(np.float64)
        heights = plane.height_m(deproject(np.column_stack((u, v)), z, self._camera))
        on_plane = np.zeros(self._depth_m.shape, dtype=np.bool_)
        on_plane[v, u] = np.abs(heights) < _NEAR_PLANE_M * np.maximum(z, 0.5) ** 2
        return on_plane

    def not_surface(self, pixels: Sequence[tuple[int, int]]) -> BoolMask:
        """Where following stops: no depth, or the plane that things stand on (unless that is what was clicked)."""
        inverse, plane = self.inverse_depth, self.on_plane
        closed: BoolMask = np.ones(self._color_rgb.shape[:2], dtype=np.bool_) if inverse is None else inverse == 0
        return closed if plane is None or any(plane[v, u] for u, v in pixels) else closed | plane


def _followed(pixels: Sequence[tuple[int, int]], around: _Surroundings) -> BoolMask:
    grown = np.zeros(around.smooth.shape[:2], dtype=np.bool_)
    inverse = around.inverse_depth
    closed = None if inverse is None else around.not_surface(pixels)
    for u, v in pixels:
        found = None
        if inverse is not None and closed is not None and not closed[v, u]:
            found = _flood(inverse, (u, v), (STEP_W,), closed, fixed=False)
        if found is None or not _is_thing(found):
            found = _flood(around.smooth, (u, v), (_COLOR_STEP,) * 3, np.zeros_like(grown), fixed=True)
        if _is_thing(found):
            grown |= found
    return grown


def _flood(
    image: NDArray[np.generic], seed: tuple[int, int], step: tuple[float, ...], closed: BoolMask, *, fixed: bool
) -> BoolMask:
    """Pixels that are joined to a seed by steps of at most ``step``; from the seed's own value where ``fixed``."""
    height, width = closed.shape
    filled = np.ones((height + 2, width + 2), np.uint8)
    filled[1:-1, 1:-1] = closed
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (2 << 8) | (cv2.FLOODFILL_FIXED_RANGE if fixed else 0)
    cv2.floodFill(image.copy(), filled, seed, 0, step, step, flags)
    return np.asarray(filled[1:-1, 1:-1] == 2)


def _window(pixels: Sequence[tuple[int, int]], size_hw: tuple[int, int]) -> BoolMask:
    half = max(4, round(_WINDOW_SHARE * min(size_hw)))
    mask = np.zeros(size_hw, dtype=np.bool_)
    u, v = np.array(pixels).T
    mask[max(0, v.min() - half) : v.max() + half + 1, max(0, u.min() - half) : u.max() + half + 1] = True
    return mask
