"""Kosmos-2: text with hyperlinks into a 32 x 32 grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from vlm_perception.models.articles import with_article
from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import fraction_to_pixels, pixels_to_kosmos
from vlm_perception.models.dialects.base import Wordless, image_arguments, on_device
from vlm_perception.models.last_image import remember_image
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.kosmos import parse_kosmos
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading, Through, TokenGrid, row_by_row
from vlm_perception.types import BoxXyxy

_CAPTION_WORDS: Final = "An image of"
_CAPTION: Final = f"<grounding> {_CAPTION_WORDS}"
_PATCH: Final = 14  # pixels a side, in every checkpoint


class KosmosDialect(Wordless):
    """The prompts of ``Kosmos2Processor``'s documentation."""

    def __init__(self, processor: Any, options: Options) -> None:  # noqa: ARG002  it has none of its own
        """Take over the checkpoint's processor."""
        self._processor = processor
        self._images = remember_image(processor)
        self.capabilities = Capabilities(
            detects=True, counts=True, captions=True, answers=True, describes_regions=True, heatmaps=True
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        where = image_arguments(self._processor, placement)
        batch = self._processor(text=prompt, images=image_rgb, return_tensors="pt", **where)
        height, width = batch["pixel_values"].shape[-2:]
        return on_device(batch, placement, (width, height), self._images)

    def decode(self, tokens: Any, prompt_length: int) -> str:  # noqa: ARG002  the prompt holds what is grounded
        """Prompt and continuation, without the image."""
        text = self._processor.batch_decode(tokens[None], skip_special_tokens=True)[0]
        return str(self._processor.post_process_generation(text, cleanup_and_extract=False))

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """Phrase grounding: the phrase is given, the object follows."""
        return [
            Ask(f"<grounding><phrase> {with_article(clean_phrase(p))}</phrase>", _first_phrase, (p,), at_start=True)
            for p in phrases
        ]

    def caption(self) -> Ask | None:
        """A grounded caption; every mention carries its boxes."""
        return Ask(_CAPTION, _captioned)

    def answer(self, question: str) -> Ask | None:
        """Grounded visual question answering."""

        def read(text: str, sizes: Sizes) -> Parsed:
            return _after(_all(text, sizes), "Answer:")

        return Ask(f"<grounding> Question: {question} Answer:", read)

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """Grounded referring: "It [box] is" and the model goes on."""
        if wish is not RegionWish.DESCRIPTION:
            return None
        first, last = pixels_to_kosmos(box_xyxy, image_wh)
        prompt = f"<grounding><phrase> It</phrase><object><patch_index_{first:04d}><patch_index_{last:04d}></object> is"

        def read(text: str, sizes: Sizes) -> Parsed:
            return _after(_all(text, sizes), "It is")

        return Ask(prompt, read)

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The grounding prompt.

        The 64 image tokens of the text are no places: each is an attention over all patches, the first column of which
        is the class token.
        """
        (ask,) = self.locate([phrase])
        encoded = self.encode(image_rgb, ask.prompt, placement)
        mask = encoded.inputs["image_embeds_position_mask"][0].cpu().numpy()
        width, height = encoded.network_wh
        return Reading(
            encoded.inputs,
            tuple(encoded.inputs["input_ids"][0].tolist()),
            np.flatnonzero(mask),
            (TokenGrid(row_by_row(height // _PATCH, width // _PATCH)),),
            Through("image_to_text_projection.x_attn", first=1),
        )


def _all(text: str, sizes: Sizes) -> Parsed:
    return map_places(parse_kosmos(text), lambda box: fraction_to_pixels(box, sizes.image_wh))


def _captioned(text: str, sizes: Sizes) -> Parsed:
    """The caption begins with the prompt's words; by themselves they say nothing."""
    parsed = _all(text, sizes)
    return replace(parsed, text="") if parsed.text == _CAPTION_WORDS else parsed


def _first_phrase(text: str, sizes: Sizes) -> Parsed:
    """What belongs to the phrase asked for; a phrase without an object is the model's way to say that there is none.

    It may go on about other things, whose problems are no matter here.
    """
    whole = _all(text, sizes)
    end = text.find("<phrase>", text.find("<phrase>") + 1)
    parsed = whole if end < 0 else _all(text[:end], sizes)
    places = tuple(place for place in parsed.places if place.span is not None and place.span[0] == 0)
    return Parsed(places, parsed.problems, whole.text)


def _after(parsed: Parsed, marker: str) -> Parsed:
    """The words after a marker of the prompt, with the spans moved along."""
    start = parsed.text.find(marker)
    if start < 0:
        return parsed
    start += len(marker)
    start += len(parsed.text[start:]) - len(parsed.text[start:].lstrip())
    kept = []
    for place in parsed.places:
        if place.span is not None and place.span[0] >= start:
            span = (place.span[0] - start, place.span[1] - start)
            kept.append(type(place)(place.label, place.box, span, place.polygons, place.is_point, place.codes))
    return Parsed(tuple(kept), parsed.problems, parsed.text[start:])
