"""Counts of what a detector found and missed. Pure: no torch, no pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training.phrases import COLORS, KINDS

Box = Sequence[float]

FOUND_IOU: Final = 0.5
LOOSE_IOU: Final = 0.1
SIZES_PX: Final = (100, 200, 400, 800, 1600, 3200)
SHOWN: Final = (0.5, 0.75, 0.95)
TIGHTNESS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_CATEGORIES: Final = {
    "cans, cylinders": "can cylinder",
    "bottles, vases": "bottle vase",
    "boxes, cartons": "box carton",
    "books, laptops": "book laptop",
    "bowls, ramekins": "bowl ramekin",
    "mugs, cups": "mug cup",
    "plates": "plate",
    "pots, pans": "pot pan",
    "fruit, bread": "lemon apple banana bread",
    "containers, racks": "basket bin tray caddy rack",
    "furniture": "shelf cabinet fridge microwave stove faucet",
    "blocks, balls": "cube ball cone ring",
    "tools": "hammer pen",
}
CATEGORIES: Final = tuple(_CATEGORIES)
_OF_NOUN: Final = {noun: name for name, nouns in _CATEGORIES.items() for noun in nouns.split()}


@dataclass(frozen=True)
class Asked:
    """One phrase asked of one frame, and the best box that came.

    Attributes:
        phrase: as asked.
        kind: `there`, `absent` or `absent_kin`.
        target: index of the thing that is meant, or -1.
        score: of the best box.
        box: the best box, xyxy px.
        things: the frame's objects, records of `training.generate`.
        frame_wh: size of the picture, px.
    """

    phrase: str
    kind: str
    target: int
    score: float
    box: Box
    things: Sequence[dict[str, Any]]
    frame_wh: tuple[int, int] = (480, 360)

    @property
    def thing(self) -> dict[str, Any]:
        """What is meant; only where something is."""
        return self.things[self.target]

    @property
    def overlap(self) -> float:
        """IoU of the box with what is meant; 0 where nothing is."""
        return iou(self.box, self.thing["box"]) if self.target >= 0 else 0.0

    @property
    def covered(self) -> int:
        """Index of the thing that the box covers best, if by IoU 0.5; else -1."""
        overlaps = [iou(self.box, thing["box"]) for thing in self.things]
        best = int(np.argmax(overlaps)) if overlaps else -1
        return best if best >= 0 and overlaps[best] >= FOUND_IOU else -1

    @property
    def outcome(self) -> str:
        """`found`, or why not: `loose` (a box about the right thing), `other` (another thing's), `nothing`."""
        if self.overlap >= FOUND_IOU:
            return "found"
        if self.covered >= 0:
            return "other"
        return "loose" if self.overlap >= LOOSE_IOU else "nothing"


def iou(a: Box, b: Box) -> float:
    """IoU of two corner boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    return inter / max((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter, 1e-9)


def category(key: str) -> str:
    """The coarse category of a kind of thing."""
    return _OF_NOUN[KINDS[key].nouns[0].split()[-1]]


def span(value: float, edges: Sequence[float], unit: str = "") -> str:
    """The bin that a value is in, in words: `under 100`, `100-200`, `3200 and more`."""
    above = [edge for edge in edges if value >= edge]
    below = [edge for edge in edges if value < edge]
    if not above:
        return f"under {below[0]}{unit}"
    return f"{above[-1]}-{below[0]}{unit}" if below else f"{above[-1]}{unit} and more"


def by_size(asked: Asked) -> str:
    """Visible pixels, counted as in a picture of 480x360."""
    width, height = asked.frame_wh
    return span(asked.thing["pixels"] * (480 * 360) / (width * height), SIZES_PX, " px")


def by_shown(asked: Asked) -> str:
    """Share of the thing's whole box that is seen; the rest is hidden or outside the picture."""
    x0, y0, x1, y1 = asked.thing["box"]
    at_border = x0 <= 0 or y0 <= 0 or x1 >= asked.frame_wh[0] or y1 >= asked.frame_wh[1]
    return "cut by the picture's border" if at_border else f"seen: {span(asked.thing['shown'], SHOWN)}"


def by_color(asked: Asked) -> str:
    """The color it was painted, or the words' own."""
    return asked.thing["color"] or "its own look"


def by_words(asked: Asked) -> str:
    """Whether a color is said."""
    return "a color and a noun" if asked.phrase.split()[0] in COLORS else "a noun"


@dataclass(frozen=True)
class Rate:
    """How one group fared: `found` whatever the score, `kept` of those at the threshold, and why others were not."""

    asked: int
    found: int
    kept: int
    outcomes: Counter[str]


def rates(rows: Sequence[Asked], threshold: float, group: Callable[[Asked], str]) -> dict[str, Rate]:
    """A rate a group of the things that are there, most asked first."""
    members: dict[str, list[Asked]] = {}
    for row in rows:
        if row.target >= 0:
            members.setdefault(group(row), []).append(row)
    out = {}
    for name, those in sorted(members.items(), key=lambda item: -len(item[1])):
        outcomes = Counter(row.outcome for row in those)
        kept = sum(row.outcome == "found" and row.score >= threshold for row in those)
        out[name] = Rate(len(those), outcomes["found"], kept, outcomes)
    return out


def confusions(rows: Sequence[Asked], threshold: float) -> Counter[tuple[str, str, str]]:
    """Phrase, the color and kind of the other thing its box covered, `there` or `absent`; how often.

    A phrase that is there counts at any score; one that is not, only above the threshold.
    """
    out: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        covered = row.covered
        if row.outcome == "other" and (row.target >= 0 or row.score >= threshold):
            other = row.things[covered]
            out[row.phrase, " ".join(filter(None, (other["color"], other["key"]))), row.kind.split("_")[0]] += 1
    return out


def matrix(rows: Sequence[Asked]) -> np.ndarray:
    """(C, C + 3) counts: rows the category meant; columns the category of the other thing covered, then
    `found`, `loose` and `nothing`. Only what is there.
    """
    out = np.zeros((len(CATEGORIES), len(CATEGORIES) + 3), int)
    for row in rows:
        if row.target >= 0:
            line = CATEGORIES.index(category(row.thing["key"]))
            if row.outcome == "other":
                out[line, CATEGORIES.index(category(row.things[row.covered]["key"]))] += 1
            else:
                out[line, len(CATEGORIES) + ("found", "loose", "nothing").index(row.outcome)] += 1
    return out


def best_threshold(rows: Sequence[Asked]) -> float:
    """The score that best balances finding what is there against refusing what is not."""
    there = np.array([(row.score, row.outcome == "found") for row in rows if row.target >= 0]).reshape(-1, 2)
    absent = np.array([row.score for row in rows if row.target < 0])
    grid = np.round(np.arange(0.05, 0.9, 0.01), 2)
    refused = [float((absent < t).mean()) if len(absent) else 0.0 for t in grid]
    right = [float((there[:, 1] * (there[:, 0] >= t)).mean()) if len(there) else 0.0 for t in grid]
    return float(grid[int(np.argmax(np.add(right, refused)))])
