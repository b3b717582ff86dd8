"""Picking by order and size among the things that answer to a description."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlm_perception.spatial.rankings import rank_margin, rank_values
from vlm_perception.spatial.reading import Reading
from vlm_perception.types import Entity, FloatArray, Ranking, Relation

if TYPE_CHECKING:
    from vlm_perception.spatial.scene import Scene

_SIZE_KEYS = {
    "big": "large", "large": "large", "huge": "large", "giant": "large", "enormous": "large", "small": "small", "little": "small",
    "tiny": "small", "mini": "small", "miniature": "small", "tall": "tall", "short": "short", "long": "long", "wide": "wide",
    "broad": "wide", "narrow": "narrow", "thin": "thin", "slim": "thin", "thick": "thick", "fat": "thick",
}  # fmt: skip
_BRIGHTNESS_NOISE = 6.0  # of 255
SPOTS = {
    "edge": "at_edge_of",
    "border": "at_edge_of",
    "corner": "at_corner_of",
    "center": "at_center_of",
    "middle": "at_center_of",
}


def weigh_sizes(scene: Scene, reading: Reading, entity: Entity) -> None:
    """Let "small", "tall" ... favor the members that are so beside the others; alone, a thing is as big as it likes."""
    for attribute in entity.attributes:
        key = _SIZE_KEYS.get(attribute.value) if attribute.kind == "size" else None
        members = scene.members(reading)
        if key is None or len(members) < 2:
            continue
        things = scene.extents(members)
        values = rank_values(key, things, scene.flat.take(members), by_image=scene.by_image)
        spread = float(np.ptp(values))
        if spread < 0.15 * float(np.abs(values).max()):
            continue
        fit = (values.max() - values) / spread
        weight = np.zeros(len(scene.objects))
        weight[members] = 1.0 - fit if attribute.negated else fit
        reading.relation = reading.relation * weight


def rank(scene: Scene, reading: Reading, ranking: Ranking, number: int | None) -> None:
    """Keep the members that a ranking picks; note which others are too close to tell apart, or that there are too few."""
    if ranking.of is not None:
        alone = replace(ranking.of, rankings=(replace(ranking, of=None),), number=1)
        best = scene.read(alone)
        first = best.goodness > 0
        if best.tied is not None:  # as good as the first one
            first |= best.tied
        reading.relation = reading.relation * first
        reading.missing = reading.missing or best.missing
        return
    members = scene.members(reading)
    anchor = None
    if ranking.anchor is not None:
        found = scene.read(ranking.anchor).goodness
        if not found.any() and ranking.anchor.noun in SPOTS:
            _rank_by_spot(scene, reading, ranking, members)
            return
        if not found.any():
            reading.missing = reading.missing or scene.missing_in(ranking.anchor)
            return
        index = int(found.argmax())
        members = members[members != index]
        reading.anchors.append((ranking.anchor, np.full((len(scene.objects), 1), index)))
        anchor = np.array([index])
    reading.members = len(members)
    count = max(1, number or 1)
    if not len(members) or abs(ranking.rank) + (count - 1) > len(members):
        reading.short = ranking
        reading.relation = np.zeros(len(scene.objects))
        return
    solid = scene.known[members].all() and (anchor is None or bool(scene.known[anchor].all()))
    source = scene.solid if solid else scene.flat
    things = source.take(members)
    values = rank_values(
        ranking.key,
        things,
        scene.flat.take(members),
        by_image=scene.by_image,
        anchor=None if anchor is None else source.take(anchor),
    )
    if ranking.key in {"dark", "bright"}:
        values = _brightness(scene, members) * (1.0 if ranking.key == "dark" else -1.0)
    order = np.argsort(values, kind="stable")
    start = ranking.rank - 1 if ranking.rank > 0 else len(members) + ranking.rank - (count - 1)
    chosen = order[start :: ranking.step] if ranking.step else order[start : start + count]
    in_pixels = scene.by_image and ranking.key in {"left", "right"}
    margin = rank_margin(ranking.key, scene.flat.take(members) if in_pixels else things, scene.settings.rank_margin)
    if ranking.key in {"dark", "bright"}:
        margin = _BRIGHTNESS_NOISE
    near = np.array([np.abs(values[chosen] - value).min() < margin for value in values])
    near[chosen] = False
    tied = np.zeros(len(scene.objects), dtype=bool)
    tied[members[near]] = True
    reading.tied = tied
    keep = np.zeros(len(scene.objects))
    keep[members[chosen]] = 1.0
    reading.relation = reading.relation * keep


def _brightness(scene: Scene, members: NDArray[np.intp]) -> FloatArray:
    """(N,) luma (ITU-R BT.601) of the median colors; middle gray where none was measured."""
    weights = np.array([0.299, 0.587, 0.114])
    colors = [scene.objects[i].mean_rgb or (128.0, 128.0, 128.0) for i in members]
    return np.asarray(np.array(colors) @ weights)


def _rank_by_spot(scene: Scene, reading: Reading, ranking: Ranking, members: NDArray[np.intp]) -> None:
    """ "nearest to the edge of the table": an edge is no object but a place on one."""
    anchor = ranking.anchor
    if anchor is None or not len(members):
        return
    whole = next((r.anchors for r in anchor.relations if r.predicate == "part_of"), ())
    scores, _ = scene.relation_scores(Relation(SPOTS[anchor.noun], whole), reading)
    if scores is None:
        return
    order = members[np.argsort(-scores[members], kind="stable")]
    keep = np.zeros(len(scene.objects))
    keep[order[ranking.rank - 1 : ranking.rank] if 0 < ranking.rank <= len(order) else order[ranking.rank :][:1]] = 1.0
    reading.relation = reading.relation * keep
