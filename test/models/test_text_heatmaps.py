"""CLIPSeg: text -> heatmap -> masks -> boxes."""

import types

import numpy as np
import pytest
import torch

from vlm_perception.models.factory import build_model
from vlm_perception.types import ModelError

SIZES = ((96, 160), (160, 96), (120, 120))
BOX = (40, 24, 72, 60)


@pytest.fixture(scope="module")
def model(tiny_checkpoints):
    return build_model(str(tiny_checkpoints("clipseg")), device="cpu")


def noise(height=96, width=160, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def bright_box_image(size, *boxes):
    image = np.zeros((*size, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


def make_it_see(monkeypatch, model):
    """The decoder answers with the bright parts of the network's own input."""
    network, seen = model._model, []
    real = network.clip.vision_model.forward

    def vision(pixel_values=None, **inputs):
        seen.append(pixel_values)
        return real(pixel_values=pixel_values, **inputs)

    def decode(layers, conditions):
        pixels = seen[-1].mean(1)
        middle = (pixels.max() + pixels.min()) / 2
        logits = torch.where(pixels > middle, 6.0, -6.0).repeat_interleave(len(conditions) // len(pixels), dim=0)
        return types.SimpleNamespace(logits=logits)

    monkeypatch.setattr(network.clip.vision_model, "forward", vision)
    monkeypatch.setattr(network.decoder, "forward", decode)
    return seen


def test_equals_the_documented_call(model, tiny_checkpoints):
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    folder = str(tiny_checkpoints("clipseg"))
    processor = AutoProcessor.from_pretrained(folder)
    network = CLIPSegForImageSegmentation.from_pretrained(folder).eval()
    images, phrases = [noise(64, 64), noise(64, 64, seed=1)], ["red mug", "plate"]
    ours = model._forward(model._images(images, model.placement), phrases)
    texts = [f"a photo of a {phrase}." for phrase in phrases]
    for image, grids in zip(images, ours, strict=True):
        inputs = processor(text=texts, images=[image] * 2, padding="max_length", max_length=40, return_tensors="pt")
        prepared = model._images([image], model.placement)
        assert (prepared[0] - inputs["pixel_values"][0]).abs().max() < 0.03  # a step of 8 bits
        with torch.no_grad():
            theirs = network(**{**inputs, "pixel_values": prepared.expand(2, -1, -1, -1)}).logits.sigmoid()
        torch.testing.assert_close(grids, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_a_known_region_comes_back(model, monkeypatch, size):
    make_it_see(monkeypatch, model)
    (found,) = model.detect([bright_box_image(size, BOX)], ["red mug"])
    assert len(found) == 1
    pixel = max(size) / 48
    assert found[0].box_xyxy == pytest.approx(BOX, abs=pixel)
    assert found[0].mask.shape == size
    x1, y1, x2, y2 = (int(value) for value in found[0].box_xyxy)
    assert found[0].mask.sum() == found[0].mask[y1:y2, x1:x2].sum()
    assert 0.8 < found[0].score <= 1


def test_islands_batches_and_thresholds(model, monkeypatch):
    seen = make_it_see(monkeypatch, model)
    two = bright_box_image((96, 160), (20, 20, 50, 50), (100, 40, 140, 80))
    found = model.detect([two, bright_box_image((160, 96), BOX)], ["red mug", "plate"])
    assert len(seen) == 1  # both images in one pass, though of different sizes
    assert len(seen[0]) == 2
    assert [sorted(d.phrase for d in image) for image in found] == [["plate"] * 2 + ["red mug"] * 2, ["plate", "red mug"]]
    assert model.detect([two], ["mug"], threshold=0.9999) == [[]]
    assert model.detect([two], ["", " . "]) == [[]]
    assert model.detect([], ["mug"]) == []
    monkeypatch.setattr(model, "_min_area", 0.2)
    assert model.detect([two], ["mug"]) == [[]]


def test_phrases_are_embedded_once(tiny_checkpoints):
    model = build_model(
        str(tiny_checkpoints("clipseg")), device="cpu", options={"templates": ["a {}", "one {} on a table"]}
    )
    network, texts = model._model, []
    real = network.clip.get_text_features
    network.clip.get_text_features = lambda **tokens: texts.append(len(tokens["input_ids"])) or real(**tokens)
    model.detect([noise()], ["red mug", "plate"])
    model.detect([noise()], ["plate", "bowl", "red mug"])
    assert texts == [4, 2]


def test_options(tiny_checkpoints):
    folder = str(tiny_checkpoints("clipseg"))
    with pytest.raises(ModelError, match=r"'templates' must be a text with one \{\}, or a list of such"):
        build_model(folder, device="cpu", options={"templates": ["a photo"]})
    with pytest.raises(ModelError, match="'mask_threshold' must be a number"):
        build_model(folder, device="cpu", options={"mask_threshold": 2})


def test_out_of_memory_splits_the_images(model, monkeypatch):
    real, sizes = model._forward, []

    def limited(pixels, phrases):
        sizes.append(len(pixels))
        if len(pixels) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(pixels, phrases)

    monkeypatch.setattr(model, "_forward", limited)
    assert len(model.detect([noise(), noise(), noise()], ["mug"])) == 3
    assert sizes == [3, 1, 2, 1, 1]

    def never(pixels, phrases):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "_forward", never)
    with pytest.raises(ModelError, match="ran out of memory"):
        model.heatmap(noise(), "mug")


def test_out_of_memory_splits_the_phrases_of_one_image(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("clipseg")), device="cpu")
    images, phrases = [noise(), noise(seed=1)], ["red mug", "plate", "bowl", "soup can"]
    whole = model.detect(images, phrases, threshold=0.0)
    decoder, sizes = model._model.decoder.forward, []

    def limited(layers, conditions):
        sizes.append(len(conditions))
        if len(conditions) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decoder(layers, conditions)

    model._model.decoder.forward = limited
    split = model.detect(images, phrases, threshold=0.0)
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    for before, after in zip(whole, split, strict=True):
        assert [(d.phrase, d.box_xyxy) for d in before] == [(d.phrase, d.box_xyxy) for d in after]
    sizes.clear()
    assert [d.phrase for d in model.detect(images[:1], phrases, threshold=0.0)[0]] == [d.phrase for d in whole[0]]
    assert sizes == [4, 2, 2]


def test_nan_is_not_nothing_there(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("clipseg")), device="cpu")
    with torch.no_grad():
        for name, value in model._model.named_parameters():
            if "norm" in name:
                value.fill_(float("nan"))
    with pytest.raises(ModelError, match="returned NaN heatmaps in float32 on cpu; its weights are damaged"):
        model.detect([noise()], ["red mug"])
    with pytest.raises(ModelError, match="returned NaN heatmaps"):
        model.heatmap(noise(), "red mug")


def test_half_precision_runs(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("clipseg")), device="cpu", dtype="bf16")
    assert model.heatmap(noise(), "mug").shape == (96, 160)
