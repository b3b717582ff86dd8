"""Molmo 2: it points, in per mille of the image's sides, counts by its points, and gives no boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import per_mille_to_pixels
from vlm_perception.models.denials import denied
from vlm_perception.models.dialects.base import ChatDialect, as_text, in_prompt, on_device
from vlm_perception.models.dialects.chat import ChatInputs, molmo_inputs
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.molmo import parse_molmo
from vlm_perception.models.phrase_labels import without_others
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row

# It has no empty list: that there is nothing to point at, it says in words, and these speak of what it was asked for.
_NOT_THERE: Final = re.compile(r"(?:this|it) (?:is not|isn't) in the image[.!]?", re.IGNORECASE)


class MolmoDialect(ChatDialect):
    """The words of the models' own pointing data."""

    def __init__(self, chat: ChatInputs) -> None:
        """Take over the checkpoint's inputs."""
        self._chat = chat
        self.capabilities = Capabilities(
            points=True, captions=True, answers=True, counts=True, reads_text=True, heatmaps=True, needs_gpu=True
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        height, width = image_rgb.shape[:2]
        batch = self._chat(image_rgb, prompt, placement)
        return on_device(batch, placement, (width, height), self._chat.image_processor)

    def decode(self, tokens: object, prompt_length: int) -> str:
        """The continuation only."""
        return self._chat.decode(tokens, prompt_length)

    def locate(self, phrases: Sequence[str]) -> list[Ask]:  # noqa: ARG002
        """A point is no box, so there is nothing to ask."""
        return []

    def answer(self, question: str) -> Ask | None:
        """An answer; counting questions are answered with points, which are its evidence."""
        return Ask(question, _points_or_words)

    def point(self, phrase: str) -> Ask | None:
        """Every instance, one point each."""
        return Ask(f"Point to the {phrase}.", partial(_points, phrase=phrase))

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The pointing prompt; tokens of the whole image small, then of its crops, which make one grid.

        A token is a pool of patches, and the last of a row or column may reach beyond the image.
        """
        encoded = self.encode(image_rgb, f"Point to the {phrase}.", placement)
        pool_rows, pool_columns = (int(value) for value in self._chat.image_processor.pooling_size)
        pooled = encoded.inputs["image_token_pooling"].cpu().numpy()
        low_rows, low_columns, rows, columns = encoded.inputs["image_grids"][0].tolist()
        grids, first = [], 0
        for height, width in ((low_rows, low_columns), (rows, columns)):
            numbers = row_by_row(height, width, first)
            patches = pooled[numbers].reshape(height, width, pool_rows, pool_columns) >= 0
            high, wide = (int(patches.any(axis=axes).sum()) for axes in ((1, 3), (0, 2)))
            grids.append(TokenGrid(numbers, (width * pool_columns / wide, height * pool_rows / high)))
            first += height * width
        return in_prompt(encoded, self._chat.image_token_id, grids)


def _points(text: str, sizes: Sizes, phrase: str) -> Parsed:
    said = text.strip()
    if _NOT_THERE.fullmatch(said.replace("’", "'")) or denied(said, (phrase,)):
        return Parsed(text=said)
    return without_others(_in_pixels(text, sizes), phrase)


def _points_or_words(text: str, sizes: Sizes) -> Parsed:
    return _in_pixels(text, sizes) if "<point" in text else as_text(text, sizes)


def _in_pixels(text: str, sizes: Sizes) -> Parsed:
    return map_places(parse_molmo(text), lambda b: per_mille_to_pixels(b, sizes.image_wh))


def molmo2(checkpoint: Checkpoint) -> MolmoDialect:
    """Molmo 2 in the library's own format."""
    return MolmoDialect(molmo_inputs(checkpoint))
