"""Molmo 2's points, and boxes from chat models that no dialect is written for."""

import importlib
import json
import shutil

import numpy as np
import pytest
import torch
from test_generative import answer_with, image_of
from transformers import AutoProcessor

from vlm_perception.models import codecs
from vlm_perception.models.capability import require
from vlm_perception.models.factory import build_model
from vlm_perception.models.loading import torchvision_works
from vlm_perception.types import CommandError, ModelError

SIZES = ((96, 160), (160, 96), (120, 120))
BOX = (40, 24, 72, 60)


@pytest.fixture(scope="module")
def molmo(tiny_checkpoints):
    return build_model(str(tiny_checkpoints("molmo2")), device="cpu", options={"max_new_tokens": 4})


def llava(tiny_checkpoints, **options):
    return build_model(str(tiny_checkpoints("llava")), device="cpu", options={"max_new_tokens": 4, **options})


# --------------------------------------------------------------------------- Molmo 2


@pytest.mark.parametrize("size", SIZES)
def test_known_points_come_back_within_one_step(molmo, monkeypatch, size):
    wh = (size[1], size[0])
    x1, y1, x2, y2 = codecs.pixels_to_per_mille(BOX, wh)
    asked = answer_with(monkeypatch, molmo, f'<points coords="1 1 {x1:03d} {y1:03d} 2 {x2:03d} {y2:03d}">red mugs</points>')
    said = molmo.point(image_of(size), "red mugs")
    (mention,) = said.mentions
    assert mention.label == "red mugs"
    np.testing.assert_allclose([box[:2] for box in mention.boxes_xyxy], [BOX[:2], BOX[2:]], atol=max(wh) / 1000)
    assert all(box[:2] == box[2:] for box in mention.boxes_xyxy)
    prompt = molmo._dialect._chat.tokenizer.decode(asked[0]["input_ids"][0])
    assert "Point to the red mugs." in prompt
    assert prompt.startswith("<s>")  # the text begins with the tokenizer's own first token


def test_molmo_runs_for_real_and_says_what_it_cannot(molmo):
    assert molmo.caption(image_of()).score > 0
    assert molmo.point(image_of(), "mug").mentions == ()
    assert molmo.detect([image_of()], ["mug"]) == [[]]
    with pytest.raises(CommandError, match="cannot locate things; models that can"):
        require(molmo, "detects")
    with pytest.raises(CommandError, match="cannot describe a region"):
        molmo.describe_region(image_of(), BOX)
    assert molmo.read_text(image_of(), BOX).score > 0  # is shown the region alone


def test_molmo_counts_with_points_as_evidence(molmo, monkeypatch):
    answer_with(monkeypatch, molmo, 'Counting the <points coords="1 1 100 200 2 300 400">mugs</points> shows a total of 2.')
    said = molmo.answer(image_of(), "How many mugs are there?")
    assert said.text == "Counting the mugs shows a total of 2."
    assert len(said.mentions[0].boxes_xyxy) == 2
    answer_with(monkeypatch, molmo, "two of them")
    assert molmo.answer(image_of(), "How many?").text == "two of them"


@pytest.mark.parametrize("size", SIZES)
def test_molmo_images_and_text_agree(molmo, size):
    """As many patch tokens in the text as the image processor made patches, all of them marked as image."""
    batch = molmo._dialect._chat(image_of(size), "x", molmo.placement)
    rows = batch["image_grids"][0]
    patches = int(rows[0] * rows[1] + rows[2] * rows[3])
    ids = molmo._dialect._chat.tokenizer.convert_tokens_to_ids(["<im_patch>", "<im_start>", "<low_res_im_start>", "<im_col>"])
    counts = [int((batch["input_ids"] == token).sum()) for token in ids]
    assert counts == [patches, 1, 1, int(rows[2])]
    assert len(batch["image_token_pooling"]) == patches
    assert int(batch["mm_token_type_ids"].sum()) == sum(counts) + 2


@pytest.mark.skipif(not torchvision_works(), reason="the library's processor needs a torchvision that matches torch")
def test_molmo_inputs_without_torchvision_are_the_librarys(tiny_checkpoints, monkeypatch):
    from vlm_perception.models.dialects import chat
    from vlm_perception.models.loading import Checkpoint

    checkpoint = Checkpoint("x", str(tiny_checkpoints("molmo2")))
    theirs = chat.molmo_images(checkpoint)(images=[image_of()], return_tensors="pt")
    monkeypatch.setattr(chat, "torchvision_works", lambda: False)
    ours = chat.molmo_images(checkpoint)(images=[image_of()], return_tensors="pt")
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-4, rtol=0)


def test_molmo_views_show_the_image(tiny_checkpoints):
    """The first view is the whole image in small; a bright corner is where it should be."""
    from vlm_perception.models.dialects.chat import molmo_images
    from vlm_perception.models.loading import Checkpoint

    image = np.zeros((112, 112, 3), np.uint8)
    image[:56, 56:] = 255
    processor = molmo_images(Checkpoint("x", str(tiny_checkpoints("molmo2"))))
    first = processor(images=[image], return_tensors="pt")["pixel_values"][0].mean(dim=1).reshape(8, 8)
    assert first[:3, 5:].min() == pytest.approx(1.0)
    assert first[4:].max() == pytest.approx(-1.0, abs=0.3)
    assert first[:, :3].max() == pytest.approx(-1.0)


# --------------------------------------------------------------------------- any chat model


UNITS = {"fraction": 1.0, "per_cent": 100.0, "per_mille": 1000.0}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unit", [*UNITS, "pixels"])
@pytest.mark.parametrize("style", ["shikra", "json"])
def test_boxes_in_any_unit_and_style_come_back(tiny_checkpoints, monkeypatch, style, unit, size):
    model = llava(tiny_checkpoints, coordinates=unit)
    scale = np.tile((size[1], size[0]), 2) / UNITS[unit] if unit in UNITS else np.ones(4)
    numbers = [round(float(v), 3) for v in np.array(BOX) / scale]
    text = f"It is at {numbers}." if style == "shikra" else f'[{{"bbox_2d": {numbers}, "label": "red mug"}}]'
    answer_with(monkeypatch, model, text)
    (found,) = model.detect([image_of(size)], ["red mug"])
    assert [d.phrase for d in found] == ["red mug"]
    np.testing.assert_allclose(found[0].box_xyxy, BOX, atol=0.001 * float(scale.max()) + 1e-9)


def test_the_prompt_says_the_unit_it_is_read_in(tiny_checkpoints):
    for unit, words in (("fraction", "from 0 to 1."), ("per_mille", "from 0 to 1000"), ("pixels", "in pixels")):
        (ask,) = llava(tiny_checkpoints, coordinates=unit)._dialect.locate(["red mug"])
        assert words in ask.prompt
        assert '"label": "red mug"' in ask.prompt


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [
        ("fraction", "[0.250, 0.250, 0.450, 0.625]"),
        ("per_cent", "[25.0, 25.0, 45.0, 62.5]"),
        ("per_mille", "[250, 250, 450, 625]"),
        ("pixels", "[40, 24, 72, 60]"),
    ],
)
def test_a_region_is_shown_in_the_unit_that_is_asked_for(tiny_checkpoints, unit, numbers):
    dialect = llava(tiny_checkpoints, coordinates=unit)._dialect
    ask = dialect.region(BOX, (160, 96))
    (locate,) = dialect.locate(["red mug"])
    words = next(w for w in ("from 0 to 1000 across", "from 0 to 100", "from 0 to 1", "in pixels") if w in locate.prompt)
    assert f"{numbers} of the image" in ask.prompt
    assert f"{words}" in ask.prompt.split(numbers)[1]


def test_a_model_without_a_dialect_speaks(tiny_checkpoints, monkeypatch):
    model = llava(tiny_checkpoints)
    assert model.caption(image_of()).score > 0
    asked = answer_with(monkeypatch, model, "a red mug")
    assert model.describe_region(image_of(), BOX).text == "a red mug"
    assert "[0.250, 0.250, 0.450, 0.625]" in model._dialect._processor.tokenizer.decode(asked[0]["input_ids"][0])
    model.name_region(image_of(), BOX)
    prompt = model._dialect._processor.tokenizer.decode(asked[1]["input_ids"][0])
    assert "Name what is in the region [0.250, 0.250, 0.450, 0.625]" in prompt
    for text in ("sorry", "[1, 2, 3]", "[5, 5, 10, 10]"):
        answer_with(monkeypatch, model, text)
        assert model.detect([image_of()], ["red mug"]) == [[]]
    with pytest.raises(ModelError, match="'coordinates' must be one of fraction"):
        llava(tiny_checkpoints, coordinates="feet")


def test_no_chat_template_is_said(tiny_checkpoints, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(tiny_checkpoints("llava"), folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        build_model(str(folder), device="cpu")


def with_begin(folder, copy, *, template, tokenizer):
    """A copy of a checkpoint whose chat template and whose tokenizer write the begin token, or do not."""
    shutil.copytree(folder, copy)
    if template:
        (chat,) = copy.glob("chat_template.jinja")
        chat.write_text("{{ bos_token }}" + chat.read_text())
    if tokenizer:
        content = json.loads((copy / "tokenizer.json").read_text())
        begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
        single, second = ({"Sequence": {"id": which, "type_id": 0}} for which in "AB")
        content["post_processor"] = {
            "type": "TemplateProcessing", "single": [begin, single], "pair": [begin, single, second],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
        }  # fmt: skip
        (copy / "tokenizer.json").write_text(json.dumps(content))
    return str(copy)


@pytest.mark.parametrize("template", [False, True])
@pytest.mark.parametrize("tokenizer", [False, True])
def test_tokens_are_those_of_the_librarys_own_call(tiny_checkpoints, tmp_path, template, tokenizer):
    """One begin token at the most, whoever writes it: the template, the tokenizer, or either of them."""
    folder = with_begin(tiny_checkpoints("llava"), tmp_path / "x", template=template, tokenizer=tokenizer)
    model = build_model(folder, device="cpu")
    ours = model._dialect.encode(image_of(), "what is it?", model.placement).inputs
    content = [{"type": "image", "image": image_of()}, {"type": "text", "text": "what is it?"}]
    theirs = AutoProcessor.from_pretrained(folder).apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip
    assert ours["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert ours["input_ids"][0].tolist().count(0) == int(template or tokenizer)
    torch.testing.assert_close(ours["pixel_values"], theirs["pixel_values"])


@pytest.mark.parametrize("kind", ["qwen3_vl", "internvl", "molmo2"])
def test_dialects_of_their_own_begin_once_too(tiny_checkpoints, tmp_path, kind):
    """Template and tokenizer both write the begin token; the placeholder of the image is expanded here or there."""
    folder = with_begin(tiny_checkpoints(kind), tmp_path / "x", template=True, tokenizer=True)
    model = build_model(folder, device="cpu")
    ids = model._dialect.encode(image_of(), "what is it?", model.placement).inputs["input_ids"][0].tolist()
    assert (ids[0], ids.count(0)) == (0, 1)
    plain = build_model(str(tiny_checkpoints(kind)), device="cpu")
    without = plain._dialect.encode(image_of(), "what is it?", plain.placement).inputs["input_ids"][0].tolist()
    assert ids == ([] if kind == "molmo2" else [0]) + without  # Molmo 2's processor begins what does not begin


def test_what_no_family_runs_is_said(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="model_type 'bert', which no family here runs"):
        build_model(str(tmp_path))
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    assert "llava" in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
