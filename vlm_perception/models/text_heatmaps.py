"""The family that paints a heatmap for a text: CLIPSeg. Heatmap -> masks -> boxes.

Lueddecke and Ecker, "Image Segmentation Using Text and Image Prompts", 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import cv2
import numpy as np

from vlm_perception.models.base import Capabilities, Heatmap, RgbImage
from vlm_perception.models.heatmaps import check_request, over_image
from vlm_perception.models.inputs import check_images
from vlm_perception.models.loading import Checkpoint, load_tokenizer, load_weights
from vlm_perception.models.options import Options
from vlm_perception.models.phrase_embeddings import PhraseEmbeddings
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import (
    Placement,
    free_memory,
    import_transformers,
    inference,
    refuse_nan,
    split_on_oom,
)
from vlm_perception.models.square_images import load_square_images
from vlm_perception.types import Detection, ModelError

_TEMPLATES: Final = ("a photo of a {}.",)


class TextHeatmaps:
    """CLIPSeg behind :class:`~vlm_perception.models.base.GroundingModel` and ``HeatmapModel``.

    It knows no instances: things of one kind that touch are one mask.

    Options:
        threshold: lowest score of a detection: the mean of the heatmap over its mask (default: the mask's).
        mask_threshold: a pixel belongs to a mask from this probability on (default 0.4).
        min_area: smallest mask as a share of the image (default 0.0005).
        templates: texts with ``{}`` for the phrase; more than one is a prompt ensemble.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        phrases: PhraseEmbeddings,
        images: Callable[[Sequence[RgbImage], Placement], Any],
        placement: Placement,
        options: Options,
    ) -> None:
        """Put a loaded network behind the protocol; :func:`load` is the usual way in."""
        self._name = name
        self._model: Any = model
        self._phrases = phrases
        self._images = images
        self.placement = placement
        self._mask_threshold = options.number("mask_threshold", 0.4, low=0.0, high=1.0)
        self._threshold = options.number("threshold", self._mask_threshold, low=0.0, high=1.0)
        self._min_area = options.number("min_area", 5e-4, low=0.0, high=1.0)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Boxes, masks and heatmaps; it cannot count what touches."""
        return Capabilities(detects=True, masks=True, heatmaps=True)

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`."""
        check_images(images_rgb)
        asked = [phrase for phrase in dict.fromkeys(phrases) if head_phrase(phrase)]
        if not asked or not len(images_rgb):
            return [[] for _ in images_rgb]
        lowest = self._threshold if threshold is None else threshold
        results: list[list[Detection]] = []
        for image, grids in zip(images_rgb, self._grids(images_rgb, asked), strict=True):
            found: list[Detection] = []
            for phrase, grid in zip(asked, grids, strict=True):
                found += self._islands(phrase, over_image([grid], image), lowest)
            results.append(sorted(found, key=lambda detection: -detection.score))
        return results

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """The network's own probabilities; see :class:`vlm_perception.models.base.HeatmapModel`."""
        check_request(image_rgb, phrase)
        ((grid,),) = self._grids([image_rgb], [phrase])
        return over_image([grid], image_rgb)

    def _grids(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> list[Any]:
        """P maps of (h, w) probabilities an image."""
        if self._model is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        def work(batch: Sequence[RgbImage]) -> list[Any]:
            pixels = self._images(batch, self.placement)
            if len(batch) > 1:
                return list(self._forward(pixels, phrases))
            # Of one image, what can still be made smaller is the text.
            return [split_on_oom(lambda part: list(self._forward(pixels, part)[0]), phrases, what=self._name)]

        return split_on_oom(work, images_rgb, what=self._name)

    def _forward(self, pixels: Any, phrases: Sequence[str]) -> Any:
        """(N, P, h, w) probabilities. The vision tower runs once an image, the light decoder once a phrase."""
        conditions = self._phrases(phrases)
        network, count = self._model, len(pixels)
        with inference(self.placement, autocast=True):
            vision = network.clip.vision_model(
                pixel_values=pixels, interpolate_pos_encoding=True, output_hidden_states=True
            )
            layers = [
                vision.hidden_states[layer + 1].repeat_interleave(len(phrases), dim=0)
                for layer in network.extract_layers
            ]
            logits = network.decoder(layers, conditions.repeat(count, 1)).logits
        refuse_nan(logits, self._name, self.placement, "heatmaps")
        return logits.float().sigmoid().reshape(count, len(phrases), *logits.shape[-2:])

    def _islands(self, phrase: str, heat: Heatmap, threshold: float) -> list[Detection]:
        """One detection for each connected part of the heatmap above the mask threshold."""
        mask = (heat >= self._mask_threshold).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found: list[Detection] = []
        for island in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[island])
            if area < self._min_area * heat.size:
                continue
            part = labels == island
            score = float(heat[part].mean())
            if score >= threshold:
                box = (float(x), float(y), float(x + width), float(y + height))
                found.append(Detection(phrase, phrase, min(score, 1.0), box, mask=part))
        return found

    def close(self) -> None:
        """Free the network's memory."""
        if self._model is not None:
            self._model = None
            self._phrases.clear()
            free_memory()


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> TextHeatmaps:
    """Load a CLIPSeg checkpoint.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type != "clipseg":
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not a clipseg")
    auto = import_transformers().CLIPSegForImageSegmentation
    hot = ("clip.vision_model.forward", "decoder.forward")
    model = load_weights(checkpoint, auto, placement, options=options.values, keep_float32=True, hot=hot)
    phrases = PhraseEmbeddings(
        lambda tokens: model.clip.get_text_features(**tokens).pooler_output,
        load_tokenizer(checkpoint),
        options.texts("templates", _TEMPLATES),
        placement,
        max_tokens=int(model.config.text_config.max_position_embeddings),
        unit_length=False,
    )
    return TextHeatmaps(checkpoint.name, model, phrases, load_square_images(checkpoint).batch, placement, options)
