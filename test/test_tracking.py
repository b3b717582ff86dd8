"""Ids that stay with their objects."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.tracking import Tracker
from vlm_perception.types import ObjectGeometry, SceneObject


def thing(number, label, xyz=None, box=(0, 0, 10, 10), size_m=0.1) -> SceneObject:
    geometry = None
    if xyz is not None:
        center = np.asarray(xyz, dtype=float)
        geometry = ObjectGeometry(
            points_m=center[None],
            pixels_uv=np.zeros((1, 2), np.int64),
            center_m=center,
            R_camera_object=np.eye(3),
            size_m=np.full(3, size_m),
            covariance=np.eye(6),
            surface_point_m=center,
            surface_centroid_m=center,
            valid_depth_fraction=1.0,
        )
    return SceneObject(number, tuple(map(float, box)), {label: 0.9}, label, geometry=geometry)


def test_ids_follow_objects_not_their_order():
    tracker = Tracker()
    first = tracker.update([thing(1, "mug", (0, 0, 1)), thing(2, "mug", (0.5, 0, 1))], 0.0)
    second = tracker.update([thing(1, "mug", (0.52, 0, 1)), thing(2, "mug", (0.01, 0, 1))], 0.1)
    assert len(set(first.values())) == 2
    assert second == {1: first[2], 2: first[1]}


def test_ids_read_like_words():
    assert Tracker().update([thing(1, "Red Mug!", (0, 0, 1)), thing(2, "", (1, 0, 1))], 0.0) == {
        1: "red_mug-1",
        2: "object-1",
    }


def test_an_object_that_comes_back_gets_its_id_back():
    tracker = Tracker()
    before = tracker.update([thing(1, "mug", (0, 0, 1))], 0.0)[1]
    for step in range(1, 20):
        tracker.update([], step * 1.0)
    assert tracker.update([thing(4, "mug", (0.02, 0, 1))], 20.0)[4] == before


def test_but_not_for_ever_and_no_id_is_used_twice():
    tracker = Tracker()
    before = tracker.update([thing(1, "mug", (0, 0, 1))], 0.0)[1]
    after = tracker.update([thing(1, "mug", (0, 0, 1))], 100.0)[1]
    assert after != before


def test_another_thing_far_away_is_another():
    tracker = Tracker()
    before = tracker.update([thing(1, "mug", (0, 0, 1))], 0.0)[1]
    assert tracker.update([thing(1, "mug", (0.4, 0, 1))], 0.1)[1] != before


def test_the_nearer_label_wins_where_two_are_close():
    tracker = Tracker()
    ids = tracker.update([thing(1, "plate", (0, 0, 1), size_m=0.3), thing(2, "mug", (0.02, 0, 1))], 0.0)
    again = tracker.update([thing(1, "mug", (0.01, 0, 1)), thing(2, "plate", (0.01, 0, 1), size_m=0.3)], 0.1)
    assert again == {1: ids[2], 2: ids[1]}


def test_a_moving_camera_does_not_change_ids():
    tracker = Tracker()
    T = np.eye(4)
    before = tracker.update([thing(1, "mug", (0, 0, 1))], 0.0, T)[1]
    T_moved = T.copy()
    T_moved[0, 3] = 1.0
    assert tracker.update([thing(1, "mug", (-1.0, 0, 1))], 0.1, T_moved)[1] == before


def test_boxes_are_enough_from_frame_to_frame():
    tracker = Tracker()
    before = tracker.update([thing(1, "mug", box=(10, 10, 50, 50)), thing(2, "mug", box=(100, 10, 140, 50))], 0.0)
    after = tracker.update([thing(1, "mug", box=(105, 10, 145, 50)), thing(2, "mug", box=(12, 10, 52, 50))], 0.1)
    assert after == {1: before[2], 2: before[1]}
    assert tracker.update([thing(1, "mug", box=(300, 10, 340, 50))], 0.2)[1] not in before.values()


def test_time_that_starts_over_forgets():
    tracker = Tracker()
    before = tracker.update([thing(1, "mug", (0, 0, 1))], 1000.0)[1]
    assert tracker.update([thing(1, "mug", (0, 0, 1))], 0.0)[1] != before


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8, unique=True), st.randoms())
def test_every_object_has_an_id_of_its_own_and_order_does_not_matter(places, dice):
    tracker = Tracker()
    objects = [thing(i, "mug", (x * 1.0, y * 1.0, 1.0)) for i, (x, y) in enumerate(places, start=1)]
    ids = tracker.update(objects, 0.0)
    assert len(set(ids.values())) == len(objects)
    shuffled = list(objects)
    dice.shuffle(shuffled)
    assert tracker.update(shuffled, 0.1) == ids


def test_two_cameras_that_share_a_frame_share_the_ids():
    """The second camera looks from the other side: its own coordinates of the same things are quite different."""
    turned = np.array([[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]])
    tracker = Tracker()
    front = {"fixed_frame": "world", "camera": "front"}
    wrist = {"fixed_frame": "world", "camera": "wrist"}
    seen = tracker.update([thing(1, "mug", (-0.4, 0, 1)), thing(2, "mug", (0.4, 0, 1))], 0.0, np.eye(4), **front)
    again = tracker.update([thing(1, "mug", (-0.4, 0, 1)), thing(2, "mug", (0.4, 0, 1))], 0.1, turned, **wrist)
    assert again == {1: seen[2], 2: seen[1]}


def test_without_a_common_frame_or_depth_two_cameras_share_nothing():
    tracker = Tracker()
    places = {}
    for camera in ("front", "wrist", "front", "wrist"):
        ids = tracker.update(
            [thing(1, "mug", (0, 0, 1)), thing(2, "mug", None, box=(50, 50, 80, 80))],
            0.0,
            np.eye(4),
            fixed_frame=f"{camera}_optical",
            camera=camera,
        )
        places.setdefault(camera, []).append(ids)
    (first, then), (other, other_then) = places.values()
    assert first == then
    assert other == other_then
    assert not set(first.values()) & set(other.values())
