"""Answers become messages: rigid moves, boxes, masks, clouds, against hand-worked numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from vlm_perception.msg import GroundedObject, GroundingResult

from vlm_perception.geometry.transforms import quaternion_to_matrix
from vlm_perception.ros import messages
from vlm_perception.types import (
    Answer,
    CameraIntrinsics,
    Grounding,
    ObjectGeometry,
    PlacePose,
    RgbdFrame,
    Role,
    SceneObject,
    Status,
)

STAMP = Time(sec=12, nanosec=34)
# A camera 1 m above the origin that looks straight down: its x is world x, its y is world -y, its z is world -z.
T_WORLD_CAMERA = np.array([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]])
# 90 degrees about world z, then 2 m along x.
T_TURNED = np.array([[0.0, -1, 0, 2], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def geometry(center: tuple[float, float, float] = (0.1, 0.2, 0.7)) -> ObjectGeometry:
    points = np.array([[0.1, 0.2, 0.65], [0.11, 0.2, 0.65], [0.1, 0.21, 0.66]])
    return ObjectGeometry(
        points_m=points,
        pixels_uv=np.array([[3, 2], [4, 2], [3, 3]]),
        center_m=np.array(center),
        R_camera_object=np.eye(3),
        size_m=np.array([0.04, 0.06, 0.10]),
        covariance=np.diag([1e-6, 4e-6, 9e-6, 1e-4, 2e-4, 3e-4]),
        surface_point_m=points[0],
        surface_centroid_m=points.mean(axis=0),
        valid_depth_fraction=0.75,
    )


def scene_object(
    instance_id: int = 1, box: tuple[float, float, float, float] = (2.2, 1.6, 5.0, 4.0), **changes: object
) -> SceneObject:
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3:5] = True
    fields: dict[str, object] = {
        "instance_id": instance_id,
        "box_xyxy": box,
        "scores": {"mug": 0.9},
        "label": "mug",
        "mask": mask,
        "geometry": geometry(),
        "valid_depth_fraction": 0.75,
    }
    return SceneObject(**{**fields, **changes})  # type: ignore[arg-type]


def answer_of(*groundings: Grounding, status: Status = Status.SUCCEEDED, **changes: object) -> Answer:
    objects = tuple(grounding.object for grounding in groundings)
    fields: dict[str, object] = {
        "query": None,
        "command": "the mug",
        "status": status,
        "message": "found",
        "groundings": groundings,
        "objects": objects,
        "latency_ms": {"detect": 40.5, "total": 50.0},
    }
    return Answer(**{**fields, **changes})  # type: ignore[arg-type]


def target(found: SceneObject | None = None, role: Role = Role.TARGET, **changes: object) -> Grounding:
    chosen = found if found is not None else scene_object()
    return Grounding(object=chosen, role=role, phrase="mug", score=0.9, **changes)  # type: ignore[arg-type]


def result_of(answer: Answer, T: np.ndarray = T_WORLD_CAMERA, **changes: object) -> GroundingResult:
    options: dict[str, object] = {
        "stamp": STAMP,
        "frame_id": "world",
        "T_target_camera": T,
        "request_id": "r1",
        "model": "tabletop",
        "object_ids": {1: "mug_7"},
        "input_age_s": 0.25,
    }
    return messages.to_result(answer, **{**options, **changes})  # type: ignore[arg-type]


def xyz(message: object) -> list[float]:
    return [message.x, message.y, message.z]  # type: ignore[attr-defined]


def test_pose_moves_into_the_target_frame() -> None:
    found = result_of(answer_of(target())).targets[0]
    # (0.1, 0.2, 0.7) seen from 1 m above, upside down: x stays, y flips, height is 1 - 0.7.
    assert xyz(found.pose.pose.position) == pytest.approx([0.1, -0.2, 0.3])
    q = found.pose.pose.orientation
    assert [abs(q.x), q.y, q.z, q.w] == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-12)  # half a turn about x
    assert xyz(found.size) == pytest.approx([0.04, 0.06, 0.10])  # lengths do not turn
    assert xyz(found.surface_point) == pytest.approx([0.1, -0.2, 0.35])
    assert xyz(found.surface_centroid) == pytest.approx([0.31 / 3, -0.61 / 3, 1 - 1.96 / 3])
    assert found.has_pose and found.num_points == 3
    assert found.valid_depth_fraction == pytest.approx(0.75)


def test_covariance_turns_with_the_axes_and_sizes_do_not() -> None:
    found = result_of(answer_of(target()), T_TURNED).targets[0]
    # Camera x becomes target y and camera y becomes target -x: the first two variances change places.
    covariance = np.reshape(found.pose.covariance, (6, 6))
    assert np.diag(covariance) == pytest.approx([4e-6, 1e-6, 9e-6, 2e-4, 1e-4, 3e-4])
    assert covariance - np.diag(np.diag(covariance)) == pytest.approx(np.zeros((6, 6)), abs=1e-15)
    assert xyz(found.size) == pytest.approx([0.04, 0.06, 0.10])
    half = np.sqrt(0.5)
    q = found.pose.pose.orientation
    assert [q.x, q.y, q.z, q.w] == pytest.approx([0, 0, half, half])
    assert xyz(found.pose.pose.position) == pytest.approx([2 - 0.2, 0.1, 0.7])


def rotation(quaternion: tuple[float, ...]) -> np.ndarray:
    return quaternion_to_matrix(np.array(quaternion))


def corners(center: np.ndarray, R: np.ndarray, size: np.ndarray) -> np.ndarray:
    signs = np.array([[(k >> axis & 1) - 0.5 for axis in range(3)] for k in range(8)])
    return center + (signs * size) @ R.T


quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(value * value for value in q) > 0.1)
metres = st.tuples(*[st.floats(-3, 3)] * 3)


@settings(deadline=None, max_examples=60)
@given(quaternions, metres, quaternions, metres)
def test_the_box_moves_as_a_rigid_body(
    to_target: tuple[float, ...], shift: tuple[float, ...], axes: tuple[float, ...], center: tuple[float, ...]
) -> None:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation(to_target), shift
    shape = replace(geometry(), center_m=np.array(center), R_camera_object=rotation(axes))
    found = result_of(answer_of(target(scene_object(geometry=shape))), T).targets[0]
    q = found.pose.pose.orientation
    moved = corners(np.array(xyz(found.pose.pose.position)), rotation((q.x, q.y, q.z, q.w)), np.array(xyz(found.size)))
    expected = corners(shape.center_m, shape.R_camera_object, shape.size_m) @ T[:3, :3].T + T[:3, 3]
    assert moved == pytest.approx(expected, abs=1e-9)
    covariance = np.reshape(found.pose.covariance, (6, 6))
    assert np.trace(covariance) == pytest.approx(np.trace(shape.covariance))
    assert covariance == pytest.approx(covariance.T)


def test_box_holds_whole_pixels_and_the_mask_is_cropped_to_it() -> None:
    found = result_of(answer_of(target())).targets[0]
    assert (found.box.x_offset, found.box.y_offset, found.box.width, found.box.height) == (2, 1, 3, 3)
    mask = np.frombuffer(found.mask.data, np.uint8).reshape(found.mask.height, found.mask.width)
    assert found.mask.encoding == "mono8"
    assert mask.tolist() == [[0, 0, 0], [0, 255, 255], [0, 255, 255]]


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ((-3.0, -2.0, 4.0, 3.0), (0, 0, 4, 3)),
        ((5.0, 4.0, 900.0, 700.0), (5, 4, 3, 2)),
        ((20.0, 20.0, 30.0, 30.0), (8, 6, 0, 0)),
    ],
)
def test_box_is_clipped_to_the_image(box: tuple[float, float, float, float], region: tuple[int, ...]) -> None:
    found = result_of(answer_of(target(scene_object(box=box)))).targets[0].box
    assert (found.x_offset, found.y_offset, found.width, found.height) == region


def test_box_without_any_mask_is_clipped_to_the_size_given() -> None:
    answer = answer_of(target(scene_object(box=(-1.0, 2.0, 99.0, 5.0), mask=None)))
    found = result_of(answer, image_size=(8, 6)).targets[0]
    assert (found.box.x_offset, found.box.width) == (0, 8)
    assert found.instance_id == 0, "an object without a mask is not in the label image"
    assert len(found.mask.data) == 0


def test_header_bookkeeping_and_latency() -> None:
    result = result_of(answer_of(target()))
    assert (result.header.stamp, result.header.frame_id) == (STAMP, "world")
    assert (result.request_id, result.command, result.model) == ("r1", "the mug", "tabletop")
    assert (result.status, result.message, result.count) == (GroundingResult.SUCCEEDED, "found", -1)
    assert result.input_age_s == pytest.approx(0.25)
    assert {entry.stage: entry.ms for entry in result.latency} == {"detect": 40.5, "total": 50.0}
    assert result.targets[0].id == "mug_7"


def test_roles_runner_ups_count_and_words() -> None:
    plate, runner_up = scene_object(instance_id=2), scene_object(instance_id=3)
    answer = answer_of(
        target(), target(plate, Role.DESTINATION), target(plate, Role.ANCHOR),
        runner_ups=(target(runner_up),), count=3, answer="three mugs",
    )  # fmt: skip
    result = result_of(answer)
    assert [found.role for found in result.targets] == ["target", "destination", "anchor"]
    assert [found.id for found in result.targets] == ["mug_7", "2", "2"]
    assert [found.instance_id for found in result.runner_ups] == [3]
    assert (result.count, result.answer) == (3, "three mugs")


def test_place_of_a_destination_moves_with_the_frame() -> None:
    T_camera_place = np.array([[1.0, 0, 0, 0.3], [0, -1, 0, 0.1], [0, 0, -1, 0.9], [0, 0, 0, 1]])
    place = PlacePose(T_camera_place, np.array([0.2, 0.1, 0.3]), 0.04)
    found = result_of(answer_of(target(role=Role.DESTINATION, place=place))).targets[0]
    assert found.has_place
    assert xyz(found.place_pose.position) == pytest.approx([0.3, -0.1, 0.1])
    q = found.place_pose.orientation
    assert [q.x, q.y, q.z, abs(q.w)] == pytest.approx([0, 0, 0, 1], abs=1e-12)  # up in the camera is up in the world
    assert xyz(found.place_size) == pytest.approx([0.2, 0.1, 0.3])
    assert found.place_clearance == pytest.approx(0.04)
    assert not result_of(answer_of(target())).targets[0].has_place


def test_an_object_without_depth_has_no_pose() -> None:
    found = result_of(answer_of(target(scene_object(geometry=None, valid_depth_fraction=0.1)))).targets[0]
    assert not found.has_pose
    assert found.num_points == 0 and xyz(found.size) == [0, 0, 0]
    assert found.valid_depth_fraction == pytest.approx(0.1)


def test_failure_has_a_reason_and_no_objects() -> None:
    result = messages.failure_result(Status.NO_INPUT, "no images on color/image_raw", command="x", request_id="r")
    assert (result.status, result.message) == (GroundingResult.NO_INPUT, "no images on color/image_raw")
    assert not result.targets and result.count == -1


def test_status_values_are_the_messages() -> None:
    assert {status.name: status.value for status in Status} == {
        name: getattr(GroundingResult, name) for name in Status.__members__
    }
    assert {role.value for role in Role} == {
        GroundedObject.ROLE_TARGET, GroundedObject.ROLE_DESTINATION, GroundedObject.ROLE_ANCHOR,
    }  # fmt: skip


def test_target_pose_only_when_it_succeeded() -> None:
    good = messages.to_target_pose(result_of(answer_of(target(role=Role.DESTINATION), target())))
    assert good is not None
    assert good.header.frame_id == "world"
    assert xyz(good.pose.position) == pytest.approx([0.1, -0.2, 0.3])
    for status in set(Status) - {Status.SUCCEEDED}:
        assert messages.to_target_pose(result_of(answer_of(target(), status=status))) is None
    assert messages.to_target_pose(result_of(answer_of(target(scene_object(geometry=None))))) is None
    assert messages.to_target_pose(result_of(answer_of(target(role=Role.ANCHOR)))) is None


def test_detections_carry_the_same_objects() -> None:
    without = target(scene_object(instance_id=2, geometry=None))
    result = result_of(answer_of(target(), without))
    detections = messages.to_detections(result)
    assert detections.header == result.header
    assert [detection.id for detection in detections.detections] == ["mug_7"]
    detection = detections.detections[0]
    assert detection.bbox.center == result.targets[0].pose.pose
    assert xyz(detection.bbox.size) == pytest.approx([0.04, 0.06, 0.10])
    assert detection.results[0].hypothesis.class_id == "mug"
    assert detection.results[0].hypothesis.score == pytest.approx(0.9)
    assert detection.results[0].pose == result.targets[0].pose


def test_label_image_shows_what_lies_on_top() -> None:
    plate = np.zeros((6, 8), dtype=bool)
    plate[1:5, 1:7] = True
    for order in ((1, 2), (2, 1)):  # whichever was found first
        objects = [scene_object(instance_id=1), scene_object(instance_id=2, mask=plate)]
        answer = answer_of(objects=tuple(objects[k - 1] for k in order))
        image = messages.to_label_image(answer, Header(frame_id="cam"))
        labels = np.frombuffer(image.data, "<u2").reshape(6, 8)
        assert (image.encoding, image.header.frame_id) == ("16UC1", "cam")
        assert labels[2:4, 3:5].tolist() == [[1, 1], [1, 1]]
        assert labels[1, 1] == 2 and labels[0].tolist() == [0] * 8
        assert int((labels == 2).sum()) == 24 - 4


def test_label_image_of_nothing_has_the_images_size() -> None:
    image = messages.to_label_image(answer_of(), Header(), image_size=(8, 6))
    assert (image.width, image.height) == (8, 6)
    assert not any(image.data)


def test_label_info_names_what_is_drawn() -> None:
    answer = answer_of(objects=(scene_object(1, label="mug"), scene_object(2, label="plate", mask=None)))
    info = messages.to_label_info(answer, Header(frame_id="cam"))
    assert [(entry.class_id, entry.class_name) for entry in info.class_map] == [(1, "mug")]


def test_points_are_placed_and_colored() -> None:
    color = np.zeros((6, 8, 3), dtype=np.uint8)
    color[2, 3], color[2, 4], color[3, 3] = (255, 1, 2), (3, 254, 4), (5, 6, 253)
    header = Header(stamp=STAMP, frame_id="world")
    cloud = messages.to_points(answer_of(target(), target(role=Role.ANCHOR)), color, header, T_WORLD_CAMERA)
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (3, 1, 16, 48)
    assert [(field.name, field.offset, field.datatype) for field in cloud.fields] == [
        ("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("rgb", 12, 7),
    ]  # fmt: skip
    floats = np.frombuffer(cloud.data, "<f4").reshape(3, 4)
    assert floats[:, :3] == pytest.approx(np.array([[0.1, -0.2, 0.35], [0.11, -0.2, 0.35], [0.1, -0.21, 0.34]]))
    packed = np.frombuffer(cloud.data, "<u4").reshape(3, 4)[:, 3]
    assert packed.tolist() == [0xFF0102, 0x03FE04, 0x0506FD]


def test_points_of_nothing_are_an_empty_cloud() -> None:
    cloud = messages.to_points(answer_of(), np.zeros((6, 8, 3), np.uint8), Header(), np.eye(4))
    assert (cloud.width, len(cloud.data)) == (0, 0)


def test_debug_image_is_the_overlay() -> None:
    frame = RgbdFrame(np.full((60, 80, 3), 90, np.uint8), None, CameraIntrinsics(80, 60, 50, 50, 40, 30))
    image = messages.to_debug_image(frame, answer_of(), Header(frame_id="cam"))
    assert (image.encoding, image.width, image.height, image.step) == ("rgb8", 80, 60, 240)
    assert len(set(image.data)) > 1, "nothing is drawn"
