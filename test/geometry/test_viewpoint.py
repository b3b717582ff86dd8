"""Viewpoints are right-handed in the viewer's sense, and say what people mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.geometry.viewpoint import camera_viewpoint, frame_viewpoint

_UNIT = st.floats(-1.0, 1.0, allow_nan=False)


def test_without_gravity_it_is_the_image() -> None:
    view = camera_viewpoint()
    assert not view.up_known
    assert view.right.tolist() == [1, 0, 0]
    assert view.up.tolist() == [0, -1, 0]


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, 60.0, 85.0, 90.0])
def test_tilted_camera_keeps_right_and_looks_along_the_table(tilt_deg: float) -> None:
    tilt = np.radians(tilt_deg)
    up_camera = np.array([0.0, -np.cos(tilt), -np.sin(tilt)])  # looking down by the tilt
    view = camera_viewpoint(3.0 * up_camera)
    assert view.up_known
    np.testing.assert_allclose(view.right, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(view.up, up_camera, atol=1e-9)
    # Further along the table is further up in the image, whatever the tilt.
    assert view.forward[1] <= 1e-9
    assert view.forward @ up_camera == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(_UNIT, _UNIT, _UNIT)
def test_axes_are_orthonormal(x: float, y: float, z: float) -> None:
    up = np.array([x, y, z])
    if np.linalg.norm(up) < 1e-3:
        return
    view = camera_viewpoint(up)
    axes = np.stack([view.right, view.up, view.forward])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.cross(view.forward, view.up), view.right, atol=1e-6)


@pytest.mark.parametrize("up", [[0, 0, 0], [np.nan, 0, 1]])
def test_no_direction_is_refused(up: list[float]) -> None:
    with pytest.raises(ValueError, match="finite vector"):
        camera_viewpoint(np.array(up, dtype=float))


def test_body_frame_is_rep_103() -> None:
    # A base 1 m in front of the camera that faces it: its left is the camera's left... mirrored.
    T_camera_base = np.eye(4)
    T_camera_base[:3, :3] = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    T_camera_base[:3, 3] = [0.0, 0.3, 1.0]
    view = frame_viewpoint(T_camera_base, "base_link")
    np.testing.assert_allclose(view.forward, [0, 0, -1])
    np.testing.assert_allclose(view.up, [0, -1, 0])
    np.testing.assert_allclose(view.right, [-1, 0, 0])
    np.testing.assert_allclose(np.cross(view.forward, view.up), view.right, atol=1e-12)
    assert view.frame == "base_link"
