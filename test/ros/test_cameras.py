"""One node that looks through two cameras at once."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from perception_harness import CAMERA, COLOR_NODE, Camera, NodeProcess, scene, status, truth_m, wait_arriving
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from test_find import Finder
from vlm_perception.srv import Describe, Ground

from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.types import Status

MAX_AGE_S = 1.0


def point(message) -> np.ndarray:
    return np.array([message.x, message.y, message.z])


def in_base(camera: str, color: str) -> np.ndarray:
    """Middle of a cube's front in the frame ``base``; see the ``cameras`` fixture."""
    x, y, z = truth_m(color)
    # The front camera stands at the base and looks along its x; the wrist hangs 1 m above (0.5, 0) and looks down.
    return np.array([z, -x, -y]) if camera == "front" else np.array([0.5 - y, -x, 1.0 - z])


@pytest.fixture(scope="module")
def node(ros_env, session_harness, shared_node):
    """The node with two cameras that this file's tests share."""
    shared_node.end()
    session_harness.wait_gone()
    session_harness.camera.reset()
    parameters = (
        "model:=tells", "cameras:=[front, wrist]", "target_frame:=base", f"max_input_age_s:={MAX_AGE_S}",
        "tf_timeout_s:=0.3",
    )  # fmt: skip
    process = NodeProcess(COLOR_NODE, *parameters, env=ros_env)
    session_harness.connect(process, 60.0)
    yield process
    process.end()


@pytest.fixture
def cameras(node, session_harness):
    """The front camera sees a red and a green cube, the one on the wrist a blue and a green one."""
    harness = session_harness
    found = {name: Camera(harness.node, rate_hz=6.0, name=name) for name in ("front", "wrist")}
    found["front"].show(*scene("red", "green"))
    found["wrist"].show(*scene("blue", "green"))
    harness.send_static_tf("base", "front_optical", (0, 0, 0), (-0.5, 0.5, -0.5, 0.5))
    harness.send_static_tf("base", "wrist_optical", (0.5, 0, 1.0), (0.70710678, -0.70710678, 0.0, 0.0))
    for camera in found.values():
        camera.running = True
    wait_arriving(harness, "front", "wrist")
    said = len(node.output)
    yield found
    for camera in found.values():
        camera.running = False
        camera.close()
    print(node.output[said:])
    assert node.alive, node.output


@pytest.mark.parametrize(("color", "camera"), [("red", "front"), ("blue", "wrist")])
def test_what_only_one_camera_sees_is_found_where_it_is(session_harness, cameras, color, camera):
    result = session_harness.say(f"the {color} cube")
    assert status(result) is Status.SUCCEEDED, result.message
    assert result.header.frame_id == "base"
    np.testing.assert_allclose(point(result.targets[0].surface_centroid), in_base(camera, color), atol=0.004)
    other = "front" if camera == "wrist" else "wrist"
    assert result.message.startswith(f"Camera '{camera}': ")
    assert f"(Camera '{other}': NOT_FOUND.)" in result.message
    # Whatever else is published is about the same image.
    session_harness.wait(lambda: session_harness.received["label_image"] and session_harness.received["points"])
    (label_image,) = session_harness.received["label_image"]
    assert (label_image.header.frame_id, label_image.header.stamp) == (f"{camera}_optical", result.header.stamp)
    ids = np.frombuffer(label_image.data, "<u2").reshape(label_image.height, label_image.width)
    box = result.targets[0].box
    assert ids[box.y_offset + box.height // 2, box.x_offset + box.width // 2] == result.targets[0].instance_id
    assert session_harness.received["target_pose"][0].header == result.header
    assert session_harness.received["points"][0].header.frame_id == "base"


def test_the_model_is_called_once_for_both(session_harness, cameras):
    labels = [session_harness.ground(f"the {color} cube").targets[0].label for color in ("red", "blue", "green")]
    calls = [re.fullmatch(r"call (\d+) with (\d) images", label).groups() for label in labels]
    assert [images for _, images in calls] == ["2"] * 3
    first = int(calls[0][0])
    assert [int(number) for number, _ in calls] == [first, first + 1, first + 2]


def test_where_both_see_it_the_first_camera_answers_and_ids_are_shared(session_harness, cameras):
    """Equal scores; and the red cube of one camera is not the blue one of the other."""
    green = session_harness.say("the green cube")
    assert green.message.startswith("Camera 'front': ")
    assert "(Camera 'wrist': SUCCEEDED.)" in green.message
    ids = [session_harness.ground(f"the {color} cube").targets[0].id for color in ("red", "blue")]
    assert len({*ids, green.targets[0].id}) == 3


def test_counts_and_statements(session_harness, cameras):
    cameras["wrist"].show(*scene("blue", "green", "red"))
    time.sleep(0.3)
    result = session_harness.ground("how many cubes are there?")
    assert result.count == 3
    assert result.message.startswith("Camera 'wrist': ")
    cameras["wrist"].show(*scene("blue"))
    time.sleep(0.3)
    told = session_harness.call("describe", Describe.Request(task="verify", text="there is a blue cube"))
    assert told.result.message.startswith("Camera 'wrist': Yes")
    assert told.claims[0].object_ids == [told.result.targets[0].id]


def test_a_region_is_of_one_image(session_harness, cameras):
    session_harness.set(model="speaks")
    try:
        region = RegionOfInterest(x_offset=60, y_offset=100, width=40, height=40)
        for task in ("region", "category", "read"):
            result = session_harness.call("describe", Describe.Request(task=task, region=region)).result
            assert status(result) is Status.INVALID_COMMAND
            assert "front, wrist" in result.message
            assert "use_images" in result.message
    finally:
        session_harness.set(model="tells")


def test_images_that_are_brought_have_no_camera(session_harness, cameras):
    rgb, depth_m = scene("blue")
    header = Header(frame_id="front_optical", stamp=session_harness.node.get_clock().now().to_msg())
    request = Ground.Request(
        command="the blue cube",
        use_images=True,
        color=rgb_to_image(rgb, header),
        depth=depth_to_image(depth_m, "32FC1", header),
        camera_info=intrinsics_to_camera_info(CAMERA, header),
    )
    result = session_harness.call("ground", request).result
    assert status(result) is Status.SUCCEEDED, result.message
    assert "Camera" not in result.message
    assert result.targets[0].label.endswith("with 1 images")


def test_tracking_follows_from_camera_to_camera(session_harness, cameras):
    harness = session_harness
    cameras["front"].show(*scene("green"))
    harness.track("the red cube")
    harness.wait(lambda: any(status(r) is Status.NOT_FOUND for r in harness.received["result"]))
    cameras["front"].show(*scene("red"))
    cameras["wrist"].show(*scene("blue"))

    def seen_by(name: str) -> list:
        told = f"Camera '{name}': "
        return [r for r in harness.received["result"] if status(r) is Status.SUCCEEDED and r.message.startswith(told)]

    harness.wait(lambda: len(seen_by("front")) >= 3, what="the front camera's answers")
    cameras["front"].show(*scene("green"))
    cameras["wrist"].show(*scene("red"))
    harness.wait(lambda: len(seen_by("wrist")) >= 3, what="the wrist camera's answers")
    cameras["front"].show(*scene("red"))
    time.sleep(0.5)
    before = len(seen_by("wrist"))
    harness.wait(lambda: len(seen_by("wrist")) >= before + 3, what="answers of the camera that it stays with")
    harness.track("")
    for name in cameras:
        stamps = [(r.header.stamp.sec, r.header.stamp.nanosec) for r in seen_by(name)]
        assert stamps == sorted(set(stamps)), "every image once, in order"


def test_find_looks_through_both(session_harness, cameras):
    finder = Finder(session_harness)
    try:
        cameras["wrist"].show(*scene("green"))
        time.sleep(0.3)
        handle = finder.goal("the blue cube", 20.0)
        session_harness.wait(lambda: finder.feedback)
        assert finder.feedback[-1].last_status == int(Status.NOT_FOUND)
        cameras["wrist"].show(*scene("blue"))
        goal_status, result = finder.result(handle)
    finally:
        finder.client.destroy()
    assert goal_status == GoalStatus.STATUS_SUCCEEDED
    assert result.message.startswith("Camera 'wrist': ")
    np.testing.assert_allclose(point(result.targets[0].surface_centroid), in_base("wrist", "blue"), atol=0.004)


def test_a_silent_camera_keeps_no_other_from_answering(session_harness, cameras):
    harness = session_harness
    cameras["wrist"].running = False
    time.sleep(MAX_AGE_S + 0.4)
    started_s = time.monotonic()
    result = harness.say("the red cube")
    assert time.monotonic() - started_s < 2.0
    assert status(result) is Status.SUCCEEDED, result.message
    assert "(Camera 'wrist': STALE_INPUT. " in result.message
    assert result.targets[0].label.endswith("with 1 images")
    assert status(harness.say("the blue cube")) is Status.NOT_FOUND

    def told() -> bool:
        found = harness.diagnostic("input wrist")
        return found is not None and found.level == DiagnosticStatus.ERROR

    harness.received["diagnostics"].clear()
    harness.wait(told, 10.0, "the diagnostics")
    assert "/wrist/color/image_raw" in harness.diagnostic("input wrist").message
    assert harness.diagnostic("input front").level == DiagnosticStatus.OK

    cameras["front"].running = False
    time.sleep(MAX_AGE_S + 0.4)
    result = harness.say("the red cube")
    assert status(result) is Status.STALE_INPUT
    assert not result.targets
    assert "/front/color/image_raw" in result.message
    assert "/wrist/color/image_raw" in result.message

    cameras["wrist"].running = True
    wait_arriving(harness, "wrist")
    assert status(harness.say("the blue cube")) is Status.SUCCEEDED


def test_a_camera_without_tf_keeps_no_other_from_answering(session_harness, cameras):
    cameras["front"].frame_id = "nowhere"
    time.sleep(0.3)
    result = session_harness.say("the blue cube")
    assert status(result) is Status.SUCCEEDED, result.message
    assert "(Camera 'front': NO_TRANSFORM. " in result.message
    assert "'nowhere'" in result.message


def test_cameras_are_chosen_at_configure(session_harness, cameras):
    """And in whatever order they are named, what one of them sees is found."""
    harness = session_harness
    ((accepted, reason),) = harness.set(cameras=["wrist", "front"])
    assert not accepted
    assert "deactivate, then cleanup" in reason
    assert harness.set(cameras=["front", "wrist"]) == [(True, "")], "that is no change"
    try:
        assert harness.transition("deactivate")
        ((accepted, reason),) = harness.set(cameras=["wrist", "front"])
        assert not accepted
        assert "/vlm_perception cleanup" in reason
        assert harness.transition("cleanup")
        assert harness.set(cameras=["wrist", "front"]) == [(True, "")]
        assert harness.transition("configure")
        assert harness.transition("activate")
        wait_arriving(harness, "front", "wrist")
        for color, camera in (("red", "front"), ("blue", "wrist"), ("green", "wrist")):
            result = harness.say(f"the {color} cube")
            assert status(result) is Status.SUCCEEDED, result.message
            assert result.message.startswith(f"Camera '{camera}': ")
            np.testing.assert_allclose(point(result.targets[0].surface_centroid), in_base(camera, color), atol=0.004)
    finally:
        for step in ("deactivate", "cleanup"):
            harness.transition(step)
        harness.set(cameras=["front", "wrist"])
        for step in ("configure", "activate"):
            harness.transition(step)
