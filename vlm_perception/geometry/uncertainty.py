"""How well a pose is known, from the spread of the points it was taken from."""

from __future__ import annotations

import math

import numpy as np

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


def pose_covariance(points_m: FloatArray, R_camera_object: FloatArray, *, up_known: bool) -> FloatArray:
    """Covariance of an oriented box's pose.

    Position: the points' covariance over the number of independent samples among them, plus the depth
    camera's own bias along the ray. Angles: the sampling variance of a principal direction,
    ``a b / ((a - b)^2 n)`` for variances ``a``, ``b`` in its plane (Anderson, "Asymptotic theory for
    principal component analysis", 1963), no more than that of a uniform angle: a round thing has no yaw.

    Args:
        points_m: (N, 3), N >= 2.
        R_camera_object: the box's axes as columns.
        up_known: whether its z is gravity's, so that roll and pitch are known to about a degree.

    Returns:
        (6, 6) of (x, y, z, roll, pitch, yaw) about the camera's axes, ROS order.
    """
    n = len(points_m)
    samples = max(n / _PIXELS_PER_SAMPLE, 1.0)
    middle = points_m.T.sum(axis=1) / n
    offsets = points_m.T - middle[:, None]
    spread = offsets @ offsets.T / max(n - 1, 1)
    distance = math.sqrt(middle @ middle)
    ray = middle / distance
    bias = max(_BIAS_FLOOR_M, _BIAS_PER_M2 * distance**2)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = spread / samples + bias**2 * ray[:, None] * ray + _FLOOR_VARIANCE

    variances = ((spread @ R_camera_object) * R_camera_object).sum(axis=0).tolist()
    angles = [_LEAST_ANGLE_VARIANCE] * 3
    for axis in (2,) if up_known else (0, 1, 2):
        a, b = (variances[other] for other in range(3) if other != axis)
        variance = a * b / (max((a - b) ** 2, 1e-18) * samples)
        angles[axis] = min(max(variance, _LEAST_ANGLE_VARIANCE), _UNKNOWN_ANGLE_VARIANCE)
    covariance[3:, 3:] = (R_camera_object * angles) @ R_camera_object.T
    symmetric: FloatArray = (covariance + covariance.T) / 2
    return symmetric
