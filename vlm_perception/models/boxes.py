"""Box arithmetic in NumPy: formats, clipping, non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vlm_perception.types import FloatArray


def as_boxes(boxes: ArrayLike) -> FloatArray:
    """Any sequence of four numbers each, as (N, 4) float64; nothing becomes (0, 4)."""
    array: FloatArray = np.array(boxes, dtype=np.float64, ndmin=2).reshape(-1, 4)
    return array


def cxcywh_to_xyxy(boxes_cxcywh: ArrayLike) -> FloatArray:
    """Centre + size -> corners, (N, 4) -> (N, 4), same unit."""
    boxes = as_boxes(boxes_cxcywh)
    half = boxes[:, 2:] / 2.0
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def clip_boxes(boxes_xyxy: ArrayLike, width: float, height: float) -> FloatArray:
    """Cut (N, 4) pixel boxes at the border of a ``width`` x ``height`` image."""
    boxes = as_boxes(boxes_xyxy).copy()
    boxes[:, 0::2] = boxes[:, 0::2].clip(0.0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0.0, height)
    return boxes


def _overlaps(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shared area of every pair, (N, M), and the areas, (N, 1) and (1, M)."""
    first, second = as_boxes(first_xyxy), as_boxes(second_xyxy)
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap: FloatArray = (bottom_right - top_left).clip(0.0).prod(axis=2)
    area_first: FloatArray = (first[:, 2:] - first[:, :2]).clip(0.0).prod(axis=1)
    area_second: FloatArray = (second[:, 2:] - second[:, :2]).clip(0.0).prod(axis=1)
    return overlap, area_first[:, None], area_second[None, :]


def iou_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> FloatArray:
    """Intersection over union of every pair: (N, 4), (M, 4) -> (N, M); 0 where both are empty."""
    overlap, area_first, area_second = _overlaps(first_xyxy, second_xyxy)
    union = area_first + area_second - overlap
    iou: FloatArray = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0.0)
    return iou


def containment_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> FloatArray:
    """Intersection over the smaller area of every pair: (N, 4), (M, 4) -> (N, M); 0 where one is empty."""
    overlap, area_first, area_second = _overlaps(first_xyxy, second_xyxy)
    smaller = np.minimum(area_first, area_second)
    share: FloatArray = np.divide(overlap, smaller, out=np.zeros_like(overlap), where=smaller > 0.0)
    return share


def nms(boxes_xyxy: ArrayLike, scores: ArrayLike, iou_threshold: float, containment: float = 1.0) -> list[int]:
    """Greedy non-maximum suppression.

    Args:
        boxes_xyxy: (N, 4).
        scores: (N,).
        iou_threshold: a box that overlaps a better one by more than this goes; 1.0 keeps all.
        containment: so does one of which more than this share lies in a better one, or the other way round (a part
            of the thing, or the thing with its neighbour); 1.0 keeps them.

    Returns:
        Indices kept, best score first; equal scores keep their order.
    """
    boxes = as_boxes(boxes_xyxy)
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    same = iou_matrix(boxes, boxes) > iou_threshold
    if containment < 1.0:
        same |= containment_matrix(boxes, boxes) > containment
    alive = np.ones(len(boxes), dtype=bool)
    kept: list[int] = []
    for index in order:
        if alive[index]:
            kept.append(int(index))
            alive &= ~same[index]
    return kept
