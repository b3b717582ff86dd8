"""What the dialects have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_perception.models.asking import Encoded, Sizes
from vlm_perception.models.loading import image_device
from vlm_perception.models.parsers.base import Parsed
from vlm_perception.models.parsers.thoughts import without_thoughts
from vlm_perception.models.runtime import Placement, import_torch
from vlm_perception.models.token_grids import Reading, TokenGrid, row_by_row


def as_text(text: str, _: Sizes) -> Parsed:
    """A reader for answers that are words only."""
    words, cut = without_thoughts(text)
    return Parsed(problems=(cut,) if cut else (), text=" ".join(words.split()))


def image_arguments(processor: Any, placement: Placement) -> dict[str, Any]:
    """Arguments of a whole processor's call that make it work on the image where the model is, if it can."""
    where = image_device(processor.image_processor, placement)
    return {"images_kwargs": where} if where else {}


def on_device(batch: Any, placement: Placement, network_wh: tuple[int, int]) -> Encoded:
    """A processor's output on the model's device; floating values in its precision."""
    torch = import_torch()
    dtype = getattr(torch, placement.dtype)
    inputs = {}
    for name, value in batch.items():
        if hasattr(value, "to"):
            inputs[name] = (
                value.to(placement.device, dtype) if value.is_floating_point() else value.to(placement.device)
            )
    return Encoded(inputs, network_wh)


def in_prompt(encoded: Encoded, image_token_id: int, grids: Sequence[TokenGrid] | None = None) -> Reading:
    """A prompt that holds a phrase and the image's tokens; without ``grids`` these are a square over the image."""
    ids = encoded.inputs["input_ids"][0].cpu().numpy()
    positions = np.flatnonzero(ids == image_token_id)
    if grids is None:
        side = round(len(positions) ** 0.5)
        grids = (TokenGrid(row_by_row(side, side)),)
    return Reading(encoded.inputs, tuple(ids.tolist()), positions, tuple(grids))
