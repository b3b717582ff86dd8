"""Boxes around points, against what a search over all turns finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.geometry.box import oriented_boxes

SHAPES = {
    "cloud": lambda rng, n: rng.normal(size=(n, 3)) * (0.05, 0.03, 0.02),
    "block": lambda rng, n: rng.uniform(-0.5, 0.5, (n, 3)) * (0.12, 0.05, 0.08),
    "disc": lambda rng, n: np.column_stack(
        (*(0.04 * np.sqrt(rng.random(n)) * f(rng.uniform(0, 2 * np.pi, n)) for f in (np.cos, np.sin)), np.zeros(n))
    ),
    "line": lambda rng, n: np.outer(rng.random(n), (0.1, 0.02, 0.0)),
    "one point, many times": lambda rng, n: np.zeros((n, 3)),
}


def least_footprint(points, turns=720):
    """Area of the smallest upright rectangle around x and y, tried at every quarter of a degree."""
    angles = np.arange(turns) * np.pi / 2 / turns
    along = np.stack((np.cos(angles), np.sin(angles))).T @ points[:, :2].T
    across = np.stack((-np.sin(angles), np.cos(angles))).T @ points[:, :2].T
    return float((np.ptp(along, axis=1) * np.ptp(across, axis=1)).min())


@settings(max_examples=80, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    count=st.sampled_from([1, 2, 3, 40, 199, 200, 3000]),
    seed=st.integers(0, 10_000),
    up=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1),
)
def test_an_upright_box_holds_every_point_and_no_turn_of_it_is_smaller(shape, count, seed, up):
    rng = np.random.default_rng(seed)
    upright = SHAPES[shape](rng, count)
    z = np.array(up) / np.linalg.norm(up)
    x = np.cross(z, (1.0, 0.0, 0.0) if abs(z[0]) < 0.9 else (0.0, 1.0, 0.0))
    x /= np.linalg.norm(x)
    turned = upright @ np.array((x, np.cross(z, x), z)) + (0.1, -0.05, 0.8)
    for points in (turned, np.asfortranarray(turned)):
        (box,) = oriented_boxes(points.T, [slice(None)], np.array(up) * 9.81)
        np.testing.assert_allclose(box.R.T @ box.R, np.eye(3), atol=1e-9)
        assert np.linalg.det(box.R) == pytest.approx(1.0)
        np.testing.assert_allclose(box.R[:, 2], z, atol=1e-9)
        inside = (points - box.center_m) @ box.R
        assert (np.abs(inside) <= box.size_m / 2 + 1e-8).all()
        np.testing.assert_allclose(np.abs(inside).max(axis=0), box.size_m / 2, atol=1e-8)  # and touches them
        assert box.size_m[0] * box.size_m[1] <= least_footprint(upright) * 1.001 + 1e-9
        assert box.R[0, 0] >= -1e-9


@pytest.mark.parametrize("size", [(0.2, 0.1, 0.05), (0.05, 0.2, 0.1)])
def test_without_up_the_smallest_box_is_found(size):
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    faces = rng.uniform(-0.5, 0.5, (6, 400, 3))
    for face, points in enumerate(faces):
        points[:, face // 2] = 0.5 if face % 2 else -0.5
    points = faces.reshape(-1, 3) * size @ turn.T + (0.0, 0.0, 1.0)
    (box,) = oriented_boxes(points.T, [slice(None)], None)
    assert sorted(box.size_m) == pytest.approx(sorted(size), rel=0.03)
    assert ((np.abs((points - box.center_m) @ box.R)) <= box.size_m / 2 + 1e-8).all()
    assert box.R[1, 2] <= 0  # z is whichever axis is nearest to the image's up
    assert abs(box.R[1, 2]) == pytest.approx(np.abs(box.R[1]).max())
