"""Depth as a sensor sees it."""

from __future__ import annotations

import numpy as np

from training.sensor import NOISE_AT_1M_M, sensor_depth


def flat(depth_m: float) -> np.ndarray:
    return np.full((120, 160), depth_m, np.float32)


def test_noise_grows_with_the_square_of_the_distance() -> None:
    for depth_m in (0.5, 1.0, 2.0):
        seen = sensor_depth(flat(depth_m), np.random.default_rng(0))
        read = seen[seen > 0] / 1000.0
        assert abs(read.mean() - depth_m) < 0.1 * NOISE_AT_1M_M * depth_m**2 + 1e-4
        assert 0.8 < read.std() / np.hypot(NOISE_AT_1M_M * depth_m**2, 0.001 / 12**0.5) < 1.2


def test_holes_are_beside_steps_and_out_of_range() -> None:
    scene = flat(1.0)
    scene[:, 80:] = 1.5
    scene[:10] = 0.1
    scene[-10:] = 9.0
    seen = sensor_depth(scene, np.random.default_rng(1))
    assert not seen[:9].any()
    assert not seen[-9:].any()
    beside, away = seen[20:100, 79:81], seen[20:100, 100:140]
    assert (beside == 0).mean() > 0.5
    assert (away == 0).mean() < 0.05


def test_the_seed_decides() -> None:
    one, two = (sensor_depth(flat(1.0), np.random.default_rng(5)) for _ in range(2))
    assert (one == two).all()
