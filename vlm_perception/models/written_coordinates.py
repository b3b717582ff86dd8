"""The family that writes coordinates in digits: Qwen2-VL to Qwen3.5, InternVL, Molmo 2, and any other chat model.

Wang et al., "Qwen2-VL", 2024; Bai et al., "Qwen2.5-VL Technical Report", 2025; "Qwen3-VL Technical Report", 2025; Zhu et
al., "InternVL3", 2025; "Molmo2", 2025; for the others Chen et al., "Shikra: Unleashing Multimodal LLM's Referential
Dialogue Magic", 2023.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Final

from vlm_perception.models import generative
from vlm_perception.models.asking import Dialect
from vlm_perception.models.dialects.any_chat import any_chat
from vlm_perception.models.dialects.internvl import internvl
from vlm_perception.models.dialects.molmo import molmo2
from vlm_perception.models.dialects.qwen import qwen2, qwen2_5, qwen3, qwen3_5
from vlm_perception.models.generative import GenerativeModel
from vlm_perception.models.image_features import remember_features
from vlm_perception.models.loading import Checkpoint, load_weights
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement, import_transformers
from vlm_perception.types import ModelError

DIALECTS: Final[Mapping[str, Callable[[Checkpoint], Dialect]]] = {
    "qwen2_vl": qwen2,
    "qwen2_5_vl": qwen2_5,
    "qwen3_vl": qwen3,
    "qwen3_vl_moe": qwen3,
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5,
    "internvl": internvl,
    "molmo2": molmo2,
}


def chats(model_type: str) -> bool:
    """Whether the library has an image-and-text chat model of this type: any such model can be asked for boxes."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    return model_type in DIALECTS or model_type in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> GenerativeModel:
    """Load a checkpoint of any class of the family.

    Args:
        checkpoint: in hub layout.
        placement: device and precision.
        options: ``coordinates`` says how a model without a dialect of its own is asked to write them: "fraction"
            (default), "per_cent", "per_mille" or "pixels".

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if not chats(model_type):
        raise ModelError(
            f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(DIALECTS)}, nor another chat model "
            "with images"
        )
    dialect = DIALECTS[model_type](checkpoint) if model_type in DIALECTS else any_chat(checkpoint, options)
    auto = import_transformers().AutoModelForImageTextToText
    model = load_weights(checkpoint, auto, placement, options=options.values)
    remember_features(model)
    return generative.GenerativeModel(checkpoint.name, model, dialect, placement, options)
