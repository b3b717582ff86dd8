"""PaliGemma: a task prefix, answers with ``<locNNNN>``, y first, and ``<segNNN>`` for masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import paligemma_to_pixels
from vlm_perception.models.dialects.base import Wordless, as_text, image_arguments, in_prompt, on_device
from vlm_perception.models.last_image import remember_image
from vlm_perception.models.mask_tokens import FILE_NAME, HOW_TO_GET, MaskDecoder
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.parsers.paligemma import parse_paligemma
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading
from vlm_perception.types import BoolMask

_LOG = logging.getLogger(__name__)


class PaliGemmaDialect(Wordless):
    """The prefixes of the model's documentation: "detect a ; b", "segment a ; b", "caption en", "answer en ...", "ocr".

    Its mask codes need the decoder of a separate VQ-VAE, whose weights the checkpoint does not hold; without it
    phrases are detected, with it they are segmented. Only some fine-tuned checkpoints describe regions, so none is
    promised. Options: see
    :func:`~vlm_perception.models.mask_tokens.load_mask_decoder`.
    """

    def __init__(self, processor: Any, options: Options, mask_decoder: MaskDecoder | None = None) -> None:
        """Take over the checkpoint's processor; says once that there will be no masks where there is no decoder."""
        self._processor = processor
        self._images = remember_image(processor)
        self._mask_decoder = mask_decoder
        if mask_decoder is None and options.values.get("masks") is None:
            _LOG.warning("'%s' gives boxes only: %s is not here. %s", options.owner, FILE_NAME, HOW_TO_GET)
        self.capabilities = Capabilities(
            detects=True,
            masks=mask_decoder is not None,
            counts=True,
            captions=True,
            answers=True,
            reads_text=True,
            heatmaps=True,
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        where = image_arguments(self._processor, placement)
        batch = self._processor(text="<image>" + prompt, images=image_rgb, return_tensors="pt", **where)
        height, width = batch["pixel_values"].shape[-2:]
        encoded = on_device(batch, placement, (width, height), self._images)
        encoded.inputs.pop("labels", None)
        return encoded

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return str(self._processor.decode(tokens[prompt_length:], skip_special_tokens=True))

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """All phrases in one prompt."""
        listed = " ; ".join(clean_phrase(p).lower() for p in phrases)
        if self._mask_decoder is None:
            return [Ask(f"detect {listed}", _boxes, tuple(phrases), may_be_empty=True)]
        return [Ask(f"segment {listed}", _boxes, tuple(phrases), self._mask, may_be_empty=True)]

    def _mask(self, place: Place, image_wh: tuple[int, int]) -> BoolMask | None:
        return None if self._mask_decoder is None else self._mask_decoder.mask(place.codes, place.box, image_wh)

    def caption(self) -> Ask | None:
        """A caption in words."""
        return Ask("caption en", as_text)

    def answer(self, question: str) -> Ask | None:
        """A short answer."""
        return Ask(f"answer en {question}", as_text)

    def read_text(self) -> Ask | None:
        """The words, without their places."""
        return Ask("ocr", as_text)

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The prompt that locates; a token a patch."""
        (ask,) = self.locate([phrase])
        return in_prompt(self.encode(image_rgb, ask.prompt, placement), self._processor.image_token_id)


def _boxes(text: str, sizes: Sizes) -> Parsed:
    # The parser gives x first; the codec wants the order of the text.
    return map_places(
        parse_paligemma(text), lambda b: paligemma_to_pixels((b[1], b[0], b[3], b[2]), sizes.image_wh)
    )
