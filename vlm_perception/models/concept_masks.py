"""SAM 3 with phrases: every instance of a concept, with box and mask, in one pass.

"SAM 3: Segment Anything with Concepts", 2025. One phrase a pass over shared image features; a presence score
says whether the concept is in the image at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.boxes import clip_boxes
from vlm_perception.models.inputs import check_images
from vlm_perception.models.loading import Checkpoint, load_tokenizer, load_weights
from vlm_perception.models.network_images import NetworkImage, stretching
from vlm_perception.models.options import Options
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import (
    Placement,
    free_memory,
    import_transformers,
    inference,
    refuse_nan,
    split_on_oom,
)
from vlm_perception.types import Detection, ModelError

_TOKENS = 32  # as Sam3Processor pads
_CACHED_PHRASES = 256


class ConceptMasks:
    """SAM 3 behind :class:`~vlm_perception.models.base.GroundingModel`.

    Options:
        threshold: lowest instance score (the library's default 0.3).
        mask_threshold: a pixel belongs to the mask above this probability (the library's default 0.5).
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        prepare: Callable[[RgbImage], NetworkImage],
        placement: Placement,
        options: Options,
    ) -> None:
        """Put a loaded network behind the protocol; :func:`load_concepts` is the usual way in."""
        self._name = name
        self._model: Any = model
        self._tokenizer = tokenizer
        self._prepare = prepare
        self.placement = placement
        self._threshold = options.number("threshold", 0.3, low=0.0, high=1.0)
        self._mask_threshold = options.number("mask_threshold", 0.5, low=0.0, high=1.0)
        self._texts: OrderedDict[str, tuple[Any, Any]] = OrderedDict()

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Boxes and masks from phrases."""
        return Capabilities(detects=True, masks=True, counts=True, needs_gpu=True)

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`."""
        if self._model is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        check_images(images_rgb)
        asked = [phrase for phrase in dict.fromkeys(phrases) if head_phrase(phrase)]
        lowest = self._threshold if threshold is None else threshold
        results: list[list[Detection]] = []
        for image in images_rgb:
            found = self._all(image, asked, lowest) if asked else []
            results.append(sorted(found, key=lambda detection: -detection.score))
        return results

    def _all(self, image_rgb: RgbImage, phrases: Sequence[str], threshold: float) -> list[Detection]:
        def work(part: Sequence[str]) -> list[Detection]:
            return self._one(image_rgb, part, threshold)

        return split_on_oom(work, phrases, what=self._name)

    def _one(self, image_rgb: RgbImage, phrases: Sequence[str], threshold: float) -> list[Detection]:
        image = self._prepare(image_rgb)
        height, width = image_rgb.shape[:2]
        found: list[Detection] = []
        with inference(self.placement, autocast=True):
            features = self._model.vision_encoder(image.pixels)
            for phrase in phrases:
                text, mask = self._text(phrase)
                output = self._model(vision_embeds=features, text_embeds=text, attention_mask=mask)
                scores = output.pred_logits[0].float().sigmoid()
                if output.presence_logits is not None:
                    scores = scores * output.presence_logits[0].float().sigmoid()
                refuse_nan(scores, self._name, self.placement)
                kept = (scores >= threshold).nonzero().flatten()
                if not len(kept):
                    continue
                logits = output.pred_masks[0][kept].float()
                # The library resizes probabilities, not logits.
                masks = image.to_original(logits.sigmoid()[None])[0] > self._mask_threshold
                corners = output.pred_boxes[0][kept].float().cpu().numpy() * np.tile((width, height), 2)
                boxes = clip_boxes(corners, width, height)
                values = scores[kept].cpu().numpy()
                for box, score, pixels in zip(boxes, values, masks.cpu().numpy(), strict=True):
                    if box[2] > box[0] and box[3] > box[1]:
                        x1, y1, x2, y2 = (float(v) for v in box)
                        found.append(Detection(phrase, phrase, float(score), (x1, y1, x2, y2), mask=pixels))
        return found

    def _text(self, phrase: str) -> tuple[Any, Any]:
        """The phrase's text features and their mask; those seen before come from the cache."""
        if phrase not in self._texts:
            tokens = self._tokenizer(
                [head_phrase(phrase)],
                padding="max_length",
                truncation=True,
                max_length=_TOKENS,
                return_tensors="pt",
            ).to(self.placement.device)
            features = self._model.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], return_dict=True
            )
            self._texts[phrase] = (features, tokens["attention_mask"])
            while len(self._texts) > _CACHED_PHRASES:
                self._texts.popitem(last=False)
        self._texts.move_to_end(phrase)
        return self._texts[phrase]

    def close(self) -> None:
        """Free the network's memory."""
        if self._model is not None:
            self._model = None
            self._texts.clear()
            free_memory()


def load_concepts(checkpoint: Checkpoint, placement: Placement, options: Options) -> ConceptMasks:
    """Load SAM 3 for phrases.

    Raises:
        ModelError: it cannot be loaded, or is a member of the family that takes boxes only.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in ("sam3", "sam3_video"):
        raise ModelError(
            f"'{checkpoint.name}' ({model_type}) turns boxes into masks and knows no phrases: use it as the "
            "segmenter, beside a detector such as 'grounding-dino-tiny'"
        )
    model = load_weights(
        checkpoint,
        import_transformers().Sam3Model,
        placement,
        options=options.values,
        keep_float32=True,
        hot=("vision_encoder.forward", "forward"),
    )
    return ConceptMasks(
        checkpoint.name, model, load_tokenizer(checkpoint), stretching(checkpoint, placement), placement, options
    )
