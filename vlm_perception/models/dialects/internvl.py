"""InternVL: ``<ref>words</ref><box>[[x1, y1, x2, y2]]</box>``, 0 ... 1000."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import per_mille_to_pixels, pixels_to_per_mille
from vlm_perception.models.dialects.base import ChatDialect, as_text, in_prompt, on_device
from vlm_perception.models.dialects.chat import ChatInputs, internvl_inputs
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row
from vlm_perception.types import BoxXyxy

_REGION: Final = {
    RegionWish.DESCRIPTION: "Please describe the region {} in a short phrase.",
    RegionWish.CATEGORY: "Please name the category of the object in the region {}, in a word or two.",
}


class InternVLDialect(ChatDialect):
    """The grounding prompt of the models' documentation, one phrase a prompt.

    It was trained on one region an expression (github.com/OpenGVLab/InternVL/issues/69 and 997), so nothing is counted.
    """

    def __init__(self, chat: ChatInputs) -> None:
        """Take over the checkpoint's inputs."""
        self._chat = chat
        self.capabilities = Capabilities(
            detects=True,
            captions=True,
            answers=True,
            reads_text=True,
            describes_regions=True,
            names_regions=True,
            heatmaps=True,
            needs_gpu=True,
            languages=("en", "zh"),
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        batch = self._chat(image_rgb, prompt, placement)
        batch.pop("mm_token_type_ids", None)
        height, width = image_rgb.shape[:2]
        return on_device(batch, placement, (width, height), self._chat.image_processor)

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return self._chat.decode(tokens, prompt_length)

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """One prompt a phrase."""
        prompt = "Please provide the bounding box coordinate of the region this sentence describes: <ref>{}</ref>"
        return [Ask(prompt.format(clean_phrase(p)), _places, (p,)) for p in phrases]

    def caption(self) -> Ask | None:
        """A caption in words."""
        return Ask("Please describe the image.", as_text)

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """The region as a ``<box>``."""
        if wish not in _REGION:
            return None
        x1, y1, x2, y2 = pixels_to_per_mille(box_xyxy, image_wh)
        return Ask(_REGION[wish].format(f"<box>[[{x1}, {y1}, {x2}, {y2}]]</box>"), as_text)

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The grounding prompt; a square of tokens a tile, row by row, and where there are several, one over all."""
        (ask,) = self.locate([phrase])
        encoded = self.encode(image_rgb, ask.prompt, placement)
        prompt = in_prompt(encoded, self._chat.image_token_id)
        tiles = len(encoded.inputs["pixel_values"])
        side = round((len(prompt.image_positions) / tiles) ** 0.5)
        if tiles == 1:
            return replace(prompt, grids=(TokenGrid(row_by_row(side, side)),))
        columns = tile_columns(tiles - 1, encoded.network_wh[0] / encoded.network_wh[1])
        numbers = np.arange((tiles - 1) * side**2).reshape(-1, columns, side, side)
        mosaic = numbers.transpose(0, 2, 1, 3).reshape(-1, columns * side)
        whole = row_by_row(side, side, first=mosaic.size)
        return replace(prompt, grids=(TokenGrid(mosaic), TokenGrid(whole)))


def tile_columns(tiles: int, aspect: float) -> int:
    """How many of the tiles lie side by side: the library takes the arrangement nearest to the image's width / height."""
    return min((c for c in range(1, tiles + 1) if tiles % c == 0), key=lambda c: abs(aspect - c * c / tiles))


def _places(text: str, sizes: Sizes) -> Parsed:
    return map_places(parse_written(text, (1000.0, 1000.0)), lambda b: per_mille_to_pixels(b, sizes.image_wh))


def internvl(checkpoint: Checkpoint) -> InternVLDialect:
    """InternVL in the library's own ("-hf") format."""
    saved = checkpoint.config()
    return InternVLDialect(internvl_inputs(checkpoint, int(saved.get("image_seq_length", 256))))
