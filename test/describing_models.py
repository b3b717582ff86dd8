"""Models that speak about the scene of ``cube_scene``, with answers that are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from cube_scene import CUBES, ColorModel

from vlm_perception.models.base import Capabilities, GroundedText, Mention

BOXES = {f"{color} cube {k}": (float(x0), float(y0), float(x1), float(y1)) for k, (_, color, (x0, x1), (y0, y1), _) in enumerate(CUBES)}  # fmt: skip
LEFT, GREEN, RIGHT = BOXES.values()


@dataclass
class Speaker(ColorModel):
    """A detector that also says what it was told to say, and remembers what it was asked."""

    name: str = "speaker"
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            detects=True, points=True, captions=True, answers=True, counts=True, reads_text=True, describes_regions=True,
            names_regions=True,
        )
    )
    said: GroundedText = field(default_factory=lambda: GroundedText(""))
    asked: list = field(default_factory=list)

    def caption(self, image_rgb):
        return self._say("caption")

    def answer(self, image_rgb, question):
        return self._say("answer", question)

    def describe_region(self, image_rgb, box_xyxy):
        return self._say("region", box_xyxy)

    def name_region(self, image_rgb, box_xyxy):
        return self._say("name", box_xyxy)

    def read_text(self, image_rgb, box_xyxy=None):
        return self._say("read") if box_xyxy is None else self._say("read", box_xyxy)

    def point(self, image_rgb, phrase):
        return self._say("point", phrase)

    def _say(self, *asked):
        if self.error is not None:
            raise self.error
        self.asked.append(asked)
        return self.said


def tied(text: str, *places: tuple[str, tuple]) -> GroundedText:
    """A text whose words have boxes."""
    mentions = tuple(Mention((text.index(w), text.index(w) + len(w)), w, boxes) for w, boxes in places)
    return GroundedText(text, mentions, 0.7)


def middle_m(cube: int) -> np.ndarray:
    """Middle of a cube's front in the optical frame."""
    from cube_scene import CAMERA

    _, _, (x0, x1), (y0, y1), z = CUBES[cube]
    u, v = (x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2
    return np.array([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z])
