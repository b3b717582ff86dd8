"""Compressed color and depth."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
from sensor_msgs.msg import CompressedImage

from vlm_perception.ros.compressed import compressed_color_to_rgb, compressed_depth_to_metres
from vlm_perception.types import ImageError


def _message(data: bytes, fmt: str) -> CompressedImage:
    msg = CompressedImage(format=fmt)
    msg.data = data
    return msg


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def rgb() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 5, columns * 3, np.full_like(rows, 40)], axis=-1).astype(np.uint8)


def test_jpeg_keeps_the_order_of_colors(rgb):
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    decoded = compressed_color_to_rgb(_message(data, "rgb8; jpeg compressed bgr8"))
    assert np.abs(decoded.astype(int) - rgb).mean() < 3
    assert np.abs(compressed_color_to_rgb(_message(data + b"\0" * 100, "jpeg")).astype(int) - rgb).mean() < 3


def test_png_color_is_exact(rgb):
    assert (compressed_color_to_rgb(_message(_png(rgb[..., ::-1]), "bgr8; png compressed bgr8")) == rgb).all()


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_truncated(rgb, extension, share):
    data = cv2.imencode(extension, rgb)[1].tobytes()
    with pytest.raises(ImageError, match="truncated|cannot be decoded|neither"):
        compressed_color_to_rgb(_message(data[: int(len(data) * share)], extension[1:]))


def test_garbage():
    with pytest.raises(ImageError, match="neither jpeg nor png"):
        compressed_color_to_rgb(_message(b"not an image at all", "jpeg"))


def test_depth_png_with_and_without_the_transport_header():
    millimetres = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    png = _png(millimetres)
    header = struct.pack("<iff", 0, 0.0, 0.0)
    for data, fmt in [
        (png, "16UC1; png compressed "),
        (header + png, "16UC1; compressedDepth png"),
        (header + png, "16UC1; compressedDepth"),
    ]:
        np.testing.assert_allclose(compressed_depth_to_metres(_message(data, fmt)), millimetres / 1000.0, rtol=1e-6)


def test_inverse_depth():
    """Quantised as compressed_depth_image_transport does it: depth_max 10 m, quantization 100."""
    quant_a = 100.0 * 101.0
    quant_b = 1.0 - quant_a / 10.0
    depth_m = np.linspace(0.5, 9.0, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth_m[0, :5] = np.nan
    samples = np.where(np.isfinite(depth_m), quant_a / depth_m + quant_b, 0).astype(np.uint16)
    data = struct.pack("<iff", 0, quant_a, quant_b) + _png(samples)
    decoded = compressed_depth_to_metres(_message(data, "32FC1; compressedDepth png"))
    assert np.isnan(decoded[0, :5]).all()
    # one step of the code is depth^2 / A metres
    assert (np.abs(decoded - depth_m)[np.isfinite(depth_m)] <= 1.1 * depth_m[np.isfinite(depth_m)] ** 2 / quant_a).all()


def test_depth_through_jpeg_is_refused(rgb):
    data = cv2.imencode(".jpg", rgb)[1].tobytes()
    with pytest.raises(ImageError, match="jpeg destroys depth"):
        compressed_depth_to_metres(_message(data, "jpeg"))


def test_rvl_names_the_way_out():
    with pytest.raises(ImageError, match="format to png"):
        compressed_depth_to_metres(_message(b"\0" * 40, "16UC1; compressedDepth rvl"))


def test_depth_header_cut():
    with pytest.raises(ImageError, match="truncated"):
        compressed_depth_to_metres(_message(b"\0" * 5, "16UC1; compressedDepth"))
