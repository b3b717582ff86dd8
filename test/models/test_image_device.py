"""Processors on torchvision are told the model's device, so that a frame goes up once, as bytes."""

import dataclasses

import numpy as np
import pytest
import torch

from vlm_perception.models.factory import build_model
from vlm_perception.models.flexible_images import load_flexible_images
from vlm_perception.models.loading import Checkpoint, image_device, load_image_processor, torchvision_works
from vlm_perception.models.network_images import padding
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement

# The only device beside the CPU that every machine has; tensors there have shapes and no values.
ELSEWHERE = Placement("meta", "float32")
HEADS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo")
WRITERS = ("florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl", "molmo2", "llava")

needs_torchvision = pytest.mark.skipif(not torchvision_works(), reason="needs a torchvision that matches torch")


def image_of(size=(96, 160)):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


@pytest.fixture
def uploads(monkeypatch):
    """What is sent to which device; the work itself stays on the CPU."""
    from transformers.image_processing_backends import TorchvisionBackend

    sent = []
    real = TorchvisionBackend.process_image

    def process_image(self, image, *args, device=None, **kwargs):
        made = real(self, image, *args, device=None, **kwargs)
        sent.append((str(device), made.dtype))
        return made

    monkeypatch.setattr(TorchvisionBackend, "process_image", process_image)
    return sent


@needs_torchvision
@pytest.mark.parametrize("kind", HEADS)
def test_detection_heads(model_of, uploads, kind):
    parts = model_of(kind)._head._parts
    here = parts.pixels([image_of(), image_of()])["pixel_values"]
    assert [device for device, _ in uploads] == ["None", "None"]  # on a CPU nothing is asked for
    uploads.clear()
    there = dataclasses.replace(parts, placement=ELSEWHERE).pixels([image_of(), image_of()])["pixel_values"]
    assert uploads == [("meta", torch.uint8)] * 2
    assert there.device.type == "meta"
    assert there.shape == here.shape


@needs_torchvision
@pytest.mark.parametrize("kind", WRITERS)
def test_models_that_write(model_of, uploads, kind):
    dialect = model_of(kind)._dialect
    here = dialect.encode(image_of(), "what?", Placement("cpu", "float32"))
    assert {device for device, _ in uploads} == {"None"}
    uploads.clear()
    there = dialect.encode(image_of(), "what?", ELSEWHERE)
    assert uploads == [("meta", torch.uint8)]
    assert set(there.inputs) == set(here.inputs)
    for name, value in there.inputs.items():
        if isinstance(value, torch.Tensor):
            assert value.device.type == "meta", name
            assert value.shape == here.inputs[name].shape, name


@needs_torchvision
@pytest.mark.parametrize("kind", ["sam", "sam_hq"])
def test_padded_segmenters(tiny_checkpoints, uploads, kind):
    prepare = padding(Checkpoint("x", str(tiny_checkpoints(kind))), ELSEWHERE, Options({}, "x"))
    assert prepare(image_of()).pixels.device.type == "meta"
    assert uploads == [("meta", torch.uint8)]


@needs_torchvision
def test_crops_of_variable_resolution(tiny_checkpoints, uploads):
    images = load_flexible_images(Checkpoint("x", str(tiny_checkpoints("siglip2"))), Options({}, "x"))
    boxes = [(0.0, 0.0, 40.0, 20.0), (5.0, 5.0, 60.0, 90.0)]
    here = images.crops(image_of(), boxes, Placement("cpu", "float32"))
    assert uploads == [("None", torch.uint8)] * 2
    uploads.clear()
    there = images.crops(image_of(), boxes, ELSEWHERE)
    assert uploads == [("meta", torch.uint8)] * 2
    for name, value in here.items():
        assert there[name].shape == value.shape, name
        assert there[name].device.type == ("cpu" if name == "spatial_shapes" else "meta"), name


@needs_torchvision
@pytest.mark.parametrize("kind", ["grounding-dino", "florence2", "sam"])
def test_the_whole_work_is_done_there(tiny_checkpoints, kind):
    """Without values nothing can be computed, so a processor that came back to the CPU would fail here."""
    processor = load_image_processor(Checkpoint("x", str(tiny_checkpoints(kind))))
    made = processor(images=[image_of()], return_tensors="pt", input_data_format="channels_last", device="meta")
    assert made["pixel_values"].device.type == "meta"


def test_processors_on_pil_are_told_nothing(tiny_checkpoints):
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(tiny_checkpoints("owlvit"), backend="pil")
    assert image_device(processor, ELSEWHERE) == {}
    assert image_device(processor, Placement("cpu", "float32")) == {}


def test_molmo_without_torchvision_works_there_too(tiny_checkpoints, monkeypatch):
    from vlm_perception.models.dialects import chat

    monkeypatch.setattr(chat, "torchvision_works", lambda: False)
    processor = chat.molmo_images(Checkpoint("x", str(tiny_checkpoints("molmo2"))))
    assert image_device(processor, ELSEWHERE) == {"device": "meta"}
    image = torch.zeros(3, 8, 8, device="meta")
    assert processor.normalize(image, [0.5] * 3, [0.5] * 3).device.type == "meta"


def test_writers_on_pil_run_as_before(tiny_checkpoints):
    """Another device than the CPU, whatever the processor is on: the inputs end up there."""
    model = build_model(str(tiny_checkpoints("paligemma")), device="cpu", options={"max_new_tokens": 2})
    there = model._dialect.encode(image_of(), "caption en", ELSEWHERE)
    assert all(value.device.type == "meta" for value in there.inputs.values())
