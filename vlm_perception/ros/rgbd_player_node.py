"""Plays recorded RGB-D as camera topics: color, depth, camera_info and TF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from vlm_perception.ros.image_transport_memory import make_room_for_images
from vlm_perception.ros.player_sources import PlayedFrame, PlayerError, open_source
from vlm_perception.ros.signals import leave_signals_to_rclpy
from vlm_perception.types import VlmPerceptionError

# Reliable publishers also serve best-effort subscribers; the other way round nothing would arrive.
SENSOR_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
RATE_RANGE_HZ = (0.01, 120.0)
_FAILED = 1


class RgbdPlayer(Node):
    """Publishes a recording, set after set, at a rate.

    ``frame`` may be changed while it plays; the other parameters are read at the start.
    """

    def __init__(self, **node_options: Any) -> None:
        """Open the recording and start to play.

        Raises:
            VlmPerceptionError: the recording cannot be played; the message says why.
        """
        super().__init__("rgbd_player", **node_options)
        rate_hz = self._declare_parameters()
        self._loop = bool(self._value("loop"))
        self._source = open_source(
            self._value("source"),
            world_frame=self._value("world_frame"),
            camera_frame=self._value("camera_frame"),
            topics=[self._value(f"bag_{role}_topic") for role in ("color", "depth", "camera_info")],
            slop_s=self._value("sync_slop_s"),
        )
        self._original_stamps = bool(self._value("original_stamps"))
        if self._original_stamps and not self._source.has_stamps:
            raise PlayerError(f"{self._source.description} has no original stamps: set original_stamps to false")

        self._color = self.create_publisher(Image, "color/image_raw", SENSOR_QOS)
        self._depth = self.create_publisher(Image, "depth/image_raw", SENSOR_QOS)
        self._camera_info = self.create_publisher(CameraInfo, "color/camera_info", SENSOR_QOS)
        frame = str(self._value("frame"))
        # One pose is static. A pose that changes goes out with each image's stamp, so that no image can be
        # paired with the pose of another.
        self._static = not self._source.moves or bool(frame)
        self._tf_static = StaticTransformBroadcaster(self)
        self._tf = TransformBroadcaster(self)
        if self._source.static_transforms:
            self._tf_static.sendTransform(list(self._source.static_transforms))
        self._announced: list[tuple[str, str, Transform]] | None = None

        self._pass: Iterator[PlayedFrame] = iter(())
        self._held: PlayedFrame | None = None
        self._select(frame)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.done = False
        self.create_timer(1.0 / rate_hz, self._tick)
        self.get_logger().info(f"playing {self._source.description} at {rate_hz:g} Hz")

    def _declare_parameters(self) -> float:
        def declare(name: str, default: object, description: str, **constraints: Any) -> None:
            self.declare_parameter(name, default, ParameterDescriptor(description=description, **constraints))

        fixed = {"read_only": True}
        declare("source", "", "rgbd-rec/1 folder, rosbag2 folder or .mcap file; empty: the bundled one", **fixed)
        # Types are left open where a command line's "5" may mean what is wanted: ROS takes it for an integer.
        declare(
            "frame", "", "play only this frame, again and again: its name or number; empty: all of them",
            dynamic_typing=True,
        )  # fmt: skip
        declare(
            "rate_hz", 10.0, f"image sets a second, {RATE_RANGE_HZ[0]:g} to {RATE_RANGE_HZ[1]:g}",
            dynamic_typing=True, **fixed,
        )  # fmt: skip
        declare("loop", True, "start over at the end; false: exit there", **fixed)
        declare("original_stamps", False, "keep a bag's stamps instead of stamping with the present", **fixed)
        declare("world_frame", "world", "rgbd-rec/1: TF name of the recording's world", **fixed)
        declare("camera_frame", "camera_color_optical_frame", "rgbd-rec/1: TF name of the camera", **fixed)
        for role in ("color", "depth", "camera_info"):
            declare(f"bag_{role}_topic", "", f"bags: the {role} topic; empty: found by its type", **fixed)
        slop = FloatingPointRange(from_value=0.0, to_value=1.0)
        declare(
            "sync_slop_s", 0.02, "bags: color and depth this far apart in time belong together",
            floating_point_range=[slop], **fixed,
        )  # fmt: skip
        rate_hz = self._value("rate_hz")
        low, high = RATE_RANGE_HZ
        if isinstance(rate_hz, bool) or not isinstance(rate_hz, int | float) or not low <= rate_hz <= high:
            raise PlayerError(f"rate_hz is {rate_hz!r}: give a number from {low:g} to {high:g}")
        return float(rate_hz)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _select(self, frame: str) -> None:
        """Play this frame from now on ("": all of them).

        Raises:
            VlmPerceptionError: there is no such frame, or its images cannot be read.
        """
        first_pass = self._source.frames(frame)
        first = next(first_pass)
        self._held = first if frame else None
        self._pass = first_pass
        self._next: PlayedFrame | None = first
        self.done = False

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "frame":
                try:
                    self._select(str(parameter.value))
                except VlmPerceptionError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _tick(self) -> None:
        if self.done:
            return
        played = self._next
        if played is not None:
            self._publish(played)
        self._advance()

    def _advance(self) -> None:
        if self._held is not None:
            self._next = self._held if self._loop else None
        else:
            self._next = next(self._pass, None)
            if self._next is None and self._loop:
                self._pass = self._source.frames()
                self._next = next(self._pass, None)
        self.done = self._next is None

    def _publish(self, played: PlayedFrame) -> None:
        stamp = played.color.header.stamp if self._original_stamps else self.get_clock().now().to_msg()
        self._publish_transforms(played, stamp)
        for message in (played.color, played.depth, played.camera_info):
            if message is not None:
                message.header.stamp = stamp
        # The large ones last, so that whoever waits for the color image has its calibration by then.
        self._camera_info.publish(played.camera_info)
        if played.depth is not None:
            self._depth.publish(played.depth)
        self._color.publish(played.color)

    def _publish_transforms(self, played: PlayedFrame, stamp: Time) -> None:
        poses = [(entry.header.frame_id, entry.child_frame_id, entry.transform) for entry in played.transforms]
        if self._static and poses == self._announced:
            return
        self._announced = poses
        for transform in played.transforms:
            transform.header.stamp = stamp
        if played.transforms:
            (self._tf_static if self._static else self._tf).sendTransform(list(played.transforms))
        elif self._static:
            self.get_logger().warning(f"{played.name} has no camera pose: no TF is published")


def main(args: list[str] | None = None) -> int:
    """Run the player until the recording ends or it is told to stop; returns the exit code."""
    leave_signals_to_rclpy()
    make_room_for_images()
    node = None
    try:
        rclpy.init(args=args)
        node = RgbdPlayer()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while rclpy.ok() and not node.done:
            executor.spin_once(timeout_sec=0.5)
        if node.done:
            node.get_logger().info("the recording has been played")
    except ExternalShutdownException:
        pass
    except (VlmPerceptionError, ParameterException) as error:
        sys.stderr.write(f"rgbd_player_node: {error}\n")
        return _FAILED
    except Exception:
        if rclpy.ok():  # being told to stop in the middle of a publication is no failure
            raise
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
