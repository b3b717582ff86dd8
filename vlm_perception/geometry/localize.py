"""Masks + depth -> objects in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.box import oriented_boxes
from vlm_perception.geometry.camera import deproject, is_distorted
from vlm_perception.geometry.point_sets import PointSets
from vlm_perception.geometry.surface import Surfaces, SurfaceSettings, find_surfaces
from vlm_perception.geometry.uncertainty import pose_covariances
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
) -> LocalizeResult:
    """Find where a masked object is: :func:`localize_all` for one."""
    (result,) = localize_all([mask], [mask_window(mask)], depth_m, camera, up=up, settings=settings)
    return result


def localize_all(
    masks: Sequence[BoolMask | None],
    windows: Sequence[Window | None],
    depth_m: NDArray[np.floating[Any]],
    camera: CameraIntrinsics,
    *,
    up: FloatArray | None = None,
    settings: GeometrySettings = _DEFAULTS,
) -> list[LocalizeResult]:
    """Find where the masked objects of a frame are.

    The surface centroid is the mean over every trusted pixel of the mask; shape (points, box, covariance,
    surface point) comes from the mask without its rim.

    Args:
        masks: (H, W) bool each, or None.
        windows: of each, see :func:`vlm_perception.geometry.window.mask_window`; None: there is nothing in it.
        depth_m: (H, W) metres along Z, registered to the masks; 0, NaN and Inf are no depth.
        camera: intrinsics at that size.
        up: (3,) gravity's "up" in the optical frame (TF or the support plane); None: unknown.
        settings: limits.

    Raises:
        ImageError: masks, depth and camera are not of one size.
    """
    results: list[LocalizeResult | None] = []  # None: to be found with all the others
    present: list[tuple[BoolMask, Window]] = []
    for mask, window in zip(masks, windows, strict=True):
        if mask is not None:
            _check_sizes(mask, depth_m, camera)
        if mask is None or window is None:
            results.append(LocalizeResult(None, 0.0, "the mask is empty"))
        else:
            results.append(None)
            present.append((np.asarray(mask, dtype=np.bool_), window))
    found = iter(_localize([mask for mask, _ in present], [w for _, w in present], depth_m, camera, up, settings))
    return [result if result is not None else next(found) for result in results]


def _localize(
    masks: Sequence[BoolMask],
    windows: Sequence[Window],
    depth_m: NDArray[np.floating[Any]],
    camera: CameraIntrinsics,
    up: FloatArray | None,
    settings: GeometrySettings,
) -> list[LocalizeResult]:
    if not masks:
        return []
    surfaces = find_surfaces(masks, windows, depth_m, camera.fx, settings.surface)
    reasons = _too_little(surfaces, settings)
    if is_distorted(camera):
        surfaces = surfaces.keep(np.isfinite(deproject(surfaces.uv.T, surfaces.depth_m, camera)[:, 0]))
        for index in np.flatnonzero(surfaces.counts < settings.min_points):
            reasons[index] = reasons[index] or "the object lies outside of what the lens model covers"
    fractions = (surfaces.valid_pixels / surfaces.mask_pixels).tolist()
    enough = [not reason for reason in reasons]
    found = iter(_geometries(surfaces.take(np.array(enough)), camera, up, settings) if any(enough) else ())
    return [
        LocalizeResult(next(found) if kept else None, fraction, reason)
        for kept, fraction, reason in zip(enough, fractions, reasons, strict=True)
    ]


def _too_little(surfaces: Surfaces, settings: GeometrySettings) -> list[str]:
    """Why there can be no geometry, of each mask; "" when there can."""
    numbers = zip(surfaces.counts.tolist(), surfaces.valid_pixels.tolist(), surfaces.mask_pixels.tolist(), strict=True)
    return [
        ""
        if visible >= settings.min_points and visible >= settings.min_valid_fraction * whole
        else f"{valid} of the object's {whole} pixels have depth and {visible} of them agree on a surface; at least "
        f"{settings.min_points} and {settings.min_valid_fraction:.0%} are needed"
        for visible, valid, whole in numbers
    ]


def _geometries(
    surfaces: Surfaces, camera: CameraIntrinsics, up: FloatArray | None, settings: GeometrySettings
) -> list[ObjectGeometry]:
    core = surfaces.core
    visible = PointSets(surfaces.uv, deproject(surfaces.uv.T, surfaces.depth_m, camera).T, surfaces.counts)
    for part, in_core in zip(visible.slices, visible.count(core), strict=True):
        if in_core < settings.min_points:
            core[part] = True
        if part.stop - part.start > settings.max_points:
            chosen = part.start + np.flatnonzero(core[part])
            every = np.linspace(0, len(chosen) - 1, min(len(chosen), settings.max_points)).astype(np.intp)
            core[part] = False
            core[chosen[every]] = True
    shape = visible.take(core)
    boxes = oriented_boxes(shape.xyz, shape.slices, up)
    axes = np.array([box.R for box in boxes])
    covariances = pose_covariances(shape.counts, shape.means.T, shape.spreads, axes, up_known=up is not None)
    fractions = (surfaces.valid_pixels / surfaces.mask_pixels).tolist()
    return [
        ObjectGeometry(
            points_m=shape.xyz[:, part].T,
            pixels_uv=shape.uv[:, part].T,
            center_m=box.center_m,
            R_camera_object=box.R,
            size_m=box.size_m,
            covariance=covariances[index],
            surface_point_m=shape.xyz[:, shape.middles[index]],
            surface_centroid_m=visible.means[:, index],
            valid_depth_fraction=fractions[index],
        )
        for index, (part, box) in enumerate(zip(shape.slices, boxes, strict=True))
    ]


def _check_sizes(mask: BoolMask, depth_m: NDArray[np.floating[Any]], camera: CameraIntrinsics) -> None:
    height_width = (camera.height, camera.width)
    if mask.shape == depth_m.shape == height_width:
        return
    shapes = {"mask": mask.shape, "depth": depth_m.shape, "camera_info": height_width}
    told = ", ".join(f"{name} {'x'.join(map(str, reversed(shape)))}" for name, shape in shapes.items())
    raise ImageError(f"sizes do not agree: {told} px; resize depth and scale the intrinsics first")
