"""Spatial predicates: each one once, defined in words, with a score in [0, 1].

Every function takes extents ``a`` (subjects) and ``b`` (anchors) that broadcast against each other, in the viewer's
axes (right, up, forward); see ``layout``. Distances are judged relative to the sizes of what is compared. In space
(``solid``) the horizontal plane is (right, forward); in the image it is the width alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from vlm_perception.spatial.layout import FORWARD, RIGHT, UP, Extents
from vlm_perception.spatial.measures import (
    TINY,
    axes_of,
    bell,
    extent,
    footprint_share,
    gap,
    gaps_between,
    mean_extent,
    noise_of,
    ramp,
    toward,
)
from vlm_perception.types import FloatArray

# --------------------------------------------------------------------------- projective


def left_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is on the viewer's left of b's, by half a width or more, and rather beside it than beyond it."""
    return toward(a, b, RIGHT, (FORWARD,))


def right_of(a: Extents, b: Extents) -> FloatArray:
    """b is left of a."""
    return left_of(b, a)


def in_front_of(a: Extents, b: Extents) -> FloatArray:
    """a is nearer to the viewer than b along the viewing direction, and rather before it than beside it."""
    return toward(a, b, FORWARD, (RIGHT,))


def behind(a: Extents, b: Extents) -> FloatArray:
    """b is in front of a."""
    return in_front_of(b, a)


def above(a: Extents, b: Extents) -> FloatArray:
    """a is higher than b by half a mean height or more, and over it rather than off to the side."""
    off_side = np.linalg.norm(gaps_between(a, b)[..., axes_of(a)], axis=-1)
    return _higher(a, b) * bell(off_side, 0.5 * mean_extent(a, b))


def _higher(a: Extents, b: Extents) -> FloatArray:
    rise = a.center[..., UP] - b.center[..., UP]
    return np.clip(rise / np.maximum(0.25 * (a.size[..., UP] + b.size[..., UP]), TINY), 0.0, 1.0)


def below(a: Extents, b: Extents) -> FloatArray:
    """b is above a."""
    return above(b, a)


def under(a: Extents, b: Extents) -> FloatArray:
    """b is above a, and a's footprint lies at least partly beneath b's."""
    return above(b, a) * ramp(footprint_share(a, b), 0.0, 0.4)


# --------------------------------------------------------------------------- topological


def on(a: Extents, b: Extents) -> FloatArray:
    """b carries a: a stands over b's footprint, its foot is at b's surface (rims may rise round it), its top above b's."""
    height_a, height_b = a.size[..., UP], b.size[..., UP]
    slack = noise_of(a) + 0.15 * height_a
    floating = np.maximum(0.0, a.low[..., UP] - b.high[..., UP])
    sunk = np.maximum(0.0, b.low[..., UP] - a.low[..., UP])
    contact = bell(floating, slack) * bell(sunk, slack)
    if a.solid:
        top = a.high[..., UP] - b.high[..., UP]
        peeks = ramp(top / np.maximum(height_a, TINY), -0.1, 0.25)
    else:
        # In the image a's lower edge lies within b's box, and its middle above b's.
        peeks = ramp((a.center[..., UP] - b.center[..., UP]) / np.maximum(height_a + height_b, TINY), -0.05, 0.1)
        # Things stand anywhere on what lies flat, and on the upper part of what stands upright.
        foot = (a.low[..., UP] - b.low[..., UP]) / np.maximum(height_b, TINY)
        upright = ramp(height_b / np.maximum(b.size[..., RIGHT], TINY), 0.5, 0.9)
        peeks = peeks * (1.0 - 0.5 * upright * (1.0 - ramp(foot, 0.5, 0.75)))
    return np.sqrt(footprint_share(a, b)) * contact * peeks


def inside(a: Extents, b: Extents) -> FloatArray:
    """a's footprint lies within b's, and a reaches down below b's rim without coming out beneath it.

    Of a thing in a hollow b often only what rises above the rim is seen; then reaching the rim is enough.
    """
    height = np.minimum(a.size[..., UP], b.size[..., UP])
    depth = (b.high[..., UP] - a.low[..., UP]) / np.maximum(height, TINY)
    slack = noise_of(a) + 0.25 * a.size[..., UP]
    out_below = np.maximum(0.0, b.low[..., UP] - a.low[..., UP])
    smaller = ramp(extent(b) / np.maximum(extent(a), TINY), 0.7, 1.0)
    return footprint_share(a, b) * ramp(depth + 0.5 * b.hollow, 0.25, 0.7) * bell(out_below, slack) * smaller


def contains(a: Extents, b: Extents) -> FloatArray:
    """b is in a."""
    return inside(b, a)


def supports(a: Extents, b: Extents) -> FloatArray:
    """b is on a."""
    return on(b, a)


def holds(a: Extents, b: Extents) -> FloatArray:
    """b is in or on a."""
    return np.maximum(contains(a, b), supports(a, b))


def held_by(a: Extents, b: Extents) -> FloatArray:
    """a is in or on b."""
    return holds(b, a)


def at(a: Extents, b: Extents) -> FloatArray:
    """a is on, in or right beside b."""
    return np.maximum(np.maximum(on(a, b), inside(a, b)), 0.8 * next_to(a, b))


def part_of(a: Extents, b: Extents) -> FloatArray:
    """a's box lies within b's."""
    share: FloatArray = np.ones(())
    for axis in (RIGHT, UP, FORWARD) if a.solid else (RIGHT, UP):
        reach = 0.1 * b.size[..., axis] + noise_of(a)
        overlap = np.minimum(a.high[..., axis], b.high[..., axis] + reach) - np.maximum(
            a.low[..., axis], b.low[..., axis] - reach
        )
        share = share * np.clip(overlap / np.maximum(a.size[..., axis], TINY), 0.0, 1.0)
    smaller = ramp(extent(b) / np.maximum(extent(a), TINY), 0.8, 1.05)
    return np.asarray(share) * smaller


def touching(a: Extents, b: Extents) -> FloatArray:
    """The boxes meet, up to the depth's noise."""
    return bell(gap(a, b), noise_of(a) + 0.05 * np.minimum(extent(a), extent(b)))


def against(a: Extents, b: Extents) -> FloatArray:
    """a touches b from the side: they meet, and neither stands over the other."""
    return touching(a, b) * (1.0 - 0.7 * np.maximum(on(a, b), on(b, a)))


# --------------------------------------------------------------------------- proximity


def next_to(a: Extents, b: Extents) -> FloatArray:
    """The space between them is small beside their sizes, and neither is on or in the other."""
    stacked = (
        np.maximum(footprint_share(a, b), footprint_share(b, a)) if a.solid else np.maximum(inside(a, b), inside(b, a))
    )
    close = _near(a, b, 0.75) * (1.0 - 0.9 * ramp(stacked, 0.5, 0.9))
    # In the image, what stands on a thing and what stands behind it look alike: a doubt, no more.
    return close if a.solid else close * (1.0 - 0.5 * np.maximum(on(a, b), on(b, a)))


def near(a: Extents, b: Extents) -> FloatArray:
    """The space between them is at most about twice their sizes."""
    return _near(a, b, 1.75)


def _near(a: Extents, b: Extents, reach: float) -> FloatArray:
    return 1.0 / (1.0 + np.square(gap(a, b) / (reach * mean_extent(a, b))))


def far_from(a: Extents, b: Extents) -> FloatArray:
    """The space between them is several times their sizes."""
    return 1.0 - _near(a, b, 3.0)


def around(a: Extents, b: Extents) -> FloatArray:
    """a is near b, beside it and not on it."""
    held = footprint_share(a, b) if a.solid else inside(a, b)
    return near(a, b) * (1.0 - 0.9 * ramp(held, 0.5, 0.9))


def between(a: Extents, b: Extents, c: Extents) -> FloatArray:
    """a's middle lies along the line from b to c, after b and before c, close to it and in neither; in a stack: above one, below the other."""
    held = footprint_share if a.solid else inside
    level = _between_level(a, b, c) * (1.0 - 0.9 * ramp(np.maximum(held(a, b), held(a, c)), 0.5, 0.9))
    if not a.solid:
        return level
    share = np.minimum(_overlap_share(a, b), _overlap_share(a, c))
    upward = np.minimum(_higher(a, b) * _higher(c, a) + _higher(a, c) * _higher(b, a), 1.0)
    return np.maximum(level, upward * ramp(share, 0.3, 0.7))


def _overlap_share(a: Extents, b: Extents) -> FloatArray:
    """How much of the smaller footprint lies over the other one."""
    return np.maximum(footprint_share(a, b), footprint_share(b, a))


def _between_level(a: Extents, b: Extents, c: Extents) -> FloatArray:
    axes = axes_of(a) if a.solid else [RIGHT, UP]
    start, end, middle = b.center[..., axes], c.center[..., axes], a.center[..., axes]
    line, to = end - start, middle - start
    length = np.linalg.norm(line, axis=-1)
    t = np.sum(to * line, axis=-1) / np.maximum(np.square(length), TINY)
    off = np.linalg.norm(to - t[..., None] * line, axis=-1)
    along = np.minimum(ramp(t, 0.02, 0.2), ramp(1.0 - t, 0.02, 0.2))
    width = 0.3 * length + 0.25 * extent(a)
    return along * bell(off, width)


# --------------------------------------------------------------------------- regions of a surface


def _place_on(a: Extents, b: Extents) -> tuple[FloatArray, FloatArray]:
    """Where a's middle is on b: -1 to 1 along right and along forward (in the image: up)."""
    second = FORWARD if a.solid else UP
    middle = (b.low + b.high) / 2.0
    half = np.maximum(b.size / 2.0, TINY)
    u = (a.center - middle) / half
    return u[..., RIGHT], u[..., second]


def at_center_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is near the middle of b."""
    u, v = _place_on(a, b)
    return bell(np.hypot(u, v), 0.6)


def at_edge_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the outer part of b, or just past its border."""
    u, v = (np.abs(x) for x in _place_on(a, b))
    out = np.maximum(u, v)
    return ramp(out, 0.4, 0.75) * (1.0 - ramp(out, 1.3, 1.8))


def at_corner_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the outer part of b along both directions."""
    u, v = (np.abs(x) for x in _place_on(a, b))
    return ramp(np.minimum(u, v), 0.25, 0.7) * (1.0 - ramp(np.maximum(u, v), 1.3, 1.8))


def _at_side(out: FloatArray, across: FloatArray, near: float, far: float) -> FloatArray:
    """Outwards from the middle of the surface, no further past its border than ``near`` to ``far``, and not beside it."""
    return ramp(out, 0.0, 0.6) * (1.0 - ramp(np.abs(across), 1.2, 2.0)) * (1.0 - ramp(out, near, far))


def at_front_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the part of b nearest to the viewer, or just before it."""
    u, v = _place_on(a, b)
    return _at_side(-v, u, 1.8, 3.0)


def at_back_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the part of b furthest from the viewer, or just behind it."""
    u, v = _place_on(a, b)
    return _at_side(v, u, 1.8, 3.0)


def at_left_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the part of b on the viewer's left, or just left of it."""
    u, v = _place_on(a, b)
    return _at_side(-u, v, 1.3, 1.8)


def at_right_of(a: Extents, b: Extents) -> FloatArray:
    """a's middle is in the part of b on the viewer's right, or just right of it."""
    u, v = _place_on(a, b)
    return _at_side(u, v, 1.3, 1.8)


# --------------------------------------------------------------------------- orientation and size


def facing(a: Extents, b: Extents) -> FloatArray:
    """a's longest horizontal axis points at b (a box does not tell its front from its back). In the image: unknown, 0.5."""
    if not a.solid:
        return np.full(np.broadcast_shapes(a.center.shape, b.center.shape)[:-1], 0.5)
    line = b.center - a.center
    flat = line * np.array([1.0, 0.0, 1.0])
    cosine = np.abs(np.sum(flat * a.heading, axis=-1)) / np.maximum(np.linalg.norm(flat, axis=-1), TINY)
    return np.clip(np.square(cosine), 0.0, 1.0)


def _ratio(mine: FloatArray, other: FloatArray) -> FloatArray:
    """0 at equal size, 1 from a quarter more."""
    return ramp(mine / np.maximum(other, TINY), 1.0, 1.25)


def larger_than(a: Extents, b: Extents) -> FloatArray:
    """a's extent exceeds b's by a quarter or more."""
    return _ratio(extent(a), extent(b))


def smaller_than(a: Extents, b: Extents) -> FloatArray:
    """b is larger than a."""
    return larger_than(b, a)


def taller_than(a: Extents, b: Extents) -> FloatArray:
    """a's height exceeds b's by a quarter or more."""
    return _ratio(a.size[..., UP], b.size[..., UP])


def shorter_than(a: Extents, b: Extents) -> FloatArray:
    """b is taller than a."""
    return taller_than(b, a)


# --------------------------------------------------------------------------- by name

Binary = Callable[[Extents, Extents], FloatArray]


@dataclass(frozen=True)
class Predicate:
    """A relation that commands can speak of.

    Attributes:
        name: as in ``Relation.predicate``.
        score: for subjects and anchors that broadcast; ``between`` has two anchors and is called by itself.
    """

    name: str
    score: Binary

    @property
    def definition(self) -> str:
        """What it means, in words."""
        return (self.score.__doc__ or "").strip()


PREDICATES: Final[dict[str, Predicate]] = {
    name: Predicate(name, score)
    for name, score in {
        "left_of": left_of, "right_of": right_of, "in_front_of": in_front_of, "behind": behind, "above": above, "below": below,
        "under": under, "on": on, "in": inside, "contains": contains, "supports": supports, "holds": holds, "held_by": held_by, "at": at, "part_of": part_of,
        "touching": touching, "against": against, "next_to": next_to, "near": near, "far_from": far_from, "around": around,
        "at_center_of": at_center_of, "at_edge_of": at_edge_of, "at_corner_of": at_corner_of, "at_front_of": at_front_of,
        "at_back_of": at_back_of, "at_left_of": at_left_of, "at_right_of": at_right_of, "facing": facing, "larger_than": larger_than,
        "smaller_than": smaller_than,
        "taller_than": taller_than, "shorter_than": shorter_than,
    }.items()
}  # fmt: skip
