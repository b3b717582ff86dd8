"""The node's state of health on ``/diagnostics``, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from vlm_perception.types import Status

if TYPE_CHECKING:
    from rclpy.lifecycle import LifecycleNode

    from vlm_perception.msg import GroundingResult
    from vlm_perception.ros.cameras import Cameras
    from vlm_perception.ros.inputs import Inputs
    from vlm_perception.ros.model_slot import ModelSlot
    from vlm_perception.ros.qos import QosWatch

_UNMATCHED_WARN_S = 3.0
_REPEAT_S = 10.0
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Diagnostics:
    """Collects what happened and publishes it; also says in the log when inputs never match."""

    def __init__(self, node: LifecycleNode, slot: ModelSlot, qos_watch: QosWatch) -> None:
        self._node, self._slot, self._qos_watch = node, slot, qos_watch
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._last: GroundingResult | None = None
        self._counts: dict[str, int] = {}
        self._total_ms: deque[float] = deque(maxlen=100)
        self._said_s: dict[str, float] = {}  # camera -> when the log said that its inputs never match

    def note(self, result: GroundingResult) -> None:
        """Remember an answer."""
        self._last = result
        name = Status(result.status).name
        self._counts[name] = self._counts.get(name, 0) + 1
        self._total_ms.extend(stage.ms for stage in result.latency if stage.stage == "total")

    def publish(
        self,
        state: str,
        cameras: Cameras | None,
        max_age_s: float,
        waiting: int,
        tracking: str,
        notes: Mapping[str, str],
    ) -> None:
        """Publish the state of everything; ``notes`` are about each camera's images that were looked at last."""
        now_s = time.monotonic()
        statuses = [self._node_status(state, waiting, tracking), self._model_status(), self._answer_status()]
        for camera, inputs in cameras.inputs.items() if cameras is not None else ():
            statuses += [
                self._input_status(camera, inputs, now_s, max_age_s, notes.get(camera, "")),
                self._sync_status(camera, inputs, now_s),
            ]
        statuses.append(self._qos_status())
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = statuses
        self._publisher.publish(array)

    def _status(self, part: str, level: bytes, message: str, values: dict[str, object]) -> DiagnosticStatus:
        name = self._node.get_fully_qualified_name().lstrip("/")
        return DiagnosticStatus(
            level=level,
            name=f"{name}: {part}",
            hardware_id=name,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _node_status(self, state: str, waiting: int, tracking: str) -> DiagnosticStatus:
        level = _OK if state == "active" else _WARN
        values = {"commands_waiting": waiting, "tracking": tracking[:200]}
        return self._status("node", level, state, values)

    def _model_status(self) -> DiagnosticStatus:
        slot = self._slot
        values = {"model": slot.name, "load_s": f"{slot.load_s:.1f}"}
        if slot.loading:
            return self._status("model", _WARN, f"loading '{slot.loading}'", values)
        if slot.failure:
            return self._status("model", _ERROR, slot.failure, values)
        if not slot.name:
            return self._status("model", _WARN, "no model is loaded", values)
        return self._status("model", _OK, f"'{slot.name}' is ready", values)

    def _answer_status(self) -> DiagnosticStatus:
        last = self._last
        if last is None:
            return self._status("answers", _OK, "no command yet", {})
        status = Status(last.status)
        level = {Status.MODEL_ERROR: _ERROR, Status.NO_TRANSFORM: _ERROR}.get(status, _OK)
        if status in (Status.STALE_INPUT, Status.NO_INPUT, Status.NO_DEPTH):
            level = _WARN
        values: dict[str, object] = {"last_status": status.name, "last_command": last.command[:200]}
        values.update({f"latency_{stage.stage}_ms": f"{stage.ms:.1f}" for stage in last.latency})
        if self._total_ms:
            values["latency_total_mean_ms"] = f"{sum(self._total_ms) / len(self._total_ms):.1f}"
        values.update({f"answers_{name}": count for name, count in sorted(self._counts.items())})
        return self._status("answers", level, f"{status.name}: {last.message}"[:500], values)

    def _input_status(
        self, camera: str, inputs: Inputs, now_s: float, max_age_s: float, note: str
    ) -> DiagnosticStatus:
        part = _part("input", camera)
        values: dict[str, object] = {}
        for name, stream in inputs.streams.items():
            values[f"{name}_topic"] = stream.topic
            values[f"{name}_rate_hz"] = f"{stream.rate_hz(now_s):.1f}"
            values[f"{name}_publishers"] = stream.publishers
            values[f"{name}_received"] = stream.count
        if inputs.frozen_since_s is not None:
            seconds = now_s - inputs.frozen_since_s
            return self._status(part, _ERROR, f"the camera repeats one image for {seconds:.0f} s", values)
        silent_s = max(2.0, max_age_s)
        if any(stream.silent_s(now_s) > silent_s for stream in inputs.streams.values()):
            return self._status(part, _ERROR, inputs.missing(now_s, silent_s), values)
        if note:
            return self._status(part, _WARN, note, values)
        return self._status(part, _OK, "color, depth and camera_info arrive", values)

    def _sync_status(self, camera: str, inputs: Inputs, now_s: float) -> DiagnosticStatus:
        part = _part("sync", camera)
        values = {"sets": inputs.sets.count, "differences": inputs.differences()}
        unmatched_s = inputs.unmatched_s(now_s)
        if unmatched_s < _UNMATCHED_WARN_S:
            return self._status(part, _OK, f"{inputs.sets.count} sets matched", values)
        message = f"no synchronized set matched for {unmatched_s:.0f} s: {inputs.differences()}"
        if now_s - self._said_s.get(camera, float("-inf")) > _REPEAT_S:
            self._said_s[camera] = now_s
            of_camera = f"camera '{camera}': " if camera else ""
            self._node.get_logger().warning(
                f"{of_camera}{message}. Are all three from the same camera and clock? Widen sync_slop_s only if they are."
            )
        return self._status(part, _WARN, message, values)

    def _qos_status(self) -> DiagnosticStatus:
        problems = dict(self._qos_watch.problems)
        message = "; ".join(problems.values()) or "no mismatch"
        return self._status("qos", _WARN if problems else _OK, message, dict(problems))


def _part(what: str, camera: str) -> str:
    return f"{what} {camera}" if camera else what
