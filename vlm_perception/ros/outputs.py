"""Everything the node publishes about an answer."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from vlm_perception.msg import GroundingResult
from vlm_perception.ros.conversions import rgb_to_image
from vlm_perception.ros.markers import to_markers
from vlm_perception.ros.messages import (
    to_debug_image,
    to_detections,
    to_label_image,
    to_label_info,
    to_points,
    to_target_pose,
)

if TYPE_CHECKING:
    from rclpy.lifecycle import LifecycleNode
    from rclpy.publisher import Publisher

    from vlm_perception.ros.answering import Outcome
    from vlm_perception.ros.qos import QosWatch

_LATCHED = QoSProfile(
    depth=1, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)
_RELIABLE = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
# A subscriber that does not acknowledge a result for this long has to live without it.
_ACK_TIMEOUT_S = 0.2


class Outputs:
    """The publishers; safe to use from any thread."""

    def __init__(self, node: LifecycleNode, qos_watch: QosWatch) -> None:
        def publisher(kind: Any, topic: str, qos: QoSProfile) -> Publisher:
            events = qos_watch.on_publisher(node.resolve_topic_name(topic))
            return node.create_publisher(kind, topic, qos, event_callbacks=events)

        self._lock = threading.Lock()
        self._marker_keys: Any = set()
        self._result = publisher(GroundingResult, "~/result", _LATCHED)
        self._target_pose = publisher(PoseStamped, "~/target_pose", _RELIABLE)
        self._detections = publisher(Detection3DArray, "~/detections", _RELIABLE)
        self._label_image = publisher(Image, "~/label_image", _RELIABLE)
        self._label_info = publisher(LabelInfo, "~/label_info", _LATCHED)
        self._points = publisher(PointCloud2, "~/points", _RELIABLE)
        self._markers = publisher(MarkerArray, "~/markers", _RELIABLE)
        self._debug_image = publisher(Image, "~/debug_image", _RELIABLE)
        self._attention_image = publisher(Image, "~/attention_image", _RELIABLE)

    def publish(self, outcome: Outcome, *, debug_image: bool) -> None:
        """Publish an answer about the stream on all topics.

        What is only worth making when someone listens (images, clouds, markers) is made only then.
        """
        answer, frame, result = outcome.answer, outcome.frame, outcome.result
        self.publish_result(result)
        with self._lock:
            pose = to_target_pose(result)
            if pose is not None and outcome.aims:
                self._target_pose.publish(pose)
            self._detections.publish(to_detections(result))
            if self._markers.get_subscription_count():
                markers, self._marker_keys = to_markers(result, self._marker_keys)
                self._markers.publish(markers)
            if answer is None or frame is None:
                return
            header = outcome.camera_header
            size = (frame.camera.width, frame.camera.height)
            if self._label_image.get_subscription_count():
                self._label_image.publish(to_label_image(answer, header, image_size=size))
            self._label_info.publish(to_label_info(answer, header))
            if self._points.get_subscription_count():
                T = outcome.T_target_camera
                self._points.publish(to_points(answer, frame.color_rgb, result.header, T))
            if debug_image and self._debug_image.get_subscription_count():
                self._debug_image.publish(to_debug_image(frame, answer, header))

    @property
    def attention_wanted(self) -> bool:
        """Whether someone looks at where the model looks."""
        return self._attention_image.get_subscription_count() > 0

    def publish_attention(self, image_rgb: NDArray[np.uint8], header: Header) -> None:
        """Publish a heatmap drawn over the image of a header."""
        with self._lock:
            self._attention_image.publish(rgb_to_image(image_rgb, header))

    def publish_result(self, result: GroundingResult) -> None:
        """Publish a result alone.

        The topic is latched with depth 1, so that who comes late gets the last answer and not old ones; the price
        is that a burst must wait for each result to be acknowledged, or the next one takes its place.
        """
        with self._lock:
            deadline_s = time.monotonic() + _ACK_TIMEOUT_S
            while not self._result.wait_for_all_acked(Duration()) and time.monotonic() < deadline_s:
                time.sleep(0.001)
            self._result.publish(result)

    def clear_markers(self) -> None:
        """Take what was drawn in RViz away."""
        with self._lock:
            markers, self._marker_keys = to_markers(GroundingResult(), self._marker_keys)
            self._markers.publish(markers)
