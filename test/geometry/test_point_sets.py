"""Points of several objects at once, against each object by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.evaluation.synthetic import TableBox, table_scene
from vlm_perception.geometry.localize import GeometrySettings, localize, localize_all
from vlm_perception.geometry.point_sets import PointSets
from vlm_perception.geometry.window import mask_window
from vlm_perception.types import CameraIntrinsics


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_statistics_are_those_of_each_part(counts, seed):
    rng = np.random.default_rng(seed)
    total = sum(counts)
    sets = PointSets(rng.integers(0, 640, (2, total)), rng.normal(size=(3, total)) + 1.0, np.array(counts))
    assert [part.stop - part.start for part in sets.slices] == counts
    keep = rng.random(total) < 0.5
    keep[sets.starts] = True
    for part, mean, spread, middle, kept in zip(
        sets.slices, sets.means.T, sets.spreads, sets.middles, sets.count(keep), strict=True
    ):
        own = sets.xyz[:, part]
        np.testing.assert_allclose(mean, own.mean(axis=1))
        expected = np.cov(own) if own.shape[1] > 1 else np.zeros((3, 3))
        np.testing.assert_allclose(spread, expected, atol=1e-12)
        away = np.linalg.norm(sets.uv[:, part] - sets.uv[:, part].mean(axis=1, keepdims=True), axis=0)
        assert away[middle - part.start] == pytest.approx(away.min())
        assert kept == np.count_nonzero(keep[part])
    np.testing.assert_array_equal(sets.take(keep).xyz, sets.xyz[:, keep])


@pytest.mark.parametrize("known_up", [True, False])
@pytest.mark.parametrize("distorted", [True, False])
@pytest.mark.parametrize("at_most", [20_000, 300])
def test_all_at_once_are_each_by_itself(known_up, distorted, at_most):
    boxes = [
        TableBox("red box", (200, 40, 40), (0.05, 0.18), (0.08, 0.06, 0.05), yaw=0.3),
        TableBox("blue box", (40, 60, 200), (0.0, -0.02), (0.03, 0.02, 0.02), yaw=0.9),
    ]
    scene, images, ids = table_scene(boxes)
    depth = images.depth_m.copy()
    blind = ids == 2
    blind[:, : int(np.median(np.nonzero(blind)[1]))] = False
    depth[blind] = 0.0
    camera = images.camera
    if distorted:
        lens = ("plumb_bob", (0.1, -0.05, 0.001, 0.0, 0.0))
        camera = CameraIntrinsics(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *lens)
    speck = np.zeros_like(ids, dtype=bool)
    speck[100, 100] = True
    masks = [ids == 1, np.zeros_like(speck), None, ids == 2, speck, ids > 0]
    windows = [None if mask is None else mask_window(mask) for mask in masks]
    up = scene.up_camera if known_up else None
    settings = GeometrySettings(max_points=at_most)
    together = localize_all(masks, windows, depth, camera, up=up, settings=settings)
    assert [result.geometry is not None for result in together] == [True, False, False, True, False, True]
    for mask, result in zip(masks, together, strict=True):
        if mask is None:
            continue
        alone = localize(mask, depth, camera, up=up, settings=settings)
        assert (alone.reason, alone.valid_depth_fraction) == (result.reason, result.valid_depth_fraction)
        if result.geometry is None:
            continue
        assert result.geometry.num_points <= at_most
        for name in ("points_m", "pixels_uv", "center_m", "R_camera_object", "size_m", "covariance",
                     "surface_point_m", "surface_centroid_m"):  # fmt: skip
            np.testing.assert_allclose(
                getattr(result.geometry, name), getattr(alone.geometry, name), rtol=1e-6, atol=1e-9, err_msg=name
            )
