"""On a CUDA GPU: every family in half precision, what goes up to it, and weights in fewer bits. Skipped elsewhere."""

import importlib.util

import numpy as np
import pytest
import torch

from vlm_perception.models.factory import build_model, build_segmenter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU that torch can use")

HEADS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo")
WRITERS = ("florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl", "molmo2", "llava")
SEGMENTERS = ("sam", "sam_hq", "sam2", "edgetam", "sam3_tracker")
BOX = (40.0, 24.0, 72.0, 60.0)


def image_of(seed=0, size=(96, 160)):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def here_and_there(folder, build=build_model, **options):
    """The same checkpoint in float32 on the CPU, and in bfloat16 on the GPU."""
    here = build(str(folder), device="cpu", options=options)
    return here, build(str(folder), device="cuda", dtype="bfloat16", options=options)


@pytest.fixture
def uploads(monkeypatch):
    """Shapes and types of what goes from the CPU to a GPU by ``Tensor.to``; nothing else changes."""
    sent = []
    real = torch.Tensor.to

    def to(self, *arguments, **named):
        moved = real(self, *arguments, **named)
        if not self.is_cuda and moved.is_cuda:
            sent.append((tuple(self.shape), self.dtype))
        return moved

    monkeypatch.setattr(torch.Tensor, "to", to)
    return sent


def of_images(sent):
    """Those that hold pixels: more values than any text, mask or table of a tiny checkpoint."""
    return [(shape, dtype) for shape, dtype in sent if len(shape) > 1 and np.prod(shape) > 1500]


@pytest.mark.parametrize("kind", HEADS)
def test_heads_find_about_the_same(tiny_checkpoints, kind):
    """Scores to a bfloat16's precision, and heatmaps that lie alike; tiny random networks know no clear winner."""
    here, there = here_and_there(tiny_checkpoints(kind), threshold=0.0, nms_iou=1.0)
    (expected,), (found,) = (model.detect([image_of()], ["red mug", "plate"]) for model in (here, there))
    assert abs(len(found) - len(expected)) <= 0.2 * len(expected)
    assert found[0].score == pytest.approx(expected[0].score, abs=0.05)
    heats = [model.heatmap(image_of(), "red mug") for model in (here, there)]
    np.testing.assert_allclose(heats[1], heats[0], atol=0.1)


@pytest.mark.parametrize("kind", ["clipseg", "clip", "siglip", "siglip2"])
def test_image_text_models_paint_about_the_same(tiny_checkpoints, kind):
    heats = [model.heatmap(image_of(), "red mug") for model in here_and_there(tiny_checkpoints(kind))]
    np.testing.assert_allclose(heats[1], heats[0], atol=0.1)


@pytest.mark.parametrize("kind", WRITERS)
def test_models_that_write_are_about_as_sure(tiny_checkpoints, kind):
    """Of their first token: after that, two networks that know nothing may go different ways."""
    here, there = here_and_there(tiny_checkpoints(kind), max_new_tokens=1)
    expected, said = (model.caption(image_of()) for model in (here, there))
    assert said.score == pytest.approx(expected.score, rel=0.2, abs=0.01)
    there.detect([image_of()], ["red mug"])
    if there.capabilities.heatmaps:
        heat = there.heatmap(image_of(), "red mug")
        assert (heat.shape, bool(np.isfinite(heat).all())) == ((96, 160), True)


@pytest.mark.parametrize("kind", SEGMENTERS)
def test_segmenters_are_about_as_sure(tiny_checkpoints, kind):
    models = here_and_there(tiny_checkpoints(kind), build_segmenter)
    (expected,), (found,) = (model.segment(image_of(), [BOX]) for model in models)
    assert found.mask.shape == expected.mask.shape
    assert found.quality == pytest.approx(expected.quality, abs=0.1)


def test_concepts_are_found_in_half_precision(tiny_checkpoints):
    here, there = here_and_there(tiny_checkpoints("sam3"), threshold=0.0)
    (expected,), (found,) = (model.detect([image_of()], ["red mug"]) for model in (here, there))
    assert bool(found) == bool(expected)
    assert not found or found[0].score == pytest.approx(expected[0].score, abs=0.05)


@pytest.mark.parametrize("kind", [*HEADS, "clipseg"])
def test_a_frame_goes_up_once_as_bytes(tiny_checkpoints, uploads, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cuda")
    model.detect([image_of(1)], ["red mug", "plate"])  # whatever else is kept there is there now
    uploads.clear()
    model.detect([image_of(2)], ["red mug", "plate"])
    ((shape, dtype),) = of_images(uploads)
    assert (int(np.prod(shape)), dtype) == (96 * 160 * 3, torch.uint8)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "molmo2"])
def test_a_frame_goes_up_once_for_all_phrases(tiny_checkpoints, uploads, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cuda", options={"max_new_tokens": 2})
    model.detect([image_of(1)], ["red mug"])
    uploads.clear()
    model.detect([image_of(2)], ["red mug", "plate", "bowl"])
    assert len(of_images(uploads)) == 1


@pytest.mark.skipif(
    not (importlib.util.find_spec("bitsandbytes") and importlib.util.find_spec("accelerate")),
    reason="needs bitsandbytes and accelerate",
)
@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_weights_in_fewer_bits_run_and_take_less(tiny_checkpoints, bits):
    folder = str(tiny_checkpoints("qwen3_vl"))
    plain = build_model(folder, device="cuda", options={"max_new_tokens": 2})
    fewer = build_model(folder, device="cuda", options={"max_new_tokens": 2, bits: True})
    assert fewer._model.get_memory_footprint() < plain._model.get_memory_footprint()
    assert 0 < fewer.caption(image_of()).score <= 1


def test_compiled_code_of_the_default_backend_finds_the_same(tiny_checkpoints):
    plain, compiled = (
        build_model(str(tiny_checkpoints("owlv2")), device="cuda", dtype="float32", options={"threshold": 0.0, **options})
        for options in ({}, {"compile": True})
    )
    (expected,), (found,) = (model.detect([image_of()], ["red mug"]) for model in (plain, compiled))
    np.testing.assert_allclose([d.score for d in found], [d.score for d in expected], atol=1e-2)
