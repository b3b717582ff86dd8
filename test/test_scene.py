"""What is said of an object's color."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.scene import build_objects, merge_detections
from vlm_perception.types import CameraIntrinsics, Detection


def color_of(image, mask):
    """What an object with this mask is said to be colored."""
    height, width = image.shape[:2]
    camera = CameraIntrinsics(width, height, 500.0, 500.0, width / 2, height / 2)
    merged = merge_detections([Detection("mug", "mug", 0.9, (0.0, 0.0, width, height))])
    (found,) = build_objects(merged, [mask], color_rgb=image, depth_m=None, camera=camera, up_camera=None)
    return found.mean_rgb


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([2, 5, 256]), share=st.floats(0.001, 1.0))
def test_the_color_is_the_median_of_every_channel(seed, levels, share):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, levels, (23, 31, 3)).astype(np.uint8) * (255 // (levels - 1))
    mask = rng.random((23, 31)) < share
    color = color_of(image, mask)
    if mask.any():
        assert color == pytest.approx(tuple(np.median(image[mask], axis=0)))
    else:
        assert color is None


def test_views_that_do_not_lie_together_count_as_well():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)[::2, ::-1]
    mask = (rng.random((40, 60)) < 0.3)[::2, ::-1]
    assert color_of(image, mask) == pytest.approx(tuple(np.median(image[mask], axis=0)))
    assert color_of(image, None) is None
