"""What the RViz configuration shows is what the running nodes offer: topic, type, QoS, namespaces, fixed frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from vlm_perception.msg import GroundedObject, GroundingResult

from vlm_perception.resources import config_path
from vlm_perception.ros.client import CommandClient
from vlm_perception.ros.demo_processes import Processes, isolate
from vlm_perception.ros.markers import to_markers

CONFIG = yaml.safe_load(config_path("vlm_perception.rviz").read_text(encoding="utf-8"))
MANAGER = CONFIG["Visualization Manager"]
TYPES = {
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Pose": "geometry_msgs/msg/PoseStamped",
}
WITH_TOPIC = [display for display in MANAGER["Displays"] if "Topic" in display]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandClient]:
    """A node beside a running player and a running perception node."""
    kept = {name: os.environ.get(name) for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
    isolate()
    try:
        with Processes(tmp_path_factory.mktemp("log")) as processes:
            processes.start("player", "vlm_perception.ros.rgbd_player_node", {"rate_hz": "1.0"})
            processes.start("node", "vlm_perception.ros.perception_node", {"autostart": "false"})
            with CommandClient() as client:
                client.connect(30.0)
                expected = {display["Topic"]["Value"] for display in WITH_TOPIC}
                client.spin_until(lambda: all(client.node.count_publishers(topic) for topic in expected), 10.0)
                yield client
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def qos_of(topic: dict[str, Any]) -> QoSProfile:
    return QoSProfile(
        depth=topic["Depth"],
        history={"Keep Last": HistoryPolicy.KEEP_LAST}[topic["History Policy"]],
        reliability={
            "Reliable": ReliabilityPolicy.RELIABLE,
            "Best Effort": ReliabilityPolicy.BEST_EFFORT,
        }[topic["Reliability Policy"]],
        durability={
            "Volatile": DurabilityPolicy.VOLATILE,
            "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL,
        }[topic["Durability Policy"]],
    )


@pytest.mark.integration
@pytest.mark.parametrize("display", WITH_TOPIC, ids=lambda display: display["Name"])
def test_display_hears_what_is_offered(graph: CommandClient, display: dict[str, Any]) -> None:
    topic = display["Topic"]
    offered = graph.node.get_publishers_info_by_topic(topic["Value"])
    assert offered, f"nobody publishes {topic['Value']}"
    for publisher in offered:
        assert publisher.topic_type == TYPES[display["Class"]]
        compatible, reason = qos_check_compatible(publisher.qos_profile, qos_of(topic))
        assert compatible != QoSCompatibility.ERROR, reason
        latched = publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert latched == (topic["Durability Policy"] == "Transient Local"), "a latched topic is asked for as such"


def test_everything_is_shown() -> None:
    assert {display["Name"] for display in WITH_TOPIC} == {
        "Camera", "Overlay", "Attention", "Target points", "Target boxes", "Target pose",
    }  # fmt: skip
    assert {"rviz_default_plugins/TF", "rviz_default_plugins/Grid"} <= {d["Class"] for d in MANAGER["Displays"]}
    shown = {display["Name"]: (display["Enabled"], display["Value"]) for display in MANAGER["Displays"]}
    assert shown.pop("Attention") == (False, False), "a heatmap costs a pass of the model"
    assert set(shown.values()) == {(True, True)}
    assert "Best Effort" in WITH_TOPIC[0]["Topic"]["Reliability Policy"], "cameras often offer no more"


def test_marker_namespaces_are_those_that_are_published() -> None:
    (display,) = (d for d in MANAGER["Displays"] if d["Class"] == "rviz_default_plugins/MarkerArray")
    plate = GroundedObject(id="plate_1", role=GroundedObject.ROLE_DESTINATION, has_pose=True, has_place=True)
    array, _ = to_markers(GroundingResult(targets=[plate]), set())
    published = {marker.ns for marker in array.markers}
    assert set(display["Namespaces"]) == published


def test_fixed_frame_is_that_of_the_recording() -> None:
    from vlm_perception.ros.player_sources import open_source

    assert MANAGER["Global Options"]["Fixed Frame"] == "world"
    source = open_source("", world_frame="world", camera_frame="camera")
    (frame,) = source.frames("0")
    assert frame.transforms[0].header.frame_id == "world"
