"""Images get through on a busy machine, because the player asks for shared memory that they fit into."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from vlm_perception.resources import config_path
from vlm_perception.ros.demo_processes import Processes, free_domain
from vlm_perception.ros.image_transport_memory import make_room_for_images

VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")  # so that it is put back afterwards
        monkeypatch.delenv(variable)


def test_the_profiles_are_chosen_for_either_fast_dds() -> None:
    make_room_for_images()
    assert {os.environ[variable] for variable in VARIABLES} == {str(config_path("fastdds.xml"))}


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_users_own_profiles_stay(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "/home/me/mine.xml")
    make_room_for_images()
    assert [os.environ.get(name) for name in VARIABLES if name != variable] == [None]
    assert os.environ[variable] == "/home/me/mine.xml"


def test_the_segment_holds_several_images() -> None:
    sizes = [int(e.text or 0) for e in ET.parse(config_path("fastdds.xml")).iter() if e.tag.endswith("segment_size")]
    assert sizes and min(sizes) >= 5 * 1920 * 1080 * 3  # five full-HD color images


@pytest.fixture
def busy_machine() -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.integration
def test_a_busy_machine_loses_few_images(busy_machine: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context)
    node = Node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    stamps: list[int] = []

    def receive(message: Image) -> None:
        stamps.append(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)

    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "/color/image_raw", receive, qos)
    with Processes(tmp_path) as processes:
        processes.start("player", "vlm_perception.ros.rgbd_player_node", {"rate_hz": "10.0"})
        deadline = time.monotonic() + 40
        while len(stamps) < 30 and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
    assert len(stamps) >= 30
    sent = (stamps[-1] - stamps[0]) * 1e-9 * 10.0 + 1
    assert len(stamps) / sent > 0.8
