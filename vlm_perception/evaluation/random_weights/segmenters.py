"""Recipes for models that answer boxes with masks: SAM, SAM-HQ, SAM 2, EdgeTAM, SAM 3.

The public checkpoints of SAM 2.1, EdgeTAM and SAM 3 hold a tracker beside the image model; only the image model is
made here, which is all that this package runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vlm_perception.evaluation.random_weights.recipe import HALVES, IMAGENET, Recipe, image_processor, square
from vlm_perception.evaluation.random_weights.tokenizers import clip_words


def _padded(_: Any, side: int) -> Mapping[str, Any]:
    quarter = side // 4
    return image_processor(
        "SamImageProcessor", IMAGENET, do_pad=True, size={"longest_edge": side},
        pad_size={"height": side, "width": side}, mask_size={"longest_edge": quarter},
        mask_pad_size={"height": quarter, "width": quarter},
    )  # fmt: skip


SEGMENTERS: Final[Mapping[str, Recipe]] = {
    "sam": Recipe("SamModel", "SamConfig", _padded, "SamProcessor"),
    "sam_hq": Recipe("SamHQModel", "SamHQConfig", _padded, "SamHQProcessor"),
    "sam2_video": Recipe("Sam2Model", "Sam2Config", square("Sam2ImageProcessor", IMAGENET, 2), "Sam2Processor"),
    "edgetam_video": Recipe(
        "EdgeTamModel", "EdgeTamConfig", square("Sam2ImageProcessor", IMAGENET, 2), "Sam2Processor"
    ),
    "sam3_video": Recipe(
        "Sam3Model", "Sam3Config", square("Sam3ImageProcessor", HALVES, 2), "Sam3Processor", clip_words
    ),
}
