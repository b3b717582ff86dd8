"""Transitions in any order."""

from __future__ import annotations

import random
import time

import pytest

pytest.importorskip("rclpy")
from perception_harness import status

from vlm_perception.types import Status


def test_inactive_says_so(seeing):
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED
    assert seeing.transition("deactivate")
    result = seeing.say("the red cube")
    assert status(result) is Status.CANCELED
    assert "inactive" in result.message and "activate" in result.message
    assert status(seeing.ground("the red cube")) is Status.CANCELED
    assert seeing.transition("activate")
    time.sleep(0.2)
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


def test_commands_that_wait_are_answered_when_the_node_is_deactivated(seeing):
    seeing.set(model="slow:0.5")
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED
    seeing.received["result"].clear()
    for _ in range(5):
        seeing.publish_command("the red cube")
    time.sleep(0.3)
    assert seeing.transition("deactivate")
    seeing.wait(lambda: len(seeing.received["result"]) == 5)
    assert all(status(result) is Status.CANCELED for result in seeing.received["result"])


def test_tracking_goes_on_after_a_pause(seeing):
    seeing.track("the red cube")
    seeing.wait(lambda: seeing.received["result"])
    seeing.transition("deactivate")
    time.sleep(0.3)
    count = len(seeing.received["result"])
    time.sleep(0.3)
    assert len(seeing.received["result"]) == count
    seeing.transition("activate")
    seeing.wait(lambda: len(seeing.received["result"]) > count)
    seeing.track("")


def test_a_failed_transition_is_answered(robot):
    assert robot.state() == "active"
    for label in ("activate", "configure", "cleanup", "nonsense"):
        assert not robot.transition(label)
        assert robot.state() == "active"


def test_any_order(robot):
    """Valid or not, each is answered, and the node ends up where it should."""
    allowed = {
        ("unconfigured", "configure"): "inactive",
        ("inactive", "activate"): "active",
        ("inactive", "cleanup"): "unconfigured",
        ("active", "deactivate"): "inactive",
    }
    dice = random.Random(4)
    robot.camera.running = True
    state = robot.state()
    for _ in range(25):
        label = dice.choice(["configure", "activate", "deactivate", "cleanup"])
        expected = allowed.get((state, label))
        assert robot.transition(label) is (expected is not None), (state, label)
        state = expected or state
        assert robot.state() == state
        if dice.random() < 0.3:
            robot.publish_command("the red cube")
    for label in ("deactivate", "cleanup", "configure", "activate"):
        robot.transition(label)
    time.sleep(0.5)
    assert status(robot.say("the red cube")) is not Status.CANCELED
