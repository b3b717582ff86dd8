"""Query + objects -> who is meant, or why that cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vlm_perception.spatial import wording
from vlm_perception.spatial.parts import cut_part, whole_of
from vlm_perception.spatial.place import find_place
from vlm_perception.spatial.scene import SURFACES, Reading, Scene
from vlm_perception.spatial.settings import ResolverSettings
from vlm_perception.spatial.statements import verify
from vlm_perception.types import (
    BoxXyxy,
    Entity,
    Grounding,
    PlacePose,
    Query,
    Resolution,
    Role,
    RoleEntity,
    SceneObject,
    Status,
    Task,
    Viewpoint,
)

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


def resolve(
    query: Query,
    objects: Sequence[SceneObject],
    viewpoint: Viewpoint,
    *,
    image_size: tuple[int, int],
    settings: ResolverSettings = ResolverSettings(),  # noqa: B008 - frozen
    vocabulary: frozenset[str] | None = None,
) -> Resolution:
    """Pick the objects a query speaks of.

    Target and anchors are scored together: each candidate with the anchors that serve it best.

    Args:
        query: from ``language.parse``.
        objects: merged detections of one frame; ``scores`` holds the phrases that fired.
        viewpoint: axes of left, front and up.
        image_size: (width, height) px.
        settings: margins.
        vocabulary: the words a closed-vocabulary model knows, to explain what it cannot find.

    Returns:
        SUCCEEDED with targets, destinations and anchors; NOT_FOUND naming the phrase; AMBIGUOUS with the question
        to ask back; count or verdict for COUNT and VERIFY.
    """
    scene = _scene_with_parts(query, objects, viewpoint, image_size, settings)
    if query.task is Task.VERIFY:
        return verify(query, scene)
    if query.task is Task.COUNT:
        return _count(query, scene, vocabulary)
    return _locate(query, scene, vocabulary)


# --------------------------------------------------------------------------- parts


def _scene_with_parts(
    query: Query,
    objects: Sequence[SceneObject],
    viewpoint: Viewpoint,
    image_size: tuple[int, int],
    settings: ResolverSettings,
) -> Scene:
    """Lay out the objects, and cut out parts that were asked for and not detected by themselves."""
    scene = Scene(objects, viewpoint, image_size, settings)
    parts: list[SceneObject] = []
    fixed: dict[Entity, int] = {}
    for entity in reversed(query.entities):
        whole = whole_of(entity)
        if whole is None or scene.read(entity).detection.any():
            continue
        found = scene.read(whole).goodness
        if found.any():
            fixed[entity] = len(objects) + len(parts)
            parts.append(cut_part(scene.objects[int(found.argmax())], entity, viewpoint))
            scene = Scene([*objects, *parts], viewpoint, image_size, settings, fixed)
    return scene


# --------------------------------------------------------------------------- locate


def _locate(query: Query, scene: Scene, vocabulary: frozenset[str] | None) -> Resolution:
    targets = [item for item in query.items if item.role is not Role.DESTINATION]
    destinations = [item for item in query.items if item.role is Role.DESTINATION]
    where: list[tuple[RoleEntity, Choice]] = []
    taken: set[int] = set()
    for item in destinations:
        choice = _destination(item, scene, targets, vocabulary)
        where.append((item, choice))
        if choice.status is Status.SUCCEEDED and not any(t.entity == item.entity for t in targets):
            taken.update(choice.indices)
    chosen = [
        (item, choose(item.entity, scene, vocabulary, avoid=taken if _same_words(item, destinations) else set()))
        for item in targets
    ]
    failures = [(item, c) for item, c in (*chosen, *where) if c.status is not Status.SUCCEEDED]
    if failures:
        return _failure(failures, (*chosen, *where), scene)

    groundings: dict[tuple[int, Role], Grounding] = {}
    for item, choice in chosen:
        for index in choice.indices:
            groundings.setdefault((index, Role.TARGET), _grounding(scene, item.entity, index, Role.TARGET))
    moved = [scene.objects[i] for item, c in chosen for i in c.indices]
    for item, choice in where:
        spot, note = _place(item, choice, scene, moved)
        if note and item.entity not in scene.fixed:  # of a part that was not detected, only the region is known
            return _no_room(note, groundings, scene, item.entity, choice.indices[0])
        for index in choice.indices:
            found = _grounding(scene, item.entity, index, Role.DESTINATION)
            groundings[index, Role.DESTINATION] = replace(found, place=spot)
    for item, choice in (*chosen, *where):
        for entity, index in _anchors(scene, item.entity, choice.indices):
            if not any((index, role) in groundings for role in (Role.TARGET, Role.DESTINATION)):
                groundings.setdefault((index, Role.ANCHOR), _grounding(scene, entity, index, Role.ANCHOR))
    order = {Role.TARGET: 0, Role.DESTINATION: 1, Role.ANCHOR: 2}
    rivals = [_grounding(scene, item.entity, i, Role.TARGET) for item, c in chosen for i in c.rivals]
    found_all = sorted(groundings.items(), key=lambda entry: order[entry[0][1]])
    message = _success(chosen, scene)
    answer = message if query.task is Task.ASK else ""
    return Resolution(Status.SUCCEEDED, message, tuple(g for _, g in found_all), tuple(rivals), answer=answer)


def _same_words(item: RoleEntity, destinations: list[RoleEntity]) -> bool:
    return any(d.entity.noun == item.entity.noun and d.entity != item.entity for d in destinations)


def choose(
    entity: Entity, scene: Scene, vocabulary: frozenset[str] | None = None, *, avoid: set[int] | None = None
) -> Choice:
    """Decide which objects an entity means.

    Args:
        entity: what was asked for.
        scene: the objects.
        vocabulary: for the explanation when there is none.
        avoid: objects that are spoken for (the destination of the same command), unless nothing else is left.
    """
    reading = scene.read(entity)
    detection, relation = reading.detection.copy(), reading.relation
    if avoid and any(detection[i] > 0 for i in range(len(detection)) if i not in avoid):
        detection[list(avoid)] = 0.0
    if not detection.any() or reading.missing is not None or reading.short is not None:
        return Choice(Status.NOT_FOUND, message=_why_not(entity, reading, vocabulary))
    settings = scene.settings
    single = entity.number == 1
    bar = settings.min_relation if single else settings.holds
    if not entity.relations and not any(a.kind == "size" for a in entity.attributes):
        bar = min(bar, 1e-9)
    best = detection.max()
    if single:
        live = np.flatnonzero((detection > 0) & (relation >= bar))
    else:
        live = np.flatnonzero((detection >= settings.set_ratio * best) & (relation >= bar))
    if not len(live):
        return Choice(
            Status.NOT_FOUND, rivals=tuple(np.flatnonzero(detection > 0)), message=_unrelated(entity, reading, scene)
        )
    goodness = np.sqrt(detection / best) * relation
    ordered = _without_doubles([int(i) for i in live[np.argsort(-goodness[live], kind="stable")]], scene)
    if entity.number is None:
        return Choice(Status.SUCCEEDED, tuple(ordered))
    wanted = max(1, entity.number)
    if len(ordered) < wanted:
        return Choice(
            Status.NOT_FOUND,
            rivals=tuple(ordered),
            message=f"I see only {wording.counted(entity, len(ordered))} of the {wanted} asked for.",
        )
    rivals = tuple(ordered[wanted:])
    if wanted == 1 and entity.definite:
        tied = _tied(entity, reading, detection, ordered, settings, scene)
        if tied:
            return Choice(Status.AMBIGUOUS, rivals=(ordered[0], *tied))
    return Choice(Status.SUCCEEDED, tuple(ordered[:wanted]), rivals)


def _tied(
    entity: Entity,
    reading: Reading,
    detection: NDArray[np.float64],
    ordered: list[int],
    settings: ResolverSettings,
    scene: Scene,
) -> tuple[int, ...]:
    """The objects that are not told apart from the best one."""
    first = ordered[0]
    if reading.tied is not None:
        tied = [int(i) for i in np.flatnonzero(reading.tied)]
        return tuple(_without_doubles([first, *tied], scene)[1:])
    described = any(not a.negated and a.kind not in {"size", "state"} for a in entity.attributes)
    ratio = settings.attribute_ratio if described else settings.score_ratio
    near = []
    for other in ordered[1:]:
        alike = reading.relation[other] >= settings.relation_ratio * reading.relation[first]
        if alike and detection[other] >= ratio * detection[first]:
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


# --------------------------------------------------------------------------- destinations


def _destination(
    item: RoleEntity, scene: Scene, targets: list[RoleEntity], vocabulary: frozenset[str] | None
) -> Choice:
    entity = item.entity
    choice = choose(entity, scene, vocabulary)
    if choice.status is Status.NOT_FOUND and entity.noun in SURFACES and not scene.read(entity).detection.any():
        return Choice(Status.SUCCEEDED, message="anywhere on the surface")
    if choice.status is Status.AMBIGUOUS:
        # "put the left bowl on the bowl": the one that is not moved.
        moved = {i for t in targets if t.entity != entity for i in choose(t.entity, scene).indices}
        if moved:
            again = choose(entity, scene, vocabulary, avoid=moved)
            return again if again.status is Status.SUCCEEDED else choice
    return choice


def _place(item: RoleEntity, choice: Choice, scene: Scene, moved: list[SceneObject]) -> tuple[PlacePose | None, str]:
    if not choice.indices:
        return None, ""
    anchors = [scene.objects[i] for i in choice.indices]
    if any(anchor.geometry is None for anchor in anchors):
        return None, ""
    obstacles = [o for o in scene.objects if all(o is not x for x in (*moved, *anchors))]
    spot = find_place(
        item.predicate, anchors[0], obstacles, moved[0] if moved else None, scene.view, scene.settings.place_clearance_m
    )
    if spot is None:
        return (
            None,
            f"There is no room {item.predicate.replace('_', ' ')} the {wording.name_of(item.entity)}; clear a spot first.",
        )
    return spot, ""


def _no_room(
    note: str, groundings: dict[tuple[int, Role], Grounding], scene: Scene, entity: Entity, index: int
) -> Resolution:
    found = (*groundings.values(), _grounding(scene, entity, index, Role.DESTINATION))
    return Resolution(Status.NOT_FOUND, note, (), tuple(found))


# --------------------------------------------------------------------------- count


def _count(query: Query, scene: Scene, vocabulary: frozenset[str] | None) -> Resolution:
    groundings: list[Grounding] = []
    anchors: dict[int, Grounding] = {}
    told = []
    total = 0
    for item in query.items:
        entity = replace(item.entity, number=None)
        reading = scene.read(entity)
        if reading.missing is not None:
            return Resolution(Status.NOT_FOUND, _why_not(entity, reading, vocabulary))
        choice = choose(entity, scene, vocabulary)
        total += len(choice.indices)
        told.append(
            wording.counted(entity, len(choice.indices))
            + "".join(f" {wording.relation_words(r)}" for r in entity.relations)
        )
        groundings += [_grounding(scene, entity, i, Role.TARGET) for i in choice.indices]
        for anchor, index in _anchors(scene, entity, choice.indices):
            anchors.setdefault(index, _grounding(scene, anchor, index, Role.ANCHOR))
        if not choice.indices:
            hint = wording.unknown_hint(entity, vocabulary)
            told[-1] += f".{hint}" if hint else ""
    answer = f"I see {' and '.join(told)}".rstrip(".") + "."
    return Resolution(Status.SUCCEEDED, answer, (*groundings, *anchors.values()), count=total, answer=answer)


# --------------------------------------------------------------------------- results


def _grounding(scene: Scene, entity: Entity, index: int, role: Role) -> Grounding:
    item = scene.objects[index]
    detection = float(scene.read(entity).detection[index])
    score = min(1.0, detection if detection > 0 else item.best_score)
    return Grounding(item, role, entity.phrase, score)


def _anchors(scene: Scene, entity: Entity, indices: Sequence[int]) -> list[tuple[Entity, int]]:
    """The anchors that the chosen objects were judged by, nested ones included."""
    found: list[tuple[Entity, int]] = []
    for index in indices:
        for anchor, best in scene.read(entity).anchors:
            for other in best[index]:
                found.append((anchor, int(other)))
                found += _anchors(scene, anchor, [int(other)])
    return list(dict.fromkeys(found))


def _success(chosen: list[tuple[RoleEntity, Choice]], scene: Scene) -> str:
    told = []
    for item, choice in chosen:
        if item.entity in scene.fixed:
            told.append(f"the {wording.described(item.entity)} (not detected by itself: a region of the whole)")
        elif len(choice.indices) == 1:
            told.append(
                f"the {wording.described(item.entity)}"
                if item.entity.definite
                else wording.article(wording.described(item.entity))
            )
        else:
            told.append(wording.counted(item.entity, len(choice.indices)))
    return f"Found {', '.join(told)}." if told else "Found the destination."


def _failure(
    failures: list[tuple[RoleEntity, Choice]], everything: Sequence[tuple[RoleEntity, Choice]], scene: Scene
) -> Resolution:
    missing = [f for f in failures if f[1].status is Status.NOT_FOUND]
    item, choice = (missing or failures)[0]
    if choice.status is Status.AMBIGUOUS:
        order = _left_to_right(choice.rivals, scene)
        across = [float(scene.flat.center[i, 0]) for i in order]
        away = [-float(scene.flat.center[i, 2]) for i in order]
        message = wording.question_back(item.entity, across, away)
    else:
        message = choice.message
        if item.role is Role.DESTINATION:
            message += (
                f" It is where to put the {wording.name_of(everything[0][0].entity)}."
                if everything[0][0].role is Role.TARGET
                else ""
            )
    runner_ups = [_grounding(scene, item.entity, i, item.role) for i in choice.rivals]
    for other, found in everything:
        runner_ups += [_grounding(scene, other.entity, i, other.role) for i in found.indices]
    return Resolution(choice.status, message, (), tuple(runner_ups))


def _left_to_right(indices: Sequence[int], scene: Scene) -> list[int]:
    return sorted(indices, key=lambda i: float(scene.flat.center[i, 0]))


def _why_not(entity: Entity, reading: Reading, vocabulary: frozenset[str] | None) -> str:
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
