"""Markers: stable ids, explicit deletion, poses that are the result's own."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from vlm_perception.msg import GroundedObject, GroundingResult

from vlm_perception.ros.markers import to_markers


def grounded(object_id: str, role: str = "target", x: float = 0.5) -> GroundedObject:
    found = GroundedObject(id=object_id, role=role, phrase="red mug", score=0.875, has_pose=True)
    found.pose.pose.position = Point(x=x, y=0.1, z=0.2)
    found.size = Vector3(x=0.08, y=0.10, z=0.12)
    return found


def result_of(*targets: GroundedObject) -> GroundingResult:
    return GroundingResult(header=Header(frame_id="world"), targets=list(targets))


def test_box_name_and_axes_at_the_pose() -> None:
    array, shown = to_markers(result_of(grounded("mug_1")), set())
    markers = {marker.ns: marker for marker in array.markers}
    assert set(markers) == {"boxes", "names", "axes"}
    box = markers["boxes"]
    assert (box.type, box.action, box.header.frame_id) == (Marker.CUBE, Marker.ADD, "world")
    assert (box.pose.position.x, box.pose.position.y, box.pose.position.z) == (0.5, 0.1, 0.2)
    assert (box.scale.x, box.scale.y, box.scale.z) == (0.08, 0.10, 0.12)
    assert markers["names"].text == "target: red mug 0.88"
    assert markers["names"].pose.position.z > 0.2 + 0.06, "the name floats above the box"
    axes = markers["axes"]
    assert len(axes.points) == len(axes.colors) == 6
    assert [(p.x > 0, p.y > 0, p.z > 0) for p in axes.points[1::2]] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    assert shown == {(marker.ns, marker.id) for marker in array.markers}


def test_the_same_object_keeps_its_ids_and_nothing_is_deleted() -> None:
    _, first = to_markers(result_of(grounded("mug_1"), grounded("mug_2")), set())
    # The order changes and the objects move: still the same markers, so RViz updates them in place.
    array, second = to_markers(result_of(grounded("mug_2", x=0.9), grounded("mug_1")), first)
    assert second == first
    assert {marker.action for marker in array.markers} == {Marker.ADD}


def test_what_is_gone_is_deleted_one_by_one_and_once() -> None:
    _, shown = to_markers(result_of(grounded("mug_1"), grounded("mug_2")), set())
    array, left = to_markers(result_of(grounded("mug_2")), shown)
    deleted = {(marker.ns, marker.id) for marker in array.markers if marker.action == Marker.DELETE}
    assert deleted == shown - left
    assert len(deleted) == 3
    assert not any(marker.action == Marker.DELETEALL for marker in array.markers)
    again, _ = to_markers(result_of(grounded("mug_2")), left)
    assert not any(marker.action == Marker.DELETE for marker in again.markers)


def test_a_failure_deletes_everything() -> None:
    _, shown = to_markers(result_of(grounded("mug_1")), set())
    array, left = to_markers(GroundingResult(status=GroundingResult.STALE_INPUT), shown)
    assert {(marker.ns, marker.id) for marker in array.markers} == shown
    assert {marker.action for marker in array.markers} == {Marker.DELETE}
    assert left == set()


def test_one_object_in_two_roles_and_objects_without_id_do_not_collide() -> None:
    targets = (grounded("mug_1"), grounded("mug_1", role="anchor"), grounded(""), grounded(""))
    array, shown = to_markers(result_of(*targets), set())
    assert len(array.markers) == len(shown) == 12


def test_an_object_without_pose_is_not_drawn_but_its_place_is() -> None:
    plate = grounded("plate_1", role="destination")
    plate.has_pose, plate.has_place = False, True
    plate.place_pose.position = Point(x=0.3, y=0.0, z=0.05)
    plate.place_size = Vector3(x=0.2, y=0.1, z=0.3)
    array, _ = to_markers(result_of(plate), set())
    markers = {marker.ns: marker for marker in array.markers}
    assert set(markers) == {"places", "place_axes"}
    assert markers["places"].pose == plate.place_pose
    assert (markers["places"].scale.x, markers["places"].scale.y) == (0.2, 0.1)
    assert markers["places"].scale.z > 0


def test_no_marker_is_without_extent() -> None:
    flat = grounded("sheet_1")
    flat.size = Vector3(x=0.2, y=0.3, z=0.0)
    array, _ = to_markers(result_of(flat), set())
    box = next(marker for marker in array.markers if marker.ns == "boxes")
    assert min(box.scale.x, box.scale.y, box.scale.z) > 0
