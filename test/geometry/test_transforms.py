"""Points that move, rotations as quaternions, covariances that turn along."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vlm_perception.geometry.transforms import (
    make_transform,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rotate_covariance,
    transform_points,
)

quick = settings(max_examples=60, deadline=None)
vectors = st.tuples(*[st.floats(-5, 5)] * 3).map(np.array)
rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
transforms = st.builds(lambda r, t: make_transform(r.as_matrix(), t), rotations, vectors)


@quick
@given(transforms, transforms, st.lists(vectors, min_size=1, max_size=4).map(np.array))
def test_moving_points_step_by_step_or_at_once_is_the_same(a, b, points):
    np.testing.assert_allclose(
        transform_points(a, transform_points(b, points)), transform_points(a @ b, points), atol=1e-8
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
