"""The real perception node, with models that find rectangles by their color in place of a network.

Names other than those below go to the real factory, so that its errors are the real ones.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vlm_perception.models import factory
from vlm_perception.models.base import Capabilities, GroundedText, Mention
from vlm_perception.ros import model_slot, perception_node
from vlm_perception.types import Detection, ModelError

# What the scenes of this folder's tests are painted with.
COLORS = {"red": (210, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210)}


class ColorModel:
    """Finds "red cube", "green cube", "cube": connected patches of exactly one color."""

    capabilities = Capabilities(detects=True, counts=True)

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


class BrokenModel(ColorModel):
    """Fails on every image, the blank one of the warm-up too, as half precision that overflows does."""

    def detect(self, images_rgb, phrases, *, threshold=None):
        raise ModelError("the scores are NaN")


class TellingModel(ColorModel):
    """Its labels tell which call of it this was, and how many images that call had."""

    calls = 0

    def detect(self, images_rgb, phrases, *, threshold=None):
        self.calls += 1
        told = f"call {self.calls} with {len(images_rgb)} images"
        found = super().detect(images_rgb, phrases, threshold=threshold)
        return [[replace(detection, label=told) for detection in image] for image in found]


class SpeakingModel(ColorModel):
    """Also says what it sees, where that is, and where it looked."""

    capabilities = Capabilities(
        detects=True, points=True, captions=True, answers=True, reads_text=True, describes_regions=True,
        counts=True, names_regions=True, heatmaps=True,
    )

    def caption(self, image_rgb):
        return self._say(image_rgb, "red cube", "green cube")

    def answer(self, image_rgb, question):
        if self._raises:
            raise RuntimeError("the network caught fire")
        return self._say(image_rgb, "blue cube" if "right" in question else "red cube")

    def read_text(self, image_rgb, box_xyxy=None):
        return GroundedText("")

    def name_region(self, image_rgb, box_xyxy):
        return GroundedText(self.describe_region(image_rgb, box_xyxy).text.removeprefix("a "), (), 0.5)

    def describe_region(self, image_rgb, box_xyxy):
        x0, y0, x1, y1 = (round(v) for v in box_xyxy)
        patch = image_rgb[y0:y1, x0:x1].reshape(-1, 3)
        color = next(name for name, rgb in COLORS.items() if (patch == rgb).all(axis=1).mean() > 0.5)
        return GroundedText(f"a {color} cube", (), 0.5)

    def point(self, image_rgb, phrase):
        (x0, y0, x1, y1) = self._find(image_rgb, ["red cube"])[0].box_xyxy
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        return GroundedText("", (Mention(None, phrase, ((*middle, *middle),)),), 0.5)

    def heatmap(self, image_rgb, phrase):
        heat = np.zeros(image_rgb.shape[:2], np.float32)
        for found in self._find(image_rgb, [phrase]):
            x0, y0, x1, y1 = (round(v) for v in found.box_xyxy)
            heat[y0:y1, x0:x1] = 0.8
        return heat

    def _say(self, image_rgb, *things):
        text, mentions = "", []
        for thing in things:
            text += " beside " if text else ""
            mentions.append(
                Mention((len(text), len(text) + len(thing)), thing, (self._find(image_rgb, [thing])[0].box_xyxy,))
            )
            text += thing
        return GroundedText(text, tuple(mentions), 0.5)


def build_model(spec: str, **options):
    name, _, argument = spec.partition(":")
    if name == "colors":
        return ColorModel(spec)
    if name == "tells":
        return TellingModel(spec)
    if name == "speaks":
        return SpeakingModel(spec, raises=argument == "badly")
    if name == "slow":
        return ColorModel(spec, delay_s=float(argument))
    if name == "raises":
        return ColorModel(spec, raises=True)
    if name == "fails-at-once":
        return BrokenModel(spec)
    if name == "loads-slowly":
        time.sleep(float(argument))
        return ColorModel(spec)
    return factory.build_model(spec, **options)


if __name__ == "__main__":
    model_slot.build_model = build_model
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(perception_node.main())
