"""Relations of three: between two things, nearer to one than to another, nearer to it than another is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vlm_perception.spatial.layout import FORWARD, Extents
from vlm_perception.spatial.measures import distance, extent, mean_extent, noise_of
from vlm_perception.spatial.predicates import between
from vlm_perception.types import FloatArray


def _less(mine: FloatArray, other: FloatArray, size: FloatArray, noise: float) -> FloatArray:
    """0 where a distance is not less than the other, 1 where it is so by a quarter of a thing's size."""
    return np.clip((other - mine) / np.maximum(0.25 * size, noise), 0.0, 1.0)


def nearer_to(a: Extents, b: Extents, c: Extents) -> FloatArray:
    """a is less far from b than from c."""
    return _less(distance(a, b), distance(a, c), extent(a), noise_of(a))


def nearer_than(a: Extents, b: Extents, c: Extents | None = None) -> FloatArray:
    """a is less far from c than b is; without c, less far from the viewer."""
    if c is None:
        return _less(_away(a), _away(b), mean_extent(a, b), noise_of(a))
    return _less(distance(a, c), distance(b, c), mean_extent(a, b), noise_of(a))


def farther_than(a: Extents, b: Extents, c: Extents | None = None) -> FloatArray:
    """b is nearer than a."""
    return nearer_than(b, a, c)


def _away(a: Extents) -> FloatArray:
    """Distance from the viewer; in the image, how high up the lower edge is."""
    return np.linalg.norm(a.center, axis=-1) if a.solid else a.center[..., FORWARD]


TERNARY: Final[dict[str, Callable[[Extents, Extents, Extents], FloatArray]]] = {
    "between": between, "nearer_to": nearer_to, "nearer_than": nearer_than, "farther_than": farther_than,
}  # fmt: skip
"""Predicates of a subject and two anchors; the last two also take one, and then hold for the viewer."""
_MAX_ANCHORS: Final = 10


def score_three(
    predicate: str, things: Extents, weights: Sequence[FloatArray], groups: Sequence[NDArray[np.intp] | None]
) -> tuple[FloatArray, NDArray[np.intp]]:
    """How well each thing holds a relation of three, with the anchors that serve it best.

    Args:
        predicate: in ``TERNARY``.
        things: (N,) all things of the scene.
        weights: for each anchor (N,) how well each thing answers to it; one for "between the two plates".
        groups: for each anchor the things that it must hold for, all of them ("than the other mugs"), or None.

    Returns:
        (N,) scores, and (N, 2) indices of anchors ((N, 1) where the viewer is the other one).
    """
    n = len(things)
    score = TERNARY[predicate]
    everything = np.arange(n)
    a = _shaped(things, everything, (n, 1, 1))
    first = _strongest(weights[0])
    b = _shaped(things, first, (1, len(first), 1))
    if len(weights) == 1 and predicate != "between":
        alone = nearer_than if predicate == "nearer_than" else farther_than
        scores = alone(a, b)[:, :, 0] * weights[0][first][None, :]
        scores = np.where(everything[:, None] == first[None, :], 0.0, scores)
        best, column = _over(scores, first, groups[0])
        return best, first[column][:, None] if len(first) else np.zeros((n, 1), dtype=np.intp)
    second = _strongest(weights[-1])
    c = _shaped(things, second, (1, 1, len(second)))
    scores = score(a, b, c) * weights[0][first][None, :, None] * weights[-1][second][None, None, :]
    same = (first[None, :, None] == second[None, None, :]) | (everything[:, None, None] == first[None, :, None])
    scores = np.where(same | (everything[:, None, None] == second[None, None, :]), 0.0, scores)
    if scores.size == 0:
        return np.zeros(n), np.zeros((n, 2), dtype=np.intp)
    column = scores.max(axis=1).argmax(axis=1)
    if groups[0] is not None:
        best, row = _over(scores[everything, :, column], first, groups[0])
    else:
        row = scores[everything, :, column].argmax(axis=1)
        best = scores[everything, row, column]
    return best, np.column_stack((first[row], second[column]))


def _strongest(weights: FloatArray) -> NDArray[np.intp]:
    order = np.argsort(-weights, kind="stable")[:_MAX_ANCHORS]
    return order[weights[order] > 0]


def _over(
    scores: FloatArray, columns: NDArray[np.intp], group: NDArray[np.intp] | None
) -> tuple[FloatArray, NDArray[np.intp]]:
    """The best of each row, or the worst over a group of columns, itself left out; and which column it was."""
    if not scores.shape[1]:
        return np.zeros(len(scores)), np.zeros(len(scores), dtype=np.intp)
    if group is None:
        return scores.max(axis=1), scores.argmax(axis=1)
    asked = np.isin(columns, group)[None, :] & (columns[None, :] != np.arange(len(scores))[:, None])
    held = np.where(asked, scores, np.inf)
    worst = held.min(axis=1)
    return np.where(np.isfinite(worst), worst, 0.0), held.argmin(axis=1)


def _shaped(things: Extents, indices: NDArray[np.intp], shape: tuple[int, int, int]) -> Extents:
    taken = things.take(indices)
    full = (*shape, 3)
    return Extents(
        taken.low.reshape(full),
        taken.high.reshape(full),
        taken.center.reshape(full),
        taken.heading.reshape(full),
        taken.hollow.reshape(shape),
        things.solid,
    )
