"""How well boxes can be drawn from heatmaps at all: from ideal maps of true masks, by grid and threshold.

    python -m vlm_perception.evaluation.heatmap_bound FOLDER [FOLDER ...]

A model that knew each mask exactly, and said so in one number a cell, could not do better. A folder is of the format
rgbd-rec/1, or of scenes that ``python -m training.generate --masks`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vlm_perception.evaluation.dataset import DatasetError, load_rgbd_rec
from vlm_perception.evaluation.metrics import box_iou
from vlm_perception.models.base import Heatmap
from vlm_perception.models.heatmap_boxes import boxes_from_heatmap
from vlm_perception.summary import text_table
from vlm_perception.types import BoolMask, BoxXyxy, FloatArray, VlmPerceptionError

# Cells a side: CLIP at patch 32, Kosmos-2's 224 / 14 = 16, Florence-2's 24, PaliGemma 448's 32, and what lies around.
SIDES: Final = (7, 8, 14, 16, 24, 32, 64)
THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_LEAST_PIXELS: Final = 100


def ideal_heatmap(mask: BoolMask, side: int) -> Heatmap:
    """The share of each of ``side`` x ``side`` cells that a mask covers, linear between the cells' centres.

    Args:
        mask: (H, W).
        side: cells along both sides, whatever the aspect: as networks see an image made square.

    Returns:
        (H, W) float32 in [0, 1].
    """
    height, width = mask.shape
    cells = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def tight_box(mask: BoolMask) -> BoxXyxy:
    """The box of a mask that is not empty, pixels, max exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def ious_of(mask: BoolMask, sides: Sequence[int] = SIDES, thresholds: Sequence[float] = THRESHOLDS) -> FloatArray:
    """(S, T) IoU of the best box of each ideal map with the mask's own."""
    truth = tight_box(mask)
    rows = []
    for side in sides:
        heat = ideal_heatmap(mask, side)
        best = [boxes_from_heatmap(heat, threshold=threshold, max_boxes=1)[0] for threshold in thresholds]
        rows.append([box_iou(found.box_xyxy, truth) for found in best])
    return np.array(rows, dtype=np.float64)


def masks_in(folder: Path) -> Iterator[BoolMask]:
    """Masks of the things in a folder that have a name and at least 100 pixels.

    Raises:
        DatasetError: the folder is of neither format, or its scenes lack masks.
    """
    if (folder / "meta.json").is_file():
        for frame in load_rgbd_rec(folder).frames:
            named = (frame.mask(instance.id) for instance in frame.instances if instance.labels)
            yield from (mask for mask in named if np.count_nonzero(mask) >= _LEAST_PIXELS)
        return
    tables = sorted(folder.glob("*/labels.jsonl"))
    if not tables:
        raise DatasetError(f"{folder} holds neither meta.json (rgbd-rec/1) nor */labels.jsonl (training.generate)")
    for table in tables:
        for row in map(json.loads, table.read_text(encoding="utf-8").splitlines()):
            path = (table.parent / row["image"]).with_suffix(".png")
            ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if ids is None:
                raise DatasetError(f"{path} is missing: make the scenes with training.generate --masks")
            things = (np.asarray(ids == thing["number"]) for thing in row["objects"])
            yield from (mask for mask in things if np.count_nonzero(mask) >= _LEAST_PIXELS)


def table_of(ious: FloatArray) -> str:
    """Mean IoU by grid and threshold as text; the best of each grid with a star, and its share of IoU 0.5 or more.

    Args:
        ious: (N, S, T), of :func:`ious_of`.
    """
    means = ious.mean(axis=0)
    rows = []
    for side, line, each in zip(SIDES, means, ious.transpose(1, 0, 2), strict=True):
        best = int(line.argmax())
        cells = [f"{value:.2f}{'*' if column == best else ''}" for column, value in enumerate(line)]
        rows.append([f"{side} x {side}", *cells, f"{(each[:, best] >= 0.5).mean():.2f}"])
    overall = means.mean(axis=0)
    rows.append(["mean", *(f"{v:.2f}{'*' if k == overall.argmax() else ''}" for k, v in enumerate(overall)), ""])
    return text_table(["grid", *(f"at {threshold}" for threshold in THRESHOLDS), "IoU >= 0.5"], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: one table a folder; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m vlm_perception.evaluation.heatmap_bound", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folders", type=Path, nargs="+", help="rgbd-rec/1, or scenes of training.generate --masks")
    parser.add_argument("--limit", type=int, help="only the first N things of each folder")
    options = parser.parse_args(argv)
    try:
        for folder in options.folders:
            ious = np.array([ious_of(mask) for mask in islice(masks_in(folder), options.limit)])
            if not len(ious):
                raise DatasetError(f"{folder} holds no named thing of {_LEAST_PIXELS} pixels or more")
            sys.stdout.write(f"{folder}: {len(ious)} things, mean IoU of the box with the true one\n{table_of(ious)}\n")
    except VlmPerceptionError as error:
        sys.stderr.write(f"heatmap_bound: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
