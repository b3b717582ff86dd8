"""Windows under one another: nothing of one is seen from another, wherever they lie in the frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.geometry import stack
from vlm_perception.geometry.stack import stack_windows
from vlm_perception.geometry.surface import SurfaceSettings, find_surfaces
from vlm_perception.geometry.window import mask_window

HEIGHT, WIDTH = 40, 60


@st.composite
def masks(draw):
    """A blob of pixels with holes, often at the border of the frame."""
    v, u = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
    height, width = draw(st.integers(1, 25)), draw(st.integers(1, 30))
    seed = draw(st.integers(0, 999))
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    part = mask[v : v + height, u : u + width]
    part[:] = np.random.default_rng(seed).random(part.shape) < draw(st.sampled_from([0.6, 0.95, 1.0]))
    mask[v, u] = True
    return mask


def depths(seed):
    """Two surfaces with ragged edges, and holes."""
    rng = np.random.default_rng(seed)
    depth = np.where(np.arange(WIDTH) < 30, 0.8, 0.95) + rng.normal(0, 0.004, (HEIGHT, WIDTH))
    depth[rng.random(depth.shape) < 0.05] = 0.0
    depth[rng.random(depth.shape) < 0.05] += 0.06
    return depth.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(several=st.lists(masks(), min_size=1, max_size=6), seed=st.integers(0, 99), margin=st.integers(1, 3))
def test_a_stack_holds_each_window_with_its_surroundings(several, seed, margin):
    depth_m = depths(seed)
    windows = [mask_window(mask) for mask in several]
    (whole,) = stack_windows(several, windows, depth_m, margin_px=margin)
    pixels = np.flatnonzero(whole.mask)
    counts = whole.counts(pixels)
    u, v = whole.in_frame(pixels, counts)
    for mask, part in zip(several, np.split(np.arange(len(pixels)), np.cumsum(counts)[:-1]), strict=True):
        np.testing.assert_array_equal(np.column_stack((v[part], u[part])), np.argwhere(mask))
    np.testing.assert_array_equal(whole.depth_m.ravel()[pixels], depth_m[v, u])
    rim = np.ones_like(whole.mask)
    rim[margin:-margin, margin:-margin] = False
    assert not whole.mask[rim].any()


@pytest.mark.parametrize("erode_px", [0, 1, 2])
@settings(max_examples=40, deadline=None)
@given(several=st.lists(masks(), min_size=2, max_size=6), seed=st.integers(0, 99), limit=st.sampled_from([0, 800, 10**6]))
def test_a_surface_is_the_same_in_any_company(several, seed, limit, erode_px):
    depth_m, chosen = depths(seed), replace(SurfaceSettings(), erode_px=erode_px)
    windows = [mask_window(mask) for mask in several]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "_MAX_PIXELS", limit)
        together = find_surfaces(several, windows, depth_m, 300.0, chosen)
    alone = [find_surfaces([m], [w], depth_m, 300.0, chosen) for m, w in zip(several, windows, strict=True)]
    for name in ("uv", "depth_m", "core", "counts", "mask_pixels", "valid_pixels"):
        np.testing.assert_array_equal(
            getattr(together, name), np.concatenate([getattr(one, name) for one in alone], axis=-1), err_msg=name
        )
    kept = np.arange(len(several)) % 2 == 0
    for name in ("uv", "depth_m", "core", "counts", "mask_pixels", "valid_pixels"):
        np.testing.assert_array_equal(
            getattr(together.take(kept), name), np.concatenate([getattr(one, name) for one in alone[::2]], axis=-1)
        )


def test_many_large_windows_come_in_several_stacks():
    large = np.ones((600, 800), dtype=bool)
    stacks = list(stack_windows([large] * 3, [mask_window(large)] * 3, np.ones((600, 800)), margin_px=1))
    assert [len(one.first_rows) for one in stacks] == [1, 1, 1]
