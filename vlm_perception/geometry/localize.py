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
            f"{surface.valid_pixels} of the object's {surface.mask_pixels} pixels have depth and "
            f"{visible} of them agree on a surface; at least {settings.min_points} and "
            f"{settings.min_valid_fraction:.0%} are needed",
        )
    core = surface.core if np.count_nonzero(surface.core) >= settings.min_points else surface.visible
    _, visible_m = _points(surface.visible, surface.origin_uv, depth_m, camera)
    uv, points = _points(core, surface.origin_uv, depth_m, camera, at_most=settings.max_points)
    if len(points) < settings.min_points:
        return LocalizeResult(None, fraction, "the object lies outside of what the lens model covers")
    # A product with ones: a mean along the long axis, several times faster.
    centroid = np.ones(len(visible_m)) @ visible_m / len(visible_m)
    offset_uv = uv - np.ones(len(uv)) @ uv / len(uv)
    surface_point = points[int(np.argmin(np.einsum("ij,ij->i", offset_uv, offset_uv)))]
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


def _points(
    crop: BoolMask,
    origin_uv: tuple[int, int],
    depth_m: NDArray[np.floating[Any]],
    camera: CameraIntrinsics,
    *,
    at_most: int | None = None,
) -> tuple[NDArray[np.int64], FloatArray]:
    """(N, 2) pixels set in a crop and their (N, 3) points, evenly thinned out to ``at_most``."""
    flat = np.flatnonzero(crop)
    if at_most is not None and len(flat) > at_most:
        flat = flat[np.linspace(0, len(flat) - 1, at_most).astype(np.intp)]
    rows, columns = np.divmod(flat, crop.shape[1])
    uv = np.empty((len(flat), 2), dtype=np.int64)
    np.add(columns, origin_uv[0], out=uv[:, 0])
    np.add(rows, origin_uv[1], out=uv[:, 1])
    points = deproject(uv, depth_m[uv[:, 1], uv[:, 0]], camera)
    finite = np.isfinite(points[:, 0])
    return (uv, points) if finite.all() else (uv[finite], points[finite])


def _check_sizes(mask: BoolMask, depth_m: NDArray[np.floating[Any]], camera: CameraIntrinsics) -> None:
    sizes = {
        "mask": (mask.shape[1], mask.shape[0]),
        "depth": (depth_m.shape[1], depth_m.shape[0]),
        "camera_info": (camera.width, camera.height),
    }
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {width}x{height}" for name, (width, height) in sizes.items())
        raise ImageError(f"sizes do not agree: {told} px; resize depth and scale the intrinsics first")
