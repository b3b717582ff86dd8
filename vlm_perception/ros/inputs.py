"""One camera of the node: subscriptions, synchronization, what arrived and what did not.

Callbacks here only file messages away: message_filters holds a lock while it calls, so nothing is converted, looked
up or raised.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import message_filters
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vlm_perception.ros.image_set import ImageSet, stamp_lag_s, stamp_ns
from vlm_perception.ros.mailbox import Mailbox

if TYPE_CHECKING:
    from rclpy.lifecycle import LifecycleNode

    from vlm_perception.ros.parameters import Settings
    from vlm_perception.ros.qos import QosWatch

SENSOR_QOS = QoSProfile(
    depth=1, history=QoSHistoryPolicy.KEEP_LAST, reliability=QoSReliabilityPolicy.BEST_EFFORT
)
# Color may go on without depth for this long before an answer from color alone is better than none.
DEPTH_WAIT_S = 1.0
# A jump back in time larger than this is a recording that starts over.
_REWIND_NS = 1_000_000_000
_RATE_WINDOW = 30


@dataclass
class Stream:
    """What is known of one input topic."""

    topic: str
    publishers: int = 0
    count: int = 0
    newest_ns: int = 0
    newest: Any = None
    arrivals_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_WINDOW))

    def rate_hz(self, now_s: float) -> float:
        """Messages a second over the last ones; 0.0 when none came for two seconds."""
        arrivals = list(self.arrivals_s)
        if len(arrivals) < 2 or now_s - arrivals[-1] > 2.0:
            return 0.0
        return (len(arrivals) - 1) / max(1e-6, arrivals[-1] - arrivals[0])

    def silent_s(self, now_s: float) -> float:
        """Seconds since the last message; infinite when there was none."""
        return now_s - self.arrivals_s[-1] if self.arrivals_s else float("inf")


class Inputs:
    """Subscribes to color, depth and camera_info and keeps the newest synchronized set."""

    def __init__(
        self,
        node: LifecycleNode,
        settings: Settings,
        qos_watch: QosWatch,
        on_new: Callable[[], None],
        camera: str = "",
    ) -> None:
        """Subscribe.

        Args:
            node: owns the subscriptions.
            settings: transports and synchronization.
            qos_watch: is told of publishers that cannot be heard.
            on_new: called on the executor's thread whenever there may be something new to look at.
            camera: which camera this is; its topics are below that name. "": the only one.
        """
        self.sets: Mailbox[ImageSet] = Mailbox()
        self.frozen_since_s: float | None = None
        self._node = node
        self._settings = settings
        self._on_new = on_new
        self._camera = camera
        self._color_only: ImageSet | None = None
        self._alone_since_s: float | None = None  # color has come without a set since then
        self._tried_ns = {"color": 0, "depth": 0}
        below = f"{camera}/" if camera else ""
        color_type, color_topic = _transport(f"{below}color/image_raw", settings.image_transport)
        depth_type, depth_topic = _transport(f"{below}depth/image_raw", settings.depth_transport)
        self.streams: dict[str, Stream] = {}
        self._subscriptions = []
        for name, kind, topic in (
            ("color", color_type, color_topic),
            ("depth", depth_type, depth_topic),
            ("info", CameraInfo, f"{below}color/camera_info"),
        ):
            stream = Stream(node.resolve_topic_name(topic))
            self.streams[name] = stream
            events = SubscriptionEventCallbacks(
                incompatible_qos=qos_watch.on_subscription(stream.topic),
                matched=self._matched(stream),
            )
            self._subscriptions.append(
                node.create_subscription(
                    kind, topic, self._receiver(name, stream), SENSOR_QOS, event_callbacks=events
                )
            )
        self._start_sync()

    def close(self) -> None:
        """Unsubscribe and forget the images."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self.sets.clear()
        self._color_only = None

    # ----------------------------------------------------------------- the newest images

    def newest(self, now_s: float, max_age_s: float) -> ImageSet | None:
        """The newest set; color alone where depth does not come with it; None when there is nothing."""
        images = self.sets.newest()
        if images is not None and images.age_s(now_s) <= max_age_s:
            return images
        color = self._color_only
        alone_since_s = self._alone_since_s
        if (
            color is not None
            and alone_since_s is not None
            and now_s - alone_since_s >= DEPTH_WAIT_S
            and color.age_s(now_s) <= max_age_s
        ):
            return replace(color, note=self._why_no_depth(now_s))
        return images

    def missing(self, now_s: float, silent_s: float = 1.0) -> str:
        """Which inputs have been silent for ``silent_s``, and what to look at."""
        absent = [s for s in self.streams.values() if s.silent_s(now_s) >= silent_s]
        if not absent:
            return f"No set of color, depth and camera_info matched: {self.differences()}."
        parts = [
            f"{s.topic} ({'no publisher' if s.publishers == 0 else f'{s.publishers} publisher(s), but no message'})"
            for s in absent
        ]
        return "Nothing comes on " + ", ".join(parts) + ". Is the camera running, and are the topics remapped to it?"

    def differences(self) -> str:
        """How far apart the newest stamps are."""
        color_ns = self.streams["color"].newest_ns
        parts = [
            f"{name} is {(self.streams[key].newest_ns - color_ns) * 1e-9:+.3f} s from color"
            for key, name in (("depth", "depth"), ("info", "camera_info"))
            if self.streams[key].count
        ]
        return f"{', '.join(parts) or 'only color comes'} (sync_slop_s is {self._settings.sync_slop_s:g} s)"

    def unmatched_s(self, now_s: float) -> float:
        """For how long all three inputs have come without a set; 0.0 when they match or do not all come."""
        if self._alone_since_s is None or any(s.silent_s(now_s) > 2.0 for s in self.streams.values()):
            return 0.0
        return now_s - self._alone_since_s

    # ----------------------------------------------------------------- filing messages away

    def _start_sync(self) -> None:
        self._filters = {name: message_filters.SimpleFilter() for name in self.streams}
        self._sync = message_filters.ApproximateTimeSynchronizer(
            list(self._filters.values()), self._settings.sync_queue, self._settings.sync_slop_s
        )
        self._sync.registerCallback(self._on_set)

    def _matched(self, stream: Stream) -> Callable[[Any], None]:
        def matched(info: Any) -> None:
            stream.publishers = int(info.current_count)
            if info.current_count_change < 0 and stream.publishers == 0:
                self._node.get_logger().warning(f"The last publisher of {stream.topic} is gone.")

        return matched

    def _receiver(self, name: str, stream: Stream) -> Callable[[Any], None]:
        def receive(msg: Any) -> None:
            now_s = time.monotonic()
            image_ns = stamp_ns(msg.header.stamp)
            if image_ns < stream.newest_ns - _REWIND_NS:
                # Queued later stamps would push out everything that comes from now on.
                self._start_sync()
            stream.count += 1
            stream.arrivals_s.append(now_s)
            stream.newest_ns, stream.newest = image_ns, msg
            if name == "color":
                self._on_color(msg, image_ns, now_s)
            self._filters[name].signalMessage(msg)

        return receive

    def _on_color(self, msg: Image | CompressedImage, image_ns: int, now_s: float) -> None:
        if self._alone_since_s is None:
            self._alone_since_s = now_s
        info = self.streams["info"].newest
        previous = self._color_only
        if info is None or (previous is not None and image_ns and stamp_ns(previous.stamp) == image_ns):
            return  # a repeated image is not a new one
        lag_s = stamp_lag_s(self._node.get_clock().now().nanoseconds, image_ns)
        self._color_only = ImageSet(msg, None, info, now_s, lag_s, camera=self._camera)
        if now_s - self._alone_since_s >= DEPTH_WAIT_S:
            self._on_new()

    def _on_set(self, color: Any, depth: Any, info: CameraInfo) -> None:
        now_s = time.monotonic()
        image_ns = stamp_ns(color.header.stamp)
        previous = self.sets.newest()
        self._alone_since_s = None
        if previous is not None and image_ns and stamp_ns(previous.stamp) == image_ns:
            # A camera that hangs may go on sending its last image: that does not make it younger.
            if self.frozen_since_s is None:
                self.frozen_since_s = now_s
            return
        self.frozen_since_s = None
        lag_s = stamp_lag_s(self._node.get_clock().now().nanoseconds, image_ns)
        self.sets.put(ImageSet(color, depth, info, now_s, lag_s, camera=self._camera))
        self._on_new()

    def _why_no_depth(self, now_s: float) -> str:
        depth = self.streams["depth"]
        if depth.silent_s(now_s) > DEPTH_WAIT_S:
            publishers = "no publisher" if depth.publishers == 0 else f"{depth.publishers} publisher(s), no message"
            return f"Nothing comes on {depth.topic} ({publishers})."
        return f"Depth comes on {depth.topic} but matches no color image: {self.differences()}."


def _transport(topic: str, transport: str) -> tuple[type, str]:
    return (Image, topic) if transport == "raw" else (CompressedImage, f"{topic}/{transport}")
