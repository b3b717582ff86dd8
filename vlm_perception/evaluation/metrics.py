"""Scores of boxes, masks, sets and points, and how sure one can be of their means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vlm_perception.geometry.camera import project
from vlm_perception.geometry.depth import valid_depth
from vlm_perception.types import BoolMask, BoxXyxy, CameraIntrinsics, FloatArray

ACC_IOUS = (0.5, 0.75)
PICK_TOLERANCE_M = 0.02
BOOTSTRAP_RESAMPLES = 1000


def box_iou_matrix(a_xyxy: Sequence[BoxXyxy], b_xyxy: Sequence[BoxXyxy]) -> FloatArray:
    """(N, M) intersections over unions of pixel boxes; 0 where either is empty."""
    a = np.asarray(a_xyxy, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(b_xyxy, dtype=np.float64).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = _area(a) + _area(b) - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0))


def box_iou(a_xyxy: BoxXyxy, b_xyxy: BoxXyxy) -> float:
    """Intersection over union of two pixel boxes; 0 when either is empty."""
    return float(box_iou_matrix([a_xyxy], [b_xyxy])[0, 0])


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), axis=-1))


def mask_iou(a: BoolMask, b: BoolMask) -> float:
    """Intersection over union of two (H, W) masks; 0 when both are empty."""
    union = int(np.count_nonzero(a | b))
    return np.count_nonzero(a & b) / union if union else 0.0


def set_f1(found: Sequence[BoxXyxy], truth: Sequence[BoxXyxy], iou_threshold: float = 0.5) -> float:
    """F1 of a set of boxes: the best one-to-one matching at an IoU, twice over both sets' sizes.

    1 when both sets are empty.
    """
    if not found and not truth:
        return 1.0
    if not found or not truth:
        return 0.0
    right = box_iou_matrix(found, truth) >= iou_threshold
    rows, columns = linear_sum_assignment(right, maximize=True)
    return float(2 * right[rows, columns].sum() / (len(found) + len(truth)))


def would_touch(
    surface_point_m: FloatArray,
    target_mask: BoolMask,
    depth_m: NDArray[np.float32],
    camera: CameraIntrinsics,
    tolerance_m: float = PICK_TOLERANCE_M,
) -> bool:
    """Whether a gripper sent to a point would touch the right object.

    Its projection falls inside the target's mask, and it is as far away as the depth image is there.

    Args:
        surface_point_m: (3,) camera's optical frame.
        target_mask: (H, W) bool.
        depth_m: (H, W) metres.
        camera: intrinsics.
        tolerance_m: allowed difference in depth.
    """
    u, v = project(np.asarray(surface_point_m)[None], camera)[0]
    if not (np.isfinite(u) and np.isfinite(v)):
        return False
    column, row = round(float(u)), round(float(v))
    height, width = target_mask.shape
    if not (0 <= column < width and 0 <= row < height) or not target_mask[row, column]:
        return False
    depth = depth_m[row, column]
    return bool(valid_depth(depth)) and abs(float(depth) - float(surface_point_m[2])) <= tolerance_m


def mean_scores(values: Mapping[str, FloatArray]) -> dict[str, float]:
    """Each score over the expressions that it applies to.

    Args:
        values: name to (N,) one value an expression, NaN where the score does not apply. ``centroid_cm``
            becomes ``centroid_cm_median`` and ``centroid_cm_p90``, all others their mean.

    Returns:
        Scores that apply to no expression are absent.
    """
    means: dict[str, float] = {}
    for name, column in values.items():
        applying = column[~np.isnan(column)]
        if applying.size:
            for score, reduce in _reductions(name).items():
                means[score] = float(reduce(applying[None])[0])
    return means


def bootstrap_intervals(
    values: Mapping[str, FloatArray], *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of :func:`mean_scores`, resampling expressions (Efron, 1979).

    A score's expressions are drawn among those that it applies to.
    """
    intervals: dict[str, tuple[float, float]] = {}
    for name, column in values.items():
        applying = column[~np.isnan(column)]
        if not applying.size:
            continue
        # The same draw for scores over the same expressions, whatever other scores there are.
        rng = np.random.default_rng(seed)
        drawn = applying[rng.integers(0, applying.size, (resamples, applying.size))]
        for score, reduce in _reductions(name).items():
            low, high = np.percentile(reduce(drawn), [2.5, 97.5])
            intervals[score] = (float(low), float(high))
    return intervals


def _reductions(name: str) -> dict[str, Callable[[FloatArray], FloatArray]]:
    if name == "centroid_cm":
        return {
            "centroid_cm_median": lambda rows: np.asarray(np.median(rows, axis=1)),
            "centroid_cm_p90": lambda rows: np.asarray(np.percentile(rows, 90, axis=1)),
        }
    return {name: lambda rows: np.asarray(rows.mean(axis=1))}
