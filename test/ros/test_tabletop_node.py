"""The node with the model that ships, on the recorded frames that ship: no stand-ins at all."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")
from perception_harness import REAL_NODE, status
from std_msgs.msg import Header
from vlm_perception.srv import Ground

from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.resources import asset_path
from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.types import Status

RECORDING = asset_path("recordings/libero_90")
pytestmark = pytest.mark.skipif(
    not (asset_path("tabletop") / "config.json").is_file(), reason="the tabletop checkpoint is not there"
)


def test_categories_of_the_shipped_frames(start_node, session_harness):
    """Each thing's surface within 2 cm of the truth, for at least two thirds of the shipped category expressions."""
    start_node(REAL_NODE)
    dataset = load_rgbd_rec(RECORDING)
    right, wrong = 0, []
    for expression in [e for e in dataset.expressions if e.kind == "category" and len(e.targets) == 1]:
        recorded = dataset.frame(expression.frame_id)
        frame = recorded.load()
        header = Header(frame_id=frame.frame_id)
        request = Ground.Request(
            command=expression.expression,
            use_images=True,
            color=rgb_to_image(frame.color_rgb, header),
            depth=depth_to_image(frame.depth_m, "32FC1", header),
            camera_info=intrinsics_to_camera_info(frame.camera, header),
        )
        result = session_harness.call("ground", request, 60.0).result
        (truth,) = (i for i in recorded.instances if i.id == expression.targets[0])
        found = [np.array([p.x, p.y, p.z]) for p in (t.surface_centroid for t in result.targets if t.has_pose)]
        if status(result) is Status.SUCCEEDED and np.linalg.norm(found[0] - truth.visible_centroid_m) < 0.02:
            right += 1
        else:
            wrong.append((expression.frame_id, expression.expression, status(result).name, result.message))
    assert right >= 2 * len(wrong), wrong
    assert right > 0
