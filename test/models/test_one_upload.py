"""An image is prepared, uploaded and seen once, however many prompts go with it, and the answers stay what they were."""

import copy

import numpy as np
import pytest
import torch
from test_generative import answer_with

from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.image_features import remember_features
from vlm_perception.models.last_image import LastImage
from vlm_perception.models.runtime import Placement

KINDS = ("florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl", "molmo2", "llava")
PHRASES = ("red mug", "plate", "bowl")
BOX = (40, 24, 72, 60)
CPU = Placement("cpu", "float32")
HALF = Placement("cpu", "float16")
ELSEWHERE = Placement("meta", "float32")  # the only other device that every machine has


def image_of(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (96, 160, 3), dtype=np.uint8)


def images_of(model):
    """What makes the pixels of a model's images."""
    dialect = model._dialect
    return dialect._chat.image_processor if hasattr(dialect, "_chat") else dialect._images


@pytest.fixture
def work(monkeypatch):
    """``work(model)`` -> counts of what is done to images from now on."""

    def watch(model):
        counts = {"prepared": 0, "seen": 0}

        def count(name):
            counts[name] += 1

        kind = type(images_of(model)._processor)
        prepare = kind.__call__
        monkeypatch.setattr(kind, "__call__", lambda *a, **k: (count("prepared"), prepare(*a, **k))[1])
        tower = model._model.get_encoder(modality="image")
        part = next(module for module in tower.modules() if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)))
        part.register_forward_hook(lambda *_: count("seen"))
        return counts

    return watch


@pytest.fixture
def fresh(tiny_checkpoints):
    """A model whose answers are four tokens long and that has seen nothing yet."""

    def build(kind, **options):
        return build_model(str(tiny_checkpoints(kind)), device="cpu", options={"max_new_tokens": 4, **options})

    return build


# --------------------------------------------------------------------------- models


@pytest.mark.parametrize("kind", KINDS)
def test_three_phrases_and_a_caption_are_one_image(fresh, work, kind):
    model = fresh(kind)
    counts = work(model)
    image = image_of()
    model.detect([image], PHRASES)
    if model.capabilities.points:
        for phrase in PHRASES:
            model.point(image, phrase)
    model.caption(image.copy())
    assert counts == {"prepared": 1, "seen": 1}
    model.caption(image_of(1))
    assert counts == {"prepared": 2, "seen": 2}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("placement", [HALF, ELSEWHERE], ids=["half", "elsewhere"])
def test_prompts_of_one_image_share_what_was_uploaded(model_of, kind, placement):
    if (kind, placement) == ("molmo2", ELSEWHERE):
        pytest.skip("its processor looks at values, of which there are none there")
    dialect = model_of(kind)._dialect
    first, second = (dialect.encode(image_of(), prompt, placement).inputs for prompt in ("What?", "Where is it?"))
    pixels = first["pixel_values"]
    assert (pixels.device.type, str(pixels.dtype)) == (placement.device, f"torch.{placement.dtype}")
    assert second["pixel_values"] is pixels
    assert second["input_ids"] is not first["input_ids"]
    assert dialect.encode(image_of(), "What?", CPU).inputs["pixel_values"].dtype == torch.float32
    assert dialect.encode(image_of(1), "What?", placement).inputs["pixel_values"] is not pixels


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_and_answers_are_what_they_are_without_memory(fresh, monkeypatch, kind):
    model = fresh(kind)
    image = image_of()
    said = []
    generate = model._generate
    monkeypatch.setattr(model, "_generate", lambda *given: said.append((given[1], generate(*given))) or said[-1][1])
    model.detect([image], PHRASES)
    model.caption(image)
    other = fresh(kind)
    for prompt, answer in said:
        images_of(other)._made = None
        kept = model._dialect.encode(image, prompt, CPU)
        new = other._dialect.encode(image, prompt, CPU)
        assert new.network_wh == kept.network_wh
        assert new.inputs.keys() == kept.inputs.keys()
        for name, value in new.inputs.items():
            assert torch.equal(kept.inputs[name], value), name
        images_of(other)._made = None
        assert other._generate(image, prompt) == answer


@pytest.mark.parametrize("kind", ["florence2", "qwen3_vl"])
def test_an_image_that_was_changed_in_place_is_another(fresh, work, kind):
    model = fresh(kind)
    counts = work(model)
    image = image_of()
    before = model._dialect.encode(image, "What?", CPU).inputs["pixel_values"]
    image[:] = image_of(1)
    after = model._dialect.encode(image, "What?", CPU).inputs["pixel_values"]
    assert counts["prepared"] == 2
    assert torch.equal(after, fresh(kind)._dialect.encode(image_of(1), "What?", CPU).inputs["pixel_values"])
    assert not torch.equal(after, before)


def test_cameras_by_turns_are_prepared_once_each(fresh, work, monkeypatch):
    model = fresh("florence2")
    counts = work(model)
    asked = answer_with(monkeypatch, model, "")
    model.detect([image_of(), image_of(1)], PHRASES)
    assert counts["prepared"] == 2
    assert [id(call["pixel_values"]) for call in asked] == [id(asked[0]["pixel_values"])] * 3 + [id(asked[3]["pixel_values"])] * 3
    assert not torch.equal(asked[0]["pixel_values"], asked[3]["pixel_values"])


def test_a_segmenter_prepares_an_image_once_for_all_boxes(tiny_checkpoints, work):
    segmenter = build_segmenter(str(tiny_checkpoints("florence2")), device="cpu", options={"max_new_tokens": 4})
    counts = work(segmenter._model)
    segmenter.segment(image_of(), [BOX, (1, 1, 20, 20), (80, 10, 120, 50)])
    assert counts == {"prepared": 1, "seen": 1}


def test_a_heatmap_between_detections_changes_nothing(fresh):
    """Its hooks listen to layers behind the tower, so they must be called however well the image is known."""
    for kind in ("florence2", "kosmos-2"):
        model = fresh(kind)
        alone = model.heatmap(image_of(), "mug")
        model = fresh(kind)
        model.detect([image_of()], PHRASES)
        np.testing.assert_array_equal(model.heatmap(image_of(), "mug"), alone)


# --------------------------------------------------------------------------- the parts


class Halves:
    """An image processor that counts its calls."""

    size = 7

    def __init__(self):
        self.calls = []

    def __call__(self, images, **arguments):
        self.calls.append(arguments)
        count = len(images) if isinstance(images, list) else 1
        return {"pixel_values": torch.full((count, 3), float(np.asarray(images, dtype=float).mean()) / 2), "count": count}


def test_one_image_is_remembered_by_its_bytes():
    images = LastImage(Halves())
    image = image_of()
    first = images([image])
    first.pop("count")  # as the library's processors do
    assert images(images=[[image.copy()]])["count"] == 1
    assert images(image)["pixel_values"] is first["pixel_values"]
    assert len(images.calls) == 1
    images([image], size=3)
    images([image.astype(np.float32)], size=3)
    assert len(images.calls) == 3
    assert images([image[:, ::-1]])["pixel_values"] is not first["pixel_values"]


def test_several_images_and_other_kinds_are_handed_on():
    images = LastImage(Halves())
    for _ in range(2):
        assert images([image_of(), image_of(1)])["count"] == 2
        images([torch.zeros(3, 4, 4)])
    assert len(images.calls) == 4


def test_it_is_the_processor_in_all_else():
    images = LastImage(Halves())
    assert images.size == 7
    assert copy.deepcopy(images).size == 7
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = images.colour


def test_what_is_no_tensor_and_no_part_of_the_image_is_not_kept():
    images = LastImage(Halves())
    batch = {**images(image_of()), "input_ids": torch.zeros(1, 2, dtype=torch.long)}
    half = Placement("cpu", "float16")
    first, second = images.on_device(batch, half), images.on_device(batch, half)
    assert set(first) == {"pixel_values", "input_ids"}
    assert first["pixel_values"].dtype == torch.float16
    assert first["pixel_values"] is second["pixel_values"]
    assert first["input_ids"].dtype == torch.long
    other = images.on_device({"pixel_values": batch["pixel_values"].clone()}, half)
    assert other["pixel_values"] is not first["pixel_values"]


class Network(torch.nn.Module):
    """A network with a tower, as the library has them."""

    def __init__(self):
        super().__init__()
        self.tower = torch.nn.Linear(3, 2)
        self.base_model = None

    def get_encoder(self, modality):
        return self.tower if modality == "image" else self

    def forward(self, pixels):
        return self.tower(pixels)


def test_a_tower_is_asked_again_only_for_other_tensors():
    network = Network()
    calls = []
    compute = network.tower.forward
    network.tower.forward = lambda *given, **named: calls.append(given) or compute(*given, **named)
    remember_features(network)
    pixels = torch.ones(1, 3)
    first, second = network(pixels), network(pixels)
    assert len(calls) == 1
    assert torch.equal(first, second)
    network(pixels.clone())  # equal, but who knows without looking at all of it
    network(pixels)
    assert len(calls) == 3


def test_a_compiled_network_keeps_its_tower():
    network = Network()
    network.forward = torch.compile(network.forward, backend="eager")
    before = network.tower.forward
    remember_features(network)
    assert network.tower.forward == before
