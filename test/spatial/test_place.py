"""Where to put things down."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import IMAGE, basket, block, plate, to_camera, view

from vlm_perception.language import parse
from vlm_perception.spatial import resolve
from vlm_perception.types import PlacePose, Resolution, Role, SceneObject, Status


def put(command: str, objects: list[SceneObject]) -> Resolution:
    return resolve(parse(command), objects, view(), image_size=IMAGE)


def place_of(resolution: Resolution) -> PlacePose:
    (place,) = [g.place for g in resolution.groundings if g.role is Role.DESTINATION]
    assert place is not None, resolution.message
    return place


def in_axes(point_camera: np.ndarray) -> np.ndarray:
    """Right, up, forward of the viewer."""
    v = view()
    return np.array([v.right @ point_camera, v.up @ point_camera, v.forward @ point_camera])


CAN = block(1, "can", -0.3, -0.2, size=(0.06, 0.06, 0.08))


def test_on_a_box_is_its_top() -> None:
    place = place_of(put("put the can on the box", [CAN, block(2, "box", 0.1, 0.1, size=(0.2, 0.2, 0.1))]))
    truth = to_camera(np.array([[0.1, 0.1, 0.1]]))[0]
    assert np.linalg.norm(place.T_camera_place[:3, 3] - truth) < 0.03
    assert place.T_camera_place[:3, 2] == pytest.approx(view().up)
    assert np.linalg.det(place.T_camera_place[:3, :3]) == pytest.approx(1.0)
    assert place.size_m[0] == pytest.approx(0.2, abs=0.03)


def test_in_a_basket_is_its_floor() -> None:
    place = place_of(put("put the can in the basket", [CAN, basket(2, "basket", 0.1, 0.1)]))
    truth = to_camera(np.array([[0.1, 0.1, 0.005]]))[0]
    off = in_axes(place.T_camera_place[:3, 3]) - in_axes(truth)
    assert abs(off[1]) < 0.02
    assert np.hypot(off[0], off[2]) < 0.05


def test_a_taken_spot_is_avoided() -> None:
    tray = block(2, "tray", 0.0, 0.1, size=(0.4, 0.2, 0.02))
    taken = block(3, "mug", 0.0, 0.1, 0.02)
    place = place_of(put("put the can on the tray", [CAN, tray, taken]))
    off = in_axes(place.T_camera_place[:3, 3]) - in_axes(to_camera(np.array([[0.0, 0.1, 0.02]]))[0])
    assert abs(off[0]) > 0.06
    assert place.clearance_m > 0.0


def test_no_room() -> None:
    full = put(
        "put the can on the tray",
        [
            CAN,
            block(2, "tray", 0.0, 0.1, size=(0.12, 0.12, 0.02)),
            block(3, "box", 0.0, 0.1, 0.02, size=(0.14, 0.14, 0.1)),
        ],
    )
    assert full.status is Status.NOT_FOUND
    assert "no room" in full.message


@pytest.mark.parametrize(
    ("words", "axis", "sign"),
    [("to the left of", 0, -1), ("to the right of", 0, 1), ("in front of", 2, -1), ("behind", 2, 1)],
)
def test_beside(words: str, axis: int, sign: int) -> None:
    anchor = plate(2, "plate", 0.1, 0.1)
    place = place_of(put(f"put the can {words} the plate", [CAN, anchor]))
    off = in_axes(place.T_camera_place[:3, 3]) - in_axes(to_camera(np.array([[0.1, 0.1, 0.0]]))[0])
    assert off[axis] * sign > 0.1
    assert abs(off[2 - axis]) < 0.05
    assert abs(off[1]) < 0.02


def test_next_to_takes_a_free_side() -> None:
    wall = [block(3, "box", 0.28, 0.1, size=(0.1, 0.3, 0.1))]
    place = place_of(put("put the can next to the plate", [CAN, plate(2, "plate", 0.1, 0.1), *wall]))
    off = in_axes(place.T_camera_place[:3, 3]) - in_axes(to_camera(np.array([[0.1, 0.1, 0.0]]))[0])
    assert np.hypot(off[0], off[2]) > 0.1
    assert off[0] < 0.1


def test_without_depth_there_is_no_place_but_an_answer() -> None:
    found = put(
        "put the can on the plate", [block(1, "can", -0.3, 0.0, depth=False), plate(2, "plate", 0.1, 0.1, depth=False)]
    )
    assert found.status is Status.SUCCEEDED
    assert [g.place for g in found.groundings] == [None, None]
