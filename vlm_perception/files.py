"""RGB-D frames from plain image files: what ``vlm-perception ground`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import CameraIntrinsics, ImageError, RgbdFrame


def _read_image(path: Path, flags: int) -> NDArray[Any]:
    if not path.is_file():
        raise ImageError(f"{path}: no such file")
    image = cv2.imread(str(path), flags)
    if image is None:
        raise ImageError(f"{path}: not an image that OpenCV reads (PNG, JPEG, TIFF ...)")
    return np.asarray(image)


def read_color(path: Path) -> NDArray[np.uint8]:
    """Read a color image as (H, W, 3) uint8 RGB.

    Raises:
        ImageError: there is no such file, or it is no image.
    """
    bgr = _read_image(path, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[:, :, ::-1])


def read_depth(path: Path, depth_unit_m: float = 0.001) -> NDArray[np.float32]:
    """Read a depth image as (H, W) float32 metres; 0 is no depth.

    Args:
        path: 16-bit PNG in ``depth_unit_m``, 32-bit float TIFF/EXR in metres, or a ``.npy`` of either kind.
        depth_unit_m: metres per unit of integer images.

    Raises:
        ImageError: there is no such file, or it holds no single-channel depth.
    """
    if path.suffix == ".npy":
        if not path.is_file():
            raise ImageError(f"{path}: no such file")
        try:
            depth = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise ImageError(f"{path}: not a NumPy array file ({error})") from error
    else:
        depth = _read_image(path, cv2.IMREAD_UNCHANGED)
    if depth.ndim != 2 or depth.dtype not in (np.uint16, np.float32, np.float64):
        raise ImageError(
            f"{path}: depth must be one channel of 16-bit units or float metres, "
            f"this is {depth.dtype} of shape {depth.shape}"
        )
    unit = depth_unit_m if depth.dtype == np.uint16 else 1.0
    return depth.astype(np.float32) * np.float32(unit)


def _focal_and_center(K: Any) -> tuple[float, float, float, float]:
    flat = np.asarray(K, dtype=np.float64).ravel()
    if flat.size == 4:
        fx, fy, cx, cy = flat
    elif flat.size == 9:
        fx, fy, cx, cy = flat[0], flat[4], flat[2], flat[5]
    else:
        raise ValueError(f"K has {flat.size} numbers")
    if not np.isfinite(flat).all() or fx <= 0 or fy <= 0:
        raise ValueError(f"K is {flat.tolist()}: focal lengths must be positive")
    return float(fx), float(fy), float(cx), float(cy)


def parse_camera(data: Mapping[str, Any], width: int, height: int) -> CameraIntrinsics:
    """Intrinsics from a mapping.

    Args:
        data: ``K`` as [fx, fy, cx, cy] or 9 numbers row by row (nested rows allowed), or keys ``fx fy cx cy``;
            optional ``width``/``height`` and ``D`` (or ``d``) with ``distortion_model``.
        width: the color image's width, px.
        height: the color image's height, px.

    Raises:
        ValueError: numbers are missing, or the size given is not the image's.
    """
    if "K" in data or "k" in data:
        fx, fy, cx, cy = _focal_and_center(data.get("K", data.get("k")))
    elif all(key in data for key in ("fx", "fy", "cx", "cy")):
        fx, fy, cx, cy = _focal_and_center([data[key] for key in ("fx", "fy", "cx", "cy")])
    else:
        raise ValueError("it needs 'K' ([fx, fy, cx, cy] or the 3x3 matrix) or 'fx', 'fy', 'cx', 'cy'")
    given = (int(data.get("width", width)), int(data.get("height", height)))
    if given != (width, height):
        raise ValueError(
            f"it is for {given[0]}x{given[1]} images, the color image is {width}x{height}: "
            "give the intrinsics of this resolution"
        )
    distortion = tuple(float(value) for value in data.get("D", data.get("d", ())) or ())
    model = str(data.get("distortion_model", "plumb_bob" if distortion else ""))
    return CameraIntrinsics(width, height, fx, fy, cx, cy, model, distortion)


def load_frame(color_path: Path, depth_path: Path | None, camera_path: Path) -> RgbdFrame:
    """Read one RGB-D frame from files.

    Args:
        color_path: color image.
        depth_path: depth registered to color, or None.
        camera_path: JSON as :func:`parse_camera` reads it; ``depth_unit_m`` in it is honoured (default 0.001).

    Raises:
        ImageError: a file is missing or cannot be used; the message names it.
    """
    color_rgb = read_color(color_path)
    height, width = color_rgb.shape[:2]
    try:
        data = json.loads(camera_path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError(f"it holds a JSON {type(data).__name__}, not an object")
        camera = parse_camera(data, width, height)
        unit = float(data.get("depth_unit_m", 0.001))
    except (OSError, ValueError, TypeError) as error:
        raise ImageError(f"{camera_path}: no camera intrinsics in it: {error}") from error
    depth_m = read_depth(depth_path, unit) if depth_path is not None else None
    return RgbdFrame(color_rgb=color_rgb, depth_m=depth_m, camera=camera)
