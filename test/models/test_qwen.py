"""The Qwen-VL models beside Qwen2.5-VL and Qwen3-VL: whose coordinates each writes, and in what form."""

import numpy as np
import pytest
from test_generative import BOX, SIZES, answer_with, image_of, tokenizer_of

from vlm_perception.models import codecs
from vlm_perception.models.factory import build_model
from vlm_perception.types import CommandError, ModelError

PER_MILLE = ("qwen2_vl", "qwen3_vl_moe", "qwen3_5")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", PER_MILLE)
def test_a_known_box_comes_back_within_one_step(writer_of, monkeypatch, kind, size):
    numbers = list(codecs.pixels_to_per_mille(BOX, (size[1], size[0])))
    asked = answer_with(monkeypatch, writer_of(kind), f'[{{"bbox_2d": {numbers}, "label": "red mug"}}]')
    (found,) = writer_of(kind).detect([image_of(size)], ["red mug"])
    np.testing.assert_allclose(found[0].box_xyxy, BOX, atol=max(size) / 1000)
    prompt = tokenizer_of(writer_of(kind)).decode(asked[0]["input_ids"][0])
    assert 'categories:"redmug"' in prompt.replace(" ", "")  # the small vocabulary of Qwen3.5's tokenizer has no blank


@pytest.mark.parametrize("kind", PER_MILLE)
def test_real_generation_runs(writer_of, kind):
    assert writer_of(kind).caption(image_of()).score > 0
    assert isinstance(writer_of(kind).detect([image_of()], ["red mug", "plate"])[0], list)


@pytest.mark.parametrize("size", SIZES)
def test_qwen2_reads_its_own_marks(writer_of, monkeypatch, size):
    """They are special tokens, which decoding usually leaves out."""
    x1, y1, x2, y2 = codecs.pixels_to_per_mille(BOX, (size[1], size[0]))
    box = f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"
    said = f"<|object_ref_start|>the red mug<|object_ref_end|>{box}<|im_end|>"
    asked = answer_with(monkeypatch, writer_of("qwen2_vl"), said)
    (found,) = writer_of("qwen2_vl").detect([image_of(size)], ["red mug"])
    assert [(d.phrase, d.label) for d in found] == [("red mug", "the red mug")]
    np.testing.assert_allclose(found[0].box_xyxy, BOX, atol=max(size) / 1000)
    answer_with(monkeypatch, writer_of("qwen2_vl"), "a red mug<|im_end|>")
    assert writer_of("qwen2_vl").caption(image_of(size)).text == "a red mug"
    asked = answer_with(monkeypatch, writer_of("qwen2_vl"), "a red mug")
    writer_of("qwen2_vl").describe_region(image_of(size), BOX)
    assert f"in the region {box}" in tokenizer_of(writer_of("qwen2_vl")).decode(asked[0]["input_ids"][0])


def test_qwen2_with_a_vocabulary_that_lacks_the_marks(writer_of, monkeypatch):
    tokenizer = tokenizer_of(writer_of("qwen2_vl"))
    ids, lacks = tokenizer.convert_tokens_to_ids, [None, tokenizer.unk_token_id] * 2
    monkeypatch.setattr(
        tokenizer, "convert_tokens_to_ids", lambda words: lacks if "<|box_end|>" in words else ids(words)
    )
    answer_with(monkeypatch, writer_of("qwen2_vl"), "a red mug<|im_end|>")
    assert writer_of("qwen2_vl").caption(image_of()).text == "a red mug"


def test_qwen2_is_asked_for_one_phrase_at_a_time(writer_of, monkeypatch):
    asked = answer_with(monkeypatch, writer_of("qwen2_vl"), "[]")
    assert writer_of("qwen2_vl").detect([image_of()], ["red mug", "plate"]) == [[]]
    prompts = [tokenizer_of(writer_of("qwen2_vl")).decode(inputs["input_ids"][0]) for inputs in asked]
    assert ['"red mug"' in prompt for prompt in prompts] == [True, False]
    assert ['"plate"' in prompt for prompt in prompts] == [False, True]


def test_qwen2_promises_no_points(writer_of):
    assert not writer_of("qwen2_vl").capabilities.points
    with pytest.raises(CommandError, match="cannot point; models that can"):
        writer_of("qwen2_vl").point(image_of(), "mug")


def test_qwen3_5_is_asked_not_to_think(writer_of, monkeypatch):
    asked = answer_with(monkeypatch, writer_of("qwen3_5"), "mugs")
    assert writer_of("qwen3_5").caption(image_of()).text == "mugs"
    prompt = tokenizer_of(writer_of("qwen3_5")).decode(asked[0]["input_ids"][0])
    assert "".join(prompt.split()).endswith("<think></think>")
    (mention,) = _pointed(writer_of, monkeypatch).mentions
    assert mention.boxes_xyxy == ((80.0, 24.0, 80.0, 24.0),)


def _pointed(writer_of, monkeypatch):
    answer_with(monkeypatch, writer_of("qwen3_5"), '[{"point_2d": [500, 250], "label": "handle"}]')
    return writer_of("qwen3_5").point(image_of(), "handle")


def test_a_point_at_something_else_is_no_point_at_the_thing(writer_of, monkeypatch):
    points = '[{"point_2d": [500, 250], "label": "mug"}, {"point_2d": [100, 250], "label": "plate"}]'
    answer_with(monkeypatch, writer_of("qwen3_vl"), points)
    assert [mention.label for mention in writer_of("qwen3_vl").point(image_of(), "mug").mentions] == ["mug"]


def test_layers_without_attention_give_no_heatmap(writer_of, tiny_checkpoints):
    assert not writer_of("qwen3_5").capabilities.heatmaps
    with pytest.raises(CommandError, match="cannot give heatmaps; models that can"):
        writer_of("qwen3_5").heatmap(image_of(), "red mug")
    with pytest.raises(ModelError, match="has no option 'heatmap'"):
        build_model(str(tiny_checkpoints("qwen3_5")), device="cpu", options={"heatmap": "mean"})


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl_moe"])
def test_heatmaps_of_the_others(writer_of, kind):
    heat = writer_of(kind).heatmap(image_of(), "red mug")
    assert heat.shape == (96, 160)
    assert 0.0 <= heat.min() <= heat.max() <= 1.0
