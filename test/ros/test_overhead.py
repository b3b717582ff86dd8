"""The benchmark's calls are the node's own work, on what a node gets and gives."""

import numpy as np
import pytest

from vlm_perception.evaluation.bench import COMMAND, five_boxes
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.pipeline import Pipeline
from vlm_perception.ros.overhead import node_calls


def test_calls_convert_the_frame_and_speak_of_every_object(tmp_path):
    frame = five_boxes(tmp_path).frames[0]
    images = frame.load()
    answer = Pipeline(OracleModel(frame), None).answer(images, COMMAND, up_camera=frame.up_camera)
    calls = node_calls(images, answer)
    color_rgb, depth_m, camera = calls["conversions"]()
    assert np.array_equal(color_rgb, images.color_rgb)
    assert depth_m == pytest.approx(np.nan_to_num(images.depth_m), abs=5.1e-4)
    assert (camera.fx, camera.width) == (images.camera.fx, images.camera.width)
    result, pose, detections, label_info = calls["messages"]()
    markers, labels, points = calls["viewers"]()
    assert len(result.targets) == len(answer.groundings)
    assert pose is not None
    assert len(detections.detections) == len(answer.groundings)
    assert len(label_info.class_map) == 5
    assert {marker.ns for marker in markers[0].markers} >= {"boxes", "names", "axes"}
    assert (labels.width, labels.height) == (640, 480)
    assert points.width == answer.targets[0].object.geometry.num_points
    picture = calls["drawing"]()
    assert bytes(picture.data) != images.color_rgb.tobytes()
