"""The 3-D view holds what the frame and the answer hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cube_scene import CAMERA, ColorModel, scene

from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import VlmPerceptionError

o3d = pytest.importorskip("open3d")
view3d = pytest.importorskip("vlm_perception.view3d")


def test_scene_file_has_every_valid_pixel_where_it_belongs(tmp_path: Path) -> None:
    frame = scene()
    assert frame.depth_m is not None
    frame.depth_m[:10] = 0.0
    assert view3d.write_scene(tmp_path / "scene.ply", frame) == 230 * 320
    cloud = o3d.io.read_point_cloud(str(tmp_path / "scene.ply"))
    points_m = np.asarray(cloud.points)
    assert points_m[:, 2].min() == pytest.approx(0.8, abs=1e-6)
    back = points_m[:, 0] / points_m[:, 2] * CAMERA.fx + CAMERA.cx
    assert back.min() == pytest.approx(0.0, abs=1e-3)
    assert back.max() == pytest.approx(319.0, abs=1e-3)


def test_answer_shapes_are_the_oriented_boxes() -> None:
    answer = Pipeline(ColorModel(), DepthGrabCut()).answer(scene(), "the green cube")
    geometry = answer.targets[0].object.geometry
    assert geometry is not None
    box, axes = view3d.answer_shapes(answer)
    np.testing.assert_allclose(box.center, geometry.center_m)
    np.testing.assert_allclose(np.sort(box.extent), np.sort(np.maximum(geometry.size_m, 1e-3)))
    assert np.linalg.norm(axes.get_center() - geometry.center_m) < 0.1


def test_no_depth_and_bad_suffix_are_explained(tmp_path: Path) -> None:
    with pytest.raises(VlmPerceptionError, match="has none"):
        view3d.write_scene(tmp_path / "scene.ply", replace(scene(), depth_m=None))
    with pytest.raises(VlmPerceptionError, match="no pixel"):
        view3d.write_scene(tmp_path / "scene.ply", replace(scene(), depth_m=np.zeros((240, 320), np.float32)))
    with pytest.raises(VlmPerceptionError, match=r"\.pcd"):
        view3d.write_scene(tmp_path / "scene.nonsense", scene())
