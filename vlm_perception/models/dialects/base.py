"""What the dialects have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vlm_perception.models.asking import Ask, Encoded, Sizes
from vlm_perception.models.base import RgbImage
from vlm_perception.models.last_image import LastImage
from vlm_perception.models.loading import image_device
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.thoughts import without_thoughts
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row
from vlm_perception.types import BoxXyxy


class Wordless:
    """A dialect that has no words for anything beyond locating: each family says what it has."""

    def caption(self) -> Ask | None:
        """It does not caption."""
        return None

    def answer(self, question: str) -> Ask | None:  # noqa: ARG002
        """It does not answer."""
        return None

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION  # noqa: ARG002
    ) -> Ask | None:
        """It takes no regions."""
        return None

    def read_text(self) -> Ask | None:
        """It does not read."""
        return None

    def point(self, phrase: str) -> Ask | None:  # noqa: ARG002
        """It gives no points."""
        return None

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:  # noqa: ARG002
        """How it cuts up an image is its own affair."""
        return None


class ChatDialect(Wordless):
    """What any chat model with images is asked in plain words."""

    def caption(self) -> Ask | None:
        """A caption in words."""
        return Ask("Describe this image.", as_text)

    def answer(self, question: str) -> Ask | None:
        """An answer in words."""
        return Ask(question, as_text)

    def read_text(self) -> Ask | None:
        """The words, without their places."""
        return Ask("Read all the text in the image.", as_text)


def as_text(text: str, _: Sizes) -> Parsed:
    """A reader for answers that are words only."""
    words, cut = without_thoughts(text)
    return Parsed(problems=(cut,) if cut else (), text=" ".join(words.split()))


def image_arguments(processor: Any, placement: Placement) -> dict[str, Any]:
    """Arguments of a whole processor's call that make it work on the image where the model is, if it can."""
    where = image_device(processor.image_processor, placement)
    return {"images_kwargs": where} if where else {}


def on_device(
    batch: Mapping[str, Any], placement: Placement, network_wh: tuple[int, int], images: LastImage
) -> Encoded:
    """A processor's output on the model's device, floating values in its precision; the image goes up once."""
    return Encoded(images.on_device(batch, placement), network_wh)


def in_prompt(encoded: Encoded, image_token_id: int, grids: Sequence[TokenGrid] | None = None) -> Reading:
    """A prompt that holds a phrase and the image's tokens; without ``grids`` these are a square over the image."""
    ids = encoded.inputs["input_ids"][0].cpu().numpy()
    positions = np.flatnonzero(ids == image_token_id)
    if grids is None:
        side = round(len(positions) ** 0.5)
        grids = (TokenGrid(row_by_row(side, side)),)
    return Reading(encoded.inputs, tuple(ids.tolist()), positions, tuple(grids))
