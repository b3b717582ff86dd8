"""Half precision, compilation and quantisation: what is chosen, and what is said when it cannot be."""

import functools
import sys
import types

import numpy as np
import pytest
import torch

from vlm_perception.models import loading, weights
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.runtime import Placement, choose_placement
from vlm_perception.types import ModelError

WRITERS = ("florence2", "kosmos-2", "paligemma", "qwen3_vl", "internvl", "molmo2", "llava")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_half_precision_is_the_default_on_a_gpu(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    assert choose_placement() == Placement("cuda", expected)
    assert choose_placement("cpu") == Placement("cpu", "float32")
    assert choose_placement("cuda:0", "fp32") == Placement("cuda:0", "float32")


@pytest.mark.parametrize("kind", ["omdet-turbo", "owlvit", "clipseg", "clip", "sam3", *WRITERS])
def test_what_is_called_is_what_is_compiled(tiny_checkpoints, monkeypatch, kind):
    ran = []

    def counting(function, **given):
        assert given == {}

        @functools.wraps(function)
        def compiled(*arguments, **named):
            ran.append(function.__name__)
            return function(*arguments, **named)

        return compiled

    monkeypatch.setattr(torch, "compile", counting)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    options = {"compile": True, **({"max_new_tokens": 2} if kind in WRITERS else {})}
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", options=options)
    assert not ran
    if kind == "clip":
        model.heatmap(image, "red mug")
    elif kind in WRITERS:
        model.caption(image)
    else:
        model.detect([image], ["red mug"])
    assert ran


# Every head, and what else gives heatmaps without writing; those of the models that write: see test_text_attention.py.
@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        ("omdet-turbo", "aot_eager"),
        ("grounding-dino", "eager"),
        ("owlv2", "aot_eager"),
        ("clipseg", "aot_eager"),
        ("clip", "aot_eager"),
    ],
)
def test_a_compiled_model_gives_the_same_boxes_and_then_the_same_heatmap(tiny_checkpoints, kind, backend):
    """The heatmap comes after a detection, as it does on a robot: what that compiled knows of no heatmaps."""
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    plain, compiled = (
        build_model(str(tiny_checkpoints(kind)), device="cpu", options={"threshold": 0.0, **options})
        for options in ({}, {"compile": backend})
    )
    one_graph = kind == "grounding-dino"  # made in half the time; OmDet-Turbo cannot be one
    with torch._dynamo.config.patch(capture_scalar_outputs=one_graph):
        (expected,), (found,) = (model.detect([image], ["red mug", "plate"]) for model in (plain, compiled))
    assert compiled_frames() > 0
    assert len(expected) > 1
    assert [d.phrase for d in found] == [d.phrase for d in expected]
    np.testing.assert_allclose([d.score for d in found], [d.score for d in expected], atol=1e-4)
    np.testing.assert_allclose([d.box_xyxy for d in found], [d.box_xyxy for d in expected], atol=0.01)
    heats = [model.heatmap(image, "red mug") for model in (plain, compiled)]
    np.testing.assert_allclose(heats[1], heats[0], atol=1e-4)


def compiled_frames():
    """How much torch has compiled since it was last asked."""
    from torch._dynamo.utils import counters

    count = counters["frames"]["ok"]
    counters.clear()
    return count


@pytest.mark.parametrize("kind", ["sam", "sam_hq", "sam2", "edgetam", "sam3_tracker"])
def test_encoder_and_decoder_of_a_segmenter_are_compiled(tiny_checkpoints, monkeypatch, kind):
    compiled, ran = [], []

    def counting(function):
        compiled.append(function)
        return lambda *arguments, **named: ran.append(type(function.__self__).__name__) or function(*arguments, **named)

    monkeypatch.setattr(torch, "compile", counting)
    segmenter = build_segmenter(str(tiny_checkpoints(kind)), device="cpu", options={"compile": True})
    assert len(compiled) == 2
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert segmenter.segment(image, [(5, 5, 40, 40)])
    assert len(ran) == 2
    assert "Vision" in ran[0]


def test_an_unknown_backend_is_refused(tiny_checkpoints):
    with pytest.raises(ModelError, match="'compile' must be true, false or one of .*inductor.*got 'faster'"):
        build_model(str(tiny_checkpoints("clip")), device="cpu", options={"compile": "faster"})


@pytest.mark.parametrize("bits", ["load_in_8bit", "load_in_4bit"])
def test_quantisation_says_what_it_needs(tiny_checkpoints, monkeypatch, bits):
    folder = str(tiny_checkpoints("owlvit"))
    with pytest.raises(ModelError, match=f"{bits} needs a CUDA GPU, the device is 'cpu'"):
        build_model(folder, device="cpu", options={bits: True})
    monkeypatch.setattr(weights, "missing_modules", list)
    with pytest.raises(ModelError, match="needs bitsandbytes and accelerate: pip install bitsandbytes accelerate"):
        weights.quantisation("x", [bits], Placement("cuda", "bfloat16"))
    with pytest.raises(ModelError, match="exclude each other"):
        weights.quantisation("x", ["load_in_8bit", "load_in_4bit"], Placement("cuda", "bfloat16"))


def test_quantisation_reaches_the_library(monkeypatch):
    """On a GPU the weights are asked for in the bits wanted, on that device, and not moved afterwards."""
    asked = {}

    class Auto:
        @staticmethod
        def from_pretrained(location, **arguments):
            asked.update(arguments)
            return torch.nn.Linear(2, 2), {"missing_keys": set()}

    monkeypatch.setattr(weights, "missing_modules", lambda names: [])
    monkeypatch.setitem(sys.modules, "bitsandbytes", types.ModuleType("bitsandbytes"))
    config = types.SimpleNamespace(BitsAndBytesConfig=lambda **bits: bits)
    monkeypatch.setattr(weights, "import_transformers", lambda: config)
    loading.load_weights(
        loading.Checkpoint("x", "nobody/x"), Auto, Placement("cuda:0", "bfloat16"), options={"load_in_4bit": True}
    )
    assert asked["quantization_config"] == {"load_in_4bit": True}
    assert asked["device_map"] == {"": "cuda:0"}
    assert asked["dtype"] is torch.bfloat16
