"""The family that says where with special tokens: Florence-2, Kosmos-2, PaliGemma.

Xiao et al., "Florence-2", 2023; Peng et al., "Kosmos-2: Grounding Multimodal Large Language Models to the World",
2023; Beyer et al., "PaliGemma", 2024, and Steiner et al., "PaliGemma 2", 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vlm_perception.models.asking import Dialect
from vlm_perception.models.dialects.florence import FlorenceDialect
from vlm_perception.models.dialects.kosmos import KosmosDialect
from vlm_perception.models.dialects.paligemma import PaliGemmaDialect
from vlm_perception.models.generative import GenerativeModel
from vlm_perception.models.image_features import remember_features
from vlm_perception.models.loading import Checkpoint, load_weights
from vlm_perception.models.mask_tokens import load_mask_decoder
from vlm_perception.models.options import Options
from vlm_perception.models.region_outlines import RegionOutlines
from vlm_perception.models.runtime import Placement, import_transformers
from vlm_perception.types import ModelError

_Dialect = type[FlorenceDialect | KosmosDialect | PaliGemmaDialect]
DIALECTS: Final[Mapping[str, tuple[str, _Dialect]]] = {
    "florence2": ("Florence2ForConditionalGeneration", FlorenceDialect),
    "kosmos-2": ("Kosmos2ForConditionalGeneration", KosmosDialect),
    "paligemma": ("PaliGemmaForConditionalGeneration", PaliGemmaDialect),
}
# What "generate" calls, where that is not the network's own "forward".
_HOT: Final[Mapping[str, tuple[str, ...]]] = {"kosmos-2": ("vision_model.forward", "text_model.forward")}


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> GenerativeModel:
    """Load a checkpoint of any class of the family.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in DIALECTS:
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(DIALECTS)}")
    class_name, dialect_class = DIALECTS[model_type]
    transformers = import_transformers()
    processor = checkpoint.load(transformers.AutoProcessor)
    if dialect_class is PaliGemmaDialect:
        dialect: Dialect = PaliGemmaDialect(processor, options, load_mask_decoder(checkpoint, placement, options))
    else:
        dialect = dialect_class(processor, options)
    auto, hot = getattr(transformers, class_name), _HOT.get(model_type, ("forward",))
    model = load_weights(checkpoint, auto, placement, options=options.values, hot=hot)
    remember_features(model)
    return GenerativeModel(checkpoint.name, model, dialect, placement, options)


def load_segmenter(checkpoint: Checkpoint, placement: Placement, options: Options) -> RegionOutlines:
    """Florence-2 alone of the family outlines what is in a box.

    Raises:
        ModelError: for the others, or it cannot be loaded.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type != "florence2":
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', which gives no masks for boxes; of its family florence2 does")
    return RegionOutlines(load(checkpoint, placement, options))
