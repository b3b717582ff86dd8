"""OmDet-Turbo.

Zhao et al., "Real-time Transformer-based Open-Vocabulary Detection with Efficient Fusion Head", 2024.
The text is a list of classes and a task sentence; the model itself caches the embeddings of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from vlm_perception.models.base import RgbImage
from vlm_perception.models.fusing import fuse_for_inference
from vlm_perception.models.heads.base import HeadMap, HeadOutput, HeadParts, split_levels, to_numpy
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import import_torch, inference
from vlm_perception.models.weights import uncompiled

_ALL: Final = 1000  # more phrases than anyone asks for at once


class OmDetTurboHead:
    """``OmDetTurboForObjectDetection``.

    The layout of the inputs is ``OmDetTurboProcessor``'s, restated here because that class cannot be built
    without torchvision, and the default model must run without.

    Options:
        task: the task sentence, ``{}`` for the comma-separated phrases. Default: the documented "Detect {}.".
        max_phrases: phrases a forward pass. Default: all.
    """

    hot: ClassVar[tuple[str, ...]] = ("forward",)

    def __init__(self, parts: HeadParts) -> None:
        """Take over a loaded checkpoint, whose blocks are fused for inference."""
        self._parts = parts
        fuse_for_inference(parts.model)
        self._task = parts.options.template("task", "Detect {}.")
        self._max_phrases = parts.options.integer("max_phrases", _ALL, low=1, high=_ALL)
        text_config = parts.model.config.text_config
        self._max_tokens = min(77, int(getattr(text_config, "max_position_embeddings", 77)))

    def groups(self, phrases: Sequence[str]) -> list[list[int]]:
        """All at once, or ``max_phrases`` at a time."""
        step = self._max_phrases
        return [list(range(i, min(i + step, len(phrases)))) for i in range(0, len(phrases), step)]

    def forward(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> list[HeadOutput]:
        """See :class:`~vlm_perception.models.heads.base.Head`."""
        count = len(images_rgb)
        output, extent = self._run(images_rgb, phrases)
        scores = to_numpy(output.decoder_class_logits.float().sigmoid())
        boxes = to_numpy(output.decoder_coord_logits)
        return [HeadOutput(scores[i], boxes[i], extent) for i in range(count)]

    def _run(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> tuple[Any, tuple[float, float]]:
        """The network's output, and the size in image pixels that its boxes refer to."""
        torch = import_torch()
        classes = [head_phrase(phrase).lower() for phrase in phrases]
        count = len(images_rgb)
        tokenise = {
            "padding": "max_length",
            "truncation": True,
            "max_length": self._max_tokens,
            "return_token_type_ids": False,
            "return_attention_mask": True,
            "return_tensors": "pt",
        }
        device = self._parts.placement.device
        tasks = self._parts.tokenizer([self._task.format(", ".join(classes))] * count, **tokenise).to(device)
        text = self._parts.tokenizer(classes * count, **tokenise).to(device)
        pixels = self._parts.pixels(images_rgb)
        with inference(self._parts.placement, autocast=True):
            output = self._parts.model(
                pixel_values=pixels["pixel_values"],
                classes_input_ids=text["input_ids"],
                classes_attention_mask=text["attention_mask"],
                tasks_input_ids=tasks["input_ids"],
                tasks_attention_mask=tasks["attention_mask"],
                classes_structure=torch.tensor([len(classes)] * count, device=device),
            )
        height, width = images_rgb[0].shape[:2]
        scale_w, scale_h = _padding_scale(pixels)
        return output, (width * scale_w, height * scale_h)

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> HeadMap:
        """The encoder's similarity of every anchor with the class, from which it picks the decoder's queries."""
        torch = import_torch()
        decoder = self._parts.model.decoder
        seen: dict[str, Any] = {}
        shapes: list[tuple[int, int]] = []
        hooks = [
            decoder.encoder_vision_features.register_forward_hook(lambda *call: seen.update(features=call[2])),
            decoder.encoder_class_head.register_forward_hook(lambda *call: seen.update(classes=call[2])),
            *(
                layer.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[2:])))
                for layer in decoder.channel_projection_layers
            ),
        ]
        try:
            with uncompiled(self._parts.model):
                _, extent = self._run([image_rgb], [phrase])
        finally:
            for hook in hooks:
                hook.remove()
        features, classes = seen["features"][0].float(), seen["classes"][0, 0].float()
        if decoder.class_distance_type == "cosine":
            # As the library's get_class_similarity: cosine over a temperature of 0.07.
            logits = torch.nn.functional.cosine_similarity(features, classes[None], dim=-1) / 0.07
        else:
            logits = features @ classes
        # Anchors at the very border are none to the network: their features were set to zero.
        _, valid = decoder.generate_anchors(tuple(shapes), device=features.device, dtype=seen["features"].dtype)
        values = torch.where(valid[0, :, 0], logits.sigmoid(), torch.zeros_like(logits))
        return HeadMap(split_levels(values, shapes), extent)

    def close(self) -> None:
        """Empty the model's caches; the one of the anchors would keep every closed model alive."""
        generate = type(self._parts.model.decoder).generate_anchors
        if hasattr(generate, "cache_clear"):
            generate.cache_clear()


def _padding_scale(pixels: object) -> tuple[float, float]:
    """Padded size over content size, in x and y: the model knows no pixel mask, its boxes span the padding."""
    mask = pixels.get("pixel_mask") if hasattr(pixels, "get") else None
    if mask is None:
        return 1.0, 1.0
    rows = int(mask[0].any(dim=1).sum())
    columns = int(mask[0].any(dim=0).sum())
    return mask.shape[-1] / columns, mask.shape[-2] / rows
