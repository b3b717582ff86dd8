"""What cameras and TF do wrong: the node says so, and goes on when it is mended."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
from builtin_interfaces.msg import Time
from perception_harness import CAMERA, OPTICAL, scene, status, truth_m
from sensor_msgs.msg import Image

from vlm_perception.types import CameraIntrinsics, Status


def ok(result) -> None:
    assert status(result) is Status.SUCCEEDED, result.message


def test_no_camera(robot):
    robot.set(input_timeout_s=0.5)
    started = time.monotonic()
    result = robot.say("the red cube")
    assert 0.4 < time.monotonic() - started < 2.0
    assert status(result) is Status.NO_INPUT
    assert not result.targets
    for topic in ("/color/image_raw", "/depth/image_raw", "/color/camera_info"):
        assert topic in result.message


def test_a_command_before_the_first_frame_waits_for_it(robot):
    robot.set(input_timeout_s=10.0)
    robot.publish_command("the red cube")
    time.sleep(0.5)
    assert not robot.received["result"]
    robot.camera.running = True
    robot.wait(lambda: robot.received["result"])
    ok(robot.received["result"][0])


def test_camera_stops(seeing):
    ok(seeing.say("the red cube"))
    seeing.camera.running = False
    time.sleep(1.3)
    result = seeing.say("the red cube")
    assert status(result) is Status.STALE_INPUT
    assert not result.targets
    assert result.input_age_s > 1.0
    assert "max_input_age_s" in result.message
    seeing.camera.running = True
    time.sleep(0.3)
    ok(seeing.say("the red cube"))


def test_tracking_says_within_a_second_that_the_camera_stopped(seeing):
    seeing.track("the red cube")
    seeing.wait(lambda: seeing.received["result"])
    seeing.camera.running = False
    stopped = time.monotonic()
    seeing.wait(lambda: seeing.received["result"][-1].status == Status.STALE_INPUT, 5.0)
    assert 0.8 < time.monotonic() - stopped < 2.0
    assert not seeing.received["result"][-1].targets
    poses, results = len(seeing.received["target_pose"]), len(seeing.received["result"])
    time.sleep(1.5)
    assert len(seeing.received["target_pose"]) == poses
    assert len(seeing.received["result"]) == results, "it is said once"
    seeing.camera.running = True
    seeing.wait(lambda: seeing.received["result"][-1].status == Status.SUCCEEDED)
    seeing.track("")


def test_a_camera_that_repeats_its_last_image_is_not_fresh(seeing):
    seeing.camera.fixed_stamp = seeing.node.get_clock().now().to_msg()
    time.sleep(1.5)
    result = seeing.say("the red cube")
    assert status(result) is Status.STALE_INPUT
    assert "same image" in result.message
    seeing.camera.fixed_stamp = None


def test_images_that_come_late_are_stale(seeing):
    """Two seconds old when they arrive: the stamp counts, not only the arrival."""
    seeing.camera.stamp_offset_s = -2.0
    time.sleep(0.4)
    result = seeing.say("the red cube")
    assert status(result) is Status.STALE_INPUT
    assert result.input_age_s > 1.9


def test_recorded_stamps_from_long_ago_are_fine(robot):
    robot.camera.stamp_offset_s = -3e7
    robot.wait_images()
    result = robot.say("the red cube")
    ok(result)
    assert result.input_age_s < 1.0
    robot.camera.stamp_offset_s = -4e7  # the recording starts over
    time.sleep(0.5)
    again = robot.say("the red cube")
    ok(again)
    assert again.header.stamp.sec < result.header.stamp.sec - 10**6


def test_depth_missing(robot):
    robot.camera.muted = {"depth"}
    robot.camera.running = True
    result = robot.say("the red cube")
    assert status(result) is Status.NO_DEPTH
    (target,) = result.targets
    assert (target.box.x_offset, target.has_pose) == (60, False)
    assert "/depth/image_raw" in result.message
    robot.camera.muted = set()
    time.sleep(0.3)
    ok(robot.say("the red cube"))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_depth_without_a_valid_value(seeing, value):
    rgb, depth_m = scene()
    seeing.camera.show(rgb, np.full_like(depth_m, value), encoding="32FC1")
    time.sleep(0.3)
    result = seeing.say("the red cube")
    assert status(result) is Status.NO_DEPTH
    assert result.targets[0].box.x_offset == 60
    assert result.targets[0].valid_depth_fraction == 0.0
    assert not result.targets[0].has_pose


def test_depth_that_does_not_match_in_time(robot):
    robot.camera.depth_offset_s = -5.0
    robot.camera.running = True
    result = robot.say("the red cube")
    assert status(result) is Status.NO_DEPTH
    assert result.targets[0].box.x_offset == 60
    assert "depth is -5." in result.message and "sync_slop_s" in result.message
    robot.wait(lambda: (d := robot.diagnostic("sync")) and "no synchronized set matched" in d.message)
    assert "depth is -5." in robot.diagnostic("sync").message
    robot.camera.depth_offset_s = 0.0
    time.sleep(0.5)
    ok(robot.say("the red cube"))


def test_tf_missing_and_then_there(seeing):
    seeing.set(target_frame="lab")
    result = seeing.say("the red cube")
    assert status(result) is Status.NO_TRANSFORM
    assert not result.targets
    assert f"'{OPTICAL}'" in result.message and "'lab'" in result.message
    seeing.send_static_tf("lab", OPTICAL, (1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0))
    time.sleep(0.3)
    result = seeing.say("the red cube")
    ok(result)
    assert abs(result.targets[0].surface_centroid.z - 3.8) < 0.01


def test_tf_that_comes_while_the_command_waits(seeing):
    seeing.set(target_frame="later", tf_timeout_s=5.0)
    seeing.publish_command("the red cube")
    time.sleep(0.4)
    assert not seeing.received["result"]
    seeing.send_static_tf("later", OPTICAL, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    seeing.wait(lambda: seeing.received["result"])
    ok(seeing.received["result"][0])


def test_tf_is_taken_at_the_images_stamp(seeing):
    """The camera moves fast: the transform of another time would be metres off."""
    seeing.set(target_frame="moving", tf_timeout_s=2.0)
    end = time.monotonic() + 1.5
    started_ns = seeing.node.get_clock().now().nanoseconds
    speed = 2.0  # m/s
    sent = False
    while time.monotonic() < end:
        msg = seeing.transform("moving", OPTICAL, (0, 0, 0), (0, 0, 0, 1))
        stamp_ns = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        msg.transform.translation.x = speed * (stamp_ns - started_ns) * 1e-9
        seeing.tf.sendTransform(msg)
        if not sent and time.monotonic() > end - 1.0:
            seeing.publish_command("the green cube")
            sent = True
        time.sleep(0.02)
    seeing.wait(lambda: seeing.received["result"])
    result = seeing.received["result"][0]
    ok(result)
    stamp_ns = result.header.stamp.sec * 10**9 + result.header.stamp.nanosec
    expected = truth_m("green")[0] + speed * (stamp_ns - started_ns) * 1e-9
    assert abs(result.targets[0].surface_centroid.x - expected) < 0.01


def test_image_without_a_frame(seeing):
    seeing.set(target_frame="lab2")
    seeing.camera.frame_id = ""
    time.sleep(0.3)
    result = seeing.say("the red cube")
    assert status(result) is Status.NO_TRANSFORM
    assert "frame_id" in result.message


def test_unknown_color_encoding(seeing):
    seeing.camera.messages["color"].encoding = "sepia7"
    time.sleep(0.3)
    result = seeing.say("the red cube")
    assert status(result) is Status.NO_INPUT
    assert "sepia7" in result.message and "rgb8" in result.message
    seeing.camera.reset()
    seeing.camera.running = True
    time.sleep(0.3)
    ok(seeing.say("the red cube"))


def test_depth_topic_that_carries_no_depth(seeing):
    color: Image = seeing.camera.messages["color"]
    seeing.camera.messages["depth"] = Image(
        height=color.height, width=color.width, step=color.step, encoding="rgb8", data=color.data
    )
    time.sleep(0.3)
    result = seeing.say("the red cube")
    assert status(result) is Status.NO_DEPTH
    assert "rgb8" in result.message
    assert result.targets[0].box.x_offset == 60


@pytest.mark.parametrize(("which", "expected"), [("color", Status.NO_INPUT), ("depth", Status.NO_DEPTH)])
def test_truncated_data(seeing, which, expected):
    message: Image = seeing.camera.messages[which]
    message.data = message.data[:1000]
    time.sleep(0.3)
    result = seeing.say("the red cube")
    assert status(result) is expected
    assert "truncated" in result.message and "got 1000" in result.message


def test_depth_of_half_the_size(seeing):
    rgb, depth_m = scene()
    seeing.camera.show(rgb, depth_m[::2, ::2])
    time.sleep(0.3)
    result = seeing.say("the green cube")
    ok(result)
    centroid = result.targets[0].surface_centroid
    np.testing.assert_allclose((centroid.x, centroid.y, centroid.z), truth_m("green"), atol=0.006)
    seeing.wait(lambda: (d := seeing.diagnostic("input")) and "160x120" in d.message and "320x240" in d.message)


def test_depth_of_another_shape(seeing):
    rgb, depth_m = scene()
    seeing.camera.show(rgb, depth_m[:200])
    time.sleep(0.3)
    result = seeing.say("the green cube")
    assert status(result) is Status.NO_DEPTH
    assert "320x200" in result.message and "320x240" in result.message
    assert result.targets[0].box.x_offset == 140


def test_camera_info_of_a_larger_image(seeing):
    """A driver that halves its images and forgets the calibration; the ratio tells."""
    seeing.camera.info = CameraIntrinsics(640, 480, 600.0, 600.0, 320.5, 240.5)
    time.sleep(0.3)
    result = seeing.say("the green cube")
    ok(result)
    centroid = result.targets[0].surface_centroid
    np.testing.assert_allclose((centroid.x, centroid.y, centroid.z), truth_m("green"), atol=0.004)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (CameraIntrinsics(640, 400, 600.0, 600.0, 320.0, 200.0), "640x400"),
        (CameraIntrinsics(CAMERA.width, CAMERA.height, 0.0, 0.0, 0.0, 0.0), "no calibration"),
    ],
)
def test_camera_info_that_cannot_be_used(seeing, info, words):
    seeing.camera.info = info
    time.sleep(0.3)
    result = seeing.say("the green cube")
    assert status(result) is Status.NO_INPUT
    assert words in result.message


def test_stamps_of_zero(robot):
    """A driver that stamps nothing still gives images; they are as old as their arrival."""
    robot.camera.fixed_stamp = Time()
    robot.camera.running = True
    ok(robot.say("the red cube"))
    robot.camera.running = False
    time.sleep(1.2)
    assert status(robot.say("the red cube")) is Status.STALE_INPUT
