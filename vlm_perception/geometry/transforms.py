"""Rigid transforms. ``T_a_b`` takes coordinates in frame ``b`` to frame ``a``; quaternions are xyzw (ROS)."""

from __future__ import annotations

import numpy as np

from vlm_perception.types import FloatArray


def make_transform(R_a_b: FloatArray, t_a_m: FloatArray) -> FloatArray:
    """(4, 4) from a rotation and the origin of ``b`` in ``a``."""
    T_a_b = np.eye(4)
    T_a_b[:3, :3] = R_a_b
    T_a_b[:3, 3] = t_a_m
    return T_a_b


def transform_points(T_a_b: FloatArray, points_b: FloatArray) -> FloatArray:
    """Move points into another frame.

    Args:
        T_a_b: (4, 4).
        points_b: (3,) or (N, 3).

    Returns:
        The same shape, in frame ``a``.
    """
    return np.asarray(points_b @ T_a_b[:3, :3].T + T_a_b[:3, 3])


def quaternion_to_matrix(xyzw: FloatArray) -> FloatArray:
    """(3, 3) rotation of a quaternion, which need not have unit length.

    Raises:
        ValueError: its length is zero or not finite; ROS messages that nobody filled in have that.
    """
    quaternion = np.asarray(xyzw, dtype=np.float64)
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite(length) or length < 1e-9:
        raise ValueError(f"quaternion {quaternion.tolist()} has no direction; is the message filled in?")
    x, y, z, w = quaternion / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(R: FloatArray) -> FloatArray:
    """(4,) unit quaternion xyzw of a rotation, with w >= 0.

    Picks the largest component to divide by, after Shepperd, "Quaternion from rotation matrix", 1978.
    """
    four_squares = np.array(
        [
            1 + R[0, 0] - R[1, 1] - R[2, 2],
            1 - R[0, 0] + R[1, 1] - R[2, 2],
            1 - R[0, 0] - R[1, 1] + R[2, 2],
            1 + R[0, 0] + R[1, 1] + R[2, 2],
        ]
    )
    sums = {(0, 1): R[1, 0] + R[0, 1], (0, 2): R[0, 2] + R[2, 0], (1, 2): R[2, 1] + R[1, 2]}
    differences = (R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1])
    largest = int(np.argmax(four_squares))
    quaternion = np.empty(4)
    for other in range(4):
        if other == largest:
            quaternion[other] = four_squares[largest]
        elif 3 in (other, largest):
            quaternion[other] = differences[min(other, largest)]
        else:
            quaternion[other] = sums[min(other, largest), max(other, largest)]
    quaternion /= np.linalg.norm(quaternion)
    return -quaternion if quaternion[3] < 0 else quaternion


quaternion_xyzw = matrix_to_quaternion


def rotate_covariance(covariance: FloatArray, R_a_b: FloatArray) -> FloatArray:
    """A pose covariance of frame ``b``, expressed in frame ``a``.

    Args:
        covariance: (6, 6) of (x, y, z, roll, pitch, yaw) about fixed axes, ROS order.
        R_a_b: (3, 3).
    """
    blocks = np.zeros((6, 6))
    blocks[:3, :3] = blocks[3:, 3:] = R_a_b
    return np.asarray(blocks @ covariance @ blocks.T)


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """The cross product of two (3,) vectors; NumPy's own takes ten times as long to sort out its axes."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], dtype=np.float64)
