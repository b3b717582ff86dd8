"""Entities read against the objects of one frame: who answers to the words, and how well the relations hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vlm_perception.spatial.candidates import GENERIC, phrase_scores
from vlm_perception.spatial.comparing import TERNARY, score_three
from vlm_perception.spatial.layout import RIGHT, UP, Extents, flat_extents, solid_extents, whole_scene
from vlm_perception.spatial.measures import extent, gap
from vlm_perception.spatial.ordering import rank, weigh_sizes
from vlm_perception.spatial.predicates import PREDICATES
from vlm_perception.spatial.rankings import rank_margin, rank_values
from vlm_perception.spatial.reading import Reading
from vlm_perception.spatial.settings import ResolverSettings
from vlm_perception.types import Entity, FloatArray, Relation, SceneObject, Viewpoint

SURFACES = frozenset(
    "table tabletop desk desktop counter countertop floor ground workbench bench workspace surface scene image room "
    "picture view kitchen wall".split()
)
"""What carries or surrounds the whole scene; when it is not detected, the scene's own extent stands for it."""
_VERTICAL = frozenset({"above", "below", "under", "on", "in", "contains", "supports", "holds", "held_by", "at"})
_TO_EACH = frozenset(
    "left_of right_of in_front_of behind above below far_from larger_than smaller_than taller_than shorter_than".split()
)
_WHOLE_INSTEAD = 0.8
_TO_SEVERAL = frozenset({"contains", "supports", "holds", "next_to", "near"})
_NEAREST = frozenset({"next_to", "near", "under", "above", "below", "far_from"})
_TABLE_SHARE = 0.12  # of the image


class Scene:
    """The objects of a frame, ready to be asked about."""

    def __init__(
        self,
        objects: Sequence[SceneObject],
        view: Viewpoint,
        image_size: tuple[int, int],
        settings: ResolverSettings,
        fixed: dict[Entity, int] | None = None,
    ) -> None:
        """Lay the objects out.

        Args:
            objects: of one frame.
            view: axes of left, front and up.
            image_size: (width, height) px.
            settings: margins.
            fixed: entities that stand for one object by construction (parts, see ``parts``), by index.
        """
        self.objects = tuple(objects)
        self.view = view
        self.image_size = image_size
        self.settings = settings
        self.fixed = fixed or {}
        self.by_image = view.frame == "camera"
        self.flat = flat_extents(self.objects, view)
        self.solid, self.known = solid_extents(self.objects, view)
        self._pairs: dict[str, FloatArray] = {}
        self._readings: dict[Entity, Reading] = {}

    # ------------------------------------------------------------------ predicates over all pairs

    def extents(self, indices: NDArray[np.intp]) -> Extents:
        """Extents in space when all of ``indices`` have geometry, else in the image."""
        return (self.solid if self.known[indices].all() else self.flat).take(indices)

    def pairs(self, predicate: str) -> FloatArray:
        """(N, N) score of ``predicate(i, j)``; 0 on the diagonal."""
        if predicate not in self._pairs:
            score = PREDICATES[predicate].score
            flat = score(self.flat.rows(), self.flat.columns())
            both = self.known[:, None] & self.known[None, :]
            result = flat
            if both.any():
                with np.errstate(invalid="ignore"):
                    solid = score(self.solid.rows(), self.solid.columns())
                    if predicate in _VERTICAL and not self.view.up_known:
                        # "Up" is only the image's: the image says what is on what, space says whether they meet.
                        apart = gap(self.solid.rows(), self.solid.columns())
                        reach = 0.5 * np.minimum(extent(self.solid.rows()), extent(self.solid.columns()))
                        solid = flat * np.exp(-np.square(apart / np.maximum(reach, 1e-9)))
                result = np.where(both, np.nan_to_num(solid), flat)
            result = np.array(np.broadcast_to(result, (len(self.objects), len(self.objects))))
            np.fill_diagonal(result, 0.0)
            self._pairs[predicate] = result
        return self._pairs[predicate]

    # ------------------------------------------------------------------ entities

    def read(self, entity: Entity) -> Reading:
        """Score every object for an entity, its relations and rankings included."""
        if entity not in self._readings:
            self._readings[entity] = self._read(entity)
        return self._readings[entity]

    def _read(self, entity: Entity) -> Reading:
        n = len(self.objects)
        if entity in self.fixed:
            reading = Reading(np.zeros(n), np.ones(n))
            index = self.fixed[entity]
            reading.detection[index] = self.objects[index].best_score
            return reading
        detection = phrase_scores(entity, self.objects) if n else np.zeros(0)
        if entity.noun in GENERIC and self.fixed:
            detection[list(self.fixed.values())] = 0.0
        reading = Reading(detection, np.ones(n))
        for other in entity.exclude:
            self._exclude(reading, other)
        if not reading.detection.any():
            return reading
        for relation in entity.relations:
            self._relate(reading, relation)
        weigh_sizes(self, reading, entity)
        for ranking in entity.rankings:
            rank(self, reading, ranking, entity.number)
        return reading

    def _exclude(self, reading: Reading, other: Entity) -> None:
        unwanted = self.read(other).goodness
        if unwanted.any():
            limit = self.settings.set_ratio if other.number is None else 0.999
            reading.detection[unwanted >= limit * unwanted.max()] = 0.0

    def _relate(self, reading: Reading, relation: Relation) -> None:
        scores, anchors = self.relation_scores(relation, reading)
        if scores is None:
            return
        if relation.negated:
            scores = 1.0 - scores
        elif anchors is not None:
            reading.anchors.append(anchors)
            if anchors[1].shape[1] == 2 and len(relation.anchors) == 2:
                reading.anchors[-1] = (relation.anchors[0], anchors[1][:, :1])
                reading.anchors.append((relation.anchors[1], anchors[1][:, 1:]))
        reading.relation = reading.relation * scores
        live = reading.detection > 0
        if reading.failed is None and reading.relation[live].max(initial=0.0) < self.settings.min_relation:
            reading.failed = relation

    def relation_scores(
        self, relation: Relation, reading: Reading
    ) -> tuple[FloatArray | None, tuple[Entity, NDArray[np.intp]] | None]:
        """(N,) how well each object holds a relation with its best anchors, and which these are.

        The anchors of each candidate are chosen together with it: an anchor that is itself uncertain weighs less,
        but does not veto. Sets ``reading.missing`` and gives None when nothing answers to an anchor.
        """
        if not relation.anchors:
            return self._in_scene(relation.predicate), None
        weights = []
        for anchor in relation.anchors:
            found = self.read(anchor).goodness
            if anchor.noun in SURFACES and not self._carries(int(found.argmax()) if found.any() else -1):
                found = np.zeros_like(found)
            if not found.any():
                if relation.negated and anchor.noun not in SURFACES:
                    return np.zeros(len(self.objects)), None
                if anchor.noun in SURFACES:
                    return self._on_surface(relation.predicate), None
                reading.missing = reading.missing or self.missing_in(anchor)
                return None, None
            weights.append(np.sqrt(found / found.max()))
        if relation.predicate in TERNARY:
            return self._of_three(relation, weights)
        joint = self.pairs(relation.predicate) * weights[0][None, :]
        part = self.fixed.get(relation.anchors[0])
        if part is not None:
            # Only a region stands for the part: an open drawer reaches out of it, though not of the whole.
            whole = next(i for i, item in enumerate(self.objects) if item.instance_id == self.objects[part].instance_id)
            joint[:, whole] = _WHOLE_INSTEAD * self.pairs(relation.predicate)[:, whole]
            if relation.predicate == "in":  # what stands on the cabinet is not in its drawer
                joint *= 1.0 - np.square(self.pairs("on")[:, [whole]])
        several = self._of_several(relation, joint)
        if several is not None:
            return several
        best = joint.argmax(axis=1)
        together = self._of_all(relation, joint)
        return joint.max(axis=1) if together is None else together, (relation.anchors[0], best[:, None])

    def _of_several(
        self, relation: Relation, joint: FloatArray
    ) -> tuple[FloatArray, tuple[Entity, NDArray[np.intp]]] | None:
        """Relations to a number of things: "the tray with two cups on it", "containing at least three apples"."""
        anchor = relation.anchors[0]
        least, most = anchor.bounds or (anchor.number or 1, None)
        if relation.predicate not in _TO_SEVERAL or (least, most) in {(1, None), (0, None)}:
            return None
        order = np.argsort(-joint, axis=1, kind="stable")
        ranked = np.take_along_axis(joint, order, axis=1)
        scores = (
            np.ones(len(joint)) if least == 0 else ranked[:, least - 1] if least <= len(joint) else np.zeros(len(joint))
        )
        if most is not None and most < len(joint):
            scores = scores * (ranked[:, most] < self.settings.holds)
        return scores, (anchor, order[:, : max(1, min(least, len(joint)))])

    def _of_all(self, relation: Relation, joint: FloatArray) -> FloatArray | None:
        """Relations that are to hold to each of several anchors: "left of the two plates", "away from the others"."""
        anchor = relation.anchors[0]
        every = relation.predicate in _TO_EACH or (
            (anchor.number or 0) > 1 and relation.predicate in {"touching", "against"}
        )
        if anchor.number == 1 or not every:
            return None
        group = self.members(self.read(anchor))
        if anchor.number is not None:
            group = group[np.argsort(-self.read(anchor).goodness[group], kind="stable")][: anchor.number]
        if len(group) < 2:
            return None
        scores = joint[:, group].copy()
        scores[group, np.arange(len(group))] = np.inf  # not to itself
        worst = scores.min(axis=1)
        return np.where(np.isfinite(worst), worst, 0.0)

    def _carries(self, index: int) -> bool:
        """Whether a thing that was detected as "table" is large enough to be what the others stand on."""
        if index < 0:
            return False
        low, high = self.flat.low[index], self.flat.high[index]
        within = (self.flat.center[:, :2] >= low[:2]) & (self.flat.center[:, :2] <= high[:2])
        area = float(np.prod((high - low)[:2])) / float(self.image_size[0] * self.image_size[1])
        return area >= _TABLE_SHARE or int(within.all(axis=1).sum()) > max(2, len(self.objects) // 2)

    def missing_in(self, anchor: Entity) -> Entity:
        """The innermost entity that is to blame."""
        return self.read(anchor).missing or anchor

    def _of_three(
        self, relation: Relation, weights: list[FloatArray]
    ) -> tuple[FloatArray, tuple[Entity, NDArray[np.intp]]]:
        groups = [self.members(self.read(a)) if a.number is None else None for a in relation.anchors]
        if relation.predicate in {"between", "nearer_to"}:
            groups = [None for _ in groups]
        things = self.solid if self.known.all() else self.flat
        scores, found = score_three(relation.predicate, things, weights, groups)
        return scores, (relation.anchors[0], found)

    def _in_scene(self, predicate: str) -> FloatArray:
        """A place in the whole scene: across the image for the camera, among the objects for other viewers."""
        width, height = self.image_size
        if predicate == "facing":
            return self._facing_viewer()
        middle = self.flat.center
        across, upward = middle[:, RIGHT] / max(width, 1), 1.0 + middle[:, UP] / max(height, 1)
        if not self.by_image and self.known.all() and len(self.objects) > 1:
            box = whole_scene(self.solid)
            share = (self.solid.center - box.low) / np.maximum(box.size, 1e-9)
            across, upward = share[:, RIGHT], share[:, 2]
        values = {
            "left_of": 1.0 - across, "right_of": across, "at_left_of": 1.0 - across, "at_right_of": across, "above": upward,
            "below": 1.0 - upward, "at_back_of": upward,
            "at_front_of": 1.0 - upward, "behind": upward, "in_front_of": 1.0 - upward,
        }  # fmt: skip
        if predicate in values:
            return np.clip(1.5 * values[predicate] - 0.25, 0.0, 1.0)
        off = np.hypot(across - 0.5, upward - 0.5)
        if predicate == "at_edge_of":
            return np.clip((off - 0.2) / 0.2, 0.0, 1.0)
        if predicate == "at_corner_of":
            return np.clip((np.minimum(np.abs(across - 0.5), np.abs(upward - 0.5)) - 0.1) / 0.2, 0.0, 1.0)
        return np.asarray(1.0 / (1.0 + np.square(off / 0.15)))

    def _facing_viewer(self) -> FloatArray:
        away = np.nan_to_num(self.solid.center) * np.array([1.0, 0.0, 1.0])
        cosine = np.sum(away * self.solid.heading, axis=1) / np.maximum(np.linalg.norm(away, axis=1), 1e-9)
        return np.where(self.known, np.square(cosine), 0.5)

    def _on_surface(self, predicate: str) -> FloatArray:
        """A relation to the table that carries everything and was not detected itself."""
        if predicate in {
            "at_center_of",
            "at_edge_of",
            "at_corner_of",
            "at_front_of",
            "at_back_of",
            "at_left_of",
            "at_right_of",
            "left_of",
            "right_of",
        }:
            return self._in_scene(predicate) * (1.0 - 0.5 * self._carried())
        if predicate in {"on", "in", "at", "near", "next_to"}:
            # What stands on another thing is not on the table itself.
            return 1.0 - 0.8 * self._carried()
        return np.full(len(self.objects), 0.5)

    def _carried(self) -> FloatArray:
        """(N,) how surely each thing stands on or in another one."""
        carried: FloatArray = np.maximum(self.pairs("on"), self.pairs("in")).max(axis=1, initial=0.0)
        return carried

    def nearer(self, reading: Reading, entity: Entity, first: int, other: int) -> bool:
        """Whether "next to", "near" or "under" means ``first``: it is nearer to its anchor than ``other``, beyond the noise.

        "Far from" means the one that is farther.
        """
        close = [r for r in entity.relations if r.predicate in _NEAREST and len(r.anchors) == 1 and not r.negated]
        if len(close) != 1 or close[0].anchors[0].number != 1:
            return False
        anchors = next((found for anchor, found in reading.anchors if anchor == close[0].anchors[0]), None)
        if anchors is None:
            return False
        pair = np.array([first, other])
        to = anchors[pair, 0]
        source = self.solid if self.known[pair].all() and self.known[to].all() else self.flat
        away = [float(rank_values("distance", source.take(i), self.flat.take(i), by_image=False, anchor=source.take(a))[0])
                for i, a in zip(pair, to, strict=True)]  # fmt: skip
        gained = away[0] - away[1] if close[0].predicate == "far_from" else away[1] - away[0]
        return gained > rank_margin("distance", source.take(pair), self.settings.rank_margin)

    # ------------------------------------------------------------------ order and size

    def alike(self, detection: FloatArray) -> NDArray[np.bool_]:
        """(N,) what may be of the kind when several are meant: detected about as well as the best, before scores drop."""
        best = float(detection.max(initial=0.0))
        floor = self.settings.set_ratio * best
        order = np.sort(detection[detection > 0])[::-1]
        for better, next_one in pairwise(order):
            if next_one < self.settings.set_gap * better:
                floor = max(floor, float(better))
                break
        return (detection > 0) & (detection >= floor)

    def members(self, reading: Reading) -> NDArray[np.intp]:
        """The things to choose from: detected about as well as the best, and holding the relations."""
        detection, relation = reading.detection, reading.relation
        best = detection.max(initial=0.0)
        if best <= 0.0:
            return np.zeros(0, dtype=np.intp)
        live = self.alike(detection)
        bar = max(self.settings.min_relation, 0.6 * float(relation[live].max(initial=0.0)))
        return np.flatnonzero(
            live & (relation >= min(bar, self.settings.holds)) & (relation >= self.settings.min_relation)
        )
