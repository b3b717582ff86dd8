"""Mask + depth -> one object in space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.box import oriented_box
from vlm_perception.geometry.camera import deproject, is_distorted
from vlm_perception.geometry.surface import SurfaceSettings, find_surface
from vlm_perception.geometry.uncertainty import pose_covariance
from vlm_perception.geometry.window import Window, mask_window
from vlm_perception.types import BoolMask, CameraIntrinsics, FloatArray, ImageError, ObjectGeometry


@dataclass(frozen=True)
class GeometrySettings:
    """What is enough depth, and how it is taken.

    Attributes:
        min_points: with fewer surface points there is no geometry.
        min_valid_fraction: nor with a smaller share of the mask's pixels on the object's surface.
        max_points: kept for ``ObjectGeometry.points_m``; more are thinned out evenly.
        surface: choice of pixels.
    """

    min_points: int = 12
    min_valid_fraction: float = 0.08
    max_points: int = 20_000
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)


@dataclass(frozen=True, eq=False)
class LocalizeResult:
    """Geometry, or why there is none.

    Attributes:
        geometry: None when too little depth is valid.
        valid_depth_fraction: share of the mask's pixels with valid depth.
        reason: for a user, when ``geometry`` is None; else "".
    """

    geometry: ObjectGeometry | None
    valid_depth_fraction: float
    reason: str = ""


_DEFAULTS = GeometrySettings()


def localize(
    mask: BoolMask,
    depth_m: NDArray[np.floating[Any]],
    camera: CameraIntrinsics,
    *,
    up: FloatArray | None = None,
    settings: GeometrySettings = _DEFAULTS,
    window: Window | None = None,
) -> LocalizeResult:
    """Find where a masked object is.

    The surface centroid is the mean over every trusted pixel of the mask; shape (points, box, covariance,
    surface point) comes from the mask without its rim.

    Args:
        mask: (H, W) bool.
        depth_m: (H, W) metres along Z, registered to the mask; 0, NaN and Inf are no depth.
        camera: intrinsics at that size.
        up: (3,) gravity's "up" in the optical frame (TF or the support plane); None: unknown.
        settings: limits.
        window: the mask's, if it is known already.

    Raises:
        ImageError: mask, depth and camera are not of one size.
    """
    _check_sizes(mask, depth_m, camera)
    mask = np.asarray(mask, dtype=np.bool_)
    window = window if window is not None else mask_window(mask)
    if window is None:
        return LocalizeResult(None, 0.0, "the mask is empty")
    surface = find_surface(mask, depth_m, camera.fx, window, settings.surface)
    fraction = surface.valid_pixels / surface.mask_pixels
    visible = len(surface.depth_m)
    if visible < settings.min_points or visible < settings.min_valid_fraction * surface.mask_pixels:
        return LocalizeResult(
            None,
            fraction,
            f"{surface.valid_pixels} of the object's {surface.mask_pixels} pixels have depth and "
            f"{visible} of them agree on a surface; at least {settings.min_points} and "
            f"{settings.min_valid_fraction:.0%} are needed",
        )
    # Each coordinate lies in one piece in memory: sums and products run along it, several times faster.
    uv, core = surface.uv, surface.core
    xyz = deproject(uv.T, surface.depth_m, camera).T
    if is_distorted(camera):
        covered = np.flatnonzero(np.isfinite(xyz[0]))
        uv, xyz, core = uv.take(covered, axis=1), xyz.take(covered, axis=1), core[covered]
        if len(covered) < settings.min_points:
            return LocalizeResult(None, fraction, "the object lies outside of what the lens model covers")
    centroid = xyz.sum(axis=1) / xyz.shape[1]
    chosen = np.flatnonzero(core)
    if len(chosen) < settings.min_points:
        chosen = np.arange(len(core))
    if len(chosen) > settings.max_points:
        chosen = chosen[np.linspace(0, len(chosen) - 1, settings.max_points).astype(np.intp)]
    pixels, points = uv.take(chosen, axis=1).T, xyz.take(chosen, axis=1).T
    box = oriented_box(points, up)
    geometry = ObjectGeometry(
        points_m=points,
        pixels_uv=pixels,
        center_m=box.center_m,
        R_camera_object=box.R,
        size_m=box.size_m,
        covariance=pose_covariance(points, box.R, up_known=up is not None),
        surface_point_m=points[_middle(pixels)],
        surface_centroid_m=centroid,
        valid_depth_fraction=fraction,
    )
    return LocalizeResult(geometry, fraction)


def _middle(uv: NDArray[np.int64]) -> int:
    """Which of (N, 2) pixels is nearest to their mean."""
    u, v = uv.T
    across, down = u - u.sum() / len(u), v - v.sum() / len(v)
    return int(np.argmin(across * across + down * down))


def _check_sizes(mask: BoolMask, depth_m: NDArray[np.floating[Any]], camera: CameraIntrinsics) -> None:
    height_width = (camera.height, camera.width)
    if mask.shape == depth_m.shape == height_width:
        return
    shapes = {"mask": mask.shape, "depth": depth_m.shape, "camera_info": height_width}
    told = ", ".join(f"{name} {'x'.join(map(str, reversed(shape)))}" for name, shape in shapes.items())
    raise ImageError(f"sizes do not agree: {told} px; resize depth and scale the intrinsics first")
