"""How well a pose is known, from the spread of the points it was taken from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import FloatArray

# Neighbouring depth pixels err together: structured light and stereo match windows of about 5x5 pixels.
_PIXELS_PER_SAMPLE = 25.0
# Depth error that does not average out: a fraction of the square of the distance (Khoshelham & Elberink,
# "Accuracy and resolution of Kinect depth data", Sensors 2012, give 1.4e-3 / m), 1 mm at the least.
_BIAS_PER_M2 = 1.4e-3
_BIAS_FLOOR_M = 1e-3
# An angle that the points say nothing of: uniform over a quarter turn, at which a box repeats itself.
_UNKNOWN_ANGLE_VARIANCE = (math.pi / 2) ** 2 / 12
_LEAST_ANGLE_VARIANCE = math.radians(1.0) ** 2
_FLOOR_VARIANCE = _BIAS_FLOOR_M**2 * np.eye(3)


def pose_covariances(
    counts: NDArray[np.intp], means: FloatArray, spreads: FloatArray, axes: FloatArray, *, up_known: bool
) -> FloatArray:
    """Covariances of the poses of M oriented boxes.

    Position: the points' covariance over the number of independent samples among them, plus the depth
    camera's own bias along the ray. Angles: the sampling variance of a principal direction,
    ``a b / ((a - b)^2 n)`` for variances ``a``, ``b`` in its plane (Anderson, "Asymptotic theory for
    principal component analysis", 1963), no more than that of a uniform angle: a round thing has no yaw.

    Args:
        counts: (M,) numbers of points, at least 1.
        means: (M, 3) of the points.
        spreads: (M, 3, 3) their covariances.
        axes: (M, 3, 3) the boxes' axes as columns.
        up_known: whether their z is gravity's, so that roll and pitch are known to about a degree.

    Returns:
        (M, 6, 6) of (x, y, z, roll, pitch, yaw) about the camera's axes, ROS order.
    """
    samples = np.maximum(counts / _PIXELS_PER_SAMPLE, 1.0)
    square = (means * means).sum(axis=1)
    bias = np.maximum(_BIAS_FLOOR_M, _BIAS_PER_M2 * square)
    along_ray = means[:, :, None] * means[:, None] * (bias * bias / square)[:, None, None]
    covariances = np.zeros((len(counts), 6, 6))
    covariances[:, :3, :3] = spreads / samples[:, None, None] + along_ray + _FLOOR_VARIANCE

    variances = ((spreads @ axes) * axes).sum(axis=1)
    angles = np.full((len(counts), 3), _LEAST_ANGLE_VARIANCE)
    for axis in (2,) if up_known else (0, 1, 2):
        a, b = (variances[:, other] for other in range(3) if other != axis)
        variance = a * b / (np.maximum((a - b) ** 2, 1e-18) * samples)
        angles[:, axis] = variance.clip(_LEAST_ANGLE_VARIANCE, _UNKNOWN_ANGLE_VARIANCE)
    covariances[:, 3:, 3:] = (axes * angles[:, None]) @ axes.transpose(0, 2, 1)
    symmetric: FloatArray = (covariances + covariances.transpose(0, 2, 1)) / 2
    return symmetric
