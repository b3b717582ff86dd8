"""Any chat model with images: asked in words for JSON, or ``[x1, y1, x2, y2]`` as Shikra wrote it.

How good the boxes are is the model's affair; most were never trained to give any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import (
    Size,
    fraction_to_pixels,
    per_mille_to_pixels,
    pixels_to_fraction,
    pixels_to_per_mille,
)
from vlm_perception.models.dialects.base import ChatDialect, as_text, image_arguments, on_device
from vlm_perception.models.dialects.chat import begun
from vlm_perception.models.last_image import remember_image
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement, import_transformers
from vlm_perception.types import BoxXyxy, ModelError


@dataclass(frozen=True)
class _Unit:
    """How coordinates are written, both ways.

    Attributes:
        words: the unit in words.
        limits: size of the image -> the largest x and y.
        to_pixels: a box as the model wrote it, and that size -> pixels.
        write: a box in pixels, and that size -> its four numbers as the model is told them.
    """

    words: str
    limits: Callable[[Size], tuple[float, float]]
    to_pixels: Callable[[Sequence[float], Size], BoxXyxy]
    write: Callable[[BoxXyxy, Size], Sequence[str]]


_UNITS: Final[Mapping[str, _Unit]] = {
    "fraction": _Unit(
        "as fractions of the image's width and height from 0 to 1",
        lambda _: (1, 1),
        fraction_to_pixels,
        lambda box, wh: [f"{value:.3f}" for value in pixels_to_fraction(box, wh)],
    ),
    "per_cent": _Unit(
        "in per cent of the image's width and height from 0 to 100",
        lambda _: (100, 100),
        lambda box, wh: per_mille_to_pixels([10 * value for value in box], wh),
        lambda box, wh: [f"{100 * value:.1f}" for value in pixels_to_fraction(box, wh)],
    ),
    "per_mille": _Unit(
        "scaled from 0 to 1000 across the image",
        lambda _: (1000, 1000),
        per_mille_to_pixels,
        lambda box, wh: [str(value) for value in pixels_to_per_mille(box, wh)],
    ),
    "pixels": _Unit(
        "in pixels",
        lambda wh: wh,
        lambda box, wh: fraction_to_pixels(pixels_to_fraction(box, wh), wh),
        lambda box, _: [str(round(value)) for value in box],
    ),
}
_REGION: Final = {
    RegionWish.DESCRIPTION: ("Describe", "in a short phrase"),
    RegionWish.CATEGORY: ("Name", "by its category only"),
}


class AnyChatDialect(ChatDialect):
    """One question a phrase."""

    def __init__(self, processor: Any, unit: str) -> None:
        """Take over the checkpoint's processor.

        Args:
            processor: with a chat template.
            unit: "fraction", "per_cent", "per_mille" or "pixels" (of the original image).
        """
        self._processor = processor
        self._images = remember_image(processor)
        self._unit = _UNITS[unit]
        self.capabilities = Capabilities(
            detects=True,
            captions=True,
            answers=True,
            counts=True,
            reads_text=True,
            describes_regions=True,
            names_regions=True,
            needs_gpu=True,
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        arguments = {**image_arguments(self._processor, placement), **begun(text, self._processor.tokenizer)}
        batch = self._processor(text=[text], images=[image_rgb], return_tensors="pt", **arguments)
        height, width = image_rgb.shape[:2]
        return on_device(batch, placement, (width, height), self._images)

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return str(self._processor.tokenizer.decode(tokens[prompt_length:], skip_special_tokens=True))

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """JSON with boxes, one prompt a phrase."""
        prompt = (
            'Find every "{}" in the image. Answer with a JSON list of {{"bbox_2d": [x1, y1, x2, y2], "label": "{}"}}, '
            "the upper left and the lower right corner of each, {}. If there is none, answer []."
        )
        return [
            Ask(prompt.format(clean_phrase(p), clean_phrase(p), self._unit.words), self._places, (p,)) for p in phrases
        ]

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """The region in the unit that it answers in."""
        if wish not in _REGION:
            return None
        numbers = ", ".join(self._unit.write(box_xyxy, image_wh))
        verb, end = _REGION[wish]
        return Ask(
            f"{verb} what is in the region [{numbers}] of the image (x1, y1, x2, y2, {self._unit.words}) {end}.",
            as_text,
        )

    def _places(self, text: str, sizes: Sizes) -> Parsed:
        parsed = parse_written(text, self._unit.limits(sizes.image_wh))
        return map_places(parsed, lambda box: self._unit.to_pixels(box, sizes.image_wh))


def any_chat(checkpoint: Checkpoint, options: Options) -> AnyChatDialect:
    """The dialect of whatever has no dialect of its own.

    Raises:
        ModelError: the unit is none, or the processor has no chat template.
    """
    unit = options.choice("coordinates", tuple(_UNITS))
    processor = checkpoint.load(import_transformers().AutoProcessor)
    if getattr(processor, "chat_template", None) is None:
        raise ModelError(f"'{checkpoint.name}' has no chat template, so it is no chat model: take its -it or -chat sibling")
    return AnyChatDialect(processor, unit)
