"""Recipes for models that find what a phrase names without writing: detection heads, CLIPSeg, CLIP, SigLIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vlm_perception.evaluation.random_weights.recipe import CLIP, HALVES, IMAGENET, Recipe, image_processor, square
from vlm_perception.evaluation.random_weights.tokenizers import bert_words, clip_words, gemma_letters, words


def _short_side(_: Any, side: int) -> Mapping[str, Any]:
    size = {"shortest_edge": side, "longest_edge": round(side * 1333 / 800)}
    return image_processor("GroundingDinoImageProcessor", IMAGENET, size=size, do_pad=True)


def _siglip_words(config: Any) -> Any:
    """Gemma's in SigLIP 2: padding 0, end 1."""
    text = config.text_config
    return words(
        text.vocab_size,
        {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3},
        special={"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"},
        max_length=int(text.max_position_embeddings),
    )


def _flexible(config: Any, side: int) -> Mapping[str, Any]:
    """As many patches as a square of ``side`` has; every image is padded to as many."""
    patch = int(config.vision_config.patch_size)
    return image_processor(
        "Siglip2ImageProcessor", HALVES, resample=2, patch_size=patch, max_num_patches=(side // patch) ** 2
    )


DETECTORS: Final[Mapping[str, Recipe]] = {
    "grounding-dino": Recipe(
        "GroundingDinoForObjectDetection", "GroundingDinoConfig", _short_side, "GroundingDinoProcessor", bert_words
    ),
    "mm-grounding-dino": Recipe(
        "MMGroundingDinoForObjectDetection", "MMGroundingDinoConfig", _short_side, "GroundingDinoProcessor", bert_words
    ),
    "owlvit": Recipe(
        "OwlViTForObjectDetection", "OwlViTConfig", square("OwlViTImageProcessor", CLIP, 3), "OwlViTProcessor",
        clip_words,
    ),
    "owlv2": Recipe(
        "Owlv2ForObjectDetection", "Owlv2Config", square("Owlv2ImageProcessor", CLIP, 2), "Owlv2Processor", clip_words
    ),
    "omdet-turbo": Recipe(
        "OmDetTurboForObjectDetection", "OmDetTurboConfig", square("DetrImageProcessor", IMAGENET, 2, do_pad=False),
        "OmDetTurboProcessor", clip_words,
    ),
    "clipseg": Recipe(
        "CLIPSegForImageSegmentation", "CLIPSegConfig", square("ViTImageProcessor", IMAGENET, 2), "CLIPSegProcessor",
        clip_words,
    ),
    "clip": Recipe("CLIPModel", "CLIPConfig", square("CLIPImageProcessor", CLIP, 3), "CLIPProcessor", clip_words),
    "siglip": Recipe(
        "SiglipModel", "SiglipConfig", square("SiglipImageProcessor", HALVES, 2), "SiglipProcessor", _siglip_words
    ),
    "siglip2": Recipe("Siglip2Model", "Siglip2Config", _flexible, "Siglip2Processor", gemma_letters),
}  # fmt: skip
