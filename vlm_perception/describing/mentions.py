"""The things that a text speaks of -> objects in 3-D."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlm_perception import language
from vlm_perception.language.captions import parse_claims
from vlm_perception.models.base import GroundedText, Mention
from vlm_perception.scene import box_iou
from vlm_perception.spatial.candidates import GENERIC
from vlm_perception.stages import Stages
from vlm_perception.types import (
    CommandError,
    Detection,
    Entity,
    Grounding,
    Role,
    SceneObject,
)


@dataclass(frozen=True, eq=False)
class Tied:
    """Words and their objects.

    Attributes:
        mentions: with boxes.
        groundings: one target an object, in the order of the mentions; its phrase is the first that mentions it.
        objects: all of the frame's that were built.
    """

    mentions: tuple[Mention, ...]
    groundings: tuple[Grounding, ...]
    objects: tuple[SceneObject, ...]


def tie(stages: Stages, said: GroundedText, *, asked: str = "", first: Sequence[Detection] = ()) -> Tied:
    """Build the objects of mentions whose places the model gave.

    Args:
        stages: the pass over the frame.
        said: a point among its boxes stands for the thing it lies on.
        asked: what all of the mentions are; "": each is what its own label says.
        first: what the whole text is about, put before the mentions.
    """
    places = [(asked or mention.label, replace(said, mentions=(mention,))) for mention in said.mentions]
    return _tied(stages, said.mentions, [*first, *stages.detections_of(places)])


def tie_words(stages: Stages, said: GroundedText, *, about: str = "") -> Tied:
    """Find the things that a text names, for a model that speaks without saying where.

    Args:
        stages: the pass over the frame.
        said: its text is searched. Things are detected, or pointed at by a model that only points.
        about: what the text answers; things it names count as evidence too.
    """
    named = [(entity, True) for entity in _named(said.text)]
    named += [(entity, False) for entity in _named(about) if all(entity.phrase != e.phrase for e, _ in named)]
    if not named:
        return _tied(stages, (), [])
    can = stages.model.capabilities
    detections = stages.find([entity.phrase for entity, _ in named]) if can.detects or can.points else []
    mentions, kept = [], []
    for entity, spoken in named:
        of_it = [d for d in detections if d.phrase == entity.phrase]
        of_it = of_it if entity.number is None else of_it[: entity.number]
        if not of_it:
            continue
        kept += of_it
        boxes = tuple(d.box_xyxy for d in of_it)
        spans = list(_spans(entity, said.text)) if spoken else []
        words = said.text[slice(*spans[0])] if spans else entity.phrase
        mentions.append(Mention(spans[0] if spans else None, words, boxes))
        mentions += [Mention(span, said.text[slice(*span)], boxes) for span in spans[1:]]
    return _tied(stages, tuple(mentions), kept)


def _named(text: str) -> list[Entity]:
    """Every thing that a text names, each phrase once."""
    try:
        entities: Sequence[Entity] = parse_claims(text).things
    except CommandError:
        entities = ()
    if not entities:
        try:
            entities = language.parse(text).entities if text.strip() else ()
        except CommandError:
            entities = ()
    by_phrase: dict[str, Entity] = {}
    for entity in entities:
        if entity.noun not in GENERIC and entity.number != 0:
            by_phrase.setdefault(entity.phrase, entity)
    return list(by_phrase.values())


def _spans(entity: Entity, text: str) -> Iterator[tuple[int, int]]:
    """Where a text says it: with its article, in singular or plural, attributes as said or left out."""
    article = r"(?:\b(?:an?|the|one|two|three|four|some|several)\s+)?"
    for phrase in dict.fromkeys((entity.phrase, entity.noun)):
        words = r"\s+".join(re.escape(word) for word in phrase.split())
        found = [match.span() for match in re.finditer(rf"{article}\b{words}(?:e?s)?\b", text, re.IGNORECASE)]
        if found:
            yield from found
            return


def _tied(stages: Stages, mentions: Sequence[Mention], detections: Sequence[Detection]) -> Tied:
    objects = stages.build(detections)
    groundings: dict[int, Grounding] = {}
    for detection in detections:
        if not objects:
            break
        overlaps = [box_iou(item.box_xyxy, detection.box_xyxy) for item in objects]
        best = int(np.argmax(overlaps))
        item = objects[best]
        if overlaps[best] > 0.0:
            score = item.scores.get(detection.phrase, detection.score)
            groundings.setdefault(item.instance_id, Grounding(item, Role.TARGET, detection.phrase, score))
    return Tied(tuple(mentions), tuple(groundings.values()), objects)
