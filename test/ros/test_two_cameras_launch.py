"""launch/two_cameras.launch.xml, the parameters beside it, the model that ships, and two players: no stand-ins at all."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
from perception_harness import ROOT, NodeProcess, status, wait_arriving

from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.resources import asset_path
from vlm_perception.types import Status

RECORDING = asset_path("recordings", "libero_90")
RUNNER = (sys.executable, str(ROOT / "underlay" / "tools" / "launch_xml.py"))
LAUNCH_FILE = ROOT / "launch" / "two_cameras.launch.xml"


def point(message) -> np.ndarray:
    return np.array([message.x, message.y, message.z])


@pytest.mark.skipif(
    not (asset_path("tabletop") / "config.json").is_file(), reason="the tabletop checkpoint is not there"
)
def test_two_recorded_cameras(ros_env, start_node, session_harness):
    """What only one of them shows is found where it is in the world; and one may go away."""
    harness = session_harness
    dataset = load_rgbd_rec(RECORDING)
    shown = {"front": "libero_90-71-00", "wrist": "libero_90-30-00"}
    players = {
        name: NodeProcess(
            (sys.executable, str(ROOT / "scripts" / "rgbd_player_node"), "--ros-args", "-r", f"__ns:=/{name}_camera"),
            f"frame:={frame}", f"camera_frame:={name}_optical", "rate_hz:=5.0", env=ros_env,
        )
        for name, frame in shown.items()
    }  # fmt: skip
    topics = [
        f"{name}_{topic}_topic:=/{name}_camera/{where}"
        for name in shown
        for topic, where in (("image", "color/image_raw"), ("depth", "depth/image_raw"), ("info", "color/camera_info"))
    ]
    launched = start_node((*RUNNER, str(LAUNCH_FILE), "target_frame:=world", *topics), connect=False)
    try:
        harness.connect(launched, 90.0)
        harness.wait(lambda: harness.diagnostic("model") and "is ready" in harness.diagnostic("model").message, 200.0)
        wait_arriving(harness, *shown)
        for name, command, label in (("front", "the red mug", "red mug"), ("wrist", "the black bowl", "black bowl")):
            result = harness.say(command, 60.0)
            assert status(result) is Status.SUCCEEDED, result.message
            assert result.message.startswith(f"Camera '{name}': ")
            recorded = dataset.frame(shown[name])
            (truth,) = (i for i in recorded.instances if label in i.labels)
            T = recorded.T_world_camera
            expected_m = T[:3, :3] @ truth.visible_centroid_m + T[:3, 3]
            assert result.header.frame_id == "world"
            assert np.linalg.norm(point(result.targets[0].surface_centroid) - expected_m) < 0.02
        players["wrist"].end()
        time.sleep(1.5)
        result = harness.say("the red mug", 60.0)
        assert status(result) is Status.SUCCEEDED, result.message
        assert "(Camera 'wrist': STALE_INPUT. " in result.message
        assert "/wrist_camera/color/image_raw" in result.message
    finally:
        for process in players.values():
            process.end()
            print(process.output)
