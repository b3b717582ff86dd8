"""The family that writes coordinates in digits: Qwen2.5-VL, Qwen3-VL, InternVL.

Bai et al., "Qwen2.5-VL Technical Report", 2025; "Qwen3-VL Technical Report", 2025; Zhu et al., "InternVL3", 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vlm_perception.models import generative
from vlm_perception.models.dialects.internvl import internvl
from vlm_perception.models.dialects.qwen import qwen2_5, qwen3
from vlm_perception.models.generative import Dialect, GenerativeModel
from vlm_perception.models.loading import Checkpoint, load_weights
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement, import_transformers
from vlm_perception.types import ModelError

OPTION_NAMES = ("threshold", "max_new_tokens", "num_beams")

DIALECTS: Final[Mapping[str, Callable[[Checkpoint], Dialect]]] = {
    "qwen2_5_vl": qwen2_5,
    "qwen3_vl": qwen3,
    "internvl": internvl,
}


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> GenerativeModel:
    """Load a checkpoint of any class of the family.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in DIALECTS:
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(DIALECTS)}")
    auto = import_transformers().AutoModelForImageTextToText
    model = load_weights(checkpoint, auto, placement, options=options.values)
    return generative.GenerativeModel(checkpoint.name, model, DIALECTS[model_type](checkpoint), placement, options)
