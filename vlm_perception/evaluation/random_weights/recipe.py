"""What a recipe is, and what several of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

IMAGENET: Final = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP: Final = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALVES: Final = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_COMMON: Final = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}

Preprocessor = Callable[[Any, int], Mapping[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint of one ``model_type`` is made. Names are those of the library's classes.

    Attributes:
        network: what is built and saved.
        config: its configuration.
        preprocessor: configuration and image side -> ``preprocessor_config.json``.
        processor: for AutoProcessor.
        tokenizer: configuration -> tokenizer; None: it reads no text.
        settings: configuration -> ``processor_config.json``; None: there is none.
        half: the weights are made in bfloat16: they are published so, or are too large to be made in float32.
        writes: what it finds is text that it generates.
        needs: options that it does not find anything without.
    """

    network: str
    config: str
    preprocessor: Preprocessor
    processor: str
    tokenizer: Callable[[Any], Any] | None = None
    settings: Callable[[Any], Mapping[str, Any]] | None = None
    half: bool = False
    writes: bool = False
    needs: Mapping[str, Any] = field(default_factory=dict)


def image_processor(kind: str, statistics: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A ``preprocessor_config.json``."""
    return {"image_processor_type": kind, **_COMMON, **statistics, **values}


def square(kind: str, statistics: Mapping[str, Any], resample: int, **values: Any) -> Preprocessor:
    """An image processor that makes squares; ``resample`` is PIL's number of a filter."""
    return lambda _, side: image_processor(
        kind, statistics, size={"height": side, "width": side}, resample=resample, **values
    )
