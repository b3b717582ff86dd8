"""OWL-ViT and OWLv2.

Minderer et al., "Simple Open-Vocabulary Object Detection with Vision Transformers", 2022, and "Scaling
Open-Vocabulary Object Detection", 2023. The text tower is separate, so each phrase is embedded once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

from vlm_perception.models.base import RgbImage
from vlm_perception.models.heads.base import HeadMap, HeadOutput, HeadParts, to_numpy
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import import_torch, inference

_CACHED_PHRASES = 1024


class OwlHead:
    """``OwlViTForObjectDetection`` and ``Owlv2ForObjectDetection``.

    Options:
        templates: texts with ``{}`` for the phrase; more than one is a prompt ensemble, whose unit-length
            embeddings are averaged (as CLIP's). Default: the documented "a photo of a {}".
    """

    hot: ClassVar[tuple[str, ...]] = ("image_embedder",)

    def __init__(self, parts: HeadParts) -> None:
        """Take over a loaded checkpoint."""
        self._parts = parts
        config = parts.model.config
        self._towers = parts.model.owlv2 if config.model_type == "owlv2" else parts.model.owlvit
        self._pads_to_square = config.model_type == "owlv2"
        self._templates = parts.options.texts("templates", ("a photo of a {}",))
        self._max_tokens = int(config.text_config.max_position_embeddings)
        self._embeddings: OrderedDict[str, Any] = OrderedDict()

    def groups(self, phrases: Sequence[str]) -> list[list[int]]:
        """All at once: phrases do not see one another."""
        return [list(range(len(phrases)))]

    def embed(self, phrases: Sequence[str]) -> Any:
        """(P, D) unit-length text embeddings; those seen before come from the cache."""
        torch = import_torch()
        missing = [p for p in dict.fromkeys(phrases) if p not in self._embeddings]
        if missing:
            prompts = [t.format(head_phrase(p)) for p in missing for t in self._templates]
            text = self._parts.tokenizer(
                prompts, padding="max_length", truncation=True, max_length=self._max_tokens, return_tensors="pt"
            ).to(self._parts.placement.device)
            with inference(self._parts.placement, autocast=True):
                features = self._towers.get_text_features(**text).pooler_output.float()
                features = torch.nn.functional.normalize(features, dim=-1)
                features = features.reshape(len(missing), len(self._templates), -1).mean(dim=1)
                features = torch.nn.functional.normalize(features, dim=-1)
            self._embeddings.update(zip(missing, features, strict=True))
        found = []
        for phrase in phrases:
            self._embeddings.move_to_end(phrase)
            found.append(self._embeddings[phrase])
        while len(self._embeddings) > _CACHED_PHRASES:
            self._embeddings.popitem(last=False)
        return torch.stack(found)

    def forward(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> list[HeadOutput]:
        """See :class:`~vlm_perception.models.heads.base.Head`."""
        queries = self.embed(phrases)
        pixels = self._parts.pixels(images_rgb)["pixel_values"]
        model = self._parts.model
        with inference(self._parts.placement, autocast=True):
            feature_map = model.image_embedder(pixel_values=pixels)[0]
            features = feature_map.flatten(1, 2)
            batched = queries.unsqueeze(0).expand(len(features), -1, -1)
            logits = model.class_predictor(features, batched, None)[0]
            boxes = model.box_predictor(features, feature_map)
        extent = self._extent(images_rgb[0])
        return [
            HeadOutput(scores, box, extent)
            for scores, box in zip(to_numpy(logits.float().sigmoid()), to_numpy(boxes), strict=True)
        ]

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> HeadMap:
        """Each patch is a query, so its score stands where the patch is."""
        queries = self.embed([phrase])
        pixels = self._parts.pixels([image_rgb])["pixel_values"]
        with inference(self._parts.placement, autocast=True):
            feature_map = self._parts.model.image_embedder(pixel_values=pixels)[0]
            rows, columns = feature_map.shape[1:3]
            logits = self._parts.model.class_predictor(feature_map.flatten(1, 2), queries[None], None)[0]
        return HeadMap([logits[0, :, 0].float().sigmoid().reshape(rows, columns)], self._extent(image_rgb))

    def _extent(self, image_rgb: RgbImage) -> tuple[float, float]:
        """OWLv2 pads to a square at the bottom right before it resizes; OWL-ViT stretches."""
        height, width = image_rgb.shape[:2]
        return (float(max(height, width)),) * 2 if self._pads_to_square else (float(width), float(height))

    def close(self) -> None:
        """Forget the text embeddings."""
        self._embeddings.clear()
