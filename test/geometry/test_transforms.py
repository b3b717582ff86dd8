"""The group axioms, and rigid bodies that keep their size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vlm_perception.geometry.transforms import (
    compose,
    invert,
    make_transform,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rotate_covariance,
    transform_geometry,
    transform_points,
)
from vlm_perception.types import ObjectGeometry

quick = settings(max_examples=60, deadline=None)
vectors = st.tuples(*[st.floats(-5, 5)] * 3).map(np.array)
rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
transforms = st.builds(lambda r, t: make_transform(r.as_matrix(), t), rotations, vectors)


@quick
@given(transforms, transforms, transforms)
def test_transforms_are_a_group(a, b, c):
    np.testing.assert_allclose(compose(a, invert(a)), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(compose(compose(a, b), c), compose(a, compose(b, c)), atol=1e-9)
    np.testing.assert_allclose(invert(compose(a, b)), compose(invert(b), invert(a)), atol=1e-9)
    np.testing.assert_array_equal(compose(), np.eye(4))


@quick
@given(transforms, transforms, st.lists(vectors, min_size=1, max_size=4).map(np.array))
def test_moving_points_step_by_step_or_at_once_is_the_same(a, b, points):
    np.testing.assert_allclose(
        transform_points(a, transform_points(b, points)), transform_points(compose(a, b), points), atol=1e-8
    )
    np.testing.assert_allclose(transform_points(a, points[0]), transform_points(a, points)[0], atol=1e-12)


@quick
@given(rotations)
def test_quaternions_are_scipys(rotation):
    quaternion = matrix_to_quaternion(rotation.as_matrix())
    expected = rotation.as_quat(canonical=True)
    assert abs(float(quaternion @ expected)) == pytest.approx(1.0, abs=1e-12)
    assert quaternion[3] >= 0
    np.testing.assert_allclose(quaternion_to_matrix(quaternion), rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(quaternion_to_matrix(-3 * quaternion), rotation.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_have_quaternions_too(axis):
    R = np.diag([1.0 if i == axis else -1.0 for i in range(3)])
    np.testing.assert_allclose(quaternion_to_matrix(matrix_to_quaternion(R)), R, atol=1e-12)


@pytest.mark.parametrize("bad", [[0.0] * 4, [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_a_quaternion_nobody_filled_in_is_refused(bad):
    with pytest.raises(ValueError, match="filled in"):
        quaternion_to_matrix(np.array(bad))


def test_a_rotated_covariance_is_that_of_rotated_samples():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 6))
    covariance = half @ half.T
    samples = rng.multivariate_normal(np.zeros(6), covariance, 200_000)
    R = Rotation.from_euler("xyz", [0.3, -0.8, 1.9]).as_matrix()
    rotated = np.hstack((samples[:, :3] @ R.T, samples[:, 3:] @ R.T))
    np.testing.assert_allclose(
        rotate_covariance(covariance, R), np.cov(rotated.T), atol=0.02 * np.abs(covariance).max()
    )


@quick
@given(transforms)
def test_a_rigid_body_keeps_its_sizes_and_distances(T):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 3))
    geometry = ObjectGeometry(
        points_m=points,
        pixels_uv=np.zeros((20, 2), np.int64),
        center_m=points.mean(axis=0),
        R_camera_object=Rotation.from_euler("z", 0.4).as_matrix(),
        size_m=np.array([0.1, 0.2, 0.3]),
        covariance=np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        surface_point_m=points[3],
        surface_centroid_m=points.mean(axis=0),
        valid_depth_fraction=0.9,
    )
    moved = transform_geometry(T, geometry)
    np.testing.assert_array_equal(moved.size_m, geometry.size_m)
    np.testing.assert_allclose(moved.points_m[3], moved.surface_point_m, atol=1e-9)
    # What is where in the object's own axes does not change.
    before = (geometry.points_m - geometry.center_m) @ geometry.R_camera_object
    after = (moved.points_m - moved.center_m) @ moved.R_camera_object
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert np.trace(moved.covariance) == pytest.approx(np.trace(geometry.covariance))
