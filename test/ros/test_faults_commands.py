"""What people send: every command gets exactly one result."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy")
from perception_harness import LATCHED, NODE, status
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from vlm_perception.types import Status


@pytest.mark.parametrize(
    "command",
    ["", "   \n\t ", "the red cube " * 770, "🦄🔥", "\x01\x02\x7f\x1b[31m", "%s {} ${HOME} \\"],
    ids=["empty", "blank", "10000 characters", "emoji", "control", "format"],
)
def test_commands_that_are_none(seeing, command):
    result = seeing.say(command)
    assert status(result) in (Status.INVALID_COMMAND, Status.NOT_FOUND)
    assert result.message
    time.sleep(0.2)
    assert len(seeing.received["result"]) == 1
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


def test_invalid_commands_do_not_wait_for_a_camera(robot):
    robot.set(input_timeout_s=20.0)
    started = time.monotonic()
    assert status(robot.say("")) is Status.INVALID_COMMAND
    assert time.monotonic() - started < 2.0


def test_bytes_that_are_no_text(seeing):
    """Not UTF-8: published as raw CDR, since Python's own strings cannot hold it."""
    body = b"\xff\xfe\x80red\xc3 cube\x00"
    raw = b"\x00\x01\x00\x00" + len(body).to_bytes(4, "little") + body
    seeing._command.publish(raw)
    seeing.wait(lambda: seeing.received["result"])
    assert status(seeing.received["result"][0]) in (Status.INVALID_COMMAND, Status.NOT_FOUND, Status.SUCCEEDED)
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


@pytest.mark.parametrize("kind", ["good", "empty"])
def test_fifty_commands_at_once(seeing, kind):
    """Empty ones are answered within a millisecond each: none may overtake or replace another."""
    seeing.set(max_input_age_s=30.0)  # on a busy machine the camera stalls, which is not what is tested here
    commands = [f"the {('red', 'green', 'blue')[i % 3]} cube" if kind == "good" else " " * i for i in range(50)]
    for command in commands:
        seeing.publish_command(command)
    seeing.wait(lambda: len(seeing.received["result"]) >= 50, 30.0)
    time.sleep(0.5)
    results = seeing.received["result"]
    assert len(results) == 50
    assert [result.command for result in results] == commands
    assert len({result.request_id for result in results}) == 50
    wanted = Status.SUCCEEDED if kind == "good" else Status.INVALID_COMMAND
    assert {status(result) for result in results} == {wanted}


def test_fifty_service_calls_at_once(seeing):
    from vlm_perception.srv import Ground

    seeing.set(max_input_age_s=30.0)
    client = seeing._clients["ground"]
    futures = [client.call_async(Ground.Request(command="the red cube")) for _ in range(50)]
    seeing.wait(lambda: all(future.done() for future in futures), 30.0)
    assert {status(future.result().result) for future in futures} == {Status.SUCCEEDED}
    assert len({future.result().result.request_id for future in futures}) == 50


def test_a_full_queue_is_said(seeing):
    seeing.set(model="slow:0.3", command_queue=3)
    for _ in range(8):
        seeing.publish_command("the red cube")
    seeing.wait(lambda: len(seeing.received["result"]) >= 8, 20.0)
    results = seeing.received["result"]
    assert len(results) == 8
    refused = [result for result in results if status(result) is Status.CANCELED]
    assert 4 <= len(refused) <= 5
    assert "command_queue" in refused[0].message


def test_tracking_nonsense_is_said_once(seeing):
    seeing.track("🦄")
    seeing.wait(lambda: seeing.received["result"])
    time.sleep(0.5)
    statuses = [status(result) for result in seeing.received["result"]]
    if statuses[0] is Status.INVALID_COMMAND:
        assert len(statuses) == 1
    seeing.track("")


def test_qos_mismatch_is_said(color_node, robot):
    """A best-effort publisher of commands is not heard by a reliable subscription."""
    quiet = robot.node.create_publisher(
        String, f"{NODE}/command", QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    )
    try:
        robot.wait(lambda: (d := robot.diagnostic("qos")) and "RELIABILITY" in d.message)
        assert f"{NODE}/command" in robot.diagnostic("qos").message
        assert "QoS mismatch" in color_node.output
    finally:
        robot.node.destroy_publisher(quiet)


def test_a_subscriber_that_asks_for_too_much_is_told(color_node, robot):
    """Latched overlays are not on offer; RViz with such a setting would show nothing, silently."""
    demanding = robot.listen(Image, f"{NODE}/debug_image", LATCHED, key="never")
    try:
        robot.wait(lambda: (d := robot.diagnostic("qos")) and "DURABILITY" in d.message)
        assert f"{NODE}/debug_image" in robot.diagnostic("qos").message
    finally:
        robot.node.destroy_subscription(demanding)
