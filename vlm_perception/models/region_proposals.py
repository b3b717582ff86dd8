"""Boxes of whatever stands out, from color alone: class-agnostic proposals that need no weights.

Regions of the image's gradient (watershed) are merged, most alike neighbours first, and every region on the way
is a proposal, after Uijlings et al., "Selective Search for Object Recognition", 2013. What is ranked first are
regions that resisted merging longest.
"""

from __future__ import annotations

import heapq
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.boxes import nms
from vlm_perception.types import BoxXyxy, FloatArray

_WORKING_SIDE: Final = 320
_LARGEST_SHARE: Final = 0.5  # a region of more than this share of the image is background
_SMALLEST_SHARE: Final = 5e-4
_SEED_PIXELS: Final = 12


def propose_regions(image_rgb: RgbImage, limit: int = 100) -> list[BoxXyxy]:
    """Boxes of regions that differ from what is around them.

    Args:
        image_rgb: (H, W, 3) uint8.
        limit: most boxes to return.

    Returns:
        Boxes in the image's pixels, the most distinct first.
    """
    height, width = image_rgb.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    small = cv2.resize(
        image_rgb, (max(round(width * scale), 8), max(round(height * scale), 8)), interpolation=cv2.INTER_AREA
    )
    lab = cv2.cvtColor(cv2.bilateralFilter(small, 5, 30, 5), cv2.COLOR_RGB2LAB).astype(np.float64)
    labels = _seed_regions(lab)
    boxes, lifetimes = _merge(lab, labels)
    if not len(boxes):
        return []
    kept = nms(boxes, lifetimes, 0.8)[:limit]
    factor = np.array([width / small.shape[1], height / small.shape[0]] * 2)
    scaled = boxes[kept] * factor
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in scaled]


def _seed_regions(lab: FloatArray) -> NDArray[np.int32]:
    """(h, w) labels 0 ... n-1 of smooth patches, grown until they meet."""
    planes = [cv2.morphologyEx(lab[..., k], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) for k in range(3)]
    gradient = np.max(planes, axis=0)
    smooth = (gradient < max(6.0, float(np.percentile(gradient, 40)))).astype(np.uint8)
    count, markers, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=4)
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= _SEED_PIXELS)
    renamed = np.zeros(count, np.int32)
    renamed[large[large > 0]] = np.arange(1, 1 + int((large > 0).sum()))
    markers = renamed[markers]
    if not markers.any():
        return np.zeros(lab.shape[:2], np.int32)
    relief = cv2.cvtColor(np.clip(gradient * 4, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    grown = cv2.watershed(relief, markers.astype(np.int32))
    # Watershed leaves ridges (-1) and the border; they take a neighbour's label.
    while (grown <= 0).any():
        dilated = cv2.dilate(grown.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        filled = np.where(grown <= 0, dilated, grown)
        if (filled == grown).all():
            break
        grown = filled
    _, compact = np.unique(grown, return_inverse=True)
    return np.asarray(compact.reshape(grown.shape), dtype=np.int32)


def _merge(lab: FloatArray, labels: NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
    """Every region of the merge tree: (N, 4) boxes in working pixels, and how long each lived, (N,)."""
    count = int(labels.max()) + 1
    flat = labels.ravel()
    sizes = list(np.bincount(flat, minlength=count).astype(float))
    sums = [np.bincount(flat, weights=lab[..., k].ravel(), minlength=count) for k in range(3)]
    means: list[FloatArray] = list(np.stack(sums, axis=1) / np.array(sizes)[:, None])
    rows, columns = np.divmod(np.arange(flat.size), labels.shape[1])
    low = np.full((count, 2), np.inf)
    high = np.zeros((count, 2))
    np.minimum.at(low, flat, np.stack([columns, rows], axis=1))
    np.maximum.at(high, flat, np.stack([columns + 1, rows + 1], axis=1))
    boxes: list[FloatArray] = list(np.concatenate([low, high], axis=1))
    neighbours = _neighbours(labels, count)
    born = [0.0] * count
    died: dict[int, float] = {}

    def distance(a: int, b: int) -> float:
        color = float(np.linalg.norm(means[a] - means[b]))
        # Small regions go first, so that specks do not outlive the things they lie on.
        return color * 2.0 * sizes[a] * sizes[b] / (sizes[a] + sizes[b]) / labels.size * 100.0 + 0.1 * color

    queue = [(distance(a, b), a, b) for a in range(count) for b in neighbours[a] if a < b]
    heapq.heapify(queue)
    level = 0.0
    while queue:
        cost, a, b = heapq.heappop(queue)
        if a in died or b in died:
            continue
        level = max(level, cost)
        died[a] = died[b] = level
        new = len(sizes)
        total = sizes[a] + sizes[b]
        means.append((means[a] * sizes[a] + means[b] * sizes[b]) / total)
        sizes.append(total)
        boxes.append(np.concatenate([np.minimum(boxes[a][:2], boxes[b][:2]), np.maximum(boxes[a][2:], boxes[b][2:])]))
        born.append(level)
        around = (neighbours[a] | neighbours[b]) - {a, b}
        neighbours.append(around)
        for other in around:
            neighbours[other] -= {a, b}
            neighbours[other].add(new)
            heapq.heappush(queue, (distance(other, new), other, new))
    share = np.array(sizes) / labels.size
    lives = np.array([died.get(i, level) - born[i] for i in range(len(sizes))])
    all_boxes = np.array(boxes)
    sides = all_boxes[:, 2:] - all_boxes[:, :2]
    good = (share >= _SMALLEST_SHARE) & (share <= _LARGEST_SHARE) & (sides.min(axis=1) >= 3)
    return all_boxes[good], lives[good]


def _neighbours(labels: NDArray[np.int32], count: int) -> list[set[int]]:
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1),
        ]
    )
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    found: list[set[int]] = [set() for _ in range(count)]
    for a, b in pairs:
        found[a].add(int(b))
        found[b].add(int(a))
    return found
