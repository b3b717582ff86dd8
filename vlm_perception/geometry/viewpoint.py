"""Viewpoints: from where "left", "in front of" and "up" are judged."""

from __future__ import annotations

import numpy as np

from vlm_perception.geometry.transforms import cross
from vlm_perception.types import FloatArray, Viewpoint

# Looking down steeper than this (sine of the angle between the optical axis and the horizon's plane),
# the image's own up direction says better than the optical axis where "away from me" is.
_STEEP = 0.95


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < 1e-9:
        raise ValueError(f"a direction cannot be {vector!r}: give a finite vector that is not zero")
    return np.asarray(vector, dtype=np.float64) / length


def camera_viewpoint(up_camera: FloatArray | None = None) -> Viewpoint:
    """The camera as the viewer.

    Args:
        up_camera: (3,) gravity-up in the optical frame, any length; None when it is not known.

    Returns:
        A viewpoint whose ``forward`` is horizontal when "up" is known, so that on a table seen from above
        "behind" means further along the table and not lower.

    Raises:
        ValueError: ``up_camera`` is zero or not finite.
    """
    if up_camera is None:
        return Viewpoint()
    up = _unit(up_camera)
    optical_axis = np.array([0.0, 0.0, 1.0])
    away = optical_axis if abs(float(optical_axis @ up)) < _STEEP else np.array([0.0, -1.0, 0.0])
    forward = _unit(away - (away @ up) * up)
    return Viewpoint(right=cross(forward, up), up=up, forward=forward, up_known=True)


def frame_viewpoint(T_camera_frame: FloatArray, frame: str) -> Viewpoint:
    """A REP 103 body frame (x forward, y left, z up) as the viewer.

    Args:
        T_camera_frame: (4, 4) takes points in ``frame`` to the camera's optical frame.
        frame: its name, for messages.
    """
    R = np.asarray(T_camera_frame, dtype=np.float64)[:3, :3]
    return Viewpoint(
        right=-R[:, 1],
        up=R[:, 2],
        forward=R[:, 0],
        origin_m=np.asarray(T_camera_frame, dtype=np.float64)[:3, 3],
        up_known=True,
        frame=frame,
    )
