"""CLIP and SigLIP: how well a crop, or each patch of an image, goes with a phrase.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Zhai et al., "Sigmoid
Loss for Language Image Pre-Training", 2023; Tschannen et al., "SigLIP 2", 2025: its checkpoints of fixed resolution are
of SigLIP's class, those of variable resolution (NaFlex) are "siglip2". Patches in the manner of Zhou et al., "Extract
Free Dense Labels from CLIP" (MaskCLIP), 2022: the last attention gives each patch its own value and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from vlm_perception.models.base import RgbImage
from vlm_perception.models.flexible_images import load_flexible_images
from vlm_perception.models.loading import Checkpoint, load_tokenizer, load_weights
from vlm_perception.models.options import Options
from vlm_perception.models.phrase_embeddings import PhraseEmbeddings
from vlm_perception.models.runtime import Placement, import_torch, import_transformers, inference
from vlm_perception.models.square_images import load_square_images
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
    "siglip2": ("This is a photo of {}.",),
}
_NETWORKS: Final = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}
# CLIP compares: without something to lose to, every crop goes perfectly with the only phrase.
_BACKGROUND: Final = ("background", "plain surface", "table", "wall", "floor", "part of something", "blurry thing")


class Images(Protocol):
    """What makes the image tower's inputs, by name, on the device."""

    def whole(self, image_rgb: RgbImage, placement: Placement) -> Mapping[str, Any]:
        """Of a whole image."""

    def crops(self, image_rgb: RgbImage, boxes_xyxy: Sequence[BoxXyxy], placement: Placement) -> Mapping[str, Any]:
        """Of what is in each box."""


class ImageText:
    """The two towers of one checkpoint."""

    def __init__(
        self,
        model: Any,
        images: Images,
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
        """(N, P) in [0, 1]: how well each box's crop goes with each phrase."""
        inputs = self._images.crops(image_rgb, boxes_xyxy, self.placement)
        with inference(self.placement, autocast=True):
            features = self._model.get_image_features(**inputs).pooler_output
        return self._scores(features, phrases)

    def score_patches(self, image_rgb: RgbImage, phrase: str) -> Any:
        """(rows, columns) in [0, 1]: how well each patch of the image goes with a phrase."""
        inputs = self._images.whole(image_rgb, self.placement)
        with inference(self.placement, autocast=True):
            features = _PATCHES[self._model.config.model_type](self._model, inputs)
        rows, columns = _grid(self._model, inputs)
        return self._scores(features, [phrase])[:, 0].reshape(rows, columns)

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


def _grid(model: Any, inputs: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of an image's patches."""
    if "spatial_shapes" in inputs:
        rows, columns = inputs["spatial_shapes"][0].tolist()
        return int(rows), int(columns)
    patch = int(model.config.vision_config.patch_size)
    height, width = inputs["pixel_values"].shape[2:]
    return height // patch, width // patch


def _clip_patches(model: Any, inputs: Mapping[str, Any]) -> Any:
    """(rows * columns, D): the last layer's values through its output projection, as MaskCLIP."""
    vision = model.vision_model
    states = vision(**inputs, output_hidden_states=True).hidden_states[-2]
    last = vision.encoder.layers[-1]
    values = last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(states)))
    return model.visual_projection(vision.post_layernorm(values))[0, 1:]


def _siglip_patches(model: Any, inputs: Mapping[str, Any]) -> Any:
    """(rows * columns, D): the pooling head over one patch at a time, so that its attention has no choice."""
    vision = model.vision_model
    rows, columns = _grid(model, inputs)
    states = vision(**inputs).last_hidden_state[0, : rows * columns]  # what follows pads a NaFlex image
    return vision.head(states[:, None])


_PATCHES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    "clip": _clip_patches,
    "siglip": _siglip_patches,
    "siglip2": _siglip_patches,
}


def load_image_text(checkpoint: Checkpoint, placement: Placement, options: Options) -> ImageText:
    """Load a CLIP or SigLIP checkpoint.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in _NETWORKS:
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(_NETWORKS)}")
    images: Images
    if model_type == "siglip2":
        images = load_flexible_images(checkpoint, options)
    else:
        images = load_square_images(checkpoint)
    auto = getattr(import_transformers(), _NETWORKS[model_type])
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
    background = options.words("background", _BACKGROUND)
    return ImageText(model, images, phrases, placement, background)
