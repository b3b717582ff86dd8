"""Checkpoints of a registry model's real architecture with random weights, to measure speed where there is no hub.

They are written in the hub's layout and loaded by the path that public checkpoints take. The tokenizers have the
public ones' vocabulary size and special ids, and words of their own; what a forward pass costs does not depend on
what the words are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vlm_perception.models.registry import ModelEntry, load_registry
from vlm_perception.models.runtime import import_torch, import_transformers
from vlm_perception.types import ModelError

_IMAGENET: Final = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP: Final = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_COMMON: Final = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}


@dataclass(frozen=True)
class _Recipe:
    model: str
    config: str
    tokenizer: Callable[[int], Any] | None
    processor: Callable[[int], Mapping[str, Any]]


def _square(kind: str, statistics: Mapping[str, Any], resample: int) -> Callable[[int], Mapping[str, Any]]:
    return lambda side: {
        "image_processor_type": kind, "size": {"height": side, "width": side}, "resample": resample, **statistics,
    }  # fmt: skip


def _bert(size: int) -> Any:
    """Special ids where Grounding DINO expects them."""
    specials = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    words = iter(("red", "blue", "box", "green", "mug", "a"))
    pieces = [specials.get(i) or (next(words, f"w{i}") if i > 1999 else f"w{i}") for i in range(size)]
    return import_transformers().BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})


def _clip_words(size: int) -> Any:
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    pieces += [f"w{i}" for i in range(len(pieces), size - 2)] + ["<|startoftext|>", "<|endoftext|>"]
    return import_transformers().CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])


_RECIPES: Final[Mapping[str, _Recipe]] = {
    "grounding-dino": _Recipe(
        "GroundingDinoForObjectDetection", "GroundingDinoConfig", _bert,
        lambda side: {"image_processor_type": "GroundingDinoImageProcessor", **_IMAGENET, "do_pad": True,
                      "size": {"shortest_edge": side, "longest_edge": round(side * 1333 / 800)}},
    ),
    "mm-grounding-dino": _Recipe(
        "MMGroundingDinoForObjectDetection", "MMGroundingDinoConfig", _bert,
        lambda side: {"image_processor_type": "GroundingDinoImageProcessor", **_IMAGENET, "do_pad": True,
                      "size": {"shortest_edge": side, "longest_edge": round(side * 1333 / 800)}},
    ),
    "owlvit": _Recipe(
        "OwlViTForObjectDetection", "OwlViTConfig", _clip_words, _square("OwlViTImageProcessor", _CLIP, 3)
    ),
    "owlv2": _Recipe(
        "Owlv2ForObjectDetection", "Owlv2Config", _clip_words, _square("Owlv2ImageProcessor", _CLIP, 2)
    ),
    "clipseg": _Recipe(
        "CLIPSegForImageSegmentation", "CLIPSegConfig", _clip_words, _square("ViTImageProcessor", _IMAGENET, 2)
    ),
    "clip": _Recipe("CLIPModel", "CLIPConfig", _clip_words, _square("CLIPImageProcessor", _CLIP, 3)),
    "sam": _Recipe(
        "SamModel", "SamConfig", None,
        lambda side: {"image_processor_type": "SamImageProcessor", **_IMAGENET, "do_pad": True,
                      "size": {"longest_edge": side}, "pad_size": {"height": side, "width": side},
                      "mask_size": {"longest_edge": side // 4},
                      "mask_pad_size": {"height": side // 4, "width": side // 4}},
    ),
    "sam2_video": _Recipe("Sam2Model", "Sam2Config", None, _square("Sam2ImageProcessor", _IMAGENET, 2)),
}  # fmt: skip
_PROCESSORS: Final = {
    "grounding-dino": "GroundingDinoProcessor", "mm-grounding-dino": "GroundingDinoProcessor",
    "owlvit": "OwlViTProcessor", "owlv2": "Owlv2Processor", "clipseg": "CLIPSegProcessor", "clip": "CLIPProcessor",
    "sam": "SamProcessor", "sam2_video": "Sam2Processor",
}  # fmt: skip


def random_checkpoint(name: str, folder: Path) -> ModelEntry:
    """Write a checkpoint of a registry model's architecture.

    Args:
        name: of a registry row with ``architecture``.
        folder: an empty folder; needs about the row's ``size_mb``.

    Returns:
        The row.

    Raises:
        ModelError: there is no such row, or no architecture is recorded for it.
    """
    registry = load_registry()
    entry = registry.get(name)
    able = [row.name for row in registry.values() if row.architecture is not None and row.model_type in _RECIPES]
    if entry is None or entry.architecture is None or entry.model_type not in _RECIPES:
        why = "is no name of the registry" if entry is None else "has no architecture recorded in config/models.yaml"
        raise ModelError(f"'{name}' {why}; random weights can be made for {', '.join(able)}")
    torch, transformers = import_torch(), import_transformers()
    recipe = _RECIPES[entry.model_type]
    given = dict(entry.architecture)
    side = int(given.pop("input_side"))
    config = getattr(transformers, recipe.config)(**given)
    torch.manual_seed(0)
    getattr(transformers, recipe.model)(config).save_pretrained(folder)
    if recipe.tokenizer is not None:
        text = getattr(config, "text_config", config)
        tokenizer = recipe.tokenizer(int(text.vocab_size))
        tokenizer.model_max_length = int(text.max_position_embeddings)
        tokenizer.save_pretrained(folder)
    saved = {**_COMMON, **recipe.processor(side), "processor_class": _PROCESSORS[entry.model_type]}
    (folder / "preprocessor_config.json").write_text(json.dumps(saved), encoding="utf-8")
    return entry
