"""Phrases and the points that a model gave for them -> things, so that what only points locates like a detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vlm_perception.models.base import GroundedText
from vlm_perception.pointing import PointUv, box_of
from vlm_perception.types import BoolMask, BoxXyxy, Detection

# Points, each on a thing of its own -> the things' masks and boxes.
Things = Callable[[Sequence[PointUv]], Sequence[tuple[BoolMask, BoxXyxy]]]


def detections_of_points(
    said: Sequence[tuple[str, GroundedText]], image_wh: tuple[int, int], things_at: Things
) -> list[Detection]:
    """A detection for each point.

    Points of one phrase are different things, for the model points at each once: where what lies under two of them is
    found to be one region, each gets the part of it that is nearer. Points of different phrases ("red mug", "mug") on
    the same thing get the same box and mask.

    Args:
        said: phrases with what the model said when it was asked to point at them; an area among its places is a box.
        image_wh: width and height, px.
        things_at: is called once, with all points.

    Returns:
        In the order of the phrases.
    """
    places = [(phrase, words.score, box) for phrase, words in said for m in words.mentions for box in m.boxes_xyxy]
    points = [_inside(box, image_wh) for _, _, box in places if not _has_area(box)]
    pending = iter(zip(points, things_at(points) if points else (), strict=True))
    known: list[_Thing] = []
    found: list[Detection] = []
    for phrase in dict.fromkeys(phrase for phrase, _, _ in places):
        of_it = [(score, box) for asked, score, box in places if asked == phrase]
        scores = [score for score, box in of_it if not _has_area(box)]
        things = _apart([(point, mask) for _ in scores for point, (mask, _) in (next(pending),)])
        things = _joined(things, known)
        known += [thing for thing in things if all(thing[1] is not other for _, other in known)]
        found += [Detection(phrase, phrase, score, box) for score, box in of_it if _has_area(box)]
        found += [Detection(phrase, phrase, s, box_of(mask), mask=mask) for s, (_, mask) in zip(scores, things, strict=True)]
    return found


_Thing = tuple[PointUv, BoolMask]


def _has_area(box_xyxy: BoxXyxy) -> bool:
    return box_xyxy[2] > box_xyxy[0] and box_xyxy[3] > box_xyxy[1]


def _inside(box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> PointUv:
    u, v = np.clip(box_xyxy[:2], 0.0, np.array(image_wh) - 1.0)
    return float(u), float(v)


def _has(mask: BoolMask, point: PointUv) -> bool:
    return bool(mask[int(point[1]), int(point[0])])


def _apart(things: Sequence[_Thing]) -> list[_Thing]:
    """Each pixel of a region that holds several points is that of the nearest."""
    parted = []
    for k, (point, mask) in enumerate(things):
        others = [other for j, (other, theirs) in enumerate(things) if j != k and (_has(mask, other) or _has(theirs, point))]
        if others:
            v, u = np.nonzero(mask)
            distances = [np.hypot(u - x, v - y) for x, y in (point, *others)]
            nearer = np.argmin(distances, axis=0) == 0
            mask = np.zeros_like(mask)  # noqa: PLW2901
            mask[v[nearer], u[nearer]] = True
            mask[int(point[1]), int(point[0])] = True
        parted.append((point, mask))
    return parted


def _joined(things: Sequence[_Thing], known: Sequence[_Thing]) -> list[_Thing]:
    """What earlier phrases found already, for each thing that is one of them; no two become the same."""
    taken: set[int] = set()
    joined = []
    for point, mask in things:
        same = [
            (float(np.hypot(point[0] - other[0], point[1] - other[1])), k)
            for k, (other, theirs) in enumerate(known)
            if k not in taken and (_has(theirs, point) or _has(mask, other))
        ]
        if same:
            taken.add(min(same)[1])
            joined.append((point, known[min(same)[1]][1]))
        else:
            joined.append((point, mask))
    return joined
