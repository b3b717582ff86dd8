"""How many there are, with their boxes."""

from __future__ import annotations

from dataclasses import replace

from vlm_perception.spatial import wording
from vlm_perception.spatial.choice import choose, why_not
from vlm_perception.spatial.evidence import anchors_of, grounding
from vlm_perception.spatial.scene import Scene
from vlm_perception.types import Grounding, Query, Resolution, Role, Status


def count(query: Query, scene: Scene, vocabulary: frozenset[str] | None) -> Resolution:
    """Answer "how many": the number, the things counted, and the sentence; none at all is an answer too."""
    groundings: list[Grounding] = []
    anchors: dict[int, Grounding] = {}
    told = []
    total = 0
    for item in query.items:
        entity = replace(item.entity, number=None, bounds=None)
        reading = scene.read(entity)
        if reading.missing is not None:
            return Resolution(Status.NOT_FOUND, why_not(entity, reading, vocabulary))
        choice = choose(entity, scene, vocabulary)
        total += len(choice.indices)
        told.append(
            wording.counted(entity, len(choice.indices))
            + "".join(f" {wording.relation_words(r)}" for r in entity.relations)
        )
        groundings += [grounding(scene, entity, i, Role.TARGET) for i in choice.indices]
        for anchor, index in anchors_of(scene, entity, choice.indices):
            anchors.setdefault(index, grounding(scene, anchor, index, Role.ANCHOR))
        if not choice.indices:
            hint = wording.unknown_hint(entity, vocabulary)
            told[-1] += f".{hint}" if hint else ""
    answer = f"I see {' and '.join(told)}".rstrip(".") + "."
    return Resolution(Status.SUCCEEDED, answer, (*groundings, *anchors.values()), count=total, answer=answer)
