"""Outlines -> masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vlm_perception.types import BoolMask


def fill_polygons(outlines: Sequence[Sequence[float]], shape_hw: Sequence[int]) -> BoolMask:
    """Fill outlines, even-odd, so that an outline inside another is a hole.

    Args:
        outlines: ``(x1, y1, x2, y2, ...)`` in pixels each.
        shape_hw: (H, W) of the mask.
    """
    mask = np.zeros((int(shape_hw[0]), int(shape_hw[1])), dtype=np.uint8)
    corners = [np.round(np.asarray(outline).reshape(-1, 2)).astype(np.int32) for outline in outlines]
    if corners:
        cv2.fillPoly(mask, corners, (1,))
    return mask.astype(bool)
