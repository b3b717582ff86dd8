"""Which objects answer to an entity's own words, before any relation: phrase, attributes, color."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vlm_perception.spatial.colors import color_likeness
from vlm_perception.types import Attribute, Entity, FloatArray, SceneObject

GENERIC: Final = frozenset({"", "thing"})
# What a detector may overlook or the scene may tell better; without it the noun decides.
_COLOR_WEIGHT: Final = 0.3
_BELIED: Final = 0.05
_PREFERS_PLAIN: Final = 0.75
_SOFT: Final = frozenset({"size", "state", "other"})


def phrase_scores(entity: Entity, objects: Sequence[SceneObject]) -> FloatArray:
    """(N,) detection score of each object for the entity's words; 0 where it is no candidate.

    An object is a candidate when the whole phrase fired on it. Where the phrase holds a state or look that fired
    nowhere ("empty bowl"), the noun decides, and color as measured. A generic noun ("the red thing", "everything")
    takes every object, held against the measured color.
    """
    if entity.noun in GENERIC:
        scores = np.array([max(item.best_score, 1e-3) for item in objects])
        scores = scores * _by_color(entity, objects)
    else:
        scores = _fired(entity.phrase, objects)
        positive = [a for a in entity.attributes if not a.negated]
        if not scores.any() and any(a.kind in _SOFT - {"size"} for a in positive):
            hard = [a for a in positive if a.kind not in _SOFT]
            scores = _fired(" ".join([*(a.value for a in hard), entity.noun]), objects)
            if not scores.any() and all(a.kind == "color" for a in hard):
                scores = _fired(entity.noun, objects) * np.array([_measured(hard, item) > 0.5 for item in objects])
    scores = scores * _color_doubt(entity, objects, scores)
    for attribute in entity.attributes:
        if attribute.negated:
            scores = scores * (1.0 - _holds(attribute, entity, objects))
    return scores


def _fired(phrase: str, objects: Sequence[SceneObject]) -> FloatArray:
    return np.array([item.scores.get(phrase, 0.0) for item in objects], dtype=np.float64)


def _by_color(entity: Entity, objects: Sequence[SceneObject]) -> FloatArray:
    positive = [a for a in entity.attributes if not a.negated and a.kind not in {"size", "state"}]
    if not positive:
        return np.ones(len(objects))
    words = " ".join(a.value for a in positive)
    result = np.zeros(len(objects))
    for i, item in enumerate(objects):
        named = any(phrase == entity.phrase or phrase.startswith(f"{words} ") for phrase in item.scores)
        measured = (
            _measured([a for a in positive if a.kind == "color"], item)
            if item.mean_rgb and all(a.kind == "color" for a in positive)
            else 0.0
        )
        result[i] = 1.0 if named else (measured if measured > 0.5 else 0.0)
    return result


def _color_doubt(entity: Entity, objects: Sequence[SceneObject], scores: FloatArray) -> FloatArray:
    """(N,) less than 1 where the measured color speaks against the one named and speaks for it on a rival."""
    colors = [a for a in entity.attributes if a.kind == "color" and not a.negated]
    fired = [int(i) for i in np.flatnonzero(scores > 0)]
    doubt = np.ones(len(objects))
    if colors and entity.noun not in GENERIC:
        for i in fired:
            # "green mug" fired on a white one, and less than "mug" did: there is no green mug.
            belied = objects[i].mean_rgb is not None and _measured(colors, objects[i]) < _BELIED
            if belied and objects[i].scores.get(entity.noun, 0.0) * _PREFERS_PLAIN > scores[i]:
                doubt[i] = 0.0
    if not colors or len(fired) < 2 or any(objects[i].mean_rgb is None for i in fired):
        return doubt
    likeness = np.array([_measured(colors, objects[i]) for i in fired])
    if likeness.max() > 0.5:
        doubt[fired] *= 1.0 - _COLOR_WEIGHT * (1.0 - likeness / likeness.max())
    return doubt


def _measured(attributes: Sequence[Attribute], item: SceneObject) -> float:
    """Likeness of the measured color with every color named; 1 where nothing was measured or asked."""
    if item.mean_rgb is None:
        return 1.0
    return min((color_likeness(item.mean_rgb, a.value) for a in attributes), default=1.0)


def _holds(attribute: Attribute, entity: Entity, objects: Sequence[SceneObject]) -> FloatArray:
    """(N,) 1 where an attribute that is excluded holds.

    The detector's say comes first: "red mug" fired at least half as high as "mug" did, and the color does not
    belie it. Where it fired on nothing, the measured color decides.
    """
    phrase = f"{attribute.value} {entity.noun}"
    named = _fired(phrase, objects)
    plain = np.maximum(_fired(entity.noun, objects), 1e-6)
    result = np.zeros(len(objects))
    for i, item in enumerate(objects):
        likeness = (
            color_likeness(item.mean_rgb, attribute.value) if attribute.kind == "color" and item.mean_rgb else None
        )
        if named.any():
            says = named[i] / max(plain[i], named.max() * 0.5) > 0.5
            result[i] = float(says and (likeness is None or likeness > 0.05 or named[i] >= 0.8 * plain[i]))
        elif likeness is not None:
            result[i] = float(likeness > 0.5)
    return result
