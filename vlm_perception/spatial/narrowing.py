"""Further relations of the spot where a thing is put down: "on the tray, left of the plate"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vlm_perception.spatial.layout import UP, Extents
from vlm_perception.spatial.predicates import PREDICATES, between
from vlm_perception.types import FloatArray, SceneObject, Viewpoint

Fit = Callable[[FloatArray], float]
"""How well a spot, along (right, up, forward), serves every further relation, in [0, 1]."""
SERVES: Final = 0.4
"""From this on, it does."""


@dataclass(frozen=True, eq=False)
class Further:
    """One further relation: ``predicate(the moved thing, *anchors)``."""

    predicate: str
    anchors: tuple[SceneObject, ...]
    negated: bool = False


def fit_of(further: Sequence[Further], size: FloatArray, view: Viewpoint) -> Fit | None:
    """A measure of spots, or None where nothing further is asked.

    Args:
        further: relations to things with geometry; others are passed over.
        size: (3,) of what is put down, along (right, up, forward), metres.
        view: the axes.
    """
    axes = np.column_stack((view.right, view.up, view.forward))
    asked = [
        (f, [_extent_of(o, axes) for o in f.anchors])
        for f in further
        if f.anchors and all(o.geometry is not None for o in f.anchors)
    ]
    if not asked:
        return None

    def fit(spot: FloatArray) -> float:
        low = spot - size / 2.0
        low[UP] = spot[UP]
        here = _box(low, low + size)
        return min(_score(f, here, anchors) for f, anchors in asked)

    return fit


def _score(further: Further, here: Extents, anchors: list[Extents]) -> float:
    if further.predicate == "between" and len(anchors) > 1:
        score = float(between(here, anchors[0], anchors[1])[0])
    else:
        predicate = PREDICATES.get(further.predicate)
        if predicate is None:
            return 1.0
        score = min(float(np.asarray(predicate.score(here, anchor)).ravel()[0]) for anchor in anchors)
    return 1.0 - score if further.negated else score


def _extent_of(item: SceneObject, axes: FloatArray) -> Extents:
    assert item.geometry is not None  # noqa: S101 - sifted above
    points = item.geometry.points_m @ axes
    return _box(points.min(axis=0), points.max(axis=0))


def _box(low: FloatArray, high: FloatArray) -> Extents:
    return Extents(low[None], high[None], (low + high)[None] / 2.0, np.zeros((1, 3)), np.full(1, 0.5), solid=True)
