"""The plain ``transformers`` call for a model: what a user would write from its documentation."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.registry import load_registry
from vlm_perception.models.runtime import Placement, choose_placement, first_line, import_torch, import_transformers
from vlm_perception.types import BoxXyxy, ModelError


def plain_call(
    spec: str, device: str, image_rgb: RgbImage, phrases: Sequence[str], boxes_xyxy: Sequence[BoxXyxy] = ()
) -> Callable[[], object]:
    """Load a zero-shot detector, CLIPSeg or a promptable segmenter through the library's own classes.

    Args:
        spec: registry name, hub id or local folder.
        device: as in ``build_model``.
        image_rgb: (H, W, 3) uint8.
        phrases: what to look for.
        boxes_xyxy: what to segment.

    Returns:
        A function that preprocesses, runs the network and post-processes, and returns when all is done.

    Raises:
        ModelError: the library has no such call for this kind, or cannot load it here.
    """
    entry = load_registry().get(spec)
    location = spec if entry is None else str(entry.asset_folder or entry.hub_id)
    placement = choose_placement(device)
    kind = str(Checkpoint(spec, location).config().get("model_type", ""))
    makers = {"clipseg": _heatmap, "sam": _masks, "sam_hq": _masks, "sam2": _masks, "sam2_video": _masks}
    make = makers.get(kind, _detector)
    try:
        work = make(location, placement, image_rgb, phrases, boxes_xyxy)
    except Exception as error:
        raise ModelError(
            f"the library's classes do not load '{spec}' here: {type(error).__name__}: {first_line(error)}"
        ) from error
    torch = import_torch()

    def call() -> object:
        with torch.inference_mode():
            result = work()
        if placement.on_gpu:
            torch.cuda.synchronize()
        return result

    return call


def _detector(
    location: str, placement: Placement, image_rgb: RgbImage, phrases: Sequence[str], _: Sequence[BoxXyxy]
) -> Callable[[], object]:
    processor, with_boxes = _detector_processor(location)
    model = _model("AutoModelForZeroShotObjectDetection", location, placement)
    image = _pil(image_rgb)
    post_process = processor.post_process_grounded_object_detection
    takes = inspect.signature(post_process).parameters

    def work() -> object:
        inputs = _to(processor(images=image, text=[list(phrases)], return_tensors="pt"), placement)
        outputs = model(**inputs)
        given = {
            "input_ids": inputs.get("input_ids"),
            "target_sizes": [image_rgb.shape[:2]],
            "text_labels": [list(phrases)],
            "threshold": 0.3,
        }
        if not with_boxes:
            return outputs
        return post_process(outputs, **{name: value for name, value in given.items() if name in takes})

    return work


def _detector_processor(location: str) -> tuple[Any, bool]:
    """The processor, and whether it can make boxes: OmDet-Turbo's does that with torchvision only."""
    transformers = import_transformers()
    try:
        return transformers.AutoProcessor.from_pretrained(location), True
    except ImportError:
        if Checkpoint(location, location).config().get("model_type") != "omdet-turbo":
            raise
    library = importlib.import_module("transformers.models.omdet_turbo.processing_omdet_turbo")
    images = transformers.AutoImageProcessor.from_pretrained(location, backend="pil")
    return library.OmDetTurboProcessor(images, transformers.AutoTokenizer.from_pretrained(location)), False


def _heatmap(
    location: str, placement: Placement, image_rgb: RgbImage, phrases: Sequence[str], _: Sequence[BoxXyxy]
) -> Callable[[], object]:
    processor = import_transformers().AutoProcessor.from_pretrained(location)
    model = _model("CLIPSegForImageSegmentation", location, placement)
    image, texts = _pil(image_rgb), list(phrases)

    def work() -> object:
        inputs = processor(text=texts, images=[image] * len(texts), padding=True, return_tensors="pt")
        return model(**_to(inputs, placement)).logits.sigmoid().float().cpu()

    return work


def _masks(
    location: str, placement: Placement, image_rgb: RgbImage, _: Sequence[str], boxes_xyxy: Sequence[BoxXyxy]
) -> Callable[[], object]:
    processor = import_transformers().AutoProcessor.from_pretrained(location)
    model = _model("AutoModelForMaskGeneration", location, placement)
    image, boxes = _pil(image_rgb), [[list(box) for box in boxes_xyxy]]

    def work() -> object:
        inputs = processor(images=image, input_boxes=boxes, return_tensors="pt")
        sizes = [inputs[name] for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
        given = _to(inputs, placement)
        output = model(**{name: given[name] for name in ("pixel_values", "input_boxes")})
        return processor.post_process_masks(output.pred_masks.float().cpu(), *sizes)

    return work


def _pil(image_rgb: RgbImage) -> Any:
    from PIL import Image

    return Image.fromarray(image_rgb)


def _model(auto: str, location: str, placement: Placement) -> Any:
    dtype = getattr(import_torch(), placement.dtype)
    return getattr(import_transformers(), auto).from_pretrained(location, dtype=dtype).eval().to(placement.device)


def _to(inputs: Any, placement: Placement) -> Any:
    """On the device, floating values in the model's precision."""
    torch = import_torch()
    moved = {}
    for name, value in inputs.items():
        dtype = getattr(torch, placement.dtype) if torch.is_tensor(value) and value.is_floating_point() else None
        moved[name] = value.to(placement.device, dtype) if torch.is_tensor(value) else value
    return moved
