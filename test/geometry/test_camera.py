"""Project and deproject are each other's inverse, for every lens."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.geometry.camera import deproject, is_distorted, project
from vlm_perception.types import CameraIntrinsics, ImageError

LENSES = {
    "pinhole": ("", ()),
    "plumb_bob zeros": ("plumb_bob", (0.0,) * 5),
    "plumb_bob": ("plumb_bob", (-0.28, 0.07, 0.0002, -0.0005, 0.0)),
    "rational": ("rational_polynomial", (0.6, -2.6, 1e-4, -3e-4, 1.5, 0.5, -2.4, 1.4)),
    "equidistant": ("equidistant", (-0.007, 0.02, -0.02, 0.006)),
}


def make_camera(lens: str) -> CameraIntrinsics:
    model, coefficients = LENSES[lens]
    return CameraIntrinsics(640, 480, 525.0, 520.0, 318.2, 241.7, model, coefficients)


@pytest.mark.parametrize("lens", LENSES)
@settings(max_examples=60, deadline=None)
@given(u=st.floats(0, 639), v=st.floats(0, 479), depth=st.floats(0.2, 8.0))
def test_a_pixel_survives_the_way_to_space_and_back(lens, u, v, depth):
    camera = make_camera(lens)
    point = deproject(np.array([[u, v]]), np.array([depth]), camera)
    assert point[0, 2] == depth
    np.testing.assert_allclose(project(point, camera), [[u, v]], atol=1e-4)


@pytest.mark.parametrize("lens", LENSES)
def test_whole_pixels_go_the_cached_way_and_agree_with_the_direct_one(lens):
    camera = make_camera(lens)
    rng = np.random.default_rng(3)
    pixels = np.column_stack((rng.integers(0, 640, 200), rng.integers(0, 480, 200)))
    depth = rng.uniform(0.3, 3, 200)
    np.testing.assert_allclose(
        deproject(pixels, depth, camera), deproject(pixels.astype(float), depth, camera), atol=1e-9
    )


@pytest.mark.parametrize("lens", ["plumb_bob", "rational"])
def test_projection_is_opencvs(lens):
    camera = make_camera(lens)
    points = np.random.default_rng(0).uniform([-0.4, -0.3, 0.8], [0.4, 0.3, 2.0], (50, 3))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, np.array(camera.distortion))
    np.testing.assert_allclose(project(points, camera), expected.reshape(-1, 2), atol=1e-9)


def test_fisheye_without_coefficients_set_to_anything_is_still_no_pinhole():
    camera = CameraIntrinsics(640, 480, 300.0, 300.0, 320.0, 240.0, "equidistant", (0.0, 0.0, 0.0, 0.0))
    assert is_distorted(camera)
    # Equidistant: the distance from the centre is the angle, so 45 degrees is f * pi / 4.
    np.testing.assert_allclose(project(np.array([[1.0, 0.0, 1.0]]), camera), [[320 + 300 * np.pi / 4, 240]])


def test_pinhole_by_hand():
    camera = make_camera("pinhole")
    np.testing.assert_allclose(project(np.array([[0.1, -0.2, 2.0]]), camera), [[344.45, 189.7]])


def test_points_behind_the_camera_have_no_pixel():
    points = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.1, 0.0, 1.0], [np.nan, 0.0, 1.0]])
    for lens in LENSES:
        pixels = project(points, make_camera(lens))
        assert np.isnan(pixels[[0, 1, 3]]).all(), lens
        assert np.isfinite(pixels[2]).all(), lens


@pytest.mark.parametrize("lens", LENSES)
def test_no_points_are_no_pixels(lens):
    camera = make_camera(lens)
    assert project(np.zeros((0, 3)), camera).shape == (0, 2)
    assert deproject(np.zeros((0, 2)), np.zeros(0), camera).shape == (0, 3)
    assert deproject(np.zeros((0, 2), dtype=np.int64), np.zeros(0), camera).shape == (0, 3)


def test_an_unknown_lens_is_named():
    camera = CameraIntrinsics(640, 480, 525.0, 525.0, 320.0, 240.0, "omni", (0.1, 0.2))
    with pytest.raises(ImageError, match="omni"):
        project(np.array([[0.0, 0.0, 1.0]]), camera)


def test_a_fisheye_with_five_coefficients_is_refused():
    camera = CameraIntrinsics(640, 480, 525.0, 525.0, 320.0, 240.0, "equidistant", (0.1,) * 5)
    with pytest.raises(ImageError, match="4 distortion coefficients, not 5"):
        project(np.array([[0.0, 0.0, 1.0]]), camera)
