"""Florence-2: a task token, answers with ``<loc_k>``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import florence_to_pixels, pixels_to_florence
from vlm_perception.models.dialects.base import Wordless, image_arguments, in_prompt, on_device
from vlm_perception.models.last_image import remember_image
from vlm_perception.models.options import Options
from vlm_perception.models.parsers import florence
from vlm_perception.models.parsers.base import Parsed, excerpt
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement, import_torch
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row
from vlm_perception.types import BoxXyxy

_LOCATE_TASKS: Final = ("<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>")
_REGION_TASKS: Final = {
    RegionWish.DESCRIPTION: "<REGION_TO_DESCRIPTION>",
    RegionWish.CATEGORY: "<REGION_TO_CATEGORY>",
    RegionWish.TEXT: "<REGION_TO_OCR>",
    RegionWish.OUTLINE: "<REGION_TO_SEGMENTATION>",
}


class FlorenceDialect(Wordless):
    """``Florence2Processor``'s tasks.

    Options:
        task: how phrases are located, ``<OPEN_VOCABULARY_DETECTION>`` (default) or
            ``<CAPTION_TO_PHRASE_GROUNDING>``.
        masks: locate by ``<REFERRING_EXPRESSION_SEGMENTATION>`` and give masks as well; a phrase then refers to one
            region, so nothing is counted.
    """

    def __init__(self, processor: Any, options: Options) -> None:
        """Take over the checkpoint's processor."""
        self._processor = processor
        self._images = remember_image(processor)
        self._masks = options.flag("masks")
        self._task = options.choice("task", _LOCATE_TASKS)
        self.capabilities = Capabilities(
            detects=True,
            masks=self._masks,
            counts=not self._masks,
            captions=True,
            reads_text=True,
            describes_regions=True,
            names_regions=True,
            heatmaps=True,
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        where = image_arguments(self._processor, placement)
        batch = self._processor(text=prompt, images=image_rgb, return_tensors="pt", **where)
        height, width = batch["pixel_values"].shape[-2:]
        return on_device(batch, placement, (width, height), self._images)

    def decode(self, tokens: Any, prompt_length: int) -> str:  # noqa: ARG002  an encoder-decoder repeats no prompt
        """The location tokens are special, so specials are kept."""
        return str(self._processor.batch_decode(tokens[None], skip_special_tokens=False)[0])

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """One prompt a phrase, as documented."""
        if self._masks:
            task, read = "<REFERRING_EXPRESSION_SEGMENTATION>", _in_pixels(florence.parse_polygons)
            return [Ask(task + clean_phrase(p), read, (p,), may_be_empty=True) for p in phrases]

        def boxes_or_outlines(text: str) -> Parsed:
            if self._task == _LOCATE_TASKS[1]:
                return without(florence.parse_boxes(text), self._processor.post_processor.banned_grounding_tokens)
            return florence.parse_polygons(text) if "<poly>" in text else florence.parse_boxes(text)

        read = _in_pixels(boxes_or_outlines)
        return [Ask(self._task + clean_phrase(p), read, (p,), may_be_empty=True) for p in phrases]

    def caption(self) -> Ask | None:
        """A caption in words; :meth:`locate` its phrases to ground it."""
        return Ask("<MORE_DETAILED_CAPTION>", _words)

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """``<REGION_TO_...>`` and the box in bins."""
        bins = "".join(f"<loc_{k}>" for k in pixels_to_florence(box_xyxy, image_wh))
        read = _in_pixels(florence.parse_polygons) if wish is RegionWish.OUTLINE else _words
        return Ask(_REGION_TASKS[wish] + bins, read)

    def read_text(self) -> Ask | None:
        """``<OCR_WITH_REGION>``."""
        return Ask("<OCR_WITH_REGION>", _in_pixels(florence.parse_quads))

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The locating prompt, and the beginning of its answer, which repeats the phrase.

        The first image token is the mean over all places; the others lie on a square.
        """
        encoded = self.encode(image_rgb, self._task + clean_phrase(phrase), placement)
        tokenizer = self._processor.tokenizer
        words = tokenizer(clean_phrase(phrase), add_special_tokens=False)["input_ids"]
        answer = (tokenizer.eos_token_id, tokenizer.bos_token_id, *words)  # as BART begins every answer
        ids = import_torch().tensor([answer], device=encoded.inputs["input_ids"].device)
        prompt = in_prompt(encoded, self._processor.image_token_id)
        side = round((len(prompt.image_positions) - 1) ** 0.5)
        grids = (TokenGrid(row_by_row(side, side, first=1)),)
        return replace(prompt, inputs={**encoded.inputs, "decoder_input_ids": ids}, text=answer, grids=grids)


def without(parsed: Parsed, labels: Collection[str]) -> Parsed:
    """Less the places of words that name nothing ("it"): a checkpoint says which its grounding is not to be asked about."""
    dropped = [place.label for place in parsed.places if place.label in labels]
    if not dropped:
        return parsed
    problem = f"dropped the places of words that name nothing: {excerpt(', '.join(dropped))}"
    places = tuple(place for place in parsed.places if place.label not in labels)
    return replace(parsed, places=places, problems=(*parsed.problems, problem))


def _words(text: str, sizes: Sizes) -> Parsed:  # noqa: ARG001
    return florence.parse_words(text)


def _in_pixels(parse: Callable[[str], Parsed]) -> Callable[[str, Sizes], Parsed]:
    def read(text: str, sizes: Sizes) -> Parsed:
        return map_places(parse(text), lambda bins: florence_to_pixels(bins, sizes.image_wh))

    return read
