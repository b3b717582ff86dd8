"""Bags become synchronized sets: topics by type, pairing by stamp, transforms, compressed images, errors."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rosbags")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.ros.player_sources import PlayerError, open_source
from vlm_perception.types import CameraIntrinsics

CAMERA = CameraIntrinsics(8, 6, 50.0, 51.0, 4.0, 3.0)
MS = 1_000_000


def header(stamp_ms: int, frame: str = "cam") -> Header:
    return Header(stamp=Time(sec=stamp_ms // 1000, nanosec=stamp_ms % 1000 * MS), frame_id=frame)


def color(stamp_ms: int, value: int = 10) -> Image:
    return rgb_to_image(np.full((6, 8, 3), value, np.uint8), header(stamp_ms))


def depth(stamp_ms: int, metres: float = 0.5) -> Image:
    return depth_to_image(np.full((6, 8), metres), "16UC1", header(stamp_ms))


def info(stamp_ms: int) -> CameraInfo:
    return intrinsics_to_camera_info(CAMERA, header(stamp_ms))


def transforms(stamp_ms: int, child: str, x: float) -> TFMessage:
    transform = TransformStamped(header=header(stamp_ms, "world"), child_frame_id=child)
    transform.transform.translation.x = x
    return TFMessage(transforms=[transform])


def stamp_ms(message: object) -> float:
    return message.header.stamp.sec * 1000 + message.header.stamp.nanosec / MS


def write_bag(
    folder: Path, messages: list[tuple[int, str, object]], plugin: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    """Messages of (time of arrival in ms, topic, message)."""
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with Writer(folder, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for arrival_ms, topic, message in sorted(messages, key=lambda entry: entry[0]):
            module = type(message).__module__.split(".")[0]
            kind = f"{module}/msg/{type(message).__name__}"
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore)
            writer.write(connections[topic], arrival_ms * MS, serialize_message(message))
    return folder


def three_sets() -> list[tuple[int, str, object]]:
    """Depth lags 5 ms, arrives first once, and has one image too many; TF moves."""
    messages: list[tuple[int, str, object]] = [(900, "/cam/color/camera_info", info(900))]
    for k in range(3):
        t = 1000 + 100 * k
        messages += [
            (t - 1, "/tf", transforms(t - 1, "tool", float(k))),
            (t + (8 if k == 1 else 0), "/cam/color/image_raw", color(t, 10 + k)),
            (t + 6, "/cam/aligned_depth_to_color/image_raw", depth(t + 5, 0.5 + 0.1 * k)),
        ]
    messages.append((1050, "/cam/aligned_depth_to_color/image_raw", depth(1050, 9.0)))
    messages.append((850, "/tf_static", transforms(0, "cam", 1.5)))
    messages.append((950, "/chatter", String(data="hello")))
    return messages


def opened(path: Path, **options: object):
    return open_source(str(path), world_frame="world", camera_frame="cam", **options)


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_sets_are_paired_by_stamp(tmp_path: Path, plugin: StoragePlugin) -> None:
    source = opened(write_bag(tmp_path / "bag", three_sets(), plugin))
    frames = list(source.frames())
    assert [stamp_ms(frame.color) for frame in frames] == [1000, 1100, 1200]
    assert [stamp_ms(frame.depth) for frame in frames] == [1005, 1105, 1205]
    assert [np.frombuffer(frame.depth.data, "<u2")[0] for frame in frames] == [500, 600, 700]
    assert [frame.color.data[0] for frame in frames] == [10, 11, 12]
    assert frames[0].camera_info.k[4] == 51.0
    assert list(source.frames()), "a second pass starts over"


def test_transforms_come_along(tmp_path: Path) -> None:
    source = opened(write_bag(tmp_path / "bag", three_sets()))
    (static,) = source.static_transforms
    assert (static.child_frame_id, static.transform.translation.x) == ("cam", 1.5)
    moving = [frame.transforms[0].transform.translation.x for frame in source.frames()]
    assert moving == [0.0, 1.0, 2.0]


def test_a_single_file_without_its_folder(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", three_sets())
    (file,) = (tmp_path / "bag").glob("*.mcap")
    assert len(list(opened(file).frames())) == 3


def test_one_frame_by_its_number(tmp_path: Path) -> None:
    source = opened(write_bag(tmp_path / "bag", three_sets()))
    assert [stamp_ms(frame.color) for frame in source.frames("1")] == [1100]
    with pytest.raises(PlayerError, match="no set number 7"):
        list(source.frames("7"))
    with pytest.raises(PlayerError, match="numbers, not names: 'mug'"):
        list(source.frames("mug"))


def test_depth_too_far_in_time_is_said(tmp_path: Path) -> None:
    source = opened(write_bag(tmp_path / "bag", three_sets()), slop_s=0.001)
    with pytest.raises(PlayerError, match="0.001 s.*sync_slop_s"):
        list(source.frames())


def test_color_alone(tmp_path: Path) -> None:
    messages = [entry for entry in three_sets() if "depth" not in entry[1]]
    frames = list(opened(write_bag(tmp_path / "bag", messages)).frames())
    assert [frame.depth for frame in frames] == [None] * 3


def test_several_cameras_need_a_choice(tmp_path: Path) -> None:
    messages = three_sets()
    for t in (1000, 1100, 1200):
        messages += [(t, "/other/color/image_raw", color(t, 99)), (t, "/other/color/camera_info", info(t))]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(PlayerError, match=r"several color topics.*/cam/color/image_raw.*bag_color_topic"):
        opened(bag)
    frames = list(opened(bag, topics=("/cam/color/image_raw", "", "")).frames())
    assert [frame.color.data[0] for frame in frames] == [10, 11, 12], "and its camera_info is the one beside it"
    with pytest.raises(PlayerError, match="no topic '/nope' for depth"):
        opened(bag, topics=("/cam/color/image_raw", "/nope", ""))


def test_infrared_is_not_taken_for_color_where_names_tell(tmp_path: Path) -> None:
    infrared = [(t, "/cam/infra1/image_raw", color(t, 77)) for t in (1000, 1100, 1200)]
    frames = list(opened(write_bag(tmp_path / "bag", three_sets() + infrared)).frames())
    assert frames[0].color.data[0] == 10


def test_without_camera_info(tmp_path: Path) -> None:
    messages = [entry for entry in three_sets() if "camera_info" not in entry[1]]
    with pytest.raises(PlayerError, match="no camera_info topic"):
        opened(write_bag(tmp_path / "bag", messages))


def test_compressed_images_come_out_raw(tmp_path: Path) -> None:
    _, png = cv2.imencode(".png", np.full((6, 8, 3), (30, 20, 10), np.uint8))
    _, depth_png = cv2.imencode(".png", np.full((6, 8), 654, np.uint16))
    messages = [
        (900, "/cam/color/camera_info", info(900)),
        (1000, "/cam/color/image_raw/compressed",
         CompressedImage(header=header(1000), format="rgb8; png compressed bgr8", data=png.tobytes())),
        (1000, "/cam/depth/image_raw/compressed",
         CompressedImage(header=header(1000), format="16UC1; png compressed ", data=depth_png.tobytes())),
    ]  # fmt: skip
    (frame,) = opened(write_bag(tmp_path / "bag", messages)).frames()
    assert (frame.color.encoding, list(frame.color.data[:3])) == ("rgb8", [10, 20, 30])
    assert (frame.depth.encoding, np.frombuffer(frame.depth.data, "<u2")[0]) == ("16UC1", 654)
    assert stamp_ms(frame.color) == 1000


def test_a_broken_bag_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.mcap"
    file.write_bytes(b"no bag at all")
    with pytest.raises(PlayerError, match="broken.mcap cannot be read"):
        opened(file)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "metadata.yaml").write_text("nonsense: [")
    with pytest.raises(PlayerError, match="folder cannot be read"):
        opened(folder)


def test_rosbags_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write_bag(tmp_path / "bag", three_sets())
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    with pytest.raises(PlayerError, match="pip install rosbags"):
        opened(bag)
