"""What counts as depth, and depth of another size than color."""

import numpy as np
import pytest

from vlm_perception.geometry.depth import match_depth_to_color, valid_depth
from vlm_perception.types import ImageError


def test_only_finite_positive_values_are_depth():
    values = np.array([0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 1e-3, 4.0], dtype=np.float32)
    assert valid_depth(values).tolist() == [False] * 6 + [True] * 2


def test_the_same_size_is_passed_through():
    depth = np.ones((4, 6), np.float32)
    assert match_depth_to_color(depth, (4, 6)) is depth


def test_half_size_depth_is_doubled_without_inventing_values():
    depth = np.array([[1.0, 2.0], [0.0, 3.0]], np.float32)
    expected = np.kron(depth, np.ones((2, 2)))
    np.testing.assert_array_equal(match_depth_to_color(depth, (4, 4)), expected)


def test_double_size_depth_is_thinned_out():
    depth = np.arange(32, dtype=np.float32).reshape(4, 8)
    result = match_depth_to_color(depth, (2, 4))
    assert result.shape == (2, 4)
    assert set(result.ravel()) <= set(depth.ravel())


def test_a_ratio_that_is_no_whole_number_works_where_the_shape_is_the_same():
    depth = np.arange(720 * 1280, dtype=np.float32).reshape(720, 1280)
    result = match_depth_to_color(depth, (1080, 1920))
    assert result.shape == (1080, 1920)
    assert result[0, 0] == depth[0, 0]
    assert result[-1, -1] == depth[-1, -1]


def test_another_shape_is_refused_naming_both_sizes():
    with pytest.raises(ImageError, match=r"848x480.*640x480"):
        match_depth_to_color(np.zeros((480, 848), np.float32), (480, 640))


def test_color_channels_are_no_depth():
    with pytest.raises(ImageError, match="one channel"):
        match_depth_to_color(np.zeros((4, 4, 3), np.float32), (4, 4))
