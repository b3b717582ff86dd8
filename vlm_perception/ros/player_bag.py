"""Recorded RGB-D in rosbag2 folders and MCAP files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import TransformStamped
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from vlm_perception.ros.compressed import compressed_color_to_rgb, compressed_depth_to_metres
from vlm_perception.ros.conversions import depth_to_image, rgb_to_image
from vlm_perception.ros.player_sources import PlayedFrame, PlayerError

if TYPE_CHECKING:
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import Reader

_TYPES: dict[str, type] = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "tf2_msgs/msg/TFMessage": TFMessage,
}
_DEPTH_ENCODINGS = ("16UC1", "32FC1", "mono16")
_WAITING = 30  # images that may wait for their partner: one second of a 30 Hz camera


class BagSource:
    """Color, depth and camera_info of one camera in a ROS 2 bag, with the bag's transforms."""

    has_stamps = True
    moves = True

    def __init__(self, path: Path, *, topics: Sequence[str] = ("", "", ""), slop_s: float = 0.02) -> None:
        """Find the topics.

        Args:
            path: rosbag2 folder, ``.mcap`` or ``.db3`` file.
            topics: color, depth, camera_info; "" finds them by their types and encodings.
            slop_s: largest difference between the stamps of color and depth.

        Raises:
            PlayerError: rosbags is not installed, the bag cannot be read, or a topic is missing or not unique.
        """
        self._path = path
        self._slop_ns = round(slop_s * 1e9)
        with self._open() as reader:
            kinds = {connection.topic: connection.msgtype for connection in reader.connections}
            roles = _image_roles(reader)
            color, depth, camera_info = topics
            self._color = _choose("color", color, roles["color"], ("color", "rgb"), kinds, path)
            self._depth = ""
            if depth or roles["depth"]:
                hints = ("aligned", "registered")
                self._depth = _choose("depth", depth, roles["depth"], hints, kinds, path)
            infos = [topic for topic, kind in kinds.items() if _TYPES.get(kind) is CameraInfo]
            sibling = _camera_of(self._color) + "/camera_info"
            self._camera_info = _choose("camera_info", camera_info, infos, (sibling,), kinds, path)
            self._types = {topic: _TYPES[kind] for topic, kind in kinds.items() if kind in _TYPES}
            self._tf = [topic for topic, kind in self._types.items() if kind is TFMessage]
            self.static_transforms = tuple(self._static(reader))
        self.description = f"{path} (bag: {self._color}, {self._depth or 'no depth'}, {self._camera_info})"

    def frames(self, frame: str = "") -> Iterator[PlayedFrame]:
        """One pass over the bag; see :meth:`vlm_perception.ros.player_sources.Source.frames`.

        A set is a color image with the depth image nearest in time, the last camera_info and the last
        transform of every frame that moves.
        """
        if frame and not frame.isdecimal():
            raise PlayerError(f"frames of a bag have numbers, not names: {frame!r}")
        start = int(frame) if frame else 0
        count = 0
        for played in islice(self._sets(), start, start + 1 if frame else None):
            count += 1
            yield played
        if not count:
            raise PlayerError(
                f"{self._path} has no set number {start}" if frame else f"{self._path}: {self._nothing()}"
            )

    def _nothing(self) -> str:
        wanted = ", ".join(filter(None, (self._color, self._depth, self._camera_info)))
        return (
            f"no {wanted} that belong together (color and depth within {self._slop_ns / 1e9:g} s): "
            "raise sync_slop_s, or name other topics"
        )

    def _sets(self) -> Iterator[PlayedFrame]:
        colors: OrderedDict[int, Image] = OrderedDict()
        depths: OrderedDict[int, Image] = OrderedDict()
        moving: dict[str, TransformStamped] = {}
        camera_info: CameraInfo | None = None
        number = 0
        topics = {self._color, self._depth, self._camera_info, *self._tf} - {""}
        with self._open() as reader:
            for topic, message in self._messages(reader, topics):
                if topic in self._tf:
                    if not topic.endswith("tf_static"):
                        moving.update({entry.child_frame_id: entry for entry in message.transforms})
                    continue
                if topic == self._camera_info:
                    camera_info = message
                else:
                    waiting = colors if topic == self._color else depths
                    waiting[_stamp_ns(message)] = message
                    if len(waiting) > _WAITING:
                        waiting.popitem(last=False)
                if camera_info is None or not colors:
                    continue
                for color, depth in self._pairs(colors, depths):
                    yield _frame(f"set {number}", color, depth, camera_info, moving)
                    number += 1

    def _pairs(
        self, colors: OrderedDict[int, Image], depths: OrderedDict[int, Image]
    ) -> Iterator[tuple[Image, Image | None]]:
        """Take out what belongs together, oldest first."""
        if not self._depth:
            while colors:
                yield colors.popitem(last=False)[1], None
        for stamp in list(colors):
            nearest = min(depths, key=lambda other: abs(other - stamp), default=None)
            if nearest is not None and abs(nearest - stamp) <= self._slop_ns:
                yield colors.pop(stamp), depths.pop(nearest)

    def _static(self, reader: Reader) -> Iterator[TransformStamped]:
        topics = {topic for topic in self._tf if topic.endswith("tf_static")}
        latest: dict[str, TransformStamped] = {}
        if topics:
            for _, message in self._messages(reader, topics):
                latest.update({entry.child_frame_id: entry for entry in message.transforms})
        yield from latest.values()

    def _messages(self, reader: Reader, topics: set[str]) -> Iterator[tuple[str, Any]]:
        wanted = [connection for connection in reader.connections if connection.topic in topics]
        for connection, _, raw in reader.messages(connections=wanted):
            yield connection.topic, _read(connection, raw)

    def _open(self) -> Reader:
        try:
            from rosbags.rosbag2 import Reader, ReaderError  # noqa: PLC0415 -- optional
        except ImportError as error:
            raise PlayerError(f"playing {self._path} needs the package rosbags: pip install rosbags") from error
        try:
            reader = Reader(self._path)
            reader.open()
            reader.close()
        except (ReaderError, OSError) as error:
            raise PlayerError(f"{self._path} cannot be read as a ROS 2 bag: {error}") from error
        return Reader(self._path)


def _read(connection: Connection, raw: bytes | memoryview) -> Any:
    return deserialize_message(bytes(raw), _TYPES[connection.msgtype])


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def _camera_of(topic: str) -> str:
    """The namespace that a camera's image topics share with its camera_info."""
    return topic.removesuffix("/compressed").removesuffix("/compressedDepth").rsplit("/", 1)[0]


def _image_roles(reader: Reader) -> dict[str, list[str]]:
    """Image topics that have messages, by what the first message says it is."""
    roles: dict[str, list[str]] = {"color": [], "depth": []}
    for connection in reader.connections:
        known = roles["color"] + roles["depth"]
        if _TYPES.get(connection.msgtype) not in (Image, CompressedImage) or connection.topic in known:
            continue
        for _, _, raw in reader.messages(connections=[connection]):
            message = _read(connection, raw)
            if isinstance(message, Image):
                is_depth = message.encoding in _DEPTH_ENCODINGS
            else:
                is_depth = "compressedDepth" in message.format or message.format.startswith(_DEPTH_ENCODINGS)
            roles["depth" if is_depth else "color"].append(connection.topic)
            break
    return roles


def _choose(
    role: str, asked: str, found: Sequence[str], hints: Sequence[str], kinds: dict[str, str], path: Path
) -> str:
    if asked:
        if asked in kinds:
            return asked
        raise PlayerError(f"{path} has no topic {asked!r} for {role}; it has {', '.join(sorted(kinds)) or 'none'}")
    if len(found) > 1:
        hinted = [topic for topic in found if any(hint in topic for hint in hints)]
        # The raw topic and its compressed twin show the same: take the raw one.
        raw = [topic for topic in hinted or found if not topic.endswith(("/compressed", "/compressedDepth"))]
        found = raw or hinted or found
    if len(found) == 1:
        return found[0]
    what = f"several {role} topics ({', '.join(sorted(found))})" if found else f"no {role} topic"
    raise PlayerError(
        f"{path} has {what}: choose with the parameter bag_{role}_topic among {', '.join(sorted(kinds)) or 'none'}"
    )


def _frame(
    name: str, color: Any, depth: Any, camera_info: CameraInfo, moving: dict[str, TransformStamped]
) -> PlayedFrame:
    if isinstance(color, CompressedImage):
        color = rgb_to_image(compressed_color_to_rgb(color), color.header)
    if isinstance(depth, CompressedImage):
        depth = depth_to_image(compressed_depth_to_metres(depth), "16UC1", depth.header)
    return PlayedFrame(name, color, depth, camera_info, tuple(moving.values()))
