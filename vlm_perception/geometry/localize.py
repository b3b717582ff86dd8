"""Mask + depth -> one object in space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.box import oriented_box
from vlm_perception.geometry.camera import deproject
from vlm_perception.geometry.surface import SurfaceSettings, find_surface
from vlm_perception.geometry.uncertainty import pose_covariance
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

    Raises:
        ImageError: mask, depth and camera are not of one size.
    """
    _check_sizes(mask, depth_m, camera)
    if not mask.any():
        return LocalizeResult(None, 0.0, "the mask is empty")
    mask = np.ascontiguousarray(mask, dtype=np.bool_)
    surface = find_surface(mask, depth_m, camera.fx, settings.surface)
    fraction = surface.valid_pixels / surface.mask_pixels
    visible = int(np.count_nonzero(surface.visible))
    if visible < settings.min_points or visible < settings.min_valid_fraction * surface.mask_pixels:
        return LocalizeResult(
            None,
            fraction,
            f"{surface.valid_pixels} of the object's {surface.mask_pixels} pixels have depth and {visible} of "
            f"them agree on a surface; at least {settings.min_points} and "
            f"{settings.min_valid_fraction:.0%} are needed",
        )
    core = surface.core
    if np.count_nonzero(core) < settings.min_points:
        core = surface.visible
    visible_uv = _pixels(surface.visible, surface.origin_uv)
    visible_m = deproject(visible_uv, depth_m[visible_uv[:, 1], visible_uv[:, 0]], camera)
    centroid = visible_m[np.isfinite(visible_m).all(axis=1)].mean(axis=0)

    uv, points = visible_uv, visible_m
    if core is not surface.visible:
        on_core = core[surface.visible]
        uv, points = uv[on_core], points[on_core]
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        uv, points = uv[finite], points[finite]
    if len(points) < 2:
        return LocalizeResult(None, fraction, "the object lies outside of what the lens model covers")
    middle = int(np.argmin(((uv - uv.mean(axis=0)) ** 2).sum(axis=1)))
    surface_point = points[middle]
    if len(points) > settings.max_points:
        every = np.linspace(0, len(points) - 1, settings.max_points).astype(np.intp)
        uv, points = uv[every], points[every]
    box = oriented_box(points, up)
    geometry = ObjectGeometry(
        points_m=points,
        pixels_uv=uv,
        center_m=box.center_m,
        R_camera_object=box.R,
        size_m=box.size_m,
        covariance=pose_covariance(points, box.R, up_known=up is not None),
        surface_point_m=surface_point,
        surface_centroid_m=centroid,
        valid_depth_fraction=fraction,
    )
    return LocalizeResult(geometry, fraction)


def _pixels(crop: BoolMask, origin_uv: tuple[int, int]) -> NDArray[np.int64]:
    v, u = np.nonzero(crop)
    return np.column_stack((u + origin_uv[0], v + origin_uv[1])).astype(np.int64)


def _check_sizes(mask: BoolMask, depth_m: NDArray[np.floating[Any]], camera: CameraIntrinsics) -> None:
    sizes = {
        "mask": (mask.shape[1], mask.shape[0]),
        "depth": (depth_m.shape[1], depth_m.shape[0]),
        "camera_info": (camera.width, camera.height),
    }
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {width}x{height}" for name, (width, height) in sizes.items())
        raise ImageError(f"sizes do not agree: {told} px; resize depth and scale the intrinsics first")
