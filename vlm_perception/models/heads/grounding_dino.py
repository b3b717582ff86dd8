"""Grounding DINO and MM Grounding DINO.

Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", 2023.
The text is "red mug. plate."; each query gets one logit a *token*, and what a phrase scores is for the caller
to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.heads.base import HeadMap, HeadOutput, HeadParts, split_levels, to_numpy
from vlm_perception.models.prompts import caption_phrase, grounding_caption, pack, words_in_span
from vlm_perception.models.runtime import import_torch, inference
from vlm_perception.models.weights import uncompiled
from vlm_perception.types import FloatArray, ModelError


def token_groups(
    caption: str, spans: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]
) -> list[list[list[int]]]:
    """Which tokens make up each word of each phrase.

    Args:
        caption: the text that was tokenised.
        spans: each phrase's characters in it.
        offsets: each token's characters; (0, 0) for special tokens.

    Returns:
        Phrase -> word -> token indices.
    """
    result: list[list[list[int]]] = []
    for span in spans:
        words: list[list[int]] = []
        for start, end in words_in_span(caption, span):
            tokens = [i for i, (a, b) in enumerate(offsets) if a < b and a < end and b > start]
            if tokens:
                words.append(tokens)
        result.append(words)
    return result


def phrase_scores(token_probs: NDArray[np.float64], groups: Sequence[Sequence[Sequence[int]]]) -> FloatArray:
    """Token probabilities -> phrase scores.

    A word scores the highest probability of its tokens, a phrase the geometric mean of its words. For a
    one-word phrase that is the library's own box score. For longer ones every word has to light up: with
    "red mug. green mug." the token "mug" fires for both, and the library's maximum would call a red mug green.

    Args:
        token_probs: (Q, T).
        groups: as :func:`token_groups`.

    Returns:
        (Q, P).
    """
    scores = np.zeros((len(token_probs), len(groups)))
    for column, words in enumerate(groups):
        if words:
            by_word = np.stack([token_probs[:, list(tokens)].max(axis=1) for tokens in words], axis=1)
            scores[:, column] = np.exp(np.log(by_word.clip(1e-9)).mean(axis=1))
    return scores


class GroundingDinoHead:
    """``GroundingDinoForObjectDetection`` and ``MMGroundingDinoForObjectDetection``."""

    hot: ClassVar[tuple[str, ...]] = ("forward",)

    def __init__(self, parts: HeadParts) -> None:
        """Take over a loaded checkpoint."""
        self._parts = parts
        self._max_tokens = int(parts.model.config.max_text_len)

    def groups(self, phrases: Sequence[str]) -> list[list[int]]:
        """As many phrases a prompt as the text encoder reads (256 tokens in the public checkpoints)."""

        def tokens(phrase: str) -> int:
            ids = self._parts.tokenizer(caption_phrase(phrase), add_special_tokens=False)["input_ids"]
            return len(ids) + 1  # its full stop

        room = self._max_tokens - 2  # [CLS] and [SEP]
        for phrase in phrases:
            if tokens(phrase) > room:
                raise ModelError(
                    f"phrase '{phrase[:60]}...' has {tokens(phrase)} tokens, the model reads {room}: shorten it"
                )
        return pack(phrases, tokens, room)

    def forward(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> list[HeadOutput]:
        """See :class:`~vlm_perception.models.heads.base.Head`."""
        inputs, groups = self._inputs(images_rgb, phrases)
        with inference(self._parts.placement, autocast=True):
            output = self._parts.model(**inputs)
        height, width = images_rgb[0].shape[:2]
        return [
            HeadOutput(phrase_scores(probs, groups), boxes, (float(width), float(height)))
            for probs, boxes in zip(
                to_numpy(output.logits.float().sigmoid()), to_numpy(output.pred_boxes), strict=True
            )
        ]

    def _inputs(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]
    ) -> tuple[dict[str, Any], list[list[list[int]]]]:
        """The network's inputs, and which tokens make up each word of each phrase."""
        caption, spans = grounding_caption(phrases)
        text = self._parts.tokenizer(
            [caption] * len(images_rgb),
            return_tensors="pt",
            return_token_type_ids=True,
            return_offsets_mapping=True,
        )
        offsets = [(int(a), int(b)) for a, b in text.pop("offset_mapping")[0]]
        inputs: dict[str, Any] = {**self._parts.pixels(images_rgb), **text.to(self._parts.placement.device)}
        return inputs, token_groups(caption, spans, offsets)

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> HeadMap:
        """The encoder's own scores of every place of its feature levels, from which it picks the decoder's queries."""
        inputs, groups = self._inputs([image_rgb], [phrase])
        shapes: list[list[tuple[int, int]]] = []
        encoder = self._parts.model.model.encoder
        hook = encoder.register_forward_pre_hook(
            lambda _, __, given: shapes.append(given["spatial_shapes_list"]), with_kwargs=True
        )
        try:
            with uncompiled(self._parts.model), inference(self._parts.placement, autocast=True):
                output = self._parts.model(**inputs)
        finally:
            hook.remove()
        height, width = image_rgb.shape[:2]
        scores = phrase_scores(to_numpy(output.enc_outputs_class[0].float().sigmoid()), groups)[:, 0]
        values = import_torch().from_numpy(scores)
        return HeadMap(split_levels(values, shapes[0]), (float(width), float(height)))

    def close(self) -> None:
        """Nothing is cached."""
