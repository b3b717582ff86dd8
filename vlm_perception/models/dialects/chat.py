"""Chat templates with one image: the processor's way, and the same from its parts where it cannot be built.

The processors of Qwen-VL and InternVL hold a video processor that needs torchvision, although a still image does
not; without it the image placeholder of the chat text is expanded here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint, load_image_processor, load_tokenizer, torchvision_works
from vlm_perception.models.runtime import import_transformers


@dataclass(frozen=True, eq=False)
class ChatInputs:
    """Image + prompt -> the inputs of ``generate``.

    Attributes:
        processor: the checkpoint's whole processor, or None.
        tokenizer: its tokenizer.
        image_processor: its image processor.
        placeholder: what the chat template writes for an image.
        expand: the image processor's output -> what the placeholder becomes.
        image_token: the token that stands for a patch of the image.
        extra: further image processor arguments, as the processor sets them.
    """

    processor: Any
    tokenizer: Any
    image_processor: Any
    placeholder: str
    expand: Callable[[Any], str]
    image_token: str
    extra: dict[str, Any]

    def __call__(self, image_rgb: RgbImage, prompt: str) -> dict[str, Any]:
        """One image and one user turn."""
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        template = self.processor if self.processor is not None else self.tokenizer
        text = template.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        if self.processor is not None:
            return dict(self.processor(text=[text], images=[image_rgb], return_tensors="pt"))
        pixels = dict(self.image_processor(images=[image_rgb], return_tensors="pt", **self.extra))
        text = text.replace(self.placeholder, self.expand(pixels), 1)
        tokens = dict(self.tokenizer([text], return_tensors="pt", return_token_type_ids=False))
        is_image = tokens["input_ids"] == self.tokenizer.convert_tokens_to_ids(self.image_token)
        pixels.pop("num_patches", None)
        return {**tokens, **pixels, "mm_token_type_ids": is_image.long()}

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return str(self.tokenizer.decode(tokens[prompt_length:], skip_special_tokens=True))


def qwen_inputs(checkpoint: Checkpoint) -> ChatInputs:
    """Qwen2.5-VL, Qwen3-VL: a token for every 2 x 2 patches."""
    image_processor = load_image_processor(checkpoint)

    def expand(pixels: Any) -> str:
        patches = int(pixels["image_grid_thw"][0].prod())
        return "<|image_pad|>" * int(patches // image_processor.merge_size**2)

    return _chat(checkpoint, image_processor, "<|image_pad|>", "<|image_pad|>", expand, {})


def internvl_inputs(checkpoint: Checkpoint, tokens_per_tile: int) -> ChatInputs:
    """InternVL: the image is cut into tiles, a fixed number of tokens each."""
    tokenizer = load_tokenizer(checkpoint)
    token = tokenizer.context_image_token

    def expand(pixels: Any) -> str:
        tiles = int(pixels["num_patches"][0])
        return f"{tokenizer.start_image_token}{token * tokens_per_tile * tiles}{tokenizer.end_image_token}"

    return _chat(checkpoint, load_image_processor(checkpoint), token, token, expand, {"crop_to_patches": True})


def _chat(
    checkpoint: Checkpoint,
    image_processor: Any,
    placeholder: str,
    image_token: str,
    expand: Callable[[Any], str],
    extra: dict[str, Any],
) -> ChatInputs:
    processor = checkpoint.load(import_transformers().AutoProcessor) if torchvision_works() else None
    tokenizer = processor.tokenizer if processor is not None else load_tokenizer(checkpoint)
    return ChatInputs(processor, tokenizer, image_processor, placeholder, expand, image_token, extra)
