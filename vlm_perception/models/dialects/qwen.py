"""The Qwen-VL models: JSON with ``bbox_2d``, in Qwen2.5-VL in pixels of the resized image, in the others 0 ... 1000.

Coordinates as Wang et al., "Qwen2-VL", 2024, Bai et al., "Qwen2.5-VL Technical Report", 2025, and the cookbook of Qwen3-VL
have them; the mixtures of experts write as their dense siblings, and Qwen3.5, which the library gives Qwen3-VL's processor,
as Qwen3-VL (its authors in github.com/QwenLM/Qwen3.8-Flash-Next/issues/4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from vlm_perception.models.asking import Ask, Encoded, Sizes, map_places
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.codecs import (
    per_mille_to_pixels,
    pixels_to_per_mille,
    pixels_to_resized,
    qwen_resized,
    resized_to_pixels,
)
from vlm_perception.models.dialects.base import ChatDialect, as_text, in_prompt, on_device
from vlm_perception.models.dialects.chat import ChatInputs, qwen_inputs
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.phrase_labels import without_others
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row
from vlm_perception.types import BoxXyxy

_REGION: Final = {
    RegionWish.DESCRIPTION: "Describe the object in the region {} in a short phrase.",
    RegionWish.CATEGORY: "Name the category of the object in the region {}, in a word or two.",
}
_MARKS: Final = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")


class QwenDialect(ChatDialect):
    """Prompts in the manner of the models' own grounding cookbook."""

    def __init__(self, chat: ChatInputs, *, per_mille: bool, heatmaps: bool = True) -> None:
        """Take over the checkpoint's inputs.

        Args:
            chat: image + prompt -> inputs.
            per_mille: Qwen3-VL's coordinates; else Qwen2.5-VL's.
            heatmaps: whether all of its layers attend, so that it can be seen where it looks.
        """
        self._chat = chat
        self._per_mille = per_mille
        self.capabilities = Capabilities(
            detects=True,
            points=True,
            captions=True,
            answers=True,
            counts=True,
            reads_text=True,
            describes_regions=True,
            names_regions=True,
            heatmaps=heatmaps,
            needs_gpu=True,
            languages=("en", "zh", "de", "fr", "es", "it", "pt", "ja", "ko", "ru", "ar", "vi"),
        )

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """See :class:`~vlm_perception.models.asking.Dialect`."""
        batch = self._chat(image_rgb, prompt, placement)
        _, rows, columns = (int(value) for value in batch["image_grid_thw"][0])
        side = int(self._chat.image_processor.patch_size)
        return on_device(batch, placement, (columns * side, rows * side), self._chat.image_processor)

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return self._chat.decode(tokens, prompt_length)

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """All phrases in one prompt; the label says which is which."""
        names = ", ".join(f'"{clean_phrase(p)}"' for p in phrases)
        prompt = (
            f"Locate every instance that belongs to the following categories: {names}. Report bbox coordinates in "
            'JSON format, as a list of {"bbox_2d": [x1, y1, x2, y2], "label": the category}. '
            "If there is none, report []."
        )
        return [Ask(prompt, self._places, tuple(phrases))]

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """The region in the model's own coordinates."""
        if wish not in _REGION:
            return None
        to_model = pixels_to_per_mille if self._per_mille else self._resized
        x1, y1, x2, y2 = to_model(box_xyxy, image_wh)
        return Ask(_REGION[wish].format(f"[{x1}, {y1}, {x2}, {y2}]"), as_text)

    def _resized(self, box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> tuple[int, int, int, int]:
        processor = self._chat.image_processor
        resized_wh = qwen_resized(
            image_wh,
            factor=int(processor.patch_size) * int(processor.merge_size),
            min_pixels=int(processor.size["shortest_edge"]),
            max_pixels=int(processor.size["longest_edge"]),
        )
        return pixels_to_resized(box_xyxy, image_wh, resized_wh)

    def read_text(self) -> Ask | None:
        """Words with their boxes."""
        prompt = (
            "Spot all the text in the image line by line and report it in JSON format, as a list of "
            '{"bbox_2d": [x1, y1, x2, y2], "text_content": the text}.'
        )
        return Ask(prompt, self._places, listed=True)

    def point(self, phrase: str) -> Ask | None:
        """Points in JSON."""
        prompt = (
            f'Point to every "{phrase}" in the image. Report the points in JSON format, as a list of '
            '{"point_2d": [x, y], "label": the name}.'
        )
        return Ask(prompt, lambda text, sizes: without_others(self._places(text, sizes), phrase), listed=True)

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """The prompt that locates; a token for every 2 x 2 patches."""
        if not self.capabilities.heatmaps:
            return None
        (ask,) = self.locate([phrase])
        encoded = self.encode(image_rgb, ask.prompt, placement)
        _, rows, columns = encoded.inputs["image_grid_thw"][0].tolist()
        merge = int(self._chat.image_processor.merge_size)
        grid = TokenGrid(row_by_row(rows // merge, columns // merge))
        return in_prompt(encoded, self._chat.image_token_id, (grid,))

    def _places(self, text: str, sizes: Sizes) -> Parsed:
        if self._per_mille:
            return map_places(parse_written(text, (1000.0, 1000.0)), lambda b: per_mille_to_pixels(b, sizes.image_wh))
        return map_places(
            parse_written(text, sizes.network_wh), lambda b: resized_to_pixels(b, sizes.image_wh, sizes.network_wh)
        )


class Qwen2Dialect(QwenDialect):
    """Qwen2-VL: asked for one phrase at a time, it answers in JSON or in its own marks.

    These are ``<|object_ref_start|>red mug<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>``, 0 ... 1000. Points
    and lines with their places are not among what it was trained to write.
    """

    def __init__(self, chat: ChatInputs) -> None:
        """Take over the checkpoint's inputs."""
        super().__init__(chat, per_mille=True)
        self.capabilities = replace(self.capabilities, points=False)

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only; its marks are special tokens, which decoding would leave out."""
        tokenizer = self._chat.tokenizer
        known = zip(tokenizer.convert_tokens_to_ids(list(_MARKS)), _MARKS, strict=True)
        marks = {token: mark for token, mark in known if token not in (None, tokenizer.unk_token_id)}
        text, start = "", 0
        ids = tokens[prompt_length:].tolist()
        for end, token in enumerate([*ids, None]):
            if token is None or token in marks:
                text += tokenizer.decode(ids[start:end], skip_special_tokens=True) + marks.get(token, "")
                start = end + 1
        return text

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """One prompt a phrase."""
        return [ask for phrase in phrases for ask in super(Qwen2Dialect, self).locate([phrase])]

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """The region in its own marks."""
        if wish not in _REGION:
            return None
        x1, y1, x2, y2 = pixels_to_per_mille(box_xyxy, image_wh)
        return Ask(_REGION[wish].format(f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"), as_text)

    def read_text(self) -> Ask | None:
        """The words, without their places."""
        return ChatDialect.read_text(self)

    def point(self, phrase: str) -> Ask | None:  # noqa: ARG002
        """It gives boxes only."""
        return None


def qwen2(checkpoint: Checkpoint) -> Qwen2Dialect:
    """Qwen2-VL."""
    return Qwen2Dialect(qwen_inputs(checkpoint))


def qwen2_5(checkpoint: Checkpoint) -> QwenDialect:
    """Qwen2.5-VL."""
    return QwenDialect(qwen_inputs(checkpoint), per_mille=False)


def qwen3(checkpoint: Checkpoint) -> QwenDialect:
    """Qwen3-VL, dense or a mixture of experts."""
    return QwenDialect(qwen_inputs(checkpoint), per_mille=True)


def qwen3_5(checkpoint: Checkpoint) -> QwenDialect:
    """Qwen3.5, dense or a mixture of experts: asked not to think first; most of its layers have no attention."""
    chat = replace(qwen_inputs(checkpoint), template={"enable_thinking": False})
    return QwenDialect(chat, per_mille=True, heatmaps=False)
