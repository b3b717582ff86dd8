"""Detections to scene objects: merge what several phrases found, add masks and geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.localize import LocalizeResult, localize_all
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


def build_objects(
    merged: Sequence[MergedDetection],
    masks: Sequence[BoolMask | None],
    *,
    color_rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32] | None,
    camera: CameraIntrinsics,
    up_camera: FloatArray | None,
) -> tuple[SceneObject, ...]:
    """Give the merged detections of a frame their places in 3-D; their ids count from 1.

    Args:
        merged: the detections.
        masks: (H, W) bool of each; None or empty when only the box is known (then there is no geometry).
        color_rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 registered to color, or None.
        camera: intrinsics of the color image.
        up_camera: (3,) gravity-up in the optical frame, or None.
    """
    windows = [None if mask is None else mask_window(mask) for mask in masks]
    places: Sequence[LocalizeResult | None] = [None] * len(merged)
    if depth_m is not None:
        places = localize_all(masks, windows, depth_m, camera, up=up_camera)
    objects = []
    for index, (detection, mask, window, place) in enumerate(zip(merged, masks, windows, places, strict=True)):
        objects.append(
            SceneObject(
                instance_id=index + 1,
                box_xyxy=detection.best.box_xyxy,
                scores=dict(detection.scores),
                label=detection.best.label,
                mask=mask if window is not None else None,
                geometry=place.geometry if place is not None else None,
                valid_depth_fraction=place.valid_depth_fraction if place is not None else 0.0,
                mean_rgb=_median_rgb(color_rgb, mask, window) if mask is not None and window is not None else None,
                calibrated=detection.best.calibrated,
            )
        )
    return tuple(objects)
