"""Phrases and the places that a model said -> detections; a point among them stands for the thing it lies on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vlm_perception.models.base import GroundedText
from vlm_perception.things_under_points import PointUv, box_of
from vlm_perception.types import BoolMask, BoxXyxy, Detection

# Points, each on a thing of its own -> the things' masks and boxes.
Things = Callable[[Sequence[PointUv]], Sequence[tuple[BoolMask, BoxXyxy]]]


def detections_of(
    said: Sequence[tuple[str, GroundedText]], image_wh: tuple[int, int], things_at: Things
) -> list[Detection]:
    """A detection for each place.

    Points of one phrase are different things, for the model points at each once: where what lies under two of them is
    found to be one region, each gets the part of it that is nearer. Points of different phrases ("red mug", "mug") on
    the same thing get the same box and mask.

    Args:
        said: phrases with what the model said of them; an area among its places is a box. A phrase may come again.
        image_wh: width and height, px.
        things_at: is called once, with all points; not without any.

    Returns:
        One a place, in the order given.
    """
    places = [(phrase, words.score, box) for phrase, words in said for m in words.mentions for box in m.boxes_xyxy]
    flat = [k for k, (_, _, box) in enumerate(places) if not _has_area(box)]
    points = [_inside(places[k][2], image_wh) for k in flat]
    under = dict(zip(flat, zip(points, things_at(points) if points else (), strict=True), strict=True))
    masks: dict[int, BoolMask] = {}
    known: list[_Thing] = []
    for phrase in dict.fromkeys(places[k][0] for k in flat):
        of_it = [k for k in flat if places[k][0] == phrase]
        things = _joined(_apart([(under[k][0], under[k][1][0]) for k in of_it]), known)
        known += [thing for thing in things if all(thing[1] is not other for _, other in known)]
        masks.update({k: mask for k, (_, mask) in zip(of_it, things, strict=True)})
    return [
        Detection(phrase, phrase, score, box_of(masks[k]) if k in masks else box, mask=masks.get(k))
        for k, (phrase, score, box) in enumerate(places)
    ]


_Thing = tuple[PointUv, BoolMask]


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
