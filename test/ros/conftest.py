"""A running node for the tests of this folder, on a ROS domain of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
sys.path.insert(0, str(Path(__file__).parent))  # perception_harness is a module of these tests

DOMAIN_ID = 1 + os.getpid() % 100
DEFAULTS = {
    "model": "colors",
    "segmenter": "depth-grabcut",
    "target_frame": "",
    "viewpoint": "camera",
    "up_frame": "",
    "max_input_age_s": 1.0,
    "input_timeout_s": 2.0,
    "sync_slop_s": 0.05,
    "image_transport": "raw",
    "depth_transport": "raw",
    "tf_timeout_s": 0.3,
    "command_queue": 100,
    "score_threshold": -1.0,
}


def pytest_collection_modifyitems(config, items):
    """Real processes with time limits: one that fails on a busy machine is run once more, and shown as rerun."""
    # Nodes that end inside a model free nothing of DDS's shared memory, which can hold up later images of this process.
    items.sort(key=lambda item: item.path.name == "test_process.py")
    if not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


@pytest.fixture(scope="session")
def ros_env():
    """Environment of every process of these tests."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return {"ROS_DOMAIN_ID": str(DOMAIN_ID), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.fixture(scope="session")
def session_harness(ros_env):
    from perception_harness import Harness

    harness = Harness(DOMAIN_ID)
    yield harness
    harness.close()


class Shared:
    """At most one node with the color models, kept from test to test while it lives."""

    def __init__(self, env: dict[str, str], harness) -> None:
        self._env, self._harness, self._process = env, harness, None

    def get(self):
        from perception_harness import COLOR_NODE, NodeProcess

        if self._process is None or not self._process.alive:
            self._harness.wait_gone()
            self._process = NodeProcess(COLOR_NODE, "model:=colors", "tf_timeout_s:=0.3", env=self._env)
            self._harness.connect(self._process)
        return self._process

    def end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


@pytest.fixture(scope="session")
def shared_node(ros_env, session_harness):
    shared = Shared(ros_env, session_harness)
    yield shared
    shared.end()


@pytest.fixture
def color_node(shared_node):
    """The node that most tests share; it must be alive after each of them."""
    return shared_node.get()


@pytest.fixture
def robot(color_node, session_harness):
    """The harness, with a node that has its default parameters, no images yet, and survives the test."""
    harness = session_harness
    harness.camera.reset()
    if harness.state() == "unconfigured":
        harness.transition("configure")
    if harness.state() == "active":  # so that every test starts without images
        harness.transition("deactivate")
    if harness.state() == "inactive":
        harness.transition("cleanup")
    accepted = harness.set(**DEFAULTS)
    assert all(ok for ok, _ in accepted), accepted
    assert harness.transition("configure")
    assert harness.transition("activate")
    for messages in harness.received.values():
        messages.clear()
    said = len(color_node.output)
    yield harness
    harness.camera.running = False
    print(color_node.output[said:])  # pytest shows it when the test fails
    assert color_node.alive, color_node.output
    assert harness.state(), "the node does not answer any more"


@pytest.fixture
def seeing(robot):
    """``robot`` with a camera that runs."""
    robot.wait_images()
    return robot


@pytest.fixture
def start_node(ros_env, session_harness, shared_node):
    """Starts a node of the test's own, which ends with the test."""
    from perception_harness import NodeProcess

    shared_node.end()
    processes = []

    def start(command, *parameters, connect=True):
        session_harness.wait_gone()
        session_harness.camera.reset()
        for messages in session_harness.received.values():
            messages.clear()
        process = NodeProcess(command, *parameters, env=ros_env)
        processes.append(process)
        if connect:
            session_harness.connect(process)
        return process

    yield start
    session_harness.camera.running = False
    for process in processes:
        process.end()
        print(process.output)
