"""Query + objects -> who is meant, or why that cannot be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vlm_perception.spatial import wording
from vlm_perception.spatial.choice import Choice, choose
from vlm_perception.spatial.counting import count
from vlm_perception.spatial.evidence import anchors_of, grounding
from vlm_perception.spatial.narrowing import Further
from vlm_perception.spatial.ordering import SPOTS
from vlm_perception.spatial.parts import cut_part, whole_of
from vlm_perception.spatial.place import find_place
from vlm_perception.spatial.scene import SURFACES, Scene
from vlm_perception.spatial.settings import ResolverSettings
from vlm_perception.spatial.statements import verify
from vlm_perception.types import (
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
        return count(query, scene, vocabulary)
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
    goals = {item.entity for item in query.items if item.role is Role.DESTINATION}
    for entity in reversed(query.entities):
        whole = whole_of(entity)
        if (
            whole is None
            or (entity.noun in SPOTS and entity not in goals)
            or scene.read(entity).goodness.max(initial=0.0) >= settings.min_relation
        ):
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
    narrowed: list[tuple[RoleEntity, Choice]] = []  # what a destination is further described by
    taken: set[int] = set()
    for said in destinations:
        item, choice = _destination(said, scene, targets, vocabulary)
        where.append((item, choice))
        anchors = [anchor for relation in item.also for anchor in relation.anchors]
        narrowed += [(RoleEntity(Role.ANCHOR, a), choose(a, scene, vocabulary)) for a in anchors]
        if choice.status is Status.SUCCEEDED and not any(t.entity == item.entity for t in targets):
            taken.update(choice.indices)
    chosen = [
        (item, choose(item.entity, scene, vocabulary, avoid=taken if _same_words(item, destinations) else set()))
        for item in targets
    ]
    failures = [(item, c) for item, c in (*chosen, *where, *narrowed) if c.status is not Status.SUCCEEDED]
    if failures:
        return _failure(failures, (*chosen, *where, *narrowed), scene)
    nearby = {item.entity: choice.indices for item, choice in narrowed}

    groundings: dict[tuple[int, Role], Grounding] = {}
    for item, choice in chosen:
        for index in choice.indices:
            groundings.setdefault((index, Role.TARGET), grounding(scene, item.entity, index, Role.TARGET))
    moved = [scene.objects[i] for item, c in chosen for i in c.indices]
    for item, choice in where:
        spot, note = _place(item, choice, scene, moved, where, nearby)
        if note and item.entity not in scene.fixed:  # of a part that was not detected, only the region is known
            shown = choice.indices or next(i for r in item.also for a in r.anchors for i in (nearby[a],))
            return _no_room(note, groundings, scene, item.entity, shown[0])
        indices = choice.indices
        if not indices and spot is not None:  # on a table that was not detected: shown at the first thing it is near to
            indices = nearby[item.also[0].anchors[0]][:1]
        for index in indices:
            found = grounding(scene, item.entity, index, Role.DESTINATION)
            groundings[index, Role.DESTINATION] = replace(found, place=spot)
    for item, choice in (*chosen, *where):
        for entity, index in anchors_of(scene, item.entity, choice.indices):
            if not any((index, role) in groundings for role in (Role.TARGET, Role.DESTINATION)):
                groundings.setdefault((index, Role.ANCHOR), grounding(scene, entity, index, Role.ANCHOR))
    for item, choice in narrowed:
        for index in choice.indices:
            if not any((index, role) in groundings for role in (Role.TARGET, Role.DESTINATION)):
                groundings.setdefault((index, Role.ANCHOR), grounding(scene, item.entity, index, Role.ANCHOR))
    order = {Role.TARGET: 0, Role.DESTINATION: 1, Role.ANCHOR: 2}
    rivals = [grounding(scene, item.entity, i, Role.TARGET) for item, c in chosen for i in c.rivals]
    found_all = sorted(groundings.items(), key=lambda entry: order[entry[0][1]])
    message = _success(chosen, scene)
    answer = message if query.task is Task.ASK else ""
    return Resolution(Status.SUCCEEDED, message, tuple(g for _, g in found_all), tuple(rivals), answer=answer)


def _same_words(item: RoleEntity, destinations: list[RoleEntity]) -> bool:
    return any(d.entity.noun == item.entity.noun and d.entity != item.entity for d in destinations)


# --------------------------------------------------------------------------- destinations


def _destination(
    item: RoleEntity, scene: Scene, targets: list[RoleEntity], vocabulary: frozenset[str] | None
) -> tuple[RoleEntity, Choice]:
    """The destination, and how it is to be read: "on the tray next to the mug" is a spot where no tray is next to one."""
    entity = item.entity
    ratio = scene.settings.destination_ratio
    choice = choose(entity, scene, vocabulary, score_ratio=ratio)
    if choice.status is Status.NOT_FOUND and entity.noun in SURFACES and not scene.read(entity).detection.any():
        return item, Choice(Status.SUCCEEDED, message="anywhere on the surface")
    told = tuple(r for r in entity.relations if r.anchors and r.predicate not in {"part_of", "on", "in", "at"})
    if choice.status is Status.NOT_FOUND and told and item.predicate in {"on", "in", "at"}:
        kept = tuple(r for r in entity.relations if r not in told)
        bare = replace(item, entity=replace(entity, relations=kept), also=(*told, *item.also))
        again = choose(bare.entity, scene, vocabulary, score_ratio=ratio)
        if again.status is Status.SUCCEEDED:
            return bare, again
    if choice.status is Status.AMBIGUOUS:
        # "put the left bowl on the bowl": the one that is not moved.
        moved = {i for t in targets if t.entity != entity for i in choose(t.entity, scene).indices}
        if moved:
            again = choose(entity, scene, vocabulary, avoid=moved, score_ratio=ratio)
            return item, again if again.status is Status.SUCCEEDED else choice
    return item, choice


def _place(
    item: RoleEntity,
    choice: Choice,
    scene: Scene,
    moved: list[SceneObject],
    where: Sequence[tuple[RoleEntity, Choice]],
    nearby: Mapping[Entity, tuple[int, ...]],
) -> tuple[PlacePose | None, str]:
    further = [
        Further(r.predicate, tuple(scene.objects[i] for a in r.anchors for i in nearby[a]), r.negated)
        for r in item.also
    ]
    indices = list(choice.indices)
    predicate = item.predicate
    if not indices and further:  # a table that was not detected: the things on it say where
        predicate, first, further = further[0].predicate, further[0].anchors, further[1:]
        indices = [i for i, o in enumerate(scene.objects) if any(o is x for x in first)]
    if not indices:
        return None, ""
    if item.predicate == "between":  # the two are one destination
        indices += [i for other, c in where if other.predicate == "between" for i in c.indices if i not in indices]
    anchors = [scene.objects[i] for i in indices]
    if any(anchor.geometry is None for anchor in anchors):
        return None, ""
    obstacles = [o for o in scene.objects if all(o is not x for x in (*moved, *anchors))]
    spot = find_place(
        predicate,
        anchors,
        obstacles,
        moved[0] if moved else None,
        scene.view,
        scene.settings.place_clearance_m,
        further,
    )
    if spot is None:
        told = f"{item.predicate.replace('_', ' ')} the {wording.name_of(item.entity)}"
        told = " and ".join([told, *(wording.relation_words(r) for r in item.also)])
        return None, f"There is no room {told}; clear a spot first."
    return spot, ""


def _no_room(
    note: str, groundings: dict[tuple[int, Role], Grounding], scene: Scene, entity: Entity, index: int
) -> Resolution:
    found = (*groundings.values(), grounding(scene, entity, index, Role.DESTINATION))
    return Resolution(Status.NOT_FOUND, note, (), tuple(found))


# --------------------------------------------------------------------------- results


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
    runner_ups = [grounding(scene, item.entity, i, item.role) for i in choice.rivals]
    for other, found in everything:
        runner_ups += [grounding(scene, other.entity, i, other.role) for i in found.indices]
    return Resolution(choice.status, message, (), tuple(runner_ups))


def _left_to_right(indices: Sequence[int], scene: Scene) -> list[int]:
    return sorted(indices, key=lambda i: float(scene.flat.center[i, 0]))
