"""Where to put things down."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import IMAGE, basket, block, block_points, plate, thing, to_camera, tub_points, view

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


def world(place: PlacePose) -> np.ndarray:
    """Right, up, forward from the table's middle, metres."""
    return in_axes(place.T_camera_place[:3, 3]) - in_axes(to_camera(np.zeros((1, 3)))[0])


def test_between_two_things_is_between_them() -> None:
    objects = [CAN, block(2, "box", -0.1, 0.1), block(3, "jar", 0.2, 0.1)]
    places = [
        g.place for g in put("put the can between the box and the jar", objects).groundings if g.place is not None
    ]
    assert len(places) == 2
    for place in places:
        assert world(place)[0] == pytest.approx(0.05, abs=0.02)
        assert place.clearance_m >= 0.01
    tight = put("put the can between the box and the jar", [CAN, block(2, "box", 0.0, 0.1), block(3, "jar", 0.1, 0.1)])
    assert tight.status is Status.NOT_FOUND
    assert "no room between" in tight.message


def test_under_a_thing_is_the_ground_below_it() -> None:
    shelf = block(2, "shelf", 0.1, 0.2, 0.25, size=(0.4, 0.2, 0.02))
    assert world(place_of(put("put the can under the shelf", [CAN, shelf])))[1] == pytest.approx(0.0, abs=0.02)
    low = block(2, "shelf", 0.1, 0.2, 0.05, size=(0.4, 0.2, 0.02))
    assert put("put the can under the shelf", [CAN, low]).status is Status.NOT_FOUND


def test_what_does_not_fit_is_not_put_in() -> None:
    big = block(1, "can", -0.3, -0.2, size=(0.2, 0.2, 0.2))
    answer = put("put the can in the mug", [big, thing(2, "mug", tub_points(0.1, 0.1, 0.0, 0.08, 0.08, 0.09))])
    assert answer.status is Status.NOT_FOUND
    assert "no room in the mug" in answer.message
    filled = [CAN, basket(2, "basket", 0.1, 0.1), block(3, "box", 0.1, 0.1, 0.005, size=(0.23, 0.23, 0.1))]
    assert put("put the can in the basket", filled).status is Status.NOT_FOUND


def test_in_an_open_drawer_is_its_floor_and_not_the_top_of_the_cabinet() -> None:
    cabinet = np.vstack((block_points(-0.1, 0.2, 0.0, 0.2, 0.24, 0.22), tub_points(0.07, 0.2, 0.15, 0.14, 0.2, 0.06)))
    place = world(place_of(put("put the can in the top drawer of the cabinet", [CAN, thing(2, "cabinet", cabinet)])))
    assert place[1] == pytest.approx(0.155, abs=0.02)
    assert place[0] > -0.01


def test_a_thing_detected_twice_is_not_in_its_own_way() -> None:
    dish = plate(2, "plate", 0.1, 0.1)
    again = block(3, "ramekin", 0.1, 0.1, size=(0.17, 0.17, 0.02))
    assert put("put the can on the plate", [CAN, dish, again]).status is Status.SUCCEEDED


def test_the_back_of_a_thing_is_a_part_of_it() -> None:
    tray = block(2, "tray", 0.0, 0.1, size=(0.3, 0.3, 0.02))
    back, front = (
        world(place_of(put(f"put the can at the {where} of the tray", [CAN, tray]))) for where in ("back", "front")
    )
    middle = world(place_of(put("put the can in the middle of the tray", [CAN, tray])))
    assert back[2] > middle[2] + 0.03 > front[2] + 0.06
    assert back[1] == pytest.approx(front[1], abs=0.01)
    moved = world(place_of(put("push the can to the back", [CAN, tray])))
    assert moved[2] == pytest.approx(-0.12, abs=0.02)  # behind where it stands
