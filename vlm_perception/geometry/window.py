"""The window of an image that a mask occupies: small work instead of the whole image's."""

from __future__ import annotations

import cv2
import numpy as np

from vlm_perception.types import BoolMask

Window = tuple[slice, slice]


def mask_window(mask: BoolMask) -> Window | None:
    """Rows and columns of the smallest window around a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        Slices, so that ``mask[window]`` holds every pixel that is set; None for an empty mask.
    """
    u, v, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return (slice(v, v + height), slice(u, u + width)) if width else None
