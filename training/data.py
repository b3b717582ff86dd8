"""Batches of rendered scenes, cropped and recolored, from a folder that may still be growing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset

from training.phrases import naming

MIN_SHOWN = 0.25


@dataclass
class Batch:
    """Pictures and what is in them.

    Attributes:
        images: (B, 3, H, W) uint8 RGB.
        boxes: Per picture (O, 4) center x, y, width, height as shares of the picture.
        names: Per picture (O, V) bool: the phrase is right.
        unclear: Per picture (O, V) bool: neither right nor wrong.
        ignored: Per picture (O,) bool: too little of it is seen to ask for it.
    """

    images: torch.Tensor
    boxes: list[torch.Tensor]
    names: list[torch.Tensor]
    unclear: list[torch.Tensor]
    ignored: list[torch.Tensor]


def read_labels(root: Path, known: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Records of all finished chunks; `known` keeps what was read before."""
    for path in sorted(root.glob("*/labels.jsonl")):
        if path.parent.name not in known:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            known[path.parent.name] = [{**row, "image": str(path.parent / row["image"])} for row in rows]
    return [row for rows in known.values() for row in rows]


class PhraseTable:
    """Multi-hot rows over the vocabulary."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self.index = {phrase: k for k, phrase in enumerate(vocabulary)}
        self._rows: dict[tuple[str, str | None], tuple[np.ndarray, np.ndarray]] = {}

    def rows(self, key: str, color: str | None) -> tuple[np.ndarray, np.ndarray]:
        """(V,) right and (V,) unclear."""
        if (key, color) not in self._rows:
            right = np.zeros(len(self.index), bool)
            unclear = np.zeros(len(self.index), bool)
            found = naming(key, color)
            for phrase in found.names:
                if phrase in self.index:
                    right[self.index[phrase]] = True
            for phrase in found.unclear:
                if phrase in self.index:
                    unclear[self.index[phrase]] = True
            self._rows[key, color] = (right, unclear)
        return self._rows[key, color]


def recolor(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, saturation, tint, blur and noise that leave color names right."""
    picture = image.astype(np.float32)
    if rng.random() < 0.8:
        picture *= rng.uniform(0.65, 1.4)
        mean = picture.mean()
        picture = (picture - mean) * rng.uniform(0.75, 1.25) + mean
        gray = picture.mean(axis=2, keepdims=True)
        picture = gray + (picture - gray) * rng.uniform(0.75, 1.2)
        picture *= 1 + rng.normal(0, 0.03, 3).astype(np.float32)
    if rng.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.0)))
    if rng.random() < 0.3:
        picture += rng.normal(0, rng.uniform(1, 6), picture.shape).astype(np.float32)
    return picture.clip(0, 255).astype(np.uint8)


def crop(
    image: np.ndarray, boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut and resize a window, perhaps mirrored.

    Args:
        image: (H, W, 3) uint8.
        boxes: (O, 4) corners, px.
        size: Output height and width, px.
        rng: Source of the window.

    Returns:
        The picture, the boxes in it as corners, px, and the share of each box that is left, (O,).
    """
    height, width = image.shape[:2]
    share = 1.0 if rng.random() < 0.4 else rng.uniform(0.5, 1.0)
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    w, h = min(width, width * share * stretch), min(height, height * share / stretch)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    x0, y0, x1, y1 = round(x), round(y), round(x + w), round(y + h)
    cut = image[y0:y1, x0:x1]
    if share == 1.0 and rng.random() < 0.15:
        # Farther away than any rendered view.
        factor = rng.uniform(0.6, 0.9)
        small = cv2.resize(cut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        canvas = np.full_like(cut, rng.integers(0, 255))
        dy, dx = (int(rng.integers(0, a - b + 1)) for a, b in zip(cut.shape[:2], small.shape[:2], strict=True))
        canvas[dy : dy + small.shape[0], dx : dx + small.shape[1]] = small
        moved = (boxes - [x0, y0, x0, y0]) * factor + [dx, dy, dx, dy]
        cut = canvas
    else:
        moved = boxes - np.array([x0, y0, x0, y0], float)
    rows, columns = cut.shape[:2]
    area = np.maximum((moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1]), 1e-6)
    clipped = moved.clip(0, [columns, rows, columns, rows])
    left = (clipped[:, 2] - clipped[:, 0]).clip(0) * (clipped[:, 3] - clipped[:, 1]).clip(0) / area
    out = cv2.resize(cut, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    clipped *= np.array([size[1] / columns, size[0] / rows] * 2)
    if rng.random() < 0.35:
        out = out[:, ::-1]
        clipped = clipped[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [size[1], 0, size[1], 0]
    return np.ascontiguousarray(out), clipped, left


class Scenes(IterableDataset):
    """Endless training batches.

    Args:
        root: Folder of chunks.
        vocabulary: Every phrase.
        batch: Pictures a batch.
        height: Shared value: the picture height in use, px.
        width: Shared value: the picture width in use, px.
        seed: Seed.
    """

    def __init__(
        self, root: Path, vocabulary: tuple[str, ...], batch: int, height: Synchronized, width: Synchronized, seed: int
    ) -> None:
        self.root, self.vocabulary, self.batch = root, vocabulary, batch
        self.height, self.width, self.seed = height, width, seed

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(0)
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0, int(time.time())])
        table = PhraseTable(self.vocabulary)
        known: dict[str, list[dict[str, Any]]] = {}
        rows: list[dict[str, Any]] = []
        queue: list[int] = []
        while True:
            if not queue:
                rows = read_labels(self.root, known)
                # Short rounds: new chunks join soon.
                queue = list(rng.permutation(len(rows))[:1500])
            picks = [rows[queue.pop()] for _ in range(min(self.batch, len(queue)))]
            if len(picks) < self.batch:
                continue
            yield self._collate(picks, table, rng)

    def _collate(self, picks: list[dict[str, Any]], table: PhraseTable, rng: np.random.Generator) -> Batch:
        size = (self.height.value, self.width.value)
        batch = Batch(torch.empty((len(picks), 3, *size), dtype=torch.uint8), [], [], [], [])
        for k, row in enumerate(picks):
            image = cv2.cvtColor(cv2.imread(row["image"]), cv2.COLOR_BGR2RGB)
            boxes = np.array([o["box"] for o in row["objects"]], float).reshape(-1, 4)
            picture, boxes, left = crop(image, boxes, size, rng)
            batch.images[k] = torch.from_numpy(recolor(picture, rng)).permute(2, 0, 1)
            keep = (left > 0.1) & (boxes[:, 2] - boxes[:, 0] >= 3) & (boxes[:, 3] - boxes[:, 1] >= 3)
            objects = [o for o, kept in zip(row["objects"], keep, strict=True) if kept]
            seen = left[keep] * np.array([o["shown"] for o in objects])
            corners = boxes[keep] / [size[1], size[0], size[1], size[0]]
            centred = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
            both = [table.rows(o["key"], o["color"]) for o in objects]
            count = len(table.index)
            batch.boxes.append(torch.from_numpy(centred).float())
            batch.names.append(torch.from_numpy(np.array([b[0] for b in both], bool).reshape(-1, count)))
            batch.unclear.append(torch.from_numpy(np.array([b[1] for b in both], bool).reshape(-1, count)))
            batch.ignored.append(torch.from_numpy(seen < MIN_SHOWN))
        return batch
