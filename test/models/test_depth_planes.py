"""Planes around a box, and what lies just above them."""

import numpy as np
import pytest

from vlm_perception.models.depth_planes import PLANE_TOLERANCE_W, planes_around

SHAPE = (100, 120)
ROWS, COLUMNS = np.indices(SHAPE, dtype=np.float32)
TABLE_W = 1.0 + 0.004 * ROWS + 0.001 * COLUMNS
INSIDE = (ROWS >= 30) & (ROWS < 70) & (COLUMNS >= 35) & (COLUMNS < 85)
EVERYWHERE = np.ones(SHAPE, bool)
PLATE = np.hypot((ROWS - 50) / 18, (COLUMNS - 60) / 24) < 1


def noise(seed, sigma=1.5e-3):
    return np.random.default_rng(seed).normal(0, sigma, SHAPE)


def around(w, valid=EVERYWHERE):
    return planes_around(np.asarray(w, np.float32), valid, INSIDE)


def test_the_table_is_one_plane_and_goes_on_under_the_box():
    (table,) = around(TABLE_W + noise(0))
    assert table.pixels.mean() > 0.98
    assert table.raised.mean() < 0.01


def test_what_stands_out_is_not_of_the_plane():
    (table,) = around(np.where(PLATE, TABLE_W + 0.05, TABLE_W) + noise(1))
    assert not table.pixels[PLATE].any()
    assert table.pixels[~PLATE].mean() > 0.98


@pytest.mark.parametrize("seed", range(3))
def test_a_plate_within_the_tolerance_of_single_pixels_is_raised(seed):
    (table,) = around(np.where(PLATE, TABLE_W + 0.7 * PLANE_TOLERANCE_W, TABLE_W) + noise(seed))
    on_plate = table.pixels & PLATE
    assert on_plate.sum() > 0.7 * PLATE.sum()
    assert table.raised[on_plate].mean() > 0.8
    within = on_plate & (np.hypot((ROWS - 50) / 18, (COLUMNS - 60) / 24) < 0.85)  # the mean blurs its rim
    assert table.raised[within].mean() > 0.97
    assert table.raised[~PLATE].mean() < 0.03


def test_what_lies_under_the_plane_is_not_raised():
    (table,) = around(np.where(PLATE, TABLE_W - 0.7 * PLANE_TOLERANCE_W, TABLE_W))
    assert not table.raised.any()


def test_noise_alone_raises_little_whatever_its_size():
    for sigma in (0.0, 1e-3, 3e-3):
        for plane in around(TABLE_W + noise(5, sigma)):
            assert plane.raised[INSIDE].mean() < 0.02


def test_a_face_in_line_with_something_outside_stays_with_the_thing():
    """A packet's front, and a strip beyond the box that happens to lie in the same plane."""
    face = (ROWS >= 32) & (ROWS < 68) & (COLUMNS >= 37) & (COLUMNS < 85)
    strip = (ROWS >= 32) & (ROWS < 68) & (COLUMNS >= 85) & (COLUMNS < 115)
    w = np.where(face | strip, 1.6 + 0.002 * ROWS, TABLE_W)
    assert strip.sum() > 0.1 * (~INSIDE).sum()  # enough of what is around to be a plane
    assert not np.any([plane.pixels for plane in around(w)], axis=0)[face].any()


def test_no_depth_around_no_planes():
    assert around(TABLE_W, INSIDE) == []
    assert around(TABLE_W, ~EVERYWHERE) == []
