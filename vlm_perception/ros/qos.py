"""QoS mismatches, which ROS turns into silence, said aloud: in the log and for the diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import qos_policy_name_from_kind

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger


class QosWatch:
    """Collects mismatches; ``problems`` maps a topic to what is wrong with it."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self.problems: dict[str, str] = {}
        self._logger = logger

    def on_subscription(self, topic: str) -> Callable[[Any], None]:
        """Callback for a subscription of ours that a publisher does not satisfy."""
        return self._reporter(
            topic, "a publisher on {topic} cannot be heard: its QoS {policy} offers less than this node asks for"
        )

    def on_publisher(self, topic: str) -> PublisherEventCallbacks:
        """Callbacks for a publisher of ours that does not satisfy a subscriber."""
        return PublisherEventCallbacks(
            incompatible_qos=self._reporter(
                topic, "a subscriber of {topic} gets nothing: its QoS {policy} asks for more than this node offers"
            )
        )

    def _reporter(self, topic: str, text: str) -> Callable[[Any], None]:
        def report(info: Any) -> None:
            policy = qos_policy_name_from_kind(info.last_policy_kind)
            message = text.format(topic=topic, policy=policy)
            self.problems[topic] = message
            self._logger.warning(f"QoS mismatch: {message}. See 'ros2 topic info --verbose {topic}'.")

        return report
