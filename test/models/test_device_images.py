"""What the device makes of an image is what the library's processor makes of it."""

import importlib

import numpy as np
import pytest

from vlm_perception.models import loading
from vlm_perception.models.device_images import DeviceImages, device_images
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement
from vlm_perception.types import ModelError

CPU = Placement("cpu", "float32")
SIZES_HW = [(120, 160), (160, 120), (128, 128), (97, 211)]
# Name -> module, arguments. Each once shrinking and once enlarging these images.
PROCESSORS = {
    "grounding-dino": ("grounding_dino", "GroundingDinoImageProcessorPil", {"size": {"shortest_edge": 200, "longest_edge": 333}}),
    "grounding-dino, smaller": ("grounding_dino", "GroundingDinoImageProcessorPil", {"size": {"shortest_edge": 60, "longest_edge": 90}}),
    "omdet-turbo": ("detr", "DetrImageProcessorPil", {"size": {"height": 160, "width": 160}, "do_pad": False}),
    "detr, padded": ("detr", "DetrImageProcessorPil", {"size": {"height": 50, "width": 70}, "pad_size": {"height": 80, "width": 90}}),
    "owlvit": ("owlvit", "OwlViTImageProcessorPil", {"size": {"height": 192, "width": 192}}),
    "owlvit, smaller": ("owlvit", "OwlViTImageProcessorPil", {"size": {"height": 64, "width": 64}}),
    "owlv2": ("owlv2", "Owlv2ImageProcessorPil", {"size": {"height": 240, "width": 240}}),
    "owlv2, smaller": ("owlv2", "Owlv2ImageProcessorPil", {"size": {"height": 72, "width": 72}}),
    "owlv2, not smoothed": ("owlv2", "Owlv2ImageProcessorPil", {"size": {"height": 72, "width": 72}, "resample": 0}),
    "sam": ("sam", "SamImageProcessorPil", {"size": {"longest_edge": 256}, "pad_size": {"height": 256, "width": 256}}),
    "sam, smaller": ("sam", "SamImageProcessorPil", {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}),
}  # fmt: skip


def make(module, kind, **arguments):
    library = importlib.import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    return getattr(library, kind)(**arguments)


def picture(size_hw, seed=0):
    """Edges, ramps and noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    v, u = np.mgrid[:height, :width]
    image = np.stack([u * 255 // width, v * 255 // height, (u // 9 + v // 7) % 2 * 255], axis=-1)
    image[height // 4 : height // 2, width // 3 : width // 2] = rng.integers(0, 256, (height // 2 - height // 4, width // 2 - width // 3, 3))
    return image.astype(np.uint8)


def asked(processor, answer=True, placement=CPU):
    return device_images(processor, placement, Options({"device_preprocessing": answer}, "test"))


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_those_of_the_librarys_processor(name, size_hw):
    """PIL weighs pixels in whole numbers, torch in floats: where the sum lies at a half, they may round apart.

    So at most one of 255 levels, for a few pixels in a hundred. OWLv2's warp is in floats on both sides.
    """
    module, kind, arguments = PROCESSORS[name]
    processor = make(module, kind, **arguments)
    on_device = asked(processor)
    assert isinstance(on_device, DeviceImages)
    images = [picture(size_hw), picture(size_hw, seed=1)]
    given = {"images": images, "return_tensors": "pt", "input_data_format": "channels_last"}
    theirs, ours = processor(**given), on_device(**given)
    assert set(ours) == set(theirs) - {"original_sizes"}
    assert ours["pixel_values"].shape == theirs["pixel_values"].shape
    assert ours["pixel_values"].dtype == theirs["pixel_values"].dtype
    apart = (ours["pixel_values"] - theirs["pixel_values"]).abs().numpy()
    levels = apart * np.array(processor.image_std)[:, None, None] * 255
    if kind.startswith("Owlv2"):
        assert levels.max() < 2e-3
    else:
        assert levels.mean() < 0.05
        assert levels.max() < 1.01
    for key in set(ours) - {"pixel_values"}:
        assert np.array_equal(np.asarray(ours[key]), np.asarray(theirs[key])), key


def test_one_image_alone_is_a_batch_of_one():
    processor = make("sam", "SamImageProcessorPil", size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    assert asked(processor)(images=picture((48, 60)))["pixel_values"].shape == (1, 3, 64, 64)


def test_pixels_are_not_the_callers():
    image = picture((60, 60))
    before = image.copy()
    asked(make("detr", "DetrImageProcessorPil", size={"height": 60, "width": 60}))(images=[image])
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("module", "kind", "arguments"),
    [
        ("owlvit", "OwlViTImageProcessorPil", {"do_center_crop": True, "crop_size": {"height": 32, "width": 32}}),
        ("owlvit", "OwlViTImageProcessorPil", {"resample": 1}),  # Lanczos: torch has none
        ("owlvit", "OwlViTImageProcessorPil", {"do_normalize": False}),
        ("owlvit", "OwlViTImageProcessorPil", {"size": {"shortest_edge": 64}}),
        ("detr", "DetrImageProcessorPil", {"size": {"max_height": 64, "max_width": 64}}),
        ("detr", "DetrImageProcessorPil", {"do_rescale": False}),
        ("owlv2", "Owlv2ImageProcessorPil", {"do_pad": False}),
        ("sam", "SamImageProcessorPil", {"do_pad": False}),
        ("clip", "CLIPImageProcessorPil", {}),  # not one of those that are understood
    ],
)
def test_what_is_not_understood_is_left_to_the_library(module, kind, arguments):
    processor = make(module, kind, **arguments)
    assert asked(processor) is processor


def test_a_gpu_is_asked_without_being_told_and_a_cpu_only_when_told():
    processor = make("detr", "DetrImageProcessorPil", size={"height": 32, "width": 32})
    gpu, none = Placement("cuda", "bfloat16"), Options({}, "test")
    assert isinstance(device_images(processor, gpu, none), DeviceImages)
    assert device_images(processor, CPU, none) is processor
    assert isinstance(asked(processor), DeviceImages)
    assert asked(processor, answer=False, placement=gpu) is processor
    with pytest.raises(ModelError, match="'device_preprocessing' must be true or false"):
        asked(processor, answer="yes")


@pytest.fixture
def on_pil(monkeypatch):
    """As where torchvision is not installed."""
    monkeypatch.setattr(loading, "torchvision_works", lambda: False)


@pytest.mark.parametrize("kind", ["grounding-dino", "owlvit", "owlv2", "omdet-turbo"])
def test_detectors_find_the_same(tiny_checkpoints, on_pil, kind):
    folder = str(tiny_checkpoints(kind))
    image = picture((120, 160))
    found = []
    for device_preprocessing in (False, True):
        options = {"threshold": 0.0, "nms_iou": 1.0, "device_preprocessing": device_preprocessing}
        model = build_model(folder, device="cpu", options=options)
        (detections,) = model.detect([image], ["red mug", "plate"])
        found.append({(d.phrase, i): d for i, d in enumerate(sorted(detections, key=lambda d: (d.phrase, -d.score)))})
    by_library, by_device = found
    assert len(by_library) == len(by_device) > 0
    scores = [[d.score for d in side.values()] for side in found]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


@pytest.mark.parametrize("kind", ["sam", "sam_hq"])
def test_segmenters_mask_the_same(tiny_checkpoints, on_pil, kind):
    image, boxes = picture((120, 160)), [(20.0, 20.0, 90.0, 80.0), (60.0, 30.0, 150.0, 110.0)]
    by_library, by_device = (
        build_segmenter(str(tiny_checkpoints(kind)), device="cpu", options={"device_preprocessing": answer}).segment(image, boxes)
        for answer in (False, True)
    )
    for ours, theirs in zip(by_device, by_library, strict=True):
        assert ours.quality == pytest.approx(theirs.quality, abs=0.02)
        assert (ours.mask != theirs.mask).mean() < 0.05
