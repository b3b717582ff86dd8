"""Predicates: what they mean, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import basket, block, bowl, plate, thing, view

from vlm_perception.spatial.comparing import farther_than, nearer_than, nearer_to
from vlm_perception.spatial.layout import Extents, flat_extents, solid_extents
from vlm_perception.spatial.predicates import PREDICATES, between
from vlm_perception.types import SceneObject, Viewpoint

_QUICK = settings(max_examples=60, deadline=None)


def score(
    name: str, a: SceneObject, b: SceneObject, *, solid: bool = True, viewpoint: Viewpoint | None = None
) -> float:
    extents = solid_extents([a, b], viewpoint or view())[0] if solid else flat_extents([a, b])
    return float(np.ravel(PREDICATES[name].score(extents.take(0), extents.take(1)))[0])


HOLDS = [
    ("left_of", block(1, "a", -0.2, 0.0), block(2, "b", 0.1, 0.0)),
    ("right_of", block(1, "a", 0.2, 0.0), block(2, "b", -0.1, 0.0)),
    ("in_front_of", block(1, "a", 0.0, -0.2), block(2, "b", 0.0, 0.1)),
    ("behind", block(1, "a", 0.0, 0.3), block(2, "b", 0.0, 0.0)),
    ("on", block(1, "a", 0.0, 0.0, 0.08), block(2, "b", 0.0, 0.0)),
    ("on", bowl(1, "a", 0.0, 0.0, 0.008), plate(2, "b", 0.0, 0.0)),
    ("in", block(1, "a", 0.0, 0.02, 0.006, size=(0.06, 0.06, 0.06)), basket(2, "b", 0.0, 0.0)),
    ("contains", basket(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.02, 0.006, size=(0.06, 0.06, 0.06))),
    ("holds", plate(1, "a", 0.0, 0.0), bowl(2, "b", 0.0, 0.0, 0.008)),
    ("holds", basket(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.02, 0.006, size=(0.06, 0.06, 0.06))),
    ("supports", plate(1, "a", 0.0, 0.0), bowl(2, "b", 0.0, 0.0, 0.008)),
    ("above", block(1, "a", 0.0, 0.0, 0.3), block(2, "b", 0.0, 0.0)),
    ("below", block(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.0, 0.3)),
    ("under", block(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.0, 0.3, size=(0.3, 0.3, 0.02))),
    ("next_to", block(1, "a", 0.0, 0.0), block(2, "b", 0.11, 0.0)),
    ("near", block(1, "a", 0.0, 0.0), block(2, "b", 0.17, 0.0)),
    ("far_from", block(1, "a", -0.4, 0.0), block(2, "b", 0.4, 0.2)),
    ("touching", block(1, "a", 0.0, 0.0), block(2, "b", 0.082, 0.0)),
    ("against", block(1, "a", 0.0, 0.0), block(2, "b", 0.082, 0.0)),
    ("around", block(1, "a", 0.0, 0.0), plate(2, "b", 0.16, 0.0)),
    ("at", block(1, "a", 0.0, 0.0), block(2, "b", 0.09, 0.0)),
    ("part_of", block(1, "a", 0.0, -0.06, 0.1, size=(0.1, 0.02, 0.03)), block(2, "b", 0.0, 0.0, size=(0.2, 0.15, 0.2))),
    ("at_center_of", bowl(1, "a", 0.0, 0.02), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_edge_of", bowl(1, "a", 0.55, 0.0), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_corner_of", bowl(1, "a", 0.55, 0.35), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_front_of", bowl(1, "a", 0.0, -0.35), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_back_of", bowl(1, "a", 0.0, 0.35), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_left_of", bowl(1, "a", -0.4, 0.0), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_right_of", bowl(1, "a", 0.4, 0.0), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("held_by", bowl(1, "a", 0.0, 0.0, 0.008), plate(2, "b", 0.0, 0.0)),
    ("facing", block(1, "a", 0.0, 0.0, size=(0.2, 0.04, 0.05)), block(2, "b", 0.5, 0.0)),
    ("larger_than", block(1, "a", 0.0, 0.0, size=(0.2, 0.2, 0.2)), block(2, "b", 0.5, 0.0)),
    ("smaller_than", block(1, "a", 0.5, 0.0), block(2, "b", 0.0, 0.0, size=(0.2, 0.2, 0.2))),
    ("taller_than", block(1, "a", 0.0, 0.0, size=(0.05, 0.05, 0.2)), block(2, "b", 0.5, 0.0)),
    ("shorter_than", block(1, "a", 0.5, 0.0), block(2, "b", 0.0, 0.0, size=(0.05, 0.05, 0.2))),
]
FAILS = [
    ("left_of", block(1, "a", 0.2, 0.0), block(2, "b", 0.1, 0.0)),
    ("left_of", block(1, "a", 0.1, 0.5), block(2, "b", 0.11, 0.0)),
    ("in_front_of", block(1, "a", 0.0, 0.3), block(2, "b", 0.0, 0.0)),
    ("on", block(1, "a", 0.12, 0.0), block(2, "b", 0.0, 0.0)),
    ("on", block(1, "a", 0.0, 0.0, 0.4), block(2, "b", 0.0, 0.0)),
    ("on", block(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.0, 0.08)),
    ("in", block(1, "a", 0.2, 0.0), basket(2, "b", 0.0, 0.0)),
    ("in", basket(1, "a", 0.0, 0.0), block(2, "b", 0.0, 0.02, 0.006, size=(0.06, 0.06, 0.06))),
    ("above", block(1, "a", 0.4, 0.0, 0.3), block(2, "b", 0.0, 0.0)),
    ("next_to", block(1, "a", 0.0, 0.0, 0.08), block(2, "b", 0.0, 0.0)),
    ("next_to", block(1, "a", -0.3, 0.0), block(2, "b", 0.3, 0.0)),
    ("near", block(1, "a", -0.4, 0.0), block(2, "b", 0.4, 0.0)),
    ("far_from", block(1, "a", 0.0, 0.0), block(2, "b", 0.1, 0.0)),
    ("touching", block(1, "a", 0.0, 0.0), block(2, "b", 0.2, 0.0)),
    ("part_of", block(1, "a", 0.4, 0.0), block(2, "b", 0.0, 0.0, size=(0.2, 0.15, 0.2))),
    ("at_center_of", bowl(1, "a", 0.5, 0.3), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("at_edge_of", bowl(1, "a", 0.0, 0.02), block(2, "b", 0.0, 0.0, -0.7, size=(1.2, 0.8, 0.7))),
    ("facing", block(1, "a", 0.0, 0.0, size=(0.2, 0.04, 0.05)), block(2, "b", 0.0, 0.5)),
    ("larger_than", block(1, "a", 0.0, 0.0), block(2, "b", 0.5, 0.0)),
]


@pytest.mark.parametrize(("name", "a", "b"), HOLDS, ids=[f"{h[0]}-{i}" for i, h in enumerate(HOLDS)])
def test_holds(name: str, a: SceneObject, b: SceneObject) -> None:
    assert score(name, a, b) > 0.5


@pytest.mark.parametrize(("name", "a", "b"), FAILS, ids=[f"{h[0]}-{i}" for i, h in enumerate(FAILS)])
def test_does_not_hold(name: str, a: SceneObject, b: SceneObject) -> None:
    assert score(name, a, b) < 0.25


_IN_IMAGE = {"left_of", "right_of", "in_front_of", "behind", "on", "next_to", "far_from", "in", "contains", "supports"}


@pytest.mark.parametrize(
    ("name", "a", "b"), [h for h in HOLDS if h[0] in _IN_IMAGE], ids=lambda v: v if isinstance(v, str) else ""
)
def test_holds_in_the_image_too(name: str, a: SceneObject, b: SceneObject) -> None:
    assert score(name, a, b, solid=False) > 0.4


def test_every_predicate_is_tried_and_defined() -> None:
    assert {h[0] for h in HOLDS} == set(PREDICATES)
    assert all(len(p.definition) > 8 for p in PREDICATES.values())


@_QUICK
@given(st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(-0.2, 0.4)), min_size=3, max_size=3), st.booleans())
def test_distances_are_compared_one_way_only(spots: list[tuple[float, float]], solid: bool) -> None:
    things = [block(i, "x", *spot) for i, spot in enumerate(spots, 1)]
    extents = solid_extents(things, view())[0] if solid else flat_extents(things)
    a, b, c = (extents.take(i) for i in range(3))
    assert float(nearer_to(a, b, c)[0]) == 0.0 or float(nearer_to(a, c, b)[0]) == 0.0
    assert float(nearer_than(a, b, c)[0]) == 0.0 or float(nearer_than(b, a, c)[0]) == 0.0
    assert farther_than(a, b, c) == nearer_than(b, a, c)
    assert farther_than(a, b) == nearer_than(b, a)


def test_a_thing_inside_one_of_two_is_not_between_them() -> None:
    things = [
        block(1, "a", -0.15, 0.1, 0.006, size=(0.06, 0.06, 0.06)),
        basket(2, "b", -0.2, 0.1),
        plate(3, "c", 0.25, 0.1),
        block(4, "d", 0.05, 0.1),
    ]
    extents = solid_extents(things, view())[0]
    b, c = extents.take(1), extents.take(2)
    assert float(between(extents.take(0), b, c)[0]) < 0.2
    assert float(between(extents.take(3), b, c)[0]) > 0.8


def test_between_needs_both() -> None:
    things = [
        bowl(1, "a", 0.0, 0.1),
        plate(2, "b", -0.2, 0.1),
        plate(3, "c", 0.2, 0.1),
        bowl(4, "d", 0.4, 0.1),
        bowl(5, "e", 0.0, 0.4),
    ]
    e = solid_extents(things, view())[0]
    scores = [float(between(e.take(i), e.take(1), e.take(2))[0]) for i in (0, 3, 4)]
    assert scores[0] > 0.8
    assert scores[1] < 0.05
    assert scores[2] < 0.2


# --------------------------------------------------------------------------- laws

_COORDINATE = st.floats(-0.4, 0.4)
_HEIGHT = st.floats(0.0, 0.3)
_SIDE = st.floats(0.02, 0.25)
_BLOCKS = st.builds(
    lambda x, y, z, w, d, h: block(1, "a", x, y, z, size=(w, d, h)),
    _COORDINATE,
    _COORDINATE,
    _HEIGHT,
    _SIDE,
    _SIDE,
    _SIDE,
)


@_QUICK
@given(_BLOCKS, _BLOCKS, st.sampled_from(sorted(PREDICATES)), st.booleans())
def test_scores_are_shares(a: SceneObject, b: SceneObject, name: str, solid: bool) -> None:
    assert 0.0 <= score(name, a, b, solid=solid) <= 1.0


@_QUICK
@given(
    _BLOCKS,
    _BLOCKS,
    st.sampled_from([("left_of", "right_of"), ("in_front_of", "behind"), ("above", "below")]),
    st.booleans(),
)
def test_opposites(a: SceneObject, b: SceneObject, names: tuple[str, str], solid: bool) -> None:
    one, other = names
    assert score(one, a, b, solid=solid) == pytest.approx(score(other, b, a, solid=solid))
    assert min(score(one, a, b, solid=solid), score(one, b, a, solid=solid)) == pytest.approx(0.0)


def _moved(item: SceneObject, R: np.ndarray, t: np.ndarray) -> SceneObject:
    g = item.geometry
    assert g is not None
    moved = replace(
        g,
        points_m=g.points_m @ R.T + t,
        center_m=R @ g.center_m + t,
        R_camera_object=R @ g.R_camera_object,
        surface_point_m=R @ g.surface_point_m + t,
        surface_centroid_m=R @ g.surface_centroid_m + t,
    )
    return replace(item, geometry=moved)


@_QUICK
@given(
    _BLOCKS,
    _BLOCKS,
    st.sampled_from(sorted(PREDICATES)),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_moving_scene_and_viewer_together_changes_nothing(
    a: SceneObject, b: SceneObject, name: str, angles: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    R = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        R = turn @ R
    t = np.array(shift)
    before = view()
    after = replace(
        before, right=R @ before.right, up=R @ before.up, forward=R @ before.forward, origin_m=R @ before.origin_m + t
    )
    moved = score(name, _moved(a, R, t), _moved(b, R, t), viewpoint=after)
    assert moved == pytest.approx(score(name, a, b), abs=1e-6)


@_QUICK
@given(_BLOCKS, _BLOCKS)
def test_the_viewer_behind_the_table_swaps_left_and_right(a: SceneObject, b: SceneObject) -> None:
    here = view()
    there = replace(here, right=-here.right, forward=-here.forward)
    for one, other in (("left_of", "right_of"), ("in_front_of", "behind")):
        assert score(one, a, b, viewpoint=there) == pytest.approx(score(other, a, b))


def test_sets_of_extents_broadcast() -> None:
    things = [block(i, "a", 0.1 * i, 0.0) for i in range(4)]
    e: Extents = solid_extents(things, view())[0]
    for predicate in PREDICATES.values():
        assert np.broadcast_to(predicate.score(e.rows(), e.columns()), (4, 4)).shape == (4, 4)


def test_a_thing_without_points_has_no_place_in_space() -> None:
    extents, known = solid_extents([block(1, "a", 0.0, 0.0), block(2, "b", 0.1, 0.0, depth=False)], view())
    assert known.tolist() == [True, False]
    assert np.isnan(extents.center[1]).all()


def test_headings_follow_the_long_side() -> None:
    long = thing(1, "a", np.array([[x, y, 0.02] for x in np.linspace(-0.1, 0.1, 9) for y in (-0.01, 0.0, 0.01)]))
    extents, _ = solid_extents([long], view())
    assert abs(extents.heading[0, 0]) > 0.99
