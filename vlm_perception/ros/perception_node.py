"""The lifecycle node ``vlm_perception``: wires the parts together and thinks about nothing itself.

Two threads: the executor's, whose callbacks only file things away, and the worker's, which loads models, waits for TF
and answers.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rclpy
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.task import Future
from std_msgs.msg import String

from vlm_perception.msg import GroundingResult
from vlm_perception.ros import parameters
from vlm_perception.ros.answering import Answering, Outcome, Request
from vlm_perception.ros.cameras import Cameras
from vlm_perception.ros.diagnostics import Diagnostics
from vlm_perception.ros.find_action import FindAction
from vlm_perception.ros.messages import failure_result
from vlm_perception.ros.model_slot import ModelSlot
from vlm_perception.ros.outputs import Outputs
from vlm_perception.ros.qos import QosWatch
from vlm_perception.ros.services import Services
from vlm_perception.ros.signals import leave_signals_to_rclpy
from vlm_perception.ros.track import Track
from vlm_perception.ros.transforms import Transforms
from vlm_perception.ros.worker import Job, Worker
from vlm_perception.types import CommandError, ModelError, Status

_COMMAND_QOS = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
_INPUT_PARAMETERS = ("sync_slop_s", "sync_queue", "image_transport", "depth_transport")
_MODEL_PARAMETERS = ("model", "segmenter", "device", "dtype", "model_options", "segmenter_options", "score_threshold")
# A worker that is inside a model cannot be interrupted; the process does not wait longer than this for it.
_STOP_S = 1.0


class PerceptionNode(LifecycleNode):
    """Commands in, things with boxes, masks and poses out; README lists its topics, services, action and parameters.

    It answers while it is active. Loading a model takes its time and is no part of a transition: commands wait for it.
    """

    def __init__(self, node_name: str = "vlm_perception", **options: Any) -> None:
        """Declare parameters and offer the interface; images and model come with ``configure``.

        Raises:
            rclpy.exceptions.ParameterException: a parameter override has the wrong type or is out of range.
        """
        super().__init__(node_name, **options)
        self._cameras: Cameras | None = None
        self.add_on_set_parameters_callback(self._refuse_late)  # asked after those that come later
        parameters.declare(self)
        self._settings = parameters.read(self)
        self._active = False
        self._state = "unconfigured"
        self._qos_watch = QosWatch(self.get_logger())
        self._slot = ModelSlot()
        self._answering = Answering(self._slot, Transforms(self), self.get_logger())
        self._outputs = Outputs(self, self._qos_watch)
        self._diagnostics = Diagnostics(self, self._slot, self._qos_watch)
        self._worker = Worker(self._stand_by, self._on_worker_error, self._settings.command_queue)
        waiting = ReentrantCallbackGroup()  # its callbacks await answers without keeping others from running
        self._track = Track(self._answer, self._publish_and_show)
        self._find = FindAction(
            self, waiting, self._answer, self._publish_and_show, self._why_not, self._worker.wake, self._resolve
        )
        Services(self, waiting, self._ask, self._refuse)
        self._listen("~/command", self._on_command)
        self._listen("~/track", self._on_track)
        self.create_timer(1.0, self._on_second)
        self.add_post_set_parameters_callback(self._on_parameters)
        self._guard_change_state()
        self._worker.start()

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so."""
        if self._settings.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def stop(self) -> bool:
        """End the worker; false when it is still inside a model."""
        self._active = False
        return self._worker.stop(_STOP_S)

    # ----------------------------------------------------------------- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and start loading the model, which is warmed up with it.

        A model that cannot be loaded, or fails in its warm-up, does not fail the transition: commands are then answered
        MODEL_ERROR with the reason, and setting the parameter right mends it.
        """

        def configure() -> None:
            self._settings = parameters.read(self)
            self._cameras = Cameras(self, self._settings, self._qos_watch, self._worker.wake)
            self._worker.submit(Job(self._load_model, countable=False))

        return self._transition("configure", "inactive", configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start answering; the model has been warm since it was loaded, or commands wait until it is."""

        def activate() -> None:
            self._active = True
            self._worker.wake()

        return self._transition("activate", "active", activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering; commands that wait are answered CANCELED."""
        return self._transition("deactivate", "inactive", self._become_inactive)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the cameras and free the model."""
        return self._transition("clean up", "unconfigured", self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything for good."""
        return self._transition("shut down", "finalized", self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where it may be tried again."""
        return self._transition("recover", "unconfigured", self._release)

    def _transition(self, name: str, state: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """rclpy swallows what a transition raises; here it reaches the log."""
        try:
            work()
        except Exception:  # noqa: BLE001 -- whatever it was, it is told and the node goes on
            self.get_logger().error(f"Failed to {name}:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self._state = state
        self.get_logger().info(f"{name.capitalize()}: now {state}.")
        return TransitionCallbackReturn.SUCCESS

    def _become_inactive(self) -> None:
        self._active = False
        self._worker.drop_waiting(self._why_not())
        self._find.stop("canceled because the node was deactivated")

    def _release(self) -> None:
        self._become_inactive()
        self._track.set("")
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
        self._worker.submit(Job(self._slot.close, countable=False))

    def _guard_change_state(self) -> None:
        """An invalid transition raises in rclpy, out of the executor and with no answer to who asked (rclpy#1209)."""
        for service in self.services:
            if service.srv_type is ChangeState:
                change_state = service.callback

                def guarded(request: Any, response: Any, change: Any = change_state) -> Any:
                    try:
                        return change(request, response)
                    except Exception as error:  # noqa: BLE001 -- RCLError has no public name
                        wanted = request.transition.label or request.transition.id
                        self.get_logger().error(f"No transition {wanted!r} in state '{self._state}': {error}")
                        response.success = False
                        return response

                service.callback = guarded

    # ----------------------------------------------------------------- the executor's thread: file things away

    def _listen(self, topic: str, callback: Callable[[String], None]) -> Subscription:
        name = self.resolve_topic_name(topic)
        events = SubscriptionEventCallbacks(incompatible_qos=self._qos_watch.on_subscription(name))
        return self.create_subscription(String, topic, callback, _COMMAND_QOS, event_callbacks=events)

    def _on_command(self, msg: String) -> None:
        self._submit(Request(msg.data), lambda _outcome: None)

    def _on_track(self, msg: String) -> None:
        why_not = self._why_not()
        if why_not:
            self._publish_failure(Request(msg.data), Status.CANCELED, why_not)
            return
        self._track.set(msg.data)
        if not msg.data.strip():
            self._outputs.clear_markers()
        self._worker.wake()

    def _on_second(self) -> None:
        self._diagnostics.publish(
            self._state,
            self._cameras,
            self._settings.max_input_age_s,
            self._worker.waiting,
            self._track.text,
            self._answering.input_notes,
        )

    def _refuse_late(self, changed: list[Parameter]) -> SetParametersResult:
        """The names of the cameras are the names of topics that are subscribed to."""
        names = [parameters.to_names(p.value) for p in changed if p.name == "cameras"]
        if self._cameras is None or all(new == self._settings.cameras for new in names):
            return SetParametersResult(successful=True)
        first = "deactivate, then cleanup" if self._active else "cleanup"
        reason = (
            f"cameras is read at configure and the node is {self._state}:"
            f" ros2 lifecycle set {self.get_fully_qualified_name()} {first}; then set cameras, configure and activate."
        )
        return SetParametersResult(successful=False, reason=reason)

    def _on_parameters(self, changed: list[Parameter]) -> None:
        before, self._settings = self._settings, parameters.read(self)

        def differ(names: tuple[str, ...]) -> bool:
            return any(getattr(before, name) != getattr(self._settings, name) for name in names)

        self._worker.capacity = self._settings.command_queue
        if self._cameras is None:
            return
        if differ(_INPUT_PARAMETERS):
            self._cameras.close()
            self._cameras = Cameras(self, self._settings, self._qos_watch, self._worker.wake)
        # Also when it did not change: setting the same name again is how a model that failed is tried again.
        if differ(_MODEL_PARAMETERS) or any(parameter.name in _MODEL_PARAMETERS for parameter in changed):
            self._worker.submit(Job(self._load_model, countable=False))

    async def _ask(self, request: Request) -> Outcome:
        """Queue a request and await its outcome."""
        future: Future = Future()
        self._submit(request, lambda outcome: self._resolve(future, outcome))
        return await future

    def _submit(self, request: Request, done: Callable[[Outcome], None]) -> None:
        """Queue a request; exactly one result is published and its outcome handed to ``done``, whatever happens."""

        def drop(reason: str) -> None:
            done(Outcome(self._publish_failure(request, Status.CANCELED, reason)))

        def run() -> None:
            outcome = self._answer(request)
            try:
                self._publish(outcome, brought=request.brought)
            finally:
                done(outcome)
            if not request.brought:
                self._show_attention(outcome)

        why_not = self._why_not()
        if why_not:
            drop(why_not)
        elif not self._worker.submit(Job(run, drop)):
            drop(
                f"{self._worker.waiting} commands are waiting already (parameter command_queue);"
                " send the next one when there is an answer."
            )

    def _why_not(self) -> str:
        """Why commands are not answered now; "" when they are."""
        if self._active:
            return ""
        transition = "configure" if self._cameras is None else "activate"
        return (
            f"The node is {self._state}:"
            f" 'ros2 lifecycle set {self.get_fully_qualified_name()} {transition}' comes next."
        )

    # ----------------------------------------------------------------- the worker's thread: think

    def _answer(self, request: Request) -> Outcome:
        """The outcome of a request; whatever goes wrong is one."""
        wanted = replace(request, canceled=lambda: request.canceled() or not self._active)
        try:
            return self._answering.answer(wanted, self._cameras, self._settings)
        except Exception as error:  # noqa: BLE001 -- a bug must not leave a command without its result
            self.get_logger().error(f"While answering {request.command[:200]!r}:\n{traceback.format_exc()}")
            reason = f"Internal error ({type(error).__name__}: {error}); the log has the details."
            result = failure_result(
                Status.MODEL_ERROR, reason, command=request.command, request_id=request.request_id
            )
            return Outcome(result)

    def _publish(self, outcome: Outcome, *, brought: bool = False) -> None:
        """Publish an outcome; of images that came with a request, the result only: they are not what the robot sees."""
        result = outcome.result
        self._diagnostics.note(result)
        if brought:
            self._outputs.publish_result(result)
        else:
            self._outputs.publish(outcome, debug_image=self._settings.publish_debug_image)
        text = f"{result.command[:200]!r}: {outcome.status.name}. {result.message}"
        # One call each, since rclpy ties severity and throttling to the line that logs.
        if self._track.text == result.command:
            self.get_logger().info(text, throttle_duration_sec=2.0)
        elif outcome.status is Status.SUCCEEDED:
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)

    def _publish_and_show(self, outcome: Outcome) -> None:
        self._publish(outcome)
        self._show_attention(outcome)

    def _show_attention(self, outcome: Outcome) -> None:
        """Where the model looked, for those who want to see it; made after everything else, since it costs a run."""
        if not self._outputs.attention_wanted:
            return
        try:
            picture = self._answering.attention(outcome)
        except (CommandError, ModelError) as error:
            self.get_logger().warning(f"No attention_image: {error}", throttle_duration_sec=10.0)
            return
        if picture is not None:
            self._outputs.publish_attention(picture, outcome.camera_header)

    def _stand_by(self) -> float | None:
        """Between commands: the running search and the tracked phrase."""
        cameras, settings = self._cameras, self._settings
        images = cameras.newest(time.monotonic(), settings.max_input_age_s) if cameras is not None else ()
        waits = [self._find.step(images), self._track.step(images, settings) if self._active else None]
        return min((wait for wait in waits if wait is not None), default=None)

    def _load_model(self) -> None:
        """Make the model what the parameters say now."""
        try:
            loaded = self._slot.use(self._settings)
        except ModelError as error:
            kept = f" '{self._slot.name}' stays in use." if self._slot.name else ""
            self.get_logger().error(f"{error}{kept}")
        else:
            if loaded:
                self.get_logger().info(f"{loaded} loaded and warmed up in {self._slot.load_s:.1f} s.")

    def _on_worker_error(self, what: str, error: BaseException) -> None:
        if self.context.ok():  # while shutting down, publishing fails, and nobody is left to tell
            details = "".join(traceback.format_exception(error))
            self.get_logger().error(f"Error while {what}:\n{details}")

    # ----------------------------------------------------------------- either thread

    def _publish_failure(self, request: Request, status: Status, reason: str) -> GroundingResult:
        result = failure_result(status, reason, command=request.command, request_id=request.request_id)
        self._diagnostics.note(result)
        self.get_logger().warning(f"{request.command[:200]!r}: {status.name}. {reason}")
        if self.context.ok():
            self._outputs.publish_result(result)
        return result

    def _refuse(self, command: str, reason: str) -> GroundingResult:
        return self._publish_failure(Request(command), Status.INVALID_COMMAND, reason)

    def _resolve(self, future: Future, value: Any) -> None:
        """Set a future where its waiters run."""
        executor = self.executor
        if executor is not None and self.context.ok():
            executor.create_task(future.set_result, value)


def _spin_once(executor: SingleThreadedExecutor, node: PerceptionNode) -> None:
    try:
        executor.spin_once()
    except (KeyboardInterrupt, ExternalShutdownException):
        rclpy.try_shutdown()
    except Exception:  # noqa: BLE001 -- one bad callback must not take the node down
        if rclpy.ok():  # what fails after an interrupt fails because of it
            node.get_logger().error(f"A callback failed:\n{traceback.format_exc()}")


def main(args: list[str] | None = None) -> int:
    """Run the node until Ctrl-C; returns the exit code."""
    leave_signals_to_rclpy()
    rclpy.init(args=args)
    try:
        node = PerceptionNode()
    except ParameterException as error:
        print(f"vlm_perception: {error}", file=sys.stderr)  # noqa: T201 -- there is no node to log with
        rclpy.try_shutdown()
        return 1
    except Exception:
        if rclpy.ok():
            raise
        return 0  # interrupted while starting
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.create_task(node.autostart)
    while rclpy.ok():
        _spin_once(executor, node)
    finished = node.stop()
    # Others learn at once that the node is gone, and not when its lease runs out.
    executor.shutdown(timeout_sec=0.5)
    node.destroy_node()
    rclpy.try_shutdown()
    if not finished:
        # A thread inside a model's native code would crash the interpreter's own shutdown. That alone frees the shared
        # memory of DDS, so it is left out only then.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
