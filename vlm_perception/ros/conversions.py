"""ROS image and camera messages <-> NumPy: the one place that knows what an encoding means.

Our own converter and not cv_bridge, because cv_bridge does not import under every NumPy and does not run on every
OpenCV. It honours ``step`` (padded rows), ``encoding`` and ``is_bigendian``; encodings that need demosaicing or
chroma upsampling (Bayer, YUV) go through cv_bridge where that is installed.
"""

from __future__ import annotations

import array
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image

from vlm_perception.types import CameraIntrinsics, ImageError

if TYPE_CHECKING:
    from std_msgs.msg import Header

# encoding -> (sample type, channels, order of red, green, blue among them)
_RGB = (0, 1, 2)
_BGR = (2, 1, 0)
_GREY = (0, 0, 0)
COLOR_ENCODINGS: dict[str, tuple[str, int, tuple[int, int, int]]] = {
    "rgb8": ("u1", 3, _RGB),
    "rgba8": ("u1", 4, _RGB),
    "bgr8": ("u1", 3, _BGR),
    "bgra8": ("u1", 4, _BGR),
    "mono8": ("u1", 1, _GREY),
    "8UC1": ("u1", 1, _GREY),
    "8UC3": ("u1", 3, _BGR),  # OpenCV's order, as image_view reads it
    "8UC4": ("u1", 4, _BGR),
    "rgb16": ("u2", 3, _RGB),
    "rgba16": ("u2", 4, _RGB),
    "bgr16": ("u2", 3, _BGR),
    "bgra16": ("u2", 4, _BGR),
    "mono16": ("u2", 1, _GREY),
}
# encoding -> (sample type, metres per unit), REP 118
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {
    "16UC1": ("u2", 0.001),
    "mono16": ("u2", 0.001),
    "32FC1": ("f4", 1.0),
    "64FC1": ("f8", 1.0),
}
_MM_MAX = np.iinfo(np.uint16).max


def color_to_rgb(msg: Image) -> NDArray[np.uint8]:
    """Color image message -> (H, W, 3) uint8 RGB, contiguous; 16-bit samples keep their upper eight bits.

    Raises:
        ImageError: unknown encoding, or ``data``/``step`` that do not fit the stated size.
    """
    _demand_pixels(msg)
    if msg.encoding not in COLOR_ENCODINGS:
        return _color_through_cv_bridge(msg)
    sample, channels, order = COLOR_ENCODINGS[msg.encoding]
    samples = _samples(msg, sample, channels)
    if sample == "u2":
        samples = (samples >> 8).astype(np.uint8)
    if order == _RGB:
        return np.array(samples[..., :3], dtype=np.uint8, order="C")
    rgb = np.empty((*samples.shape[:2], 3), dtype=np.uint8)
    for channel, source in enumerate(order):  # several times faster than one index of three
        rgb[..., channel] = samples[..., source]
    return rgb


def depth_to_metres(msg: Image) -> NDArray[np.float32]:
    """Depth image message -> (H, W) float32 metres along Z, the unit read from the encoding (REP 118).

    Values that are no depth (0, NaN, Inf) are kept as they are.

    Raises:
        ImageError: an encoding that is no depth, or ``data``/``step`` that do not fit the stated size.
    """
    _demand_pixels(msg)
    if msg.encoding not in DEPTH_ENCODINGS:
        raise ImageError(
            f"depth image has encoding {msg.encoding!r}; known are 16UC1 (mm) and 32FC1 (m), REP 118."
            " Remap depth/image_raw to the camera's depth topic (not to a colorized or infrared image)"
        )
    sample, unit_m = DEPTH_ENCODINGS[msg.encoding]
    samples = _samples(msg, sample, 1)[..., 0]
    if unit_m == 1.0:
        return np.array(samples, dtype=np.float32, order="C")
    return np.multiply(samples, np.float32(unit_m), dtype=np.float32)


def rgb_to_image(rgb: NDArray[np.uint8], header: Header) -> Image:
    """(H, W, 3) uint8 RGB -> rgb8 message."""
    return _image(np.asarray(rgb, dtype=np.uint8), "rgb8", header)


def depth_to_image(depth_m: NDArray[np.floating[Any]], encoding: str, header: Header) -> Image:
    """(H, W) metres -> 16UC1 (mm, no depth and what does not fit becomes 0) or 32FC1 (m, as it is).

    Raises:
        ImageError: another encoding.
    """
    if encoding == "32FC1":
        return _image(np.asarray(depth_m, dtype=np.float32), encoding, header)
    if encoding != "16UC1":
        raise ImageError(f"cannot write depth as {encoding!r}; use 16UC1 (mm) or 32FC1 (m)")
    millimetres = np.rint(np.asarray(depth_m, dtype=np.float64) * 1000.0)
    fits = np.isfinite(millimetres) & (millimetres > 0) & (millimetres <= _MM_MAX)
    return _image(np.where(fits, millimetres, 0).astype(np.uint16), encoding, header)


def label_to_image(labels: NDArray[np.integer[Any]], header: Header) -> Image:
    """(H, W) instance ids -> 16UC1 message; 0 means none.

    Raises:
        ImageError: ids outside 0..65535.
    """
    ids = np.asarray(labels)
    if ids.dtype != np.uint16 and ids.size and (ids.min() < 0 or ids.max() > _MM_MAX):
        raise ImageError(f"instance ids {ids.min()}..{ids.max()} do not fit 16 bits")
    return _image(ids.astype(np.uint16, copy=False), "16UC1", header)


def mask_to_image(mask: NDArray[np.bool_], header: Header) -> Image:
    """(H, W) bool -> mono8 message of 0 and 255."""
    return _image(np.where(mask, np.uint8(255), np.uint8(0)), "mono8", header)


def camera_info_to_intrinsics(msg: CameraInfo, *, rectified: bool = False) -> CameraIntrinsics:
    """CameraInfo -> intrinsics of the image that goes with it, binning and region of interest applied.

    Args:
        msg: the calibration.
        rectified: the images were rectified: use ``P`` and no distortion.

    Raises:
        ImageError: not calibrated (no focal length), or a distortion model that is not known.
    """
    fx, fy, cx, cy = (
        (msg.p[0], msg.p[5], msg.p[2], msg.p[6]) if rectified else (msg.k[0], msg.k[4], msg.k[2], msg.k[5])
    )
    if not (np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0):
        matrix = "P" if rectified else "K"
        raise ImageError(
            f"camera_info carries no calibration ({matrix} has fx={fx:g}, fy={fy:g}): calibrate the camera,"
            " or publish its intrinsics in camera_info"
        )
    distortion = () if rectified else tuple(float(value) for value in msg.d)
    model = {"fisheye": "equidistant"}.get(msg.distortion_model, msg.distortion_model)
    if not any(distortion):
        model, distortion = "", ()
    elif model not in ("plumb_bob", "rational_polynomial", "equidistant"):
        raise ImageError(
            f"camera_info has distortion model {msg.distortion_model!r}; known are plumb_bob,"
            " rational_polynomial and equidistant. Rectify the images and set images_rectified"
        )
    bin_x, bin_y = max(1, msg.binning_x), max(1, msg.binning_y)
    roi = msg.roi
    return CameraIntrinsics(
        width=int(roi.width or msg.width) // bin_x,
        height=int(roi.height or msg.height) // bin_y,
        fx=fx / bin_x,
        fy=fy / bin_y,
        cx=(cx - roi.x_offset) / bin_x,
        cy=(cy - roi.y_offset) / bin_y,
        distortion_model=model,
        distortion=distortion,
    )


def intrinsics_to_camera_info(camera: CameraIntrinsics, header: Header) -> CameraInfo:
    """Intrinsics -> CameraInfo (``R`` identity, ``P`` = [K | 0])."""
    msg = CameraInfo()
    msg.header = header
    msg.width, msg.height = camera.width, camera.height
    msg.distortion_model = camera.distortion_model or "plumb_bob"
    msg.d = list(camera.distortion) or [0.0] * 5
    msg.k = [float(value) for value in camera.K.ravel()]
    msg.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    msg.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return msg


def _demand_pixels(msg: Image) -> None:
    if msg.height == 0 or msg.width == 0:
        raise ImageError(
            f"the image is empty ({msg.width}x{msg.height}, encoding {msg.encoding!r});"
            " its publisher must fill width, height, encoding and data"
        )


def _samples(msg: Image, sample: str, channels: int) -> NDArray[Any]:
    """(H, W, C) view on the message's data."""
    dtype = np.dtype(sample).newbyteorder(">" if msg.is_bigendian else "<")
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    what = f"{width}x{height} {msg.encoding} image"
    row_bytes = width * channels * dtype.itemsize
    if step < row_bytes:
        raise ImageError(f"{what} has step {step}, less than the {row_bytes} bytes of a row")
    data = memoryview(msg.data)
    expected = step * (height - 1) + row_bytes  # the last row's padding may be missing
    if data.nbytes < expected:
        raise ImageError(f"{what} is truncated: expected {expected} bytes of data, got {data.nbytes}")
    strides = (step, channels * dtype.itemsize, dtype.itemsize)
    return np.ndarray((height, width, channels), dtype, buffer=data, strides=strides)


def _image(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """Fill a message; the data goes in as an array after construction, which rclpy takes without a check of each byte."""
    pixels = np.ascontiguousarray(pixels)
    msg = Image()
    msg.header = header
    msg.height, msg.width = pixels.shape[:2]
    msg.encoding = encoding
    msg.is_bigendian = int(sys.byteorder == "big")
    msg.step = pixels.strides[0] if pixels.size else 0
    data = array.array("B")
    data.frombytes(pixels.data.cast("B") if pixels.size else b"")
    msg.data = data
    return msg


def _color_through_cv_bridge(msg: Image) -> NDArray[np.uint8]:
    """Bayer, YUV and whatever else cv_bridge knows."""
    way_out = (
        "known without cv_bridge are " + ", ".join(COLOR_ENCODINGS) + ". Install cv_bridge, or convert before"
        " (image_proc debayers; most drivers can publish rgb8)"
    )
    try:
        from cv_bridge import CvBridge  # noqa: PLC0415 -- optional, and does not import everywhere
    except Exception as error:  # noqa: BLE001 -- under another NumPy it dies with more than ImportError
        raise ImageError(f"color image has encoding {msg.encoding!r}; {way_out}") from error
    try:
        pixels = CvBridge().imgmsg_to_cv2(msg, "rgb8")
    except Exception as error:  # noqa: BLE001 -- cv_bridge raises TypeError, KeyError, cv2.error, ... for bad input
        reason = f"{type(error).__name__}: {error}"
        raise ImageError(f"cv_bridge cannot read encoding {msg.encoding!r} ({reason}); {way_out}") from error
    return np.ascontiguousarray(pixels, dtype=np.uint8)
