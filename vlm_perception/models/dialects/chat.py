"""Chat templates with one image: the processor's way, and the same from its parts where it cannot be built.

The processors of Qwen-VL, InternVL and Molmo 2 hold a video processor that needs torchvision, although a still image does
not; without it the image placeholder of the chat text is expanded here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.last_image import LastImage, remember_image
from vlm_perception.models.loading import (
    Checkpoint,
    image_device,
    load_image_processor,
    load_tokenizer,
    torchvision_works,
)
from vlm_perception.models.runtime import Placement, import_torch, import_transformers
from vlm_perception.types import ModelError


@dataclass(frozen=True, eq=False)
class ChatInputs:
    """Image + prompt -> the inputs of ``generate``.

    Attributes:
        processor: the checkpoint's whole processor, or None.
        tokenizer: its tokenizer.
        image_processor: its image processor, or the whole processor's.
        placeholder: what the chat template writes for an image.
        expand: the image processor's output -> what the placeholder becomes.
        image_tokens: those that stand for the image in the text: first that of its parts, then marks.
        extra: further image processor arguments, as the processor sets them.
        prefix: what the processor puts before the chat's text.
        template: what the chat template is told beside the messages.
    """

    processor: Any
    tokenizer: Any
    image_processor: LastImage
    placeholder: str
    expand: Callable[[Any], str]
    image_tokens: tuple[str, ...]
    extra: dict[str, Any]
    prefix: str = ""
    template: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> dict[str, Any]:
        """One image and one user turn; the image is worked on where the model is, if its processor can."""
        where = image_device(self.image_processor, placement)
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        writer = self.processor if self.processor is not None else self.tokenizer
        text = writer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **self.template)
        if self.processor is not None:
            arguments: dict[str, Any] = {"images_kwargs": where} if where else {}
            arguments |= begun(text, self.tokenizer)
            return dict(self.processor(text=[text], images=[image_rgb], return_tensors="pt", **arguments))
        pixels = dict(self.image_processor(images=[image_rgb], return_tensors="pt", **self.extra, **where))
        once = begun(text, self.tokenizer)
        text = self.prefix + text.removeprefix(self.prefix).replace(self.placeholder, self.expand(pixels), 1)
        tokens = dict(self.tokenizer([text], return_tensors="pt", return_token_type_ids=False, **once))
        ids = import_torch().tensor(self.tokenizer.convert_tokens_to_ids(list(self.image_tokens)))
        pixels.pop("num_patches", None)
        return {**tokens, **pixels, "mm_token_type_ids": import_torch().isin(tokens["input_ids"], ids).long()}

    @property
    def image_token_id(self) -> int:
        """The id of the token that stands for a part of the image."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image_tokens[0]))

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """The continuation only."""
        return str(self.tokenizer.decode(tokens[prompt_length:], skip_special_tokens=True))


def begun(text: str, tokenizer: Any) -> dict[str, bool]:
    """Arguments with which a text that a chat template wrote gets one begin token, as the library's own call has it.

    Some templates write it, and some tokenizers add it to whatever they read.
    """
    begin = tokenizer.bos_token
    return {"add_special_tokens": False} if begin and text.startswith(begin) else {}


def qwen_inputs(checkpoint: Checkpoint) -> ChatInputs:
    """Qwen-VL: a token for every 2 x 2 patches."""
    image_processor = load_image_processor(checkpoint)

    def expand(pixels: Any) -> str:
        patches = int(pixels["image_grid_thw"][0].prod())
        return "<|image_pad|>" * int(patches // image_processor.merge_size**2)

    return _chat(checkpoint, image_processor, "<|image_pad|>", ("<|image_pad|>",), expand, {})


def internvl_inputs(checkpoint: Checkpoint, tokens_per_tile: int) -> ChatInputs:
    """InternVL: the image is cut into tiles, a fixed number of tokens each."""
    tokenizer = load_tokenizer(checkpoint)
    token = tokenizer.context_image_token

    def expand(pixels: Any) -> str:
        tiles = int(pixels["num_patches"][0])
        return f"{tokenizer.start_image_token}{token * tokens_per_tile * tiles}{tokenizer.end_image_token}"

    return _chat(checkpoint, load_image_processor(checkpoint), token, (token,), expand, {"crop_to_patches": True})


def molmo_inputs(checkpoint: Checkpoint) -> ChatInputs:
    """Molmo 2: a small view of the whole image, then overlapping crops, with marks at the rows' ends."""
    library = importlib.import_module("transformers.models.molmo2.processing_molmo2")
    try:
        saved, _ = library.Molmo2Processor.get_processor_dict(checkpoint.location, local_files_only=checkpoint.offline)
    except OSError as error:
        raise ModelError(checkpoint.explain(error)) from error
    marks = SimpleNamespace(
        image_use_col_tokens=saved.get("image_use_col_tokens", True),
        use_single_crop_col_tokens=saved.get("use_single_crop_col_tokens"),
        use_single_crop_start_token=saved.get("use_single_crop_start_token", True),
    )

    def expand(pixels: Any) -> str:
        return str(library.Molmo2Processor.replace_image_token(marks, pixels, 0))

    tokens = ("<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<im_end>", "<im_low>")
    chat = _chat(checkpoint, molmo_images(checkpoint), "<|image|>", tokens, expand, {})
    return replace(chat, prefix=chat.tokenizer.bos_token or chat.tokenizer.eos_token)


def molmo_images(checkpoint: Checkpoint) -> Any:
    """Molmo 2's image processor; without torchvision the few calls it makes of it are made in torch."""
    if torchvision_works():
        return load_image_processor(checkpoint)
    torch = import_torch()
    library = importlib.import_module("transformers.models.molmo2.image_processing_molmo2")

    class WithoutTorchvision(library.Molmo2ImageProcessor):  # type: ignore[misc, name-defined]
        """The library's, but for three operators."""

        def convert_to_rgb(self, image: Any, **_: Any) -> Any:
            """Cameras' images are RGB already."""
            return image

        def resize(self, image: Any, size: Any, **_: Any) -> Any:
            """Bilinear without antialiasing, as the library asks for."""
            return torch.nn.functional.interpolate(
                image, (size.height, size.width), mode="bilinear", align_corners=False, antialias=False
            )

        def normalize(self, image: Any, mean: Any, std: Any, **_: Any) -> Any:
            """Channel by channel."""
            mean, std = (torch.as_tensor(values, device=image.device).view(-1, 1, 1) for values in (mean, std))
            return (image - mean) / std

    return checkpoint.load(WithoutTorchvision)


def _chat(
    checkpoint: Checkpoint,
    image_processor: Any,
    placeholder: str,
    image_tokens: tuple[str, ...],
    expand: Callable[[Any], str],
    extra: dict[str, Any],
) -> ChatInputs:
    processor = checkpoint.load(import_transformers().AutoProcessor) if torchvision_works() else None
    tokenizer = processor.tokenizer if processor is not None else load_tokenizer(checkpoint)
    images = remember_image(processor) if processor is not None else LastImage(image_processor)
    return ChatInputs(processor, tokenizer, images, placeholder, expand, image_tokens, extra)
