"""What depth means: the one place that knows which values count, and how depth lies over color."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import BoolMask, ImageError


def valid_depth(depth_m: NDArray[np.floating[Any]]) -> BoolMask:
    """Where there is depth: finite and above zero.

    Zero, NaN, the infinities of REP 118 (too near, too far) and negative values are no depth.

    Args:
        depth_m: any shape, metres.
    """
    # A NaN compares false, so two comparisons do what three tests would.
    return np.asarray((depth_m > 0) & (depth_m < np.inf))


def match_depth_to_color(depth_m: NDArray[np.floating[Any]], color_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Depth at the color image's size.

    Resizing takes the nearest value: between the depths of two surfaces there is nothing.

    Args:
        depth_m: (h, w) metres, of the same field of view as color.
        color_hw: the color image's height and width.

    Returns:
        (H, W) float32; the input itself when the sizes agree already.

    Raises:
        ImageError: depth is not two-dimensional, or the two sizes differ in shape, so that one cannot be
            the other resized.
    """
    if depth_m.ndim != 2 or 0 in depth_m.shape:
        raise ImageError(f"a depth image of shape {depth_m.shape} is not one channel of pixels")
    (height, width), (color_height, color_width) = depth_m.shape, color_hw
    if (height, width) == (color_height, color_width):
        return np.asarray(depth_m, dtype=np.float32)
    if height * color_width != width * color_height:
        raise ImageError(
            f"depth is {width}x{height} px and color is {color_width}x{color_height} px: not the same shape, "
            "so depth is not registered to color. Use the driver's aligned depth topic, or "
            "depth_image_proc's register node."
        )
    rows = ((np.arange(color_height) + 0.5) * height / color_height).astype(np.intp)
    columns = ((np.arange(color_width) + 0.5) * width / color_width).astype(np.intp)
    return np.ascontiguousarray(depth_m[rows[:, None], columns], dtype=np.float32)
