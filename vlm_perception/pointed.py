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
        Boxes first, each kind in the order of the phrases.
    """
    boxes = [
        Detection(phrase, phrase, words.score, box) for phrase, words in said for box in _boxes(words) if _has_area(box)
    ]
    points = [
        (phrase, words.score, _inside(box, image_wh))
        for phrase, words in said
        for box in _boxes(words)
        if not _has_area(box)
    ]
    if not points:
        return boxes
    under = [(point, mask) for (_, _, point), (mask, _) in zip(points, things_at([p for _, _, p in points]), strict=True)]
    found: list[Detection] = []
    known: list[_Thing] = []
    for phrase in dict.fromkeys(phrase for phrase, _, _ in points):
        of_it = [k for k, (asked, _, _) in enumerate(points) if asked == phrase]
        things = _joined(_apart([under[k] for k in of_it]), known)
        known += [thing for thing in things if all(thing[1] is not other for _, other in known)]
        for k, (_, mask) in zip(of_it, things, strict=True):
            found.append(Detection(phrase, phrase, points[k][1], box_of(mask), mask=mask))
    return [*boxes, *found]


_Thing = tuple[PointUv, BoolMask]


def _boxes(words: GroundedText) -> list[BoxXyxy]:
    return [box for mention in words.mentions for box in mention.boxes_xyxy]


def _has_area(box_xyxy: BoxXyxy) -> bool:
    return box_xyxy[2] > box_xyxy[0] and box_xyxy[3] > box_xyxy[1]


def _inside(box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> PointUv:
    u, v = np.clip(box_xyxy[:2], 0.0, np.array(image_wh) - 1.0)
    return float(u), float(v)


def _has(mask: BoolMask, point: PointUv) -> bool:
    return bool(mask[int(point[1]), int(point[0])])


def _apart(things: Sequence[_Thing]) -> list[_Thing]:
    """Each pixel of a region that holds several points is that of the nearest, of two as near the first's."""
    parted = []
    for k, (point, mask) in enumerate(things):
        sharing = [j for j, (other, theirs) in enumerate(things) if j == k or _has(mask, other) or _has(theirs, point)]
        own = mask
        if len(sharing) > 1:
            v, u = np.nonzero(mask)
            distances = [np.hypot(u - things[j][0][0], v - things[j][0][1]) for j in sharing]
            nearest = np.argmin(distances, axis=0) == sharing.index(k)
            own = np.zeros_like(mask)
            own[v[nearest], u[nearest]] = True
            own[int(point[1]), int(point[0])] = True
        parted.append((point, own))
    return parted


def _joined(things: Sequence[_Thing], known: Sequence[_Thing]) -> list[_Thing]:
    """What earlier phrases found already, for each thing that is one of them; no two become the same."""
    taken: set[int] = set()
    joined = []
    for point, mask in things:
        near = [
            (float(np.hypot(point[0] - other[0], point[1] - other[1])), k)
            for k, (other, theirs) in enumerate(known)
            if k not in taken and (_has(theirs, point) or _has(mask, other))
        ]
        same = min(near)[1] if near else None
        if same is not None:
            taken.add(same)
        joined.append((point, mask if same is None else known[same][1]))
    return joined
