"""Detections to scene objects: merge what several phrases found, add masks and geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.localize import localize
from vlm_perception.geometry.window import Window, mask_window
from vlm_perception.types import (
    BoolMask,
    BoxXyxy,
    CameraIntrinsics,
    Detection,
    FloatArray,
    SceneObject,
)


def box_iou(a: BoxXyxy, b: BoxXyxy) -> float:
    """Intersection over union of two pixel boxes; 0.0 when either is empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection
    return intersection / union


@dataclass(frozen=True, eq=False)
class MergedDetection:
    """One thing, whatever the phrases that found it.

    ``best`` is the detection with the highest score, whose box stands for all.
    """

    best: Detection
    scores: dict[str, float]


def merge_detections(
    detections: Sequence[Detection], *, iou_threshold: float = 0.6, max_objects: int = 50
) -> list[MergedDetection]:
    """Join detections of the same thing under different phrases ("mug", "red mug").

    Greedy, best score first: a detection joins the first group whose best box it overlaps by at least
    ``iou_threshold``, else it opens a group. Empty boxes are dropped.

    Args:
        detections: of one image, all phrases together.
        iou_threshold: overlap from which two boxes are one thing.
        max_objects: groups kept, best first.
    """
    groups: list[MergedDetection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        x_min, y_min, x_max, y_max = detection.box_xyxy
        if x_max <= x_min or y_max <= y_min:
            continue
        for group in groups:
            if box_iou(group.best.box_xyxy, detection.box_xyxy) >= iou_threshold:
                known = group.scores.get(detection.phrase, 0.0)
                group.scores[detection.phrase] = max(known, detection.score)
                break
        else:
            groups.append(MergedDetection(best=detection, scores={detection.phrase: detection.score}))
    return groups[:max_objects]


def _median_rgb(color_rgb: NDArray[np.uint8], mask: BoolMask, window: Window) -> tuple[float, float, float]:
    """Channel by channel, counted: a byte has 256 values, so nothing need be sorted."""
    pixels, inside = np.ascontiguousarray(color_rgb[window]), np.ascontiguousarray(mask[window]).view(np.uint8)
    counts = np.array([cv2.calcHist([pixels], [channel], inside, [256], [0, 256]).ravel() for channel in range(3)])
    below = counts.cumsum(axis=1, dtype=np.int64)
    # The value at place k is as many as there are values of which no more than k are as low.
    middle, upper = ((below <= k).sum(axis=1) for k in ((below[0, -1] - 1) // 2, below[0, -1] // 2))
    red, green, blue = ((middle + upper) / 2).tolist()
    return red, green, blue


def build_object(
    merged: MergedDetection,
    mask: BoolMask | None,
    *,
    instance_id: int,
    color_rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32] | None,
    camera: CameraIntrinsics,
    up_camera: FloatArray | None,
) -> SceneObject:
    """Give a merged detection its place in 3-D.

    Args:
        merged: the detection.
        mask: (H, W) bool; None or empty when only the box is known (then there is no geometry).
        instance_id: 1-based value in the label image.
        color_rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 registered to color, or None.
        camera: intrinsics of the color image.
        up_camera: (3,) gravity-up in the optical frame, or None.
    """
    window = mask_window(mask) if mask is not None else None
    geometry, fraction, rgb = None, 0.0, None
    if mask is not None and window is not None:
        rgb = _median_rgb(color_rgb, mask, window)
        if depth_m is not None:
            located = localize(mask, depth_m, camera, up=up_camera, window=window)
            geometry, fraction = located.geometry, located.valid_depth_fraction
    return SceneObject(
        instance_id=instance_id,
        box_xyxy=merged.best.box_xyxy,
        scores=dict(merged.scores),
        label=merged.best.label,
        mask=mask if window is not None else None,
        geometry=geometry,
        valid_depth_fraction=fraction,
        mean_rgb=rgb,
        calibrated=merged.best.calibrated,
    )
