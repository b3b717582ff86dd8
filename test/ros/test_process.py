"""The process itself: how it starts, what it starts with, and how it ends."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
from perception_harness import COLOR_NODE, REAL_NODE, NodeProcess, status

from vlm_perception.types import Status

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@pytest.mark.parametrize("model", ["no-such-model", "fails-at-once"])
def test_a_first_model_that_cannot_be_loaded_or_run(start_node, session_harness, model):
    """The node comes up, says what is wrong, and works once it is mended."""
    node = start_node(COLOR_NODE, f"model:={model}")
    harness = session_harness
    harness.camera.running = True
    for _ in range(2):
        result = harness.say("the red cube")
        assert status(result) is Status.MODEL_ERROR
        assert model in result.message
    harness.set(model="colors")
    assert status(harness.say("the red cube")) is Status.SUCCEEDED
    assert node.interrupt() == 0
    assert "Traceback" not in node.output


@pytest.mark.parametrize("parameter", ["max_input_age_s:=-5.0", "sync_queue:=many", "image_transport:=pigeon"])
def test_wrong_parameters_at_the_start_end_the_node_with_a_reason(start_node, parameter):
    node = start_node(REAL_NODE, parameter, connect=False)
    assert node.process.wait(20) == 1
    time.sleep(0.2)
    assert parameter.split(":=")[0] in node.output
    assert "Traceback" not in node.output


@pytest.mark.parametrize("when", ["idle", "loading", "answering", "tracking"])
def test_ctrl_c(start_node, session_harness, when):
    model = {"loading": "loads-slowly:30", "answering": "slow:30"}.get(when, "colors")
    node: NodeProcess = start_node(COLOR_NODE, f"model:={model}")
    harness = session_harness
    if when == "answering":  # the warm-up is already inside the model
        harness.publish_command("the red cube")
    if when == "tracking":
        harness.wait_images()
        harness.received["result"].clear()
        harness.track("the red cube")
        harness.wait(lambda: harness.received["result"])
    started = time.monotonic()
    code = node.interrupt()
    assert time.monotonic() - started < 2.0
    assert code == 0, node.output
    assert "Traceback" not in node.output
    assert "Exception" not in node.output


@pytest.mark.parametrize(
    ("model", "again"), [("colors", signal.SIGINT), ("colors", signal.SIGTERM), ("slow:30", signal.SIGINT)]
)
def test_interrupted_again_and_again(start_node, model, again):
    """An impatient user's second Ctrl-C, or what a launch system sends after one, finds the node anywhere in its end."""
    node = start_node(COLOR_NODE, f"model:={model}")
    node.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 5.0
    while node.alive and time.monotonic() < deadline:
        node.process.send_signal(again)
        time.sleep(0.002)
    assert node.process.wait(0.1) == 0
    assert "Traceback" not in node.output


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="shared memory is elsewhere on this system")
def test_ctrl_c_leaves_no_shared_memory_behind(start_node):
    """Fast DDS's segments are tens of megabytes with images; what a node does not free stays until the machine restarts."""
    before = set(SHARED_MEMORY.glob("fastrtps_*"))
    node = start_node(COLOR_NODE, "model:=colors")
    assert node.interrupt() == 0
    assert set(SHARED_MEMORY.glob("fastrtps_*")) - before == set()


def test_without_autostart_it_waits_to_be_asked(start_node, session_harness):
    node = start_node(COLOR_NODE, "model:=colors", "autostart:=false")
    harness = session_harness
    assert harness.state() == "unconfigured"
    assert status(harness.say("the red cube")) is Status.CANCELED
    assert harness.transition("configure")
    assert harness.transition("activate")
    harness.wait_images()
    assert status(harness.say("the red cube")) is Status.SUCCEEDED
    assert harness.transition("deactivate")
    assert harness.transition("cleanup")
    assert harness.transition("shutdown")
    assert node.interrupt() == 0
    assert "Traceback" not in node.output
