"""Heatmap -> boxes: what is above a share of the peak, each connected part with its tightest box. NumPy and OpenCV only.

As boxes are drawn from class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization",
2016, at 0.2 of the peak), but at the share that recovers boxes best where the map is right; docs/models.md has the
table that it was chosen from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vlm_perception.models.base import Heatmap
from vlm_perception.types import BoxXyxy

DEFAULT_THRESHOLD: Final = 0.5
MAX_BOXES: Final = 10


@dataclass(frozen=True)
class HeatBox:
    """One connected part of a heatmap.

    Attributes:
        box_xyxy: pixels of the map, tight.
        score: its highest value times its share of all heat, in [0, 1]. Not calibrated: a map spread over much of the
            image scores low wherever it peaks.
    """

    box_xyxy: BoxXyxy
    score: float


def boxes_from_heatmap(
    heat: Heatmap, *, threshold: float = DEFAULT_THRESHOLD, max_boxes: int = MAX_BOXES
) -> list[HeatBox]:
    """Find the hot parts of a map.

    Things of one kind that touch are one part: this cannot count. It always finds something where there is any heat.

    Args:
        heat: (H, W) float, 0 or more; NaN counts as 0.
        threshold: a pixel is hot from this share of the highest value on, in (0, 1].
        max_boxes: as many as are returned at most.

    Returns:
        Best score first; empty where the map is all 0.

    Raises:
        ValueError: the threshold or the map's shape is out of range.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie in (0, 1], got {threshold}")
    if heat.ndim != 2:
        raise ValueError(f"a heatmap is (H, W), got shape {heat.shape}")
    values = np.nan_to_num(heat.astype(np.float32), posinf=0.0, neginf=0.0).clip(0.0)
    top, total = float(values.max(initial=0.0)), float(values.sum(dtype=np.float64))
    if top <= 0.0:
        return []
    hot = (values >= np.float32(threshold * top)).astype(np.uint8)
    hot.flat[int(values.argmax())] = 1  # the peak, whatever rounding made of the limit
    count, parts, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    sums = np.bincount(parts.ravel(), weights=values.ravel(), minlength=count)
    peaks = np.zeros(count, dtype=np.float32)
    inside = parts > 0
    np.maximum.at(peaks, parts[inside], values[inside])
    found = []
    for part in range(1, count):
        x, y, width, height, _ = (int(value) for value in stats[part])
        score = min(float(peaks[part] * sums[part] / total), 1.0)
        found.append(HeatBox((float(x), float(y), float(x + width), float(y + height)), score))
    return sorted(found, key=lambda box: -box.score)[:max_boxes]
