"""Compressed image messages -> NumPy: jpeg and png color, png depth, ``compressedDepth``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import ImageError

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage

_DEPTH_HEADER = struct.Struct("<iff")  # compressed_depth_image_transport's ConfigHeader: format, depthQuantA, depthQuantB
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_TAIL = 4096  # some cameras pad the end of a jpeg


def compressed_color_to_rgb(msg: CompressedImage) -> NDArray[np.uint8]:
    """jpeg or png message -> (H, W, 3) uint8 RGB.

    Raises:
        ImageError: not decodable or truncated.
    """
    import cv2  # noqa: PLC0415 -- heavy, and only for compressed streams

    bgr = _decode(bytes(msg.data), cv2.IMREAD_COLOR, msg.format)
    if "compressed rgb" in msg.format:  # the encoder was fed RGB where OpenCV expects BGR
        return np.ascontiguousarray(bgr, dtype=np.uint8)
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)


def compressed_depth_to_metres(msg: CompressedImage) -> NDArray[np.float32]:
    """png or ``compressedDepth`` message -> (H, W) float32 metres; 0 and NaN are no depth.

    The 32FC1 flavour of ``compressedDepth`` stores quantised inverse depth ``q = A / z + B``.

    Raises:
        ImageError: not decodable, truncated, lossy (jpeg) or in the RVL flavour.
    """
    import cv2  # noqa: PLC0415 -- heavy, and only for compressed streams

    data = bytes(msg.data)
    quantised = "compressedDepth" in msg.format or data[_DEPTH_HEADER.size :].startswith(_PNG_MAGIC)
    if "rvl" in msg.format.lower():
        raise ImageError(f"compressed depth format {msg.format!r} is not read; set the publisher's format to png")
    if not quantised:
        return _millimetres(_decode(data, cv2.IMREAD_UNCHANGED, msg.format), msg.format)
    if len(data) < _DEPTH_HEADER.size:
        raise ImageError(f"compressed depth ({msg.format!r}) is truncated: {len(data)} bytes hold no header")
    _, quant_a, quant_b = _DEPTH_HEADER.unpack_from(data)
    samples = _decode(data[_DEPTH_HEADER.size :], cv2.IMREAD_UNCHANGED, msg.format)
    if not msg.format.strip().startswith("32FC1"):
        return _millimetres(samples, msg.format)
    inverse = samples.astype(np.float32) - np.float32(quant_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = np.where(samples > 0, np.float32(quant_a) / inverse, np.float32(np.nan))
    return np.ascontiguousarray(depth_m, dtype=np.float32)


def _millimetres(samples: NDArray[Any], fmt: str) -> NDArray[np.float32]:
    if samples.dtype != np.uint16 or samples.ndim != 2:
        raise ImageError(
            f"compressed depth ({fmt!r}) holds {samples.dtype} of shape {samples.shape}, not 16-bit millimetres;"
            " jpeg destroys depth: use compressedDepth or png"
        )
    return np.multiply(samples, np.float32(0.001), dtype=np.float32)


def _decode(data: bytes, flags: int, fmt: str) -> NDArray[Any]:
    import cv2  # noqa: PLC0415 -- heavy, and only for compressed streams

    tail = data[-_TAIL:]
    cut = (data.startswith(_JPEG_MAGIC) and b"\xff\xd9" not in tail) or (
        data.startswith(_PNG_MAGIC) and b"IEND" not in tail
    )
    if cut:  # decoders fill the missing part with grey and call it a success
        raise ImageError(f"compressed image ({fmt!r}) is truncated: its {len(data)} bytes have no end marker")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
    except cv2.error as error:
        raise ImageError(f"compressed image ({fmt!r}, {len(data)} bytes) cannot be decoded: {error}") from error
    if pixels is None:
        raise ImageError(f"compressed image ({fmt!r}, {len(data)} bytes) is neither jpeg nor png that can be decoded")
    return np.asarray(pixels)
