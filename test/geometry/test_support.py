"""The plane things stand on, and walls, on which nothing stands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.evaluation.synthetic import TableBox, looking_down, table_scene
from vlm_perception.geometry.support import fit_support_plane
from vlm_perception.types import CameraIntrinsics

SMALL = CameraIntrinsics(320, 240, 277.0, 277.0, 159.5, 119.5)
BOXES = [
    TableBox("box", (200, 0, 0), (0.0, 0.1), (0.1, 0.1, 0.15)),
    TableBox("box", (0, 0, 200), (0.1, -0.1), (0.1,) * 3),
]


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


@settings(max_examples=15, deadline=None)
@given(pitch=st.floats(0.4, np.pi / 2), height=st.floats(0.4, 1.2), noise=st.sampled_from([0.0, 0.002]))
def test_the_table_is_found_from_anywhere_above(pitch, height, noise):
    T_world_camera = looking_down(height, pitch)
    description, images, _ = table_scene(BOXES, T_world_camera=T_world_camera, camera=SMALL)
    rng = np.random.default_rng(0)
    depth = images.depth_m + (rng.normal(0, noise, images.depth_m.shape) * images.depth_m**2).astype(np.float32)
    depth[images.depth_m == 0] = 0
    plane = fit_support_plane(depth, images.camera)
    assert plane is not None
    assert angle_deg(plane.normal, description.up_camera) < 1.0
    assert plane.offset_m == pytest.approx(height, abs=0.01)
    assert np.linalg.norm(plane.normal) == pytest.approx(1.0)
    position = description.instance(1).body_position_m
    assert plane.height_m(position[None])[0] == pytest.approx(0.075, abs=0.01)


def wall_and_table(wall_share: float):
    """A level camera: a table below, a wall at 1.2 m that fills the upper part of the picture."""
    v, _ = np.indices((240, 320), dtype=float)
    with np.errstate(divide="ignore"):
        table = np.where(v > SMALL.cy, 0.3 * SMALL.fy / (v - SMALL.cy), np.inf)
    distance = 0.3 * SMALL.fy / (240 * wall_share - SMALL.cy)
    return np.minimum(table, distance).astype(np.float32)


def test_a_wall_is_refused_when_a_hint_says_otherwise():
    depth = wall_and_table(0.75)
    up = np.array([0.0, -1.0, 0.0])
    plane = fit_support_plane(depth, SMALL, up_hint=up)
    assert plane is not None
    assert angle_deg(plane.normal, up) < 1.0
    assert plane.offset_m == pytest.approx(0.3, abs=0.01)
    only_wall = np.full((240, 320), 1.2, np.float32)
    assert fit_support_plane(only_wall, SMALL, up_hint=up) is None


def test_a_ceiling_or_a_side_wall_is_no_support_even_without_a_hint():
    description, images, _ = table_scene([], camera=SMALL)
    assert description.up_camera[1] < -0.5
    upside_down = np.ascontiguousarray(images.depth_m[::-1])
    assert fit_support_plane(upside_down, SMALL) is None
    sideways = np.ascontiguousarray(images.depth_m.T)
    assert fit_support_plane(sideways, CameraIntrinsics(240, 320, 277.0, 277.0, 119.5, 159.5)) is None


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf])
def test_without_depth_there_is_no_plane(nothing):
    assert fit_support_plane(np.full((240, 320), nothing, np.float32), SMALL) is None


def test_clutter_is_no_plane():
    rng = np.random.default_rng(0)
    assert fit_support_plane(rng.uniform(0.5, 3, (240, 320)).astype(np.float32), SMALL) is None


def test_it_is_deterministic():
    _, images, _ = table_scene(BOXES, camera=SMALL)
    one, other = (fit_support_plane(images.depth_m, SMALL) for _ in range(2))
    np.testing.assert_array_equal(one.normal, other.normal)
    assert one.offset_m == other.offset_m
