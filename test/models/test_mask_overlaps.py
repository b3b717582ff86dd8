"""Whose pixels they are that two masks claim."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.mask_overlaps import stand_apart

SHAPE = (120, 160)


def disc(u, v, radius):
    rows, columns = np.indices(SHAPE)
    return np.hypot(rows - v, columns - u) < radius


def scene(*things, table_m=1.0):
    """Depth of discs at their distances, later ones in front."""
    depth_m = np.full(SHAPE, table_m, np.float32)
    for mask, z in things:
        depth_m[mask] = z
    return depth_m


BOWL, APPLE, MUG = disc(70, 60, 45), disc(70, 55, 15), disc(125, 60, 35)


def test_the_apple_in_the_bowl_is_no_part_of_the_bowl():
    bowl, apple = stand_apart([BOWL, APPLE], scene((BOWL, 0.9), (APPLE, 0.8)))
    np.testing.assert_array_equal(bowl, BOWL & ~APPLE)
    np.testing.assert_array_equal(apple, APPLE)


def test_the_order_of_the_masks_does_not_matter():
    apple, bowl = stand_apart([APPLE, BOWL], scene((BOWL, 0.9), (APPLE, 0.8)))
    np.testing.assert_array_equal(bowl, BOWL & ~APPLE)
    np.testing.assert_array_equal(apple, APPLE)


def test_a_mug_that_hides_part_of_the_bowl_keeps_what_both_claim():
    bowl, mug = stand_apart([BOWL, MUG], scene((BOWL, 0.9), (MUG, 0.7)))
    np.testing.assert_array_equal(bowl, BOWL & ~MUG)
    np.testing.assert_array_equal(mug, MUG)


def test_depth_lost_beside_the_step_is_looked_past():
    depth_m = scene((BOWL, 0.9), (APPLE, 0.8))
    depth_m[disc(70, 55, 16) & ~disc(70, 55, 14)] = 0
    bowl, _ = stand_apart([BOWL, APPLE], depth_m)
    assert not bowl[disc(70, 55, 13)].any()


def test_a_drawer_is_part_of_its_cabinet():
    cabinet, drawer = stand_apart([BOWL, APPLE], scene((BOWL, 0.9), (APPLE, 0.897)))
    np.testing.assert_array_equal(cabinet, BOWL)
    np.testing.assert_array_equal(drawer, APPLE)


def test_one_thing_found_twice_stays_whole_twice():
    slightly_larger = disc(70, 60, 47)
    for mask, given_mask in zip(
        stand_apart([BOWL, slightly_larger], scene((BOWL, 0.8))), [BOWL, slightly_larger], strict=True
    ):
        np.testing.assert_array_equal(mask, given_mask)


def test_what_leans_is_no_step():
    """A book seen along its cover: each pixel is a little farther off than the one before."""
    depth_m = np.broadcast_to(0.5 + 0.002 * np.arange(SHAPE[1]), SHAPE).astype(np.float32)
    upper = BOWL.copy()
    upper[60:] = False
    book, _ = stand_apart([BOWL, upper], depth_m)
    np.testing.assert_array_equal(book, BOWL)


def test_without_depth_nothing_is_taken():
    for nothing in (0.0, np.nan, np.inf):
        bowl, apple = stand_apart([BOWL, APPLE], np.full(SHAPE, nothing, np.float32))
        assert bowl.sum() == BOWL.sum()
        assert apple.sum() == APPLE.sum()


def test_none_one_and_empty():
    assert stand_apart([], np.ones(SHAPE, np.float32)) == []
    empty = np.zeros(SHAPE, bool)
    one, other = stand_apart([empty, BOWL], scene((BOWL, 0.9)))
    assert not one.any()
    np.testing.assert_array_equal(other, BOWL)


@settings(max_examples=30, deadline=None)
@given(
    discs=st.lists(st.tuples(st.integers(0, 160), st.integers(0, 120), st.integers(1, 50)), max_size=4),
    seed=st.integers(0, 50),
)
def test_masks_only_shrink_into_others_and_are_not_written_to(discs, seed):
    rng = np.random.default_rng(seed)
    masks = [disc(*d) for d in discs]
    before = [mask.copy() for mask in masks]
    depth_m = scene(*((mask, rng.uniform(0.4, 1.0)) for mask in masks))
    depth_m[rng.random(SHAPE) < 0.1] = 0
    after = stand_apart(masks, depth_m)
    for k, (old, copy, new) in enumerate(zip(masks, before, after, strict=True)):
        np.testing.assert_array_equal(old, copy)
        others = np.any([m for j, m in enumerate(masks) if j != k], axis=0) if len(masks) > 1 else np.zeros(SHAPE, bool)
        assert not (new & ~old).any()
        assert not (old & ~new & ~others).any()
