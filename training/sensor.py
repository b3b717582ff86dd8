"""Rendered depth as an RGB-D camera would have seen it: quantized, noisy, and with holes. Pure NumPy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Axial noise of a structured-light camera grows with the square of the distance (Khoshelham and Oude Elberink,
# "Accuracy and resolution of Kinect depth data", 2012): about 1.5 mm at 1 m.
NOISE_AT_1M_M = 1.5e-3
NEAR_M, FAR_M = 0.25, 6.0
# Neighbours that differ by more than this share of their depth shadow each other.
_STEP = 0.04
_SPECKLE = 0.002


def sensor_depth(depth_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Depth image of a sensor.

    Args:
        depth_m: (H, W) exact depth along the optical axis, metres.
        rng: Source of the noise.

    Returns:
        (H, W) millimetres; 0 where there is no reading: too near, too far, beside a depth step, or by chance.
    """
    z = np.asarray(depth_m, np.float64)
    # Noise of real sensors is correlated over a few pixels.
    noise = cv2.GaussianBlur(rng.normal(0.0, 1.0, z.shape), (0, 0), 0.8)
    noise /= max(float(noise.std()), 1e-9)
    measured = z + NOISE_AT_1M_M * z**2 * noise
    kernel = np.ones((3, 3), np.uint8)
    step = cv2.dilate(z, kernel) - cv2.erode(z, kernel) > _STEP * z
    hole = step & (rng.random(z.shape) < 0.7)
    speckle = cv2.dilate((rng.random(z.shape) < _SPECKLE).astype(np.uint8), kernel) > 0
    lost = hole | speckle | (z < NEAR_M) | (z > FAR_M)
    return np.where(lost, 0, np.rint(measured * 1000.0)).astype(np.uint16)
