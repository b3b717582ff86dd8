"""The plain ``transformers`` call for a model: what a user would write from its documentation."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from vlm_perception.models import location_tokens, written_coordinates
from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint, torchvision_works
from vlm_perception.models.options import Options
from vlm_perception.models.registry import load_registry
from vlm_perception.models.runtime import Placement, choose_placement, first_line, import_torch, import_transformers
from vlm_perception.types import BoxXyxy, ModelError

_SCORES: Final = "proposes boxes: its documented one scores whole images"
_NO_CALL: Final = MappingProxyType(
    {"clip": _SCORES, "siglip": _SCORES, "siglip2": _SCORES, "molmo2": "gives heatmaps, by which it locates here"}
)


@dataclass(frozen=True, eq=False)
class _Given:
    """What every call is given."""

    location: str
    kind: str
    placement: Placement
    image_rgb: RgbImage
    phrases: Sequence[str]
    boxes_xyxy: Sequence[BoxXyxy]
    generation: Mapping[str, Any]


def plain_call(
    spec: str,
    device: str,
    image_rgb: RgbImage,
    phrases: Sequence[str],
    boxes_xyxy: Sequence[BoxXyxy] = (),
    *,
    dtype: str = "auto",
    generation: Mapping[str, Any] | None = None,
) -> Callable[[], object]:
    """Load a zero-shot detector, CLIPSeg, a promptable segmenter or a model that writes by the library's own classes.

    Args:
        spec: registry name, hub id or local folder.
        device: as in ``build_model``.
        image_rgb: (H, W, 3) uint8.
        phrases: what to look for.
        boxes_xyxy: what to segment.
        dtype: as in ``build_model``.
        generation: of a model that writes, ``max_new_tokens`` and ``num_beams``.

    Returns:
        A function that preprocesses, runs the network and post-processes, and returns when all is done.

    Raises:
        ModelError: the library has no such call for this kind, or cannot load it here.
    """
    entry = load_registry().get(spec)
    location = spec if entry is None else str(entry.asset_folder or entry.hub_id)
    kind = str(Checkpoint(spec, location).config().get("model_type", ""))
    if kind in _NO_CALL:
        raise ModelError(f"the library has no call for '{kind}' that {_NO_CALL[kind]}")
    given = _Given(
        location, kind, choose_placement(device, dtype), image_rgb, phrases, boxes_xyxy, dict(generation or {})
    )
    make = _MAKERS.get(kind, _detector)
    try:
        work = make(given)
    except Exception as error:
        if "torchvision" in str(error).lower() and not torchvision_works():
            why = "its processor needs torchvision, which does not work here: pip install torchvision"
        else:
            why = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the library's classes do not load '{spec}' here: {why}") from error
    torch = import_torch()

    def call() -> object:
        with torch.inference_mode():
            result = work()
        if given.placement.on_gpu:
            torch.cuda.synchronize()
        return result

    return call


def _detector(given: _Given) -> Callable[[], object]:
    processor, with_boxes = _detector_processor(given.location)
    model = _model("AutoModelForZeroShotObjectDetection", given)
    image, phrases = _pil(given.image_rgb), list(given.phrases)
    post_process = processor.post_process_grounded_object_detection
    takes = inspect.signature(post_process).parameters

    def work() -> object:
        inputs = _to(processor(images=image, text=[phrases], return_tensors="pt"), given.placement)
        outputs = model(**inputs)
        known = {
            "input_ids": inputs.get("input_ids"),
            "target_sizes": [given.image_rgb.shape[:2]],
            "text_labels": [phrases],
            "threshold": 0.3,
        }
        if not with_boxes:
            return outputs
        return post_process(outputs, **{name: value for name, value in known.items() if name in takes})

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


def _heatmap(given: _Given) -> Callable[[], object]:
    processor = import_transformers().AutoProcessor.from_pretrained(given.location)
    model = _model("CLIPSegForImageSegmentation", given)
    image, texts = _pil(given.image_rgb), list(given.phrases)

    def work() -> object:
        inputs = processor(text=texts, images=[image] * len(texts), padding=True, return_tensors="pt")
        return model(**_to(inputs, given.placement)).logits.sigmoid().float().cpu()

    return work


def _masks(given: _Given) -> Callable[[], object]:
    processor = import_transformers().AutoProcessor.from_pretrained(given.location)
    model = _model("AutoModelForMaskGeneration", given)
    image, boxes = _pil(given.image_rgb), [[list(box) for box in given.boxes_xyxy]]

    def work() -> object:
        inputs = processor(images=image, input_boxes=boxes, return_tensors="pt")
        sizes = [inputs[name] for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
        moved = _to(inputs, given.placement)
        output = model(**{name: moved[name] for name in ("pixel_values", "input_boxes")})
        return processor.post_process_masks(output.pred_masks.float().cpu(), *sizes)

    return work


def _concepts(given: _Given) -> Callable[[], object]:
    """SAM 3: one phrase a call, as documented."""
    processor = import_transformers().Sam3Processor.from_pretrained(given.location)
    model = _model("Sam3Model", given)
    image = _pil(given.image_rgb)

    def work() -> object:
        found = []
        for phrase in given.phrases:
            inputs = processor(images=image, text=phrase, return_tensors="pt")
            output = model(**_to(inputs, given.placement))
            sizes = inputs["original_sizes"].tolist()
            found += processor.post_process_instance_segmentation(output, threshold=0.3, target_sizes=sizes)
        return found

    return work


def _writer(given: _Given) -> Callable[[], object]:
    """The prompts are this package's, the rest is the documentation's."""
    processor = import_transformers().AutoProcessor.from_pretrained(given.location)
    checkpoint = Checkpoint(given.location, given.location)
    if given.kind in location_tokens.DIALECTS:
        class_name, dialect = location_tokens.DIALECTS[given.kind]
        asks = dialect(processor, Options({}, given.location)).locate(given.phrases)
    else:
        class_name = "AutoModelForImageTextToText"
        asks = written_coordinates.DIALECTS[given.kind](checkpoint).locate(given.phrases)
    model = _model(class_name, given)
    image = _pil(given.image_rgb)
    limits = {
        "max_new_tokens": int(given.generation.get("max_new_tokens") or 1024),
        "num_beams": int(given.generation.get("num_beams") or 1),
        "do_sample": False,
    }

    def work() -> object:
        found = []
        for ask in asks:
            if given.kind in location_tokens.DIALECTS:
                mark = "<image>" if given.kind == "paligemma" else ""
                inputs = processor(text=mark + ask.prompt, images=image, return_tensors="pt")
                inputs.pop("labels", None)
            else:
                content = [{"type": "image", "image": image}, {"type": "text", "text": ask.prompt}]
                inputs = processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
                    return_dict=True, return_tensors="pt",
                )  # fmt: skip
            tokens = model.generate(**_to(inputs, given.placement), **limits)
            found += processor.batch_decode(tokens, skip_special_tokens=False)
        return found

    return work


_MAKERS: Final[Mapping[str, Callable[[_Given], Callable[[], object]]]] = {
    "clipseg": _heatmap,
    **dict.fromkeys(("sam", "sam_hq", "sam2", "sam2_video", "edgetam", "edgetam_video"), _masks),
    "sam3": _concepts,
    "sam3_video": _concepts,
    **dict.fromkeys((*location_tokens.DIALECTS, "qwen2_5_vl", "qwen3_vl", "internvl"), _writer),
}


def _pil(image_rgb: RgbImage) -> Any:
    from PIL import Image

    return Image.fromarray(image_rgb)


def _model(auto: str, given: _Given) -> Any:
    dtype = getattr(import_torch(), given.placement.dtype)
    model = getattr(import_transformers(), auto).from_pretrained(given.location, dtype=dtype)
    return model.eval().to(given.placement.device)


def _to(inputs: Any, placement: Placement) -> dict[str, Any]:
    """On the device, floating values in the model's precision."""
    torch = import_torch()
    moved = {}
    for name, value in inputs.items():
        if torch.is_tensor(value):
            dtype = getattr(torch, placement.dtype) if value.is_floating_point() else None
            moved[name] = value.to(placement.device, dtype)
        else:
            moved[name] = value
    return moved
