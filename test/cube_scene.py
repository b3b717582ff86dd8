"""A scene whose truth is known to the micrometre, and a detector that makes no mistakes on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.types import CameraIntrinsics, Detection, RgbdFrame

CAMERA = CameraIntrinsics(320, 240, 300.0, 300.0, 160.0, 120.0)
COLORS = {"red": (210, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210)}
# name, color, x range px, y range px, front depth m
CUBES = [
    ("cube", "red", (60, 100), (100, 140), 0.80),
    ("cube", "green", (140, 180), (100, 140), 0.80),
    ("cube", "red", (230, 260), (110, 140), 1.00),
]


def scene() -> RgbdFrame:
    """Three cubes facing the camera, before a grey wall at 1.5 m."""
    color_rgb = np.full((240, 320, 3), 128, np.uint8)
    depth_m = np.full((240, 320), 1.5, np.float32)
    for _, color, (x0, x1), (y0, y1), z in CUBES:
        color_rgb[y0:y1, x0:x1] = COLORS[color]
        depth_m[y0:y1, x0:x1] = z
    return RgbdFrame(color_rgb, depth_m, CAMERA, stamp_ns=1, frame_id="optical")


def write_scene(folder: Path) -> dict[str, str]:
    """The scene as the files that the command line takes: its arguments, and where each lies."""
    frame = scene()
    cv2.imwrite(str(folder / "color.png"), frame.color_rgb[:, :, ::-1])
    cv2.imwrite(str(folder / "depth.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
    camera = {"K": [CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], "depth_unit_m": 0.001}
    (folder / "k.json").write_text(json.dumps(camera))
    names = {"--color": "color.png", "--depth": "depth.png", "--camera": "k.json", "--out": "out"}
    return {argument: str(folder / name) for argument, name in names.items()}


@dataclass
class ColorModel:
    """Finds rectangles by their color: a detector whose errors are none."""

    name: str = "colors"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(detects=True, counts=True))
    error: Exception | None = None

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        if self.error is not None:
            raise self.error
        found = []
        for name, color, (x0, x1), (y0, y1), _ in CUBES:
            for phrase in phrases:
                if phrase in (name, f"{color} {name}"):
                    found.append(Detection(phrase, phrase, 0.9, (x0, y0, x1, y1)))
        return [found for _ in images_rgb]

    def close(self) -> None:
        pass
