"""The demo's side of the conversation: waits for the nodes, chooses the frame, asks, collects what comes back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vlm_perception.msg import GroundingResult
from vlm_perception.ros.client import CommandClient
from vlm_perception.ros.demo_processes import Processes
from vlm_perception.types import VlmPerceptionError

_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_OUTPUTS = ("debug_image", "points")
_KEPT = 50  # of each stream, so that what belongs to a result can be picked out by its stamp
_FILES_S = 5.0
_PLAYER_S = 15.0
_AGAIN_S = 0.2


@dataclass(frozen=True, eq=False)
class Reply:
    """What came back for one sentence.

    Attributes:
        result: None when none came in time.
        overlay: the debug image of the same frame, if any.
        cloud: the target's points in the same frame, if any.
        round_trip_ms: from the command's publication to the result's arrival.
    """

    result: GroundingResult | None
    overlay: Image | None
    cloud: PointCloud2 | None
    round_trip_ms: float


class DemoSession:
    """Talks to a player and a perception node."""

    def __init__(self, processes: Processes) -> None:
        """Join the ROS graph.

        Args:
            processes: watched while waiting; one that ends ends the wait.
        """
        self._processes = processes
        self._client = CommandClient()
        self._streams: dict[str, deque[Any]] = {}
        self._shown_since_ns = 0

    def __enter__(self) -> DemoSession:  # noqa: PYI034 -- typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def wait_for_player(self, timeout_s: float = _PLAYER_S) -> None:
        """Wait for the first images' calibration.

        Raises:
            VlmPerceptionError: it does not come; with the end of the player's log.
        """
        self._listen(CameraInfo, "/color/camera_info")
        infos = self._streams["camera_info"]
        self._wait(lambda: bool(infos), timeout_s, "the player publishes nothing", "player")

    def wait_for_node(self, timeout_s: float) -> str:
        """Wait until the perception node is active, listens, and has loaded its model (or failed to).

        Returns:
            What the node says about its model.

        Raises:
            VlmPerceptionError: it does not get there; with the end of its log.
        """
        states = self._client.node.create_client(GetState, "/vlm_perception/get_state")
        asked: list[Any] = []

        def active() -> bool:
            if not asked and states.service_is_ready():
                asked.append(states.call_async(GetState.Request()))
            if asked and asked[0].done():
                response = asked.pop().result()
                return response is not None and response.current_state.id == State.PRIMARY_STATE_ACTIVE
            return False

        self._wait(active, timeout_s, "the perception node did not become active", "perception_node")
        self._client.connect()
        self._listen(DiagnosticArray, "/diagnostics")
        model: list[DiagnosticStatus] = []

        def loaded() -> bool:
            for array in self._streams["diagnostics"]:
                model[:] = [status for status in array.status if status.name == "vlm_perception: model"] or model
            return bool(model) and model[0].level != DiagnosticStatus.WARN

        self._wait(loaded, timeout_s, "the model was not loaded", "perception_node")
        outputs = self._client.result_topic.rsplit("/", 1)[0]
        for kind, topic in zip((Image, PointCloud2), _OUTPUTS, strict=True):
            self._listen(kind, f"{outputs}/{topic}")
        return str(model[0].message)

    def show(self, frame: str) -> None:
        """Have the player play this frame from now on.

        Raises:
            VlmPerceptionError: the player refuses; with its reason.
        """
        service = self._client.node.create_client(SetParameters, "/rgbd_player/set_parameters")
        self._wait(service.service_is_ready, _PLAYER_S, "the player has no parameters", "player")
        request = SetParameters.Request(parameters=[Parameter("frame", value=frame).to_parameter_msg()])
        future = service.call_async(request)
        self._wait(future.done, _PLAYER_S, "the player does not answer", "player")
        (outcome,) = future.result().results
        if not outcome.successful:
            raise VlmPerceptionError(f"the player cannot show frame {frame!r}: {outcome.reason}")
        self._shown_since_ns = time.time_ns()

    def ask(self, sentence: str, timeout_s: float) -> Reply:
        """Send a sentence; returns what comes back for it.

        A node that is busy may still hold an image from before the last :meth:`show`; then it is asked again.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            for topic in _OUTPUTS:
                self._streams[topic].clear()  # two answers may be about the same image
            start = time.monotonic()
            result = self._client.ask(sentence, max(0.0, deadline - start))
            round_trip_ms = (time.monotonic() - start) * 1e3
            self._processes.check()
            if result is None or not 0 < _stamp_ns(result) < self._shown_since_ns:
                break
            self._client.spin_until(lambda: False, _AGAIN_S)
        overlay = cloud = None
        if result is not None and result.targets:
            self._client.spin_until(lambda: all(self._matching(topic, result) for topic in _OUTPUTS), _FILES_S)
        if result is not None:
            overlay, cloud = (self._matching(topic, result) for topic in _OUTPUTS)
        return Reply(result, overlay, cloud, round_trip_ms)

    def _matching(self, topic: str, result: GroundingResult) -> Any:
        """The newest message made from the same image as the result."""
        same = [message for message in self._streams[topic] if message.header.stamp == result.header.stamp]
        return same[-1] if same else None

    def _listen(self, kind: type, topic: str) -> None:
        stream: deque[Any] = deque(maxlen=_KEPT)
        self._streams[topic.rsplit("/", 1)[1]] = stream
        self._client.node.create_subscription(kind, topic, lambda message: stream.append(message), _QOS)  # noqa: PLW0108 -- rclpy looks for a signature, which append has none of

    def _wait(self, done: Callable[[], bool], timeout_s: float, problem: str, process: str) -> None:
        def done_or_dead() -> bool:
            self._processes.check()
            return done()

        if not self._client.spin_until(done_or_dead, timeout_s):
            raise VlmPerceptionError(f"{problem} within {timeout_s:g} s.\n{self._processes.log_tail(process)}")


def _stamp_ns(result: GroundingResult) -> int:
    """Time of the image; 0 when there was none."""
    return int(result.header.stamp.sec) * 1_000_000_000 + int(result.header.stamp.nanosec)
