"""Pixels to rays and back, lens distortion included.

Distortion follows OpenCV, as CameraInfo does (REP 104): ``plumb_bob`` (4 or 5 coefficients) and
``rational_polynomial`` (8 or more) after Brown-Conrady, ``equidistant`` (4; also called ``fisheye``)
after Kannala & Brandt, "A generic camera model and calibration method", PAMI 2006.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import CameraIntrinsics, FloatArray, ImageError

FISHEYE_MODELS = ("equidistant", "fisheye", "kannala_brandt")
# Undistorting is iterative; what is not within half a tenth of a pixel in the end has no inverse (it lies
# beyond the fold of a strong lens).
_UNDISTORT_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)
_UNDISTORT_PX = 0.05
BROWN_MODELS = ("plumb_bob", "rational_polynomial", "thin_prism", "inverse_brown_conrady")


def project(points_m: FloatArray, camera: CameraIntrinsics) -> FloatArray:
    """Where points appear in the image.

    Args:
        points_m: (N, 3) in the camera's optical frame.
        camera: intrinsics.

    Returns:
        (N, 2) pixels ``u, v``, which may lie outside the image; NaN for points at or behind the camera.

    Raises:
        ImageError: the distortion model is unknown.
    """
    points = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
    pixels = np.full((len(points), 2), np.nan)
    ahead = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
    if ahead.any():
        slopes = points[ahead, :2] / points[ahead, 2:]
        pixels[ahead] = _distort(slopes, camera)
    return pixels


def deproject(
    pixels_uv: NDArray[Any], depth_m_at_pixels: NDArray[np.floating[Any]], camera: CameraIntrinsics
) -> FloatArray:
    """Points seen at pixels whose depth is known.

    Args:
        pixels_uv: (N, 2) pixels ``u, v``; integer values are pixel centres.
        depth_m_at_pixels: (N,) depth along Z.
        camera: intrinsics.

    Returns:
        (N, 3) in the camera's optical frame, in column order (each coordinate in one piece); NaN where a pixel lies
        outside what the distortion model covers.

    Raises:
        ImageError: the distortion model is unknown.
    """
    pixels = np.asarray(pixels_uv).reshape(-1, 2)
    depth = np.asarray(depth_m_at_pixels, dtype=np.float64).reshape(-1)
    x, y, z = xyz = np.empty((3, len(pixels)))
    z[:] = depth
    if not is_distorted(camera):
        np.divide((pixels[:, 0] - camera.cx) * depth, camera.fx, out=x)
        np.divide((pixels[:, 1] - camera.cy) * depth, camera.fy, out=y)
        return xyz.T
    if np.issubdtype(pixels.dtype, np.integer) and _inside(pixels, camera):
        # Undistorting is iterative; at pixel centres it need be done once a camera, not once an object.
        slopes = _slopes_of_every_pixel(camera)[pixels[:, 1], pixels[:, 0]]
    else:
        slopes = _undistort(pixels.astype(np.float64), camera)
    xyz[:2] = slopes.T * depth
    return xyz.T


def is_distorted(camera: CameraIntrinsics) -> bool:
    """Whether the camera's distortion changes anything.

    An equidistant lens differs from a pinhole even when all its coefficients are zero.

    Raises:
        ImageError: the distortion model is unknown and has coefficients.
    """
    model = camera.distortion_model
    if model in FISHEYE_MODELS:
        return bool(camera.distortion)
    if not any(camera.distortion):
        return False
    if model in BROWN_MODELS or model == "":
        return True
    raise ImageError(
        f"unknown distortion model {model!r}; known are {', '.join(BROWN_MODELS[:2])} and equidistant. "
        "Rectify the images (image_proc) and send them with an empty model."
    )


def _distort(slopes: FloatArray, camera: CameraIntrinsics) -> FloatArray:
    """(N, 2) undistorted x/z, y/z to pixels."""
    if not is_distorted(camera):
        return slopes * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    coefficients = np.array(camera.distortion, dtype=np.float64)
    points = np.column_stack((slopes, np.ones(len(slopes)))).reshape(-1, 1, 3)
    zero = np.zeros(3)
    if camera.distortion_model in FISHEYE_MODELS:
        pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, camera.K, _four(coefficients))
    else:
        pixels, _ = cv2.projectPoints(points, zero, zero, camera.K, coefficients)
    return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)


def _undistort(pixels: FloatArray, camera: CameraIntrinsics) -> FloatArray:
    """(N, 2) pixels to undistorted x/z, y/z; NaN where the model cannot be inverted."""
    if not len(pixels):
        return np.zeros((0, 2))
    coefficients = np.array(camera.distortion, dtype=np.float64)
    source = np.ascontiguousarray(pixels).reshape(-1, 1, 2)
    if camera.distortion_model in FISHEYE_MODELS:
        found = cv2.fisheye.undistortPoints(source, camera.K, _four(coefficients), criteria=_UNDISTORT_CRITERIA)
    elif hasattr(cv2, "undistortPointsIter"):  # OpenCV 4, whose undistortPoints stops after five steps
        found = cv2.undistortPointsIter(source, camera.K, coefficients, None, None, _UNDISTORT_CRITERIA)
    else:
        found = cv2.undistortPoints(source, camera.K, coefficients, criteria=_UNDISTORT_CRITERIA)
    slopes: FloatArray = np.asarray(found).reshape(-1, 2).astype(np.float64)
    wrong = ~(np.abs(pixels - _distort(slopes, camera)).max(axis=1) < _UNDISTORT_PX)
    slopes[wrong] = np.nan
    return slopes


def _four(coefficients: FloatArray) -> FloatArray:
    if len(coefficients) != 4:
        raise ImageError(f"an equidistant lens has 4 distortion coefficients, not {len(coefficients)}")
    return coefficients


def _inside(pixels: NDArray[Any], camera: CameraIntrinsics) -> bool:
    return bool(
        len(pixels)
        and (pixels >= 0).all()
        and (pixels[:, 0] < camera.width).all()
        and (pixels[:, 1] < camera.height).all()
    )


@lru_cache(maxsize=4)
def _slopes_of_every_pixel(camera: CameraIntrinsics) -> FloatArray:
    """(H, W, 2) undistorted x/z, y/z at pixel centres."""
    v, u = np.indices((camera.height, camera.width), dtype=np.float64)
    slopes = _undistort(np.column_stack((u.ravel(), v.ravel())), camera)
    return slopes.reshape(camera.height, camera.width, 2)
