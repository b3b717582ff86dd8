"""Which objects one entity means: one, several, too many alike, or none and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlm_perception.spatial import wording
from vlm_perception.spatial.likeness import look_alike
from vlm_perception.spatial.reading import Reading
from vlm_perception.spatial.scene import Scene
from vlm_perception.types import BoxXyxy, Entity, Status

_SAME_OVERLAP = 0.7


@dataclass(frozen=True, eq=False)
class Choice:
    """What was decided for one entity.

    Attributes:
        indices: of the chosen objects, best first; empty when there is none.
        rivals: told apart too little (AMBIGUOUS), or the next best.
        message: why there is no choice.
    """

    status: Status
    indices: tuple[int, ...] = ()
    rivals: tuple[int, ...] = ()
    message: str = ""


def choose(
    entity: Entity,
    scene: Scene,
    vocabulary: frozenset[str] | None = None,
    *,
    avoid: set[int] | None = None,
    score_ratio: float | None = None,
) -> Choice:
    """Decide which objects an entity means.

    Args:
        entity: what was asked for.
        scene: the objects.
        vocabulary: for the explanation when there is none.
        score_ratio: in place of the settings' own.
        avoid: objects that are spoken for (the destination of the same command), unless nothing else is left.
    """
    reading = scene.read(entity)
    detection, relation = reading.detection.copy(), reading.relation
    if avoid and any(detection[i] > 0 for i in range(len(detection)) if i not in avoid):
        detection[list(avoid)] = 0.0
    if not detection.any() or reading.missing is not None or reading.short is not None:
        return Choice(Status.NOT_FOUND, message=why_not(entity, reading, vocabulary))
    settings = scene.settings
    single = entity.number == 1
    bar = settings.min_relation if single else settings.holds
    if not entity.relations and not any(a.kind == "size" for a in entity.attributes):
        bar = min(bar, 1e-9)
    best = detection.max()
    if single:
        live = np.flatnonzero((detection > 0) & (relation >= bar))
    else:
        live = np.flatnonzero(scene.alike(detection) & (relation >= bar))
    if not len(live):
        return Choice(
            Status.NOT_FOUND, rivals=tuple(np.flatnonzero(detection > 0)), message=_unrelated(entity, reading, scene)
        )
    goodness = np.sqrt(detection / best) * relation
    ordered = _without_doubles([int(i) for i in live[np.argsort(-goodness[live], kind="stable")]], scene)
    if entity.number is None:
        least, most = entity.bounds or (0, None)
        if len(ordered) < least:
            told = f"I see only {wording.counted(entity, len(ordered))} of the at least {least} asked for."
            return Choice(Status.NOT_FOUND, rivals=tuple(ordered), message=told)
        return Choice(Status.SUCCEEDED, tuple(ordered[:most]), tuple(ordered[most:] if most is not None else ()))
    wanted = max(1, entity.number)
    if len(ordered) < wanted:
        return Choice(
            Status.NOT_FOUND,
            rivals=tuple(ordered),
            message=f"I see only {wording.counted(entity, len(ordered))} of the {wanted} asked for.",
        )
    if wanted == 1:
        ordered = _nearest_first(entity, reading, detection, ordered, scene)
    rivals = tuple(ordered[wanted:])
    if wanted == 1 and entity.definite:
        tied = _tied(
            entity, reading, detection, ordered, scene, settings.score_ratio if score_ratio is None else score_ratio
        )
        if tied:
            return Choice(Status.AMBIGUOUS, rivals=(ordered[0], *tied))
    return Choice(Status.SUCCEEDED, tuple(ordered[:wanted]), rivals)


def _nearest_first(
    entity: Entity, reading: Reading, detection: NDArray[np.float64], ordered: list[int], scene: Scene
) -> list[int]:
    """Of things that do about equally well, the one that is nearer to what it is under, above or next to."""
    first = ordered[0]
    for other in ordered[1:]:
        as_good = reading.relation[other] >= scene.settings.relation_ratio * reading.relation[first]
        as_sure = detection[other] >= scene.settings.score_ratio * detection[first]
        if as_good and as_sure and scene.nearer(reading, entity, other, first):
            first = other
    return [first, *(i for i in ordered if i != first)]


def _tied(
    entity: Entity,
    reading: Reading,
    detection: NDArray[np.float64],
    ordered: list[int],
    scene: Scene,
    score_ratio: float,
) -> tuple[int, ...]:
    """The objects that are not told apart from the best one."""
    first, settings = ordered[0], scene.settings
    if reading.tied is not None:
        tied = [int(i) for i in np.flatnonzero(reading.tied)]
        return tuple(_without_doubles([first, *tied], scene)[1:])
    described = any(not a.negated and a.kind not in {"size", "state"} for a in entity.attributes)
    ratio = max(score_ratio, settings.attribute_ratio) if described else score_ratio
    near = []
    for other in ordered[1:]:
        if reading.relation[other] < settings.relation_ratio * reading.relation[first]:
            continue
        if not look_alike(scene.objects[first], scene.objects[other]):
            ratio_here = max(ratio, settings.unlike_ratio)
        else:
            ratio_here = ratio
        if detection[other] >= ratio_here * detection[first] and not scene.nearer(reading, entity, first, other):
            near.append(other)
    return tuple(near)


def _without_doubles(ordered: list[int], scene: Scene) -> list[int]:
    """Drop what is the same thing again: a box that mostly overlaps a better one."""
    kept: list[int] = []
    for i in ordered:
        if all(_overlap(scene.objects[i].box_xyxy, scene.objects[k].box_xyxy) < _SAME_OVERLAP for k in kept):
            kept.append(i)
    return kept


def _overlap(a: BoxXyxy, b: BoxXyxy) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def why_not(entity: Entity, reading: Reading, vocabulary: frozenset[str] | None) -> str:
    """Which phrase nothing answered to."""
    missing = reading.missing
    if missing is not None:
        role = f"by which to find the {wording.name_of(entity)}"
        hint = wording.unknown_hint(missing, vocabulary)
        return f"I see no {wording.name_of(missing)}, {role}.{hint} Name another landmark, or bring it into view."
    if reading.short is not None and reading.detection.any():
        have = wording.counted(entity, reading.members)
        return f"I see only {have}, too few for the {reading.short.text or _nth(reading.short.rank)} one asked for."
    hint = wording.unknown_hint(entity, vocabulary)
    return f"I see no {wording.name_of(entity)}.{hint or ' Point the camera at it, or name it differently.'}"


def _nth(rank: int) -> str:
    return {1: "first", 2: "second", 3: "third", -1: "last"}.get(rank, f"{abs(rank)}th")


def _unrelated(entity: Entity, reading: Reading, scene: Scene) -> str:
    number = len(_without_doubles([int(i) for i in np.flatnonzero(reading.detection > 0)], scene))
    blame = reading.failed or next(iter(entity.relations), None)
    if blame is None:
        return f"I see {wording.counted(entity, number)}, but none as described."
    return f"I see {wording.counted(entity, number)}, but none {wording.relation_words(blame)}."
