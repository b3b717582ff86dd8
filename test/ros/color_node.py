"""The real perception node, with models that find rectangles by their color in place of a network.

Names other than those below go to the real factory, so that its errors are the real ones.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from vlm_perception.models import factory
from vlm_perception.models.base import Capabilities
from vlm_perception.ros import model_slot, perception_node
from vlm_perception.types import Detection

# What the scenes of this folder's tests are painted with.
COLORS = {"red": (210, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210)}


class ColorModel:
    """Finds "red cube", "green cube", "cube": connected patches of exactly one color."""

    capabilities = Capabilities(detects=True)

    def __init__(self, name: str, *, delay_s: float = 0.0, raises: bool = False) -> None:
        self.name = name
        self._delay_s, self._raises = delay_s, raises

    def detect(self, images_rgb, phrases, *, threshold=None):
        if self._raises and images_rgb[0].std() > 0:  # the blank image of the warm-up passes
            raise RuntimeError("the network caught fire")
        time.sleep(self._delay_s)
        return [self._find(image, phrases) for image in images_rgb]

    def close(self) -> None:
        pass

    def _find(self, image: np.ndarray, phrases) -> list[Detection]:
        import cv2

        found = []
        for color, rgb in COLORS.items():
            _, _, stats, _ = cv2.connectedComponentsWithStats((image == rgb).all(axis=-1).astype(np.uint8))
            for x, y, width, height, _ in stats[1:]:
                box = (float(x), float(y), float(x + width), float(y + height))
                found += [Detection(p, p, 0.9, box) for p in phrases if p in ("cube", f"{color} cube")]
        return found


def build_model(spec: str, **options):
    name, _, argument = spec.partition(":")
    if name == "colors":
        return ColorModel(spec)
    if name == "slow":
        return ColorModel(spec, delay_s=float(argument))
    if name == "raises":
        return ColorModel(spec, raises=True)
    if name == "loads-slowly":
        time.sleep(float(argument))
        return ColorModel(spec)
    return factory.build_model(spec, **options)


if __name__ == "__main__":
    model_slot.build_model = build_model
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(perception_node.main())
