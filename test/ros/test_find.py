"""The find action: feedback, success, a cancel that takes effect, time-outs, superseding."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy")
from action_msgs.msg import GoalStatus
from perception_harness import NODE, scene, status
from rclpy.action import ActionClient
from vlm_perception.action import Find

from vlm_perception.types import Status


class Finder:
    """An action client that waits through the harness."""

    def __init__(self, harness) -> None:
        self.harness = harness
        self.client = ActionClient(harness.node, Find, f"{NODE}/find")
        self.feedback: list[Find.Feedback] = []
        harness.wait(self.client.server_is_ready)

    def goal(self, command: str, timeout_s: float = 0.0):
        self.feedback = []
        future = self.client.send_goal_async(
            Find.Goal(command=command, timeout_s=timeout_s),
            feedback_callback=lambda msg, kept=self.feedback: kept.append(msg.feedback),
        )
        self.harness.wait(future.done)
        return future.result()

    def result(self, handle, timeout_s: float = 10.0):
        future = handle.get_result_async()
        self.harness.wait(future.done, timeout_s, "the goal's result")
        return future.result().status, future.result().result.result

    def cancel(self, handle) -> None:
        future = handle.cancel_goal_async()
        self.harness.wait(future.done)
        assert future.result().goals_canceling


@pytest.fixture
def finder(robot):
    client = Finder(robot)
    yield client
    client.client.destroy()


def test_found_at_once(finder, seeing):
    handle = finder.goal("the red cube", 5.0)
    assert handle.accepted
    goal_status, result = finder.result(handle)
    assert goal_status == GoalStatus.STATUS_SUCCEEDED
    assert status(result) is Status.SUCCEEDED
    assert result.targets[0].box.x_offset == 60
    seeing.wait(lambda: seeing.received["target_pose"])
    assert finder.feedback[-1].best_score > 0.5


def test_looks_until_it_comes_into_view(finder, seeing):
    seeing.camera.show(*scene("red"))
    time.sleep(0.3)
    handle = finder.goal("the green cube")
    seeing.wait(lambda: len(finder.feedback) >= 3)
    assert finder.feedback[2].frames_seen == 3
    assert Status(finder.feedback[-1].last_status) is Status.NOT_FOUND
    assert "green cube" in finder.feedback[-1].message
    seeing.camera.show(*scene("red", "green"))
    goal_status, result = finder.result(handle)
    assert (goal_status, status(result)) == (GoalStatus.STATUS_SUCCEEDED, Status.SUCCEEDED)


def test_cancel_takes_effect_while_the_model_runs(finder, seeing):
    seeing.set(model="slow:1.0")
    handle = finder.goal("the green cube")
    time.sleep(0.5)
    started = time.monotonic()
    finder.cancel(handle)
    goal_status, result = finder.result(handle)
    assert time.monotonic() - started < 1.0
    assert (goal_status, status(result)) == (GoalStatus.STATUS_CANCELED, Status.CANCELED)
    assert not seeing.received["target_pose"]


def test_cancel_without_a_camera(finder, robot):
    handle = finder.goal("the green cube")
    robot.wait(lambda: finder.feedback)
    assert Status(finder.feedback[0].last_status) is Status.NO_INPUT
    finder.cancel(handle)
    goal_status, result = finder.result(handle)
    assert (goal_status, status(result)) == (GoalStatus.STATUS_CANCELED, Status.CANCELED)


def test_time_is_up(finder, seeing):
    started = time.monotonic()
    goal_status, result = finder.result(finder.goal("the purple giraffe", 1.0))
    assert 0.9 < time.monotonic() - started < 2.0
    assert (goal_status, status(result)) == (GoalStatus.STATUS_ABORTED, Status.NOT_FOUND)
    assert "in time" in result.message and "giraffe" in result.message


def test_time_is_up_without_a_camera(finder, robot):
    goal_status, result = finder.result(finder.goal("the red cube", 0.7))
    assert (goal_status, status(result)) == (GoalStatus.STATUS_ABORTED, Status.NO_INPUT)


def test_a_command_that_will_never_work_ends_at_once(finder, seeing):
    goal_status, result = finder.result(finder.goal(""))
    assert (goal_status, status(result)) == (GoalStatus.STATUS_ABORTED, Status.INVALID_COMMAND)


def test_a_newer_goal_supersedes(finder, seeing):
    old = finder.goal("the purple giraffe")
    seeing.wait(lambda: finder.feedback)
    new = finder.goal("the red cube")
    goal_status, result = finder.result(old)
    assert (goal_status, status(result)) == (GoalStatus.STATUS_ABORTED, Status.CANCELED)
    assert "superseded" in result.message
    assert finder.result(new)[0] == GoalStatus.STATUS_SUCCEEDED


def test_commands_are_answered_while_searching(finder, seeing):
    handle = finder.goal("the purple giraffe")
    seeing.wait(lambda: finder.feedback)
    assert status(seeing.ground("the red cube")) is Status.SUCCEEDED
    finder.cancel(handle)
    finder.result(handle)


def test_deactivating_ends_the_search(finder, seeing):
    handle = finder.goal("the purple giraffe")
    seeing.wait(lambda: finder.feedback)
    seeing.transition("deactivate")
    goal_status, result = finder.result(handle)
    assert (goal_status, status(result)) == (GoalStatus.STATUS_ABORTED, Status.CANCELED)
    assert not finder.goal("the red cube").accepted


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan"), float("inf")])
def test_senseless_time_limits_are_rejected(finder, timeout_s):
    assert not finder.goal("the red cube", timeout_s).accepted
