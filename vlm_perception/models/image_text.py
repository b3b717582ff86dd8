"""CLIP and SigLIP: how well a crop, or each patch of an image, goes with a phrase.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Zhai et al., "Sigmoid
Loss for Language Image Pre-Training", 2023, and SigLIP 2, 2025 (the checkpoints of fixed resolution, whose class is
SigLIP's). Patches in the manner of Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), 2022: the last
attention gives each patch its own value and nobody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint, load_tokenizer, load_weights
from vlm_perception.models.options import Options
from vlm_perception.models.phrase_embeddings import PhraseEmbeddings
from vlm_perception.models.runtime import Placement, import_torch, import_transformers, inference
from vlm_perception.models.square_images import SquareImages, load_square_images
from vlm_perception.types import BoxXyxy, ModelError

# CLIP's are of its authors' ImageNet ensemble; SigLIP's is the documented one.
_TEMPLATES: Final = {
    "clip": (
        "a photo of a {}.",
        "a photo of the {}.",
        "a close-up photo of a {}.",
        "a cropped photo of a {}.",
        "a photo of the small {}.",
    ),
    "siglip": ("This is a photo of {}.",),
}
# CLIP compares: without something to lose to, every crop goes perfectly with the only phrase.
_BACKGROUND: Final = ("background", "plain surface", "table", "wall", "floor", "part of something", "blurry thing")


class ImageText:
    """The two towers of one checkpoint."""

    def __init__(
        self,
        model: Any,
        images: SquareImages,
        phrases: PhraseEmbeddings,
        placement: Placement,
        background: Sequence[str],
    ) -> None:
        """Take over a loaded checkpoint; :func:`load_image_text` is the usual way in."""
        self._model: Any = model
        self._images = images
        self._phrases = phrases
        self._background = tuple(background)
        self.placement = placement

    def score_crops(self, image_rgb: RgbImage, boxes_xyxy: Sequence[BoxXyxy], phrases: Sequence[str]) -> Any:
        """(N, P) in [0, 1]: how well each box's square crop goes with each phrase."""
        pixels = self._images.crops(image_rgb, boxes_xyxy, self.placement)
        with inference(self.placement, autocast=True):
            features = self._model.get_image_features(pixel_values=pixels).pooler_output
        return self._scores(features, phrases)

    def score_patches(self, image_rgb: RgbImage, phrase: str) -> Any:
        """(rows, columns) in [0, 1]: how well each patch of the image goes with a phrase."""
        pixels = self._images(image_rgb, self.placement)
        with inference(self.placement, autocast=True):
            dense = _clip_patches if self._model.config.model_type == "clip" else _siglip_patches
            features = dense(self._model, pixels)
        scores = self._scores(features, [phrase])[:, 0]
        patch = int(self._model.config.vision_config.patch_size)
        return scores.reshape(pixels.shape[2] // patch, pixels.shape[3] // patch)

    def _scores(self, features: Any, phrases: Sequence[str]) -> Any:
        torch = import_torch()
        unit = torch.nn.functional.normalize(features.float(), dim=-1)
        scale = self._model.logit_scale.float().exp()
        with torch.inference_mode():
            logits = unit @ self._phrases(phrases).T * scale
            if self._model.config.model_type != "clip":
                return (logits + self._model.logit_bias.float()).sigmoid()
            others = (unit @ self._phrases(self._background).T * scale).logsumexp(dim=1, keepdim=True)
            return (logits - torch.logaddexp(logits, others)).exp()

    def close(self) -> None:
        """Let go of the network."""
        self._model = None
        self._phrases.clear()


def _clip_patches(model: Any, pixels: Any) -> Any:
    """(rows * columns, D): the last layer's values through its output projection, as MaskCLIP."""
    vision = model.vision_model
    states = vision(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    last = vision.encoder.layers[-1]
    values = last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(states)))
    return model.visual_projection(vision.post_layernorm(values))[0, 1:]


def _siglip_patches(model: Any, pixels: Any) -> Any:
    """(rows * columns, D): the pooling head over one patch at a time, so that its attention has no choice."""
    vision = model.vision_model
    states = vision(pixel_values=pixels).last_hidden_state
    return vision.head(states[0][:, None])


def load_image_text(checkpoint: Checkpoint, placement: Placement, options: Options) -> ImageText:
    """Load a CLIP or SigLIP checkpoint.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in _TEMPLATES:
        hint = ": take a checkpoint of fixed resolution, e.g. google/siglip2-base-patch16-256"
        raise ModelError(
            f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(_TEMPLATES)}"
            f"{hint if model_type == 'siglip2' else ''}"
        )
    transformers = import_transformers()
    auto = transformers.CLIPModel if model_type == "clip" else transformers.SiglipModel
    hot = ("vision_model.forward",)
    model = load_weights(checkpoint, auto, placement, options=options.values, keep_float32=True, hot=hot)
    phrases = PhraseEmbeddings(
        lambda tokens: model.get_text_features(**tokens).pooler_output,
        load_tokenizer(checkpoint),
        options.texts("templates", _TEMPLATES[model_type]),
        placement,
        max_tokens=int(model.config.text_config.max_position_embeddings),
        unit_length=True,
    )
    background = tuple(str(word) for word in options.values.get("background") or _BACKGROUND)
    return ImageText(model, load_square_images(checkpoint), phrases, placement, background)
