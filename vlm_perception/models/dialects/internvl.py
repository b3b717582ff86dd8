"""InternVL: ``<ref>words</ref><box>[[x1, y1, x2, y2]]</box>``, 0 ... 1000."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import per_mille_to_pixels, pixels_to_per_mille
from vlm_perception.models.dialects.base import as_text, on_device
from vlm_perception.models.dialects.chat import ChatInputs, internvl_inputs
from vlm_perception.models.generative import Ask, Encoded, Sizes, map_places
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.runtime import Placement
from vlm_perception.types import BoxXyxy


class InternVLDialect:
    """The grounding prompt of the models' documentation, one phrase a prompt."""

    def __init__(self, chat: ChatInputs) -> None:
        """Take over the checkpoint's inputs."""
        self._chat = chat
        self.capabilities = Capabilities(
            detects=True,
            captions=True,
            answers=True,
            counts=True,
            reads_text=True,
            describes_regions=True,
            needs_gpu=True,
            languages=("en", "zh"),
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.generative.Dialect`."""
        batch = self._chat(image_rgb, prompt, placement)
        batch.pop("mm_token_type_ids", None)
        height, width = image_rgb.shape[:2]
        return on_device(batch, placement, (width, height))

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

    def answer(self, question: str) -> Ask | None:
        """An answer in words."""
        return Ask(question, as_text)

    def region(self, box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> Ask | None:
        """The region as a ``<box>``."""
        x1, y1, x2, y2 = pixels_to_per_mille(box_xyxy, image_wh)
        return Ask(f"Please describe the region <box>[[{x1}, {y1}, {x2}, {y2}]]</box> in a short phrase.", as_text)

    def read_text(self) -> Ask | None:
        """The words, without their places."""
        return Ask("Read all the text in the image.", as_text)

    def point(self, phrase: str) -> Ask | None:  # noqa: ARG002
        """It gives boxes only."""
        return None


def _places(text: str, sizes: Sizes) -> Parsed:
    return map_places(parse_written(text, (1000.0, 1000.0)), lambda b: per_mille_to_pixels(b, sizes.image_wh))


def internvl(checkpoint: Checkpoint) -> InternVLDialect:
    """InternVL in the library's own ("-hf") format."""
    saved = checkpoint.config()
    return InternVLDialect(internvl_inputs(checkpoint, int(saved.get("image_seq_length", 256))))
