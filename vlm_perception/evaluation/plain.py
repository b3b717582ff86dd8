"""The plain ``transformers`` call for a model: what a user would write from its documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.registry import load_registry
from vlm_perception.models.runtime import choose_placement, import_torch, import_transformers
from vlm_perception.types import ModelError


def plain_call(spec: str, device: str, image_rgb: RgbImage, phrases: Sequence[str]) -> Callable[[], object]:
    """Load a zero-shot detector through the library's auto classes.

    Args:
        spec: registry name, hub id or local folder.
        device: as in ``build_model``.
        image_rgb: (H, W, 3) uint8.
        phrases: what to look for.

    Returns:
        A function that preprocesses, runs the network and post-processes, and returns when all is done.

    Raises:
        ModelError: the library has no zero-shot detector of that kind, or cannot load it.
    """
    torch, transformers = import_torch(), import_transformers()
    from PIL import Image

    entry = load_registry().get(spec)
    location = spec if entry is None else str(entry.asset_folder or entry.hub_id)
    placement = choose_placement(device)
    try:
        processor = transformers.AutoProcessor.from_pretrained(location)
        model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(
            location, dtype=getattr(torch, placement.dtype)
        )
    except Exception as error:
        raise ModelError(f"the library's auto classes do not load '{spec}': {type(error).__name__}: {error}") from error
    model = model.eval().to(placement.device)
    image = Image.fromarray(image_rgb)
    size_hw = image_rgb.shape[:2]
    post_process = processor.post_process_grounded_object_detection
    takes = inspect.signature(post_process).parameters

    def call() -> Any:
        inputs = processor(images=image, text=[list(phrases)], return_tensors="pt")
        inputs = inputs.to(placement.device)
        if placement.dtype != "float32":
            inputs["pixel_values"] = inputs["pixel_values"].to(getattr(torch, placement.dtype))
        with torch.inference_mode():
            outputs = model(**inputs)
        given = {
            "input_ids": inputs.get("input_ids"),
            "target_sizes": [size_hw],
            "text_labels": [list(phrases)],
            "threshold": 0.3,
        }
        result = post_process(outputs, **{name: value for name, value in given.items() if name in takes})
        if placement.on_gpu:
            torch.cuda.synchronize()
        return result

    return call
