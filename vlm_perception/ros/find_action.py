"""The ``find`` action: look, frame after frame, until the target is there, the time is up or nobody wants it.

One goal at a time: a new goal supersedes the running one, which ends as aborted with status CANCELED. A cancel takes
effect while the model runs, at the end of the current stage.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future

from vlm_perception.action import Find
from vlm_perception.msg import GroundingResult
from vlm_perception.ros.answering import Outcome, Request
from vlm_perception.ros.image_set import ImageSet, anything_new
from vlm_perception.ros.messages import failure_result
from vlm_perception.types import Status

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle
    from rclpy.callback_groups import CallbackGroup
    from rclpy.lifecycle import LifecycleNode

# Statuses that another frame will not change.
_FINAL = {Status.SUCCEEDED, Status.INVALID_COMMAND, Status.MODEL_ERROR}
# How often to say that there is nothing new to look at.
_QUIET_FEEDBACK_S = 0.5


class Search:
    """One goal, as the worker sees it."""

    def __init__(self, goal_handle: ServerGoalHandle, future: Future) -> None:
        self.goal_handle = goal_handle
        self.future = future
        self.superseded = ""
        self.frames_seen = 0
        self.last_images: tuple[ImageSet, ...] = ()
        self.last: GroundingResult | None = None
        timeout_s = float(goal_handle.request.timeout_s)
        self.deadline_s = time.monotonic() + timeout_s if timeout_s > 0 else math.inf
        self.next_feedback_s = 0.0
        self.request = Request(goal_handle.request.command, wait=False, canceled=self.unwanted)

    def unwanted(self) -> bool:
        """Whether to stop looking."""
        return bool(self.superseded) or self.goal_handle.is_cancel_requested or time.monotonic() > self.deadline_s


class FindAction:
    """Serves the action; :meth:`step` is the worker's part of it."""

    def __init__(
        self,
        node: LifecycleNode,
        group: CallbackGroup,
        answer: Callable[[Request], Outcome],
        publish: Callable[[Outcome], None],
        refuse: Callable[[], str],
        wake: Callable[[], None],
        resolve: Callable[[Future, Any], None],
    ) -> None:
        """Offer the action.

        Args:
            node: owns the server.
            group: re-entrant, since a running goal is a callback that has not returned.
            answer: answers a request, on the worker's thread.
            publish: publishes an outcome.
            refuse: why the node cannot look now ("" when it can).
            wake: tells the worker to call :meth:`step`.
            resolve: sets a future's result on the executor's thread.
        """
        self._answer, self._publish, self._refuse = answer, publish, refuse
        self._wake, self._resolve, self._logger = wake, resolve, node.get_logger()
        self._goals: deque[Search] = deque()  # the last one counts; the others wait to be told so
        self._server = ActionServer(
            node,
            Find,
            "~/find",
            self._execute,
            callback_group=group,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )

    @property
    def busy(self) -> bool:
        """Whether there is a goal to work on."""
        return bool(self._goals)

    def step(self, images: tuple[ImageSet, ...]) -> float | None:
        """Look at the newest images, on the worker's thread.

        Args:
            images: the newest set of each camera, perhaps the same as before or too old; empty when there is none.

        Returns:
            Seconds until this wants to be asked again; None when there is no goal.
        """
        while len(self._goals) > 1:
            self._finish(self._goals[0])
        if not self._goals:
            return None
        search = self._goals[0]
        if search.unwanted():
            self._finish(search)
            return 0.0
        fresh = anything_new(images, search.last_images)
        if fresh or time.monotonic() >= search.next_feedback_s:
            outcome = self._answer(replace(search.request, images=images))
            search.last_images = images
            search.next_feedback_s = time.monotonic() + _QUIET_FEEDBACK_S
            if outcome.status is not Status.CANCELED:
                search.last = outcome.result
                search.frames_seen += int(fresh and outcome.frame is not None)
                self._feedback(search, outcome)
                if outcome.status in _FINAL:
                    self._finish(search, outcome)
                    return 0.0
        if search.unwanted():
            self._finish(search)
            return 0.0
        return min(_QUIET_FEEDBACK_S, max(0.0, search.deadline_s - time.monotonic()))

    def stop(self, reason: str) -> None:
        """End the running goal, if there is one."""
        for search in list(self._goals):
            search.superseded = search.superseded or reason
        self._wake()

    def _on_goal(self, goal: Find.Goal) -> GoalResponse:
        if not math.isfinite(goal.timeout_s) or goal.timeout_s < 0:
            self._logger.error(f"find: timeout_s must be 0 (no limit) or more, not {goal.timeout_s}; goal rejected")
            return GoalResponse.REJECT
        reason = self._refuse()
        if reason:
            self._logger.error(f"find: {reason} Goal rejected.")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, _goal_handle: ServerGoalHandle) -> CancelResponse:
        self._wake()
        return CancelResponse.ACCEPT

    async def _execute(self, goal_handle: ServerGoalHandle) -> Find.Result:
        search = Search(goal_handle, Future())
        self.stop("superseded by a newer goal")
        self._goals.append(search)
        self._wake()
        result: GroundingResult = await search.future
        if goal_handle.is_cancel_requested and result.status == int(Status.CANCELED):
            goal_handle.canceled()
        elif result.status == int(Status.SUCCEEDED):
            goal_handle.succeed()
        else:
            goal_handle.abort()
        return Find.Result(result=result)

    def _finish(self, search: Search, outcome: Outcome | None = None) -> None:
        """Take the goal off the list and tell everybody how it ended."""
        self._goals.remove(search)
        outcome = outcome if outcome is not None else Outcome(_unfinished(search))
        self._publish(outcome)
        self._resolve(search.future, outcome.result)

    def _feedback(self, search: Search, outcome: Outcome) -> None:
        result = outcome.result
        scores = [found.score for found in (*result.targets, *result.runner_ups)]
        feedback = Find.Feedback(
            frames_seen=search.frames_seen,
            last_status=result.status,
            message=result.message,
            best_score=float(max(scores, default=0.0)),
        )
        if search.goal_handle.is_active:
            search.goal_handle.publish_feedback(feedback)


def _unfinished(search: Search) -> GroundingResult:
    """What a goal ends with that did not find its target: canceled, superseded or out of time."""
    seen = f"{search.frames_seen} frame(s) looked at"
    if search.superseded or search.goal_handle.is_cancel_requested or search.last is None:
        canceled = search.superseded or search.goal_handle.is_cancel_requested
        status = Status.CANCELED if canceled else Status.NO_INPUT
        message = f"Find was {search.superseded or 'canceled'}" if canceled else "The time was up without an answer"
        return failure_result(
            status, f"{message}; {seen}.", command=search.request.command, request_id=search.request.request_id
        )
    result = search.last
    result.message = f"Not found in time ({seen}). {result.message}"
    return result
