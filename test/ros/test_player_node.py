"""The player as a process of its own, heard over real DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.ros.demo_processes import free_domain
from vlm_perception.ros.player_sources import BUNDLED_RECORDING

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TOPICS = ("color/image_raw", "depth/image_raw", "color/camera_info", "tf", "tf_static")

pytestmark = pytest.mark.integration


class Listener:
    """Subscribes to everything the player publishes."""

    def __init__(self, image_qos: QoSProfile) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = Node("listener", context=self._context)
        self.executor = SingleThreadedExecutor(context=self._context)
        self.executor.add_node(self.node)
        self.heard: dict[str, list] = {topic: [] for topic in TOPICS}
        kinds = (Image, Image, CameraInfo, TFMessage, TFMessage)
        profiles = (image_qos, image_qos, image_qos, QoSProfile(depth=100), LATCHED)
        for topic, kind, profile in zip(TOPICS, kinds, profiles, strict=True):
            self.node.create_subscription(kind, f"/{topic}", self.heard[topic].append, profile)

    def until(self, done: Callable[[], bool], timeout_s: float = 15.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while not done() and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.05)
        return done()

    def complete(self) -> list[tuple[Image, Image, CameraInfo]]:
        """The sets of color, depth and camera_info with the same stamp, heard so far."""
        by_stamp: dict[int, list] = {}
        for topic in TOPICS[:3]:
            for message in self.heard[topic]:
                by_stamp.setdefault(stamp_ns(message), []).append(message)
        return [tuple(by_stamp[stamp]) for stamp in sorted(by_stamp) if len(by_stamp[stamp]) == 3]

    def sets(self, count: int, timeout_s: float = 15.0) -> list[tuple[Image, Image, CameraInfo]]:
        """Wait for ``count`` sets of color, depth and camera_info with the same stamp."""
        assert self.until(lambda: len(self.complete()) >= count, timeout_s), f"{len(self.complete())} of {count} sets"
        return self.complete()[:count]

    def call(self, kind: type, name: str, request: object):
        client = self.node.create_client(kind, f"/rgbd_player/{name}")
        assert self.until(client.service_is_ready)
        future = client.call_async(request)
        assert self.until(future.done)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners = []

    def start(image_qos: QoSProfile = RELIABLE) -> Listener:
        listeners.append(Listener(image_qos))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def play() -> Iterator[Callable[..., subprocess.Popen]]:
    processes = []

    def start(*parameters: str) -> subprocess.Popen:
        options = [part for parameter in parameters for part in ("-p", parameter)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "vlm_perception.ros.rgbd_player_node", "--ros-args", *options],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy(),
            )
        )  # fmt: skip
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stamp_ns(message: object) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def pixels(message: Image, dtype: str, channels: int) -> np.ndarray:
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width, channels).squeeze()


@pytest.mark.parametrize("image_qos", [RELIABLE, BEST_EFFORT], ids=["reliable", "best effort"])
def test_what_is_recorded_is_what_arrives(listen, play, image_qos: QoSProfile) -> None:
    recorded = load_rgbd_rec(BUNDLED_RECORDING).frames[2]
    listener = listen(image_qos)
    play(f"frame:={recorded.frame_id}", "rate_hz:=20")  # an integer where ROS wants a double
    color, depth, info = listener.sets(3)[-1]

    png = cv2.imread(str(recorded.folder / "color.png"), cv2.IMREAD_COLOR)
    assert np.array_equal(pixels(color, "u1", 3), png[..., ::-1])
    counts = cv2.imread(str(recorded.folder / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert (color.encoding, depth.encoding) == ("rgb8", "16UC1")
    assert np.array_equal(pixels(depth, "<u2", 1), np.rint(counts * recorded.depth_unit_m * 1000))
    assert [info.k[0], info.k[4], info.k[2], info.k[5]] == pytest.approx(
        [recorded.camera.fx, recorded.camera.fy, recorded.camera.cx, recorded.camera.cy]
    )
    assert abs(stamp_ns(color) - time.time_ns()) < 30e9, "stamped with the present"
    assert {message.header.frame_id for message in (color, depth, info)} == {"camera_color_optical_frame"}

    assert listener.until(lambda: bool(listener.heard["tf_static"]))
    assert not listener.heard["tf"]
    (transform,) = listener.heard["tf_static"][0].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("world", "camera_color_optical_frame")
    t = transform.transform.translation
    assert [t.x, t.y, t.z] == pytest.approx(recorded.T_world_camera[:3, 3])


def test_poses_that_change_come_with_each_image(listen, play) -> None:
    dataset = load_rgbd_rec(BUNDLED_RECORDING)
    expected = [frame.T_world_camera[:3, 3] for frame in dataset.frames]
    assert any(not np.array_equal(expected[0], pose) for pose in expected), "the recording has one pose only"
    listener = listen()
    play("rate_hz:=10.0")
    poses: dict[int, np.ndarray] = {}

    def sets() -> list[tuple[Image, Image, CameraInfo]]:
        """Those since the first transform: topics are discovered one by one, and are heard in any order."""
        for message in listener.heard["tf"]:
            for transform in message.transforms:
                poses[stamp_ns(transform)] = np.array([getattr(transform.transform.translation, axis) for axis in "xyz"])
        since = [images for images in listener.complete() if poses and stamp_ns(images[0]) >= min(poses)]
        return since[: 2 * len(dataset.frames)]

    def all_placed() -> bool:
        return len(sets()) == 2 * len(dataset.frames) and all(stamp_ns(images[0]) in poses for images in sets())

    assert listener.until(all_placed), f"{len(sets())} sets, poses at {sorted(poses)}"
    assert not listener.heard["tf_static"], "a static pose would be taken for that of every image"
    pose_of = {
        cv2.imread(str(frame.folder / "color.png"))[..., ::-1].tobytes(): pose
        for frame, pose in zip(dataset.frames, expected, strict=True)
    }
    for color, _, _ in sets():  # it loops: each image more than once
        assert poses[stamp_ns(color)] == pytest.approx(pose_of[color.data.tobytes()])


def test_rate_and_stamps(listen, play) -> None:
    listener = listen()
    play("rate_hz:=10.0", "frame:=0")
    stamps = np.array([stamp_ns(color) for color, _, _ in listener.sets(11)])
    assert (np.diff(stamps) > 0).all()
    assert np.median(np.diff(stamps)) * 1e-9 == pytest.approx(0.1, abs=0.03)


def test_frame_changes_while_it_plays(listen, play) -> None:
    frames = load_rgbd_rec(BUNDLED_RECORDING).frames
    listener = listen()
    play("frame:=0", "rate_hz:=20.0")
    listener.sets(1)

    def ask(frame: str):
        request = SetParameters.Request(parameters=[Parameter("frame", value=frame).to_parameter_msg()])
        return listener.call(SetParameters, "set_parameters", request).results[0]

    refused = ask("no-such-frame")
    assert not refused.successful
    assert "no frame 'no-such-frame'" in refused.reason
    wanted = next(frame for frame in frames if not np.array_equal(frame.T_world_camera, frames[0].T_world_camera))
    listener.heard["tf_static"].clear()
    assert ask(wanted.frame_id).successful
    image = cv2.imread(str(wanted.folder / "color.png"))[..., ::-1].tobytes()
    assert listener.until(lambda: bool(listener.heard["color/image_raw"][-1].data.tobytes() == image))
    assert listener.until(lambda: bool(listener.heard["tf_static"]))
    assert listener.heard["tf_static"][-1].transforms[0].transform.translation.x == pytest.approx(
        wanted.T_world_camera[0, 3]
    )


def test_parameters_are_described(listen, play) -> None:
    play()
    names = ["source", "frame", "rate_hz", "loop", "original_stamps", "world_frame", "camera_frame", "sync_slop_s"]
    response = listen().call(DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names))
    assert [descriptor.name for descriptor in response.descriptors] == names
    assert all(descriptor.description for descriptor in response.descriptors)
    assert response.descriptors[-1].floating_point_range


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_when_told(listen, play, number: signal.Signals) -> None:
    listener = listen()
    process = play("rate_hz:=20.0")
    listener.sets(1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_exits_at_the_end_without_loop(listen, play) -> None:
    listener = listen()
    process = play("rate_hz:=0.7", "loop:=false")  # slow: discovery takes seconds on a busy machine
    assert listener.until(lambda: process.poll() is not None, 30)
    assert process.returncode == 0, process.communicate()[0]
    assert 1 <= len(listener.heard["color/camera_info"]) <= len(load_rgbd_rec(BUNDLED_RECORDING).frames)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (["source:=/nowhere/at/all"], "/nowhere/at/all does not exist"),
        (["frame:=no-such-frame"], "no frame 'no-such-frame'"),
        (["rate_hz:=1000"], "rate_hz is 1000: give a number from 0.01 to 120"),
        (["rate_hz:=fast"], "rate_hz is 'fast'"),
        (["sync_slop_s:=7.0"], "sync_slop_s"),
        (["loop:=maybe"], "loop"),
        (["original_stamps:=true"], "no original stamps"),
    ],
)
def test_errors_are_said_without_traceback(play, parameters: list[str], reason: str) -> None:
    process = play(*parameters)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert reason in output
    assert "Traceback" not in output


def test_an_image_that_goes_missing_is_said(listen, play, tmp_path: Path) -> None:
    images = tmp_path / "frames" / "f0"
    images.mkdir(parents=True)
    line = {"frame_id": "f0", "width": 8, "height": 6, "K": [9, 9, 4, 3], "depth_unit_m": 0.001, "instances": []}
    (tmp_path / "meta.json").write_text('{"format": "rgbd-rec/1"}')
    (tmp_path / "frames.jsonl").write_text(json.dumps(line))
    (tmp_path / "expressions.jsonl").write_text("")
    output, _ = (process := play(f"source:={tmp_path}")).communicate(timeout=30)
    assert process.returncode == 1
    assert "color.png does not exist" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("original", [False, True])
def test_a_bag_is_played(listen, play, tmp_path: Path, original: bool) -> None:
    pytest.importorskip("rosbags")
    from builtin_interfaces.msg import Time
    from geometry_msgs.msg import TransformStamped
    from rclpy.serialization import serialize_message
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore
    from std_msgs.msg import Header

    from vlm_perception.ros.conversions import depth_to_image, rgb_to_image

    store = get_typestore(Stores.ROS2_JAZZY)
    header = Header(stamp=Time(sec=1000), frame_id="bag_camera")
    static = TransformStamped(header=Header(frame_id="base"), child_frame_id="bag_camera")
    static.transform.translation.z = 0.75
    info = CameraInfo(header=header, width=8, height=6)
    info.k[0] = 123.0
    messages = {
        "/tf_static": TFMessage(transforms=[static]),
        "/cam/color/camera_info": info,
        "/cam/color/image_raw": rgb_to_image(np.full((6, 8, 3), 42, np.uint8), header),
        "/cam/depth/image_rect_raw": depth_to_image(np.full((6, 8), 1.25), "32FC1", header),
    }
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in messages.items():
            kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, 1000 * 10**9, serialize_message(message))

    listener = listen()
    play(f"source:={tmp_path / 'bag'}", "rate_hz:=20.0", f"original_stamps:={str(original).lower()}")
    if original:
        assert listener.until(lambda: all(listener.heard[topic] for topic in TOPICS[:3]))
        assert {stamp_ns(listener.heard[topic][-1]) for topic in TOPICS[:3]} == {1000 * 10**9}
    else:
        color, depth, info = listener.sets(2)[-1]
        assert abs(stamp_ns(color) - time.time_ns()) < 30e9
        assert (color.data[0], color.header.frame_id, info.k[0]) == (42, "bag_camera", 123.0)
        assert (depth.encoding, pixels(depth, "<f4", 1)[0, 0]) == ("32FC1", 1.25)
    assert listener.until(lambda: bool(listener.heard["tf_static"]))
    assert listener.heard["tf_static"][0].transforms[0].transform.translation.z == 0.75
