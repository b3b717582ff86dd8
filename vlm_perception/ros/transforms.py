"""TF as 4x4 matrices, at the image's stamp, looked up by the worker so that the executor keeps feeding the buffer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tf2_ros
from rclpy.duration import Duration
from rclpy.time import Time

from vlm_perception.geometry.transforms import make_transform, quaternion_to_matrix
from vlm_perception.types import FloatArray, VlmPerceptionError

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time as TimeMsg
    from rclpy.node import Node

_POLL_S = 0.01


class NoTransformError(VlmPerceptionError):
    """There is no transform between two frames at the asked time; the message names both."""


class Transforms:
    """A TF buffer and its listener."""

    def __init__(self, node: Node) -> None:
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=30.0))
        # No thread of its own: the node's executor runs its callbacks.
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(
        self,
        target_frame: str,
        source_frame: str,
        stamp: TimeMsg,
        timeout_s: float,
        gave_up: Callable[[], bool] = lambda: False,
    ) -> FloatArray:
        """``T_target_source`` at ``stamp``.

        Waits by the wall clock: on a simulated clock that stands still, tf2's own time-out never ends.

        Raises:
            NoTransformError: not there within ``timeout_s``.
        """
        if target_frame == source_frame:
            return np.eye(4)
        if not source_frame:
            raise NoTransformError(
                f"The color image names no frame (header.frame_id is empty), so there is no transform to"
                f" '{target_frame}': the camera driver must fill it in."
            )
        deadline_s = time.monotonic() + timeout_s
        at = Time.from_msg(stamp)
        while True:
            try:
                found = self._buffer.lookup_transform(target_frame, source_frame, at, timeout=Duration())
            except tf2_ros.TransformException as error:
                if time.monotonic() >= deadline_s or gave_up():
                    raise NoTransformError(_explain(target_frame, source_frame, error)) from error
            else:
                return _matrix(found.transform)
            time.sleep(_POLL_S)


def _matrix(transform: object) -> FloatArray:
    t, q = transform.translation, transform.rotation  # type: ignore[attr-defined]
    return make_transform(quaternion_to_matrix(np.array([q.x, q.y, q.z, q.w])), np.array([t.x, t.y, t.z]))


def _explain(target_frame: str, source_frame: str, error: Exception) -> str:
    return (
        f"No transform from '{source_frame}' to '{target_frame}' at the image's time: {error}."
        " Is the robot's TF (robot_state_publisher, camera calibration) being published?"
        " Set target_frame to a frame that TF knows, or to '' to stay in the camera's frame."
    )
