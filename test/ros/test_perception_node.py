"""The main job over real DDS between real processes: a sentence in, a pose out."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
from perception_harness import CAMERA, LATCHED, NODE, OPTICAL, SENSOR, scene, status, truth_m
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from vlm_perception.msg import GroundingResult
from vlm_perception.srv import Ground

from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.types import Status


def point(msg) -> np.ndarray:
    return np.array([msg.x, msg.y, msg.z])


def test_one_sentence_one_pose(seeing):
    result = seeing.say("please pick up the green cube")
    assert status(result) is Status.SUCCEEDED, result.message
    assert result.command == "please pick up the green cube"
    assert result.request_id
    assert result.model == "colors"
    assert result.header.frame_id == OPTICAL
    assert 0 <= result.input_age_s < 1.0
    assert {"language", "detect", "total"} <= {stage.stage for stage in result.latency}
    (target,) = result.targets
    assert (target.role, target.has_pose) == ("target", True)
    np.testing.assert_allclose(point(target.surface_centroid), truth_m("green"), atol=0.004)
    assert (target.box.x_offset, target.box.y_offset, target.box.width, target.box.height) == (140, 100, 40, 40)


def test_every_topic_says_the_same(seeing):
    result = seeing.say("the blue cube")
    seeing.wait(lambda: all(seeing.received[t] for t in ("target_pose", "detections", "label_image", "points", "markers")))
    (pose,) = seeing.received["target_pose"]
    assert (pose.header.frame_id, pose.header.stamp) == (OPTICAL, result.header.stamp)
    assert pose.pose == result.targets[0].pose.pose
    (detection,) = seeing.received["detections"][0].detections
    assert detection.bbox.center == pose.pose
    label_image = seeing.received["label_image"][0]
    ids = np.frombuffer(label_image.data, "<u2").reshape(CAMERA.height, CAMERA.width)
    assert (label_image.encoding, label_image.header) == ("16UC1", result.header)
    assert ids[125, 245] == result.targets[0].instance_id != 0
    assert seeing.received["points"][0].width == result.targets[0].num_points
    assert seeing.received["markers"][0].markers


def test_the_stamp_is_the_images_own(seeing):
    """And not the time of the answer."""
    seeing.set(model="slow:0.4")
    seeing.say("the red cube")  # has waited until the new model was warm
    before = time.time()
    result = seeing.say("the red cube")
    stamp = result.header.stamp.sec + result.header.stamp.nanosec * 1e-9
    assert before - 0.5 < stamp < before + 0.3
    assert result.input_age_s >= 0.4


def test_no_target_pose_without_success(seeing):
    result = seeing.say("the purple giraffe")
    assert status(result) is Status.NOT_FOUND
    assert "giraffe" in result.message
    time.sleep(0.2)
    assert not seeing.received["target_pose"]


def test_result_is_latched(seeing):
    result = seeing.say("the red cube")
    subscription = seeing.listen(GroundingResult, f"{NODE}/result", LATCHED, key="late")
    try:
        seeing.wait(lambda: seeing.received["late"], what="the latched result")
        assert [late.request_id for late in seeing.received["late"]] == [result.request_id]
    finally:
        seeing.node.destroy_subscription(subscription)


def test_poses_are_in_the_target_frame(seeing):
    """Camera 1 m above the base, looking down at it: its z is the base's -z, its x the base's -y."""
    seeing.send_static_tf("base", OPTICAL, (0.5, 0.0, 1.0), (0.70710678, -0.70710678, 0.0, 0.0))
    seeing.set(target_frame="base")
    result = seeing.say("the red cube")
    assert status(result) is Status.SUCCEEDED, result.message
    x, y, z = truth_m("red")
    assert result.header.frame_id == "base"
    np.testing.assert_allclose(point(result.targets[0].surface_centroid), (0.5 - y, -x, 1.0 - z), atol=0.004)


def test_viewpoint_turns_left_into_right(seeing):
    """Seen by someone who faces the camera, the camera's left cube is the rightmost."""
    # the viewer's x is the camera's -z, its y the camera's x, its z the camera's -y
    seeing.send_static_tf(OPTICAL, "viewer", (0.0, 0.0, 2.0), (0.5, 0.5, -0.5, 0.5))
    assert seeing.say("the leftmost cube").targets[0].box.x_offset == 60
    seeing.set(viewpoint="viewer")
    result = seeing.say("the leftmost cube")
    assert status(result) is Status.SUCCEEDED, result.message
    assert result.targets[0].box.x_offset == 230


def test_ground_service(seeing):
    result = seeing.ground("the red cube")
    assert status(result) is Status.SUCCEEDED, result.message
    seeing.wait(lambda: seeing.received["result"], what="the same answer on the topic")
    assert seeing.received["result"][0].request_id == result.request_id


def brought(rgb, depth_m, **camera) -> dict:
    from std_msgs.msg import Header

    header = Header(frame_id="somewhere")
    depth = depth_to_image(depth_m, "32FC1", header) if depth_m is not None else Image()
    info = intrinsics_to_camera_info(CAMERA, header)
    return {"use_images": True, "color": rgb_to_image(rgb, header), "depth": depth, "camera_info": info, **camera}


def test_ground_service_with_images_of_its_own(robot):
    """No camera is running; and what somebody brings along is not what the robot sees."""
    result = robot.call("ground", Ground.Request(command="the blue cube", **brought(*scene()))).result
    assert status(result) is Status.SUCCEEDED, result.message
    assert result.header.frame_id == "somewhere"
    np.testing.assert_allclose(point(result.targets[0].surface_centroid), truth_m("blue"), atol=0.004)
    robot.wait(lambda: robot.received["result"])
    time.sleep(0.2)
    assert not robot.received["target_pose"]


def test_images_of_its_own_without_depth_or_camera(robot):
    rgb, _ = scene()
    result = robot.call("ground", Ground.Request(command="the blue cube", **brought(rgb, None))).result
    assert status(result) is Status.NO_DEPTH
    assert result.targets[0].box.x_offset == 230
    result = robot.call("ground", Ground.Request(command="the blue cube", use_images=True)).result
    assert status(result) is Status.NO_INPUT
    assert "0x0" in result.message


def test_track_follows_and_keeps_ids(seeing):
    seeing.track("the green cube")
    seeing.wait(lambda: len(seeing.received["result"]) >= 3)
    seeing.camera.show(*scene(shift_px=8))
    seeing.wait(lambda: seeing.received["result"][-1].targets[0].box.x_offset == 148)
    results = list(seeing.received["result"])
    assert len({result.targets[0].id for result in results}) == 1
    assert len({result.request_id for result in results}) == len(results)
    stamps = [(r.header.stamp.sec, r.header.stamp.nanosec) for r in results]
    assert stamps == sorted(set(stamps)), "every image once, in order"
    seeing.track("the red cube")
    seeing.wait(lambda: seeing.received["result"][-1].command == "the red cube")
    seeing.track("")
    time.sleep(0.4)
    count = len(seeing.received["result"])
    time.sleep(0.4)
    assert len(seeing.received["result"]) == count


def test_newest_frame_wins_over_a_slow_model(seeing):
    """Three frames arrive while the model thinks about one; the next answer is about the newest."""
    seeing.set(model="slow:0.25")
    seeing.track("the green cube")
    seeing.wait(lambda: len(seeing.received["result"]) >= 5)
    for result in seeing.received["result"][1:]:
        thought_s = next(stage.ms for stage in result.latency if stage.stage == "total") * 1e-3
        assert result.input_age_s < thought_s + 0.15, "an image waited while the model was free"
    seeing.track("")


def test_commands_are_answered_while_tracking(seeing):
    seeing.track("the green cube")
    seeing.wait(lambda: seeing.received["result"])
    result = seeing.ground("the red cube")
    assert result.targets[0].box.x_offset == 60
    seeing.wait(lambda: seeing.received["result"][-1].command == "the green cube")
    seeing.track("")


def test_debug_image_is_for_those_who_look(seeing):
    debug = seeing.listen(Image, f"{NODE}/debug_image", QoSProfile(depth=5), key="debug")
    try:
        seeing.wait(lambda: debug.get_publisher_count() > 0)
        time.sleep(0.3)
        result = seeing.say("the red cube")
        seeing.wait(lambda: seeing.received["debug"], what="the overlay")
    finally:
        seeing.node.destroy_subscription(debug)
    overlay = seeing.received["debug"][0]
    assert (overlay.encoding, overlay.header.stamp) == ("rgb8", result.header.stamp)
    drawn = np.frombuffer(overlay.data, np.uint8).reshape(overlay.height, overlay.width, 3)
    assert (drawn[: CAMERA.height, : CAMERA.width] != scene()[0]).any()


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_units_come_from_the_encoding(seeing, encoding):
    seeing.camera.show(*scene("blue"), encoding=encoding)
    time.sleep(0.2)
    result = seeing.say("the blue cube")
    assert status(result) is Status.SUCCEEDED, result.message
    assert abs(result.targets[0].surface_centroid.z - 1.0) < 0.004


def test_compressed_images(robot):
    """jpeg color and compressedDepth, as image_transport's plugins publish them."""
    import struct

    import cv2
    from std_msgs.msg import Header

    assert robot.set(image_transport="compressed", depth_transport="compressedDepth") == [(True, "")] * 2
    color_pub = robot.node.create_publisher(CompressedImage, "color/image_raw/compressed", SENSOR)
    depth_pub = robot.node.create_publisher(CompressedImage, "depth/image_raw/compressedDepth", SENSOR)
    rgb, depth_m = scene()
    millimetres = np.round(depth_m * 1000).astype(np.uint16)
    color = CompressedImage(format="rgb8; png compressed bgr8", data=cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())
    packed = struct.pack("<iff", 0, 0.0, 0.0) + cv2.imencode(".png", millimetres)[1].tobytes()
    depth = CompressedImage(format="16UC1; compressedDepth png", data=packed)
    try:
        robot.camera.muted = {"color", "depth"}
        robot.camera.running = False
        deadline = time.monotonic() + 10
        result = None
        while time.monotonic() < deadline and (result is None or result.status != Status.SUCCEEDED):
            header = Header(frame_id=OPTICAL, stamp=robot.node.get_clock().now().to_msg())
            info = intrinsics_to_camera_info(CAMERA, header)
            color.header = depth.header = header
            color_pub.publish(color)
            depth_pub.publish(depth)
            robot.camera._publishers["info"].publish(info)
            time.sleep(0.05)
            result = robot.say("the green cube")
        assert status(result) is Status.SUCCEEDED, result.message
        np.testing.assert_allclose(point(result.targets[0].surface_centroid), truth_m("green"), atol=0.004)
    finally:
        robot.node.destroy_publisher(color_pub)
        robot.node.destroy_publisher(depth_pub)


def test_diagnostics_say_how_it_goes(seeing):
    seeing.say("the red cube")
    seeing.received["diagnostics"].clear()
    seeing.wait(lambda: seeing.diagnostic("answers") and "SUCCEEDED" in seeing.diagnostic("answers").message)
    assert seeing.diagnostic("model").message == "'colors' is ready"
    assert seeing.diagnostic("node").message == "active"
    values = {v.key: v.value for v in seeing.diagnostic("input").values}
    assert 5 < float(values["color_rate_hz"]) < 30
    assert values["depth_publishers"] == "1"
    latency = {v.key: v.value for v in seeing.diagnostic("answers").values}
    assert float(latency["latency_total_ms"]) > 0
    levels = {s.name.split(": ")[1]: s.level for s in seeing.received["diagnostics"][-1].status}
    assert set(levels) == {"node", "model", "answers", "input", "sync", "qos"}
