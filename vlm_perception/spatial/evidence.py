"""Objects as they are shown in an answer, with the anchors they were judged by."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_perception.spatial.scene import Scene
from vlm_perception.types import Entity, Grounding, Role


def grounding(scene: Scene, entity: Entity, index: int, role: Role) -> Grounding:
    """One object in its part; the score is the detector's for these words."""
    item = scene.objects[index]
    detection = float(scene.read(entity).detection[index])
    score = min(1.0, detection if detection > 0 else item.best_score)
    return Grounding(item, role, entity.phrase, score)


def anchors_of(scene: Scene, entity: Entity, indices: Sequence[int]) -> list[tuple[Entity, int]]:
    """The anchors that the chosen objects were judged by, nested ones included."""
    found: list[tuple[Entity, int]] = []
    for index in indices:
        for anchor, best in scene.read(entity).anchors:
            for other in best[index]:
                found.append((anchor, int(other)))
                found += anchors_of(scene, anchor, [int(other)])
    return list(dict.fromkeys(found))
