"""Families that answer in text: real processors, tokenizers and generation on tiny checkpoints.

Where a certain answer is needed, ``generate`` is made to return the token ids of that answer; everything
before and after it stays real.
"""

import importlib
import itertools
import types

import numpy as np
import pytest
import torch

from vlm_perception.models import codecs
from vlm_perception.models.base import GroundingModel, Segmenter, VisionLanguageModel
from vlm_perception.models.capability import require, who_can
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.loading import torchvision_works
from vlm_perception.models.polygons import fill_polygons
from vlm_perception.types import CommandError, ModelError

KINDS = ("florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl")
SIZES = ((96, 160), (160, 96), (120, 120))  # (height, width)
BOX = (40, 24, 72, 60)


def image_of(size=(96, 160)):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


def tokenizer_of(model):
    dialect = model._dialect
    return dialect._chat.tokenizer if hasattr(dialect, "_chat") else dialect._processor.tokenizer


def answer_with(monkeypatch, model, text, *, ended=True):
    """Generation returns the ids of ``text`` (after the prompt, for decoder-only models), and the token that ends it."""
    ids = tokenizer_of(model)(text, return_tensors="pt", add_special_tokens=False)["input_ids"].long()
    if ended:
        ids = torch.cat([ids, torch.tensor([[model._model.generation_config.eos_token_id]])], dim=1)
    asked = []

    def generate(input_ids=None, **inputs):
        asked.append({"input_ids": input_ids, **inputs})
        whole = ids if model._model.config.is_encoder_decoder else torch.cat([input_ids, ids], dim=1)
        scores = tuple(torch.zeros(1, 1) for _ in range(ids.shape[1]))
        return types.SimpleNamespace(sequences=whole, scores=scores, sequences_scores=None)

    monkeypatch.setattr(model._model, "generate", generate)
    monkeypatch.setattr(
        model._model, "compute_transition_scores", lambda *_, **__: torch.full((1, 3), float(np.log(0.8)))
    )
    return asked


def written(kind, box, size, label="red mug"):
    """The answer that a model of this kind gives for a box, and the largest error of its grid in pixels."""
    wh = (size[1], size[0])
    if kind == "florence2":
        return label + "".join(f"<loc_{k}>" for k in codecs.pixels_to_florence(box, wh)), max(wh) / 1000
    if kind == "kosmos-2":
        first, last = codecs.pixels_to_kosmos(box, wh)
        return f"<object><patch_index_{first:04d}><patch_index_{last:04d}></object>", max(wh) / 32
    if kind == "paligemma":
        return "".join(f"<loc{k:04d}>" for k in codecs.pixels_to_paligemma(box, wh)) + f" {label}", max(wh) / 1024
    if kind == "qwen2_5_vl":
        resized = codecs.qwen_resized(wh, factor=28, min_pixels=28 * 28, max_pixels=112 * 112)
        numbers = list(codecs.pixels_to_resized(box, wh, resized))
        return f'```json\n[{{"bbox_2d": {numbers}, "label": "{label}"}}]\n```', max(wh) / min(resized)
    numbers = list(codecs.pixels_to_per_mille(box, wh))
    if kind == "qwen3_vl":
        return f'[{{"bbox_2d": {numbers}, "label": "{label}"}}]', max(wh) / 1000
    return f"<ref>{label}</ref><box>[{numbers}]</box>", max(wh) / 1000


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_known_box_comes_back_within_one_bin(writer_of, monkeypatch, kind, size):
    model = writer_of(kind)
    text, one_bin = written(kind, BOX, size)
    asked = answer_with(monkeypatch, model, text)
    (found,) = model.detect([image_of(size)], ["red mug"])
    assert len(found) == 1
    assert found[0].phrase == "red mug"
    assert found[0].score == pytest.approx(0.8)
    np.testing.assert_allclose(found[0].box_xyxy, BOX, atol=one_bin + 1e-6)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_real_generation_runs(writer_of, kind):
    """A network that knows nothing answers nonsense: no box, no error."""
    model = writer_of(kind)
    assert isinstance(model, GroundingModel)
    assert isinstance(model, VisionLanguageModel)
    (found,) = model.detect([image_of()], ["red mug", "plate"])
    assert all(d.phrase in ("red mug", "plate") for d in found)
    text = model.caption(image_of())
    assert 0 < text.score <= 1
    assert model.detect([image_of()], []) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_broken_answers_give_nothing(writer_of, monkeypatch, kind):
    model = writer_of(kind)
    for text in ("sorry, I cannot help with that", "<loc_5><loc_6>", "[1, 2, 3]", "{"):
        answer_with(monkeypatch, model, text)
        assert model.detect([image_of()], ["red mug"]) == [[]]


@pytest.mark.parametrize(
    ("kind", "method", "arguments", "task"),
    [
        ("florence2", "answer", ("what?",), "answers"),
        ("florence2", "point", ("mug",), "points"),
        ("kosmos-2", "read_text", (), "reads_text"),
        ("paligemma", "describe_region", ((1, 1, 20, 20),), "describes_regions"),
        ("kosmos-2", "name_region", ((1, 1, 20, 20),), "names_regions"),
        ("kosmos-2", "read_text", ((1, 1, 20, 20),), "reads_text"),
        ("internvl", "point", ("mug",), "points"),
    ],
)
def test_what_a_model_cannot_do_names_who_can(writer_of, kind, method, arguments, task):
    model = writer_of(kind)
    assert not getattr(model.capabilities, task)
    with pytest.raises(CommandError, match=f"cannot .*; models that can: .*{who_can(task)[0]}"):
        getattr(model, method)(image_of(), *arguments)
    with pytest.raises(CommandError, match="models that can"):
        require(model, task)
    require(model, "detects")


def test_require_knows_its_words(writer_of):
    with pytest.raises(ValueError, match="'sings' is no capability"):
        require(writer_of("florence2"), "sings")
    assert who_can("points")
    assert "qwen3-vl-2b" in who_can("captions")


def test_the_registrys_tasks_are_the_dialects(writer_of):
    from vlm_perception.models.registry import load_registry

    rows = [entry for entry in load_registry().values() if entry.model_type in KINDS]
    assert {entry.model_type for entry in rows} == set(KINDS)
    for entry in rows:
        capabilities = writer_of(entry.model_type).capabilities
        declared = {name for name in ("detects", "masks", "points", "captions", "answers", "counts", "reads_text",
                                      "describes_regions", "names_regions", "heatmaps") if getattr(capabilities, name)}  # fmt: skip
        assert declared == set(entry.tasks), entry.name


def test_wrong_regions_and_questions(writer_of):
    for box in ((5, 5, 5, 20), (-1, 0, 5, 5), (0, 0, 500, 5)):
        with pytest.raises(CommandError, match="does not lie in the 160 x 96 image"):
            writer_of("kosmos-2").describe_region(image_of(), box)
    with pytest.raises(CommandError, match="question is empty"):
        writer_of("kosmos-2").answer(image_of(), "  ")
    with pytest.raises(ModelError, match=r"must be \(H, W, 3\) uint8"):
        writer_of("kosmos-2").caption(np.zeros((4, 4), np.uint8))


def test_prompts_are_the_documented_ones(writer_of):
    prompts = {kind: [ask.prompt for ask in writer_of(kind)._dialect.locate(["red mug", "Plates"])] for kind in KINDS}
    assert prompts["florence2"] == ["<OPEN_VOCABULARY_DETECTION>red mug", "<OPEN_VOCABULARY_DETECTION>Plates"]
    assert prompts["kosmos-2"] == [
        "<grounding><phrase> a red mug</phrase>", "<grounding><phrase> Plates</phrase>",
    ]  # fmt: skip
    assert prompts["paligemma"] == ["detect red mug ; plates"]
    assert len(prompts["internvl"]) == 2
    assert "<ref>red mug</ref>" in prompts["internvl"][0]
    assert 'categories: "red mug", "Plates"' in prompts["qwen3_vl"][0]


def test_florence_prompts_and_boxes_are_the_librarys(writer_of, monkeypatch):
    model = writer_of("florence2")
    processor = model._dialect._processor
    asked = answer_with(monkeypatch, model, "red mug<loc_100><loc_200><loc_300><loc_400>")
    (found,) = model.detect([image_of()], ["red mug"])
    prompt = processor.tokenizer.decode(asked[0]["input_ids"][0], skip_special_tokens=True)
    assert prompt == "Locate red mug in the image."
    theirs = processor.post_process_generation(
        text="</s><s>red mug<loc_100><loc_200><loc_300><loc_400></s>",
        task="<OPEN_VOCABULARY_DETECTION>", image_size=(160, 96),
    )["<OPEN_VOCABULARY_DETECTION>"]  # fmt: skip
    assert [int(v) for v in found[0].box_xyxy] == theirs["bboxes"][0]


def test_florence_masks_and_reading(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"masks": True})
    assert model.capabilities.masks
    corners = [(40, 24), (72, 24), (72, 60), (40, 60)]
    bins = "".join(f"<loc_{int(x / 160 * 1000)}><loc_{int(y / 96 * 1000)}>" for x, y in corners)
    answer_with(monkeypatch, model, bins)
    (found,) = model.detect([image_of()], ["red mug"])
    truth = np.zeros((96, 160), bool)
    truth[24:60, 40:72] = True
    assert (found[0].mask & truth).sum() / (found[0].mask | truth).sum() > 0.9
    answer_with(monkeypatch, model, "MILK" + bins)
    read = model.read_text(image_of())
    assert read.mentions[0].label == "MILK"
    np.testing.assert_allclose(read.mentions[0].boxes_xyxy[0], BOX, atol=0.2)
    with pytest.raises(ModelError, match="option 'task' must be one of"):
        build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"task": "<OD>"})


REGION = "<loc_250><loc_250><loc_450><loc_625>"


@pytest.mark.parametrize(
    ("method", "prompt"),
    [
        ("describe_region", f"What does the region {REGION} describe?"),
        ("name_region", f"What is the region {REGION}?"),
        ("read_text", f"What text is in the region {REGION}?"),
    ],
)
@pytest.mark.parametrize("end", ["", REGION, REGION[:-3]])
def test_florence_says_what_is_in_a_region(writer_of, monkeypatch, method, prompt, end):
    """The prompts of the processor; the model may say the region again, whole or cut off, after the words."""
    model = writer_of("florence2")
    asked = answer_with(monkeypatch, model, f"a red mug{end}")
    said = getattr(model, method)(image_of(), BOX)
    assert (said.text, said.mentions) == ("a red mug", ())
    assert prompt in model._dialect._processor.tokenizer.decode(asked[0]["input_ids"][0])


@pytest.mark.parametrize("size", SIZES)
def test_florence_outlines_what_is_in_a_box(tiny_checkpoints, monkeypatch, size):
    segmenter = build_segmenter(str(tiny_checkpoints("florence2")), device="cpu", options={"max_new_tokens": 4})
    assert isinstance(segmenter, Segmenter)
    image = image_of(size)
    (anything,) = segmenter.segment(image, [BOX])  # a network that knows nothing
    assert anything.mask.shape == size
    height, width = size
    corners = [(40, 24), (72, 24), (72, 60), (40, 60)]
    bins = "".join(f"<loc_{int(x / width * 1000)}><loc_{int(y / height * 1000)}>" for x, y in corners)
    asked = answer_with(monkeypatch, segmenter._model, bins)
    first, second = segmenter.segment(image, [BOX, (-9, 0, 500, 500)])
    truth = np.zeros(size, bool)
    truth[24:60, 40:72] = True
    for found in (first, second):
        assert (found.mask & truth).sum() / (found.mask | truth).sum() > 0.9
        assert found.quality == pytest.approx(0.8)
    tokenizer = segmenter._model._dialect._processor.tokenizer
    prompts = [tokenizer.decode(inputs["input_ids"][0]) for inputs in asked]
    given = "".join(f"<loc_{k}>" for k in codecs.pixels_to_florence(BOX, (width, height)))
    assert [
        f"What is the polygon mask of region {box}" in prompt
        for box, prompt in zip((given, "<loc_0><loc_0><loc_999><loc_999>"), prompts, strict=True)
    ] == [True, True]
    for nothing in ("sorry", "<loc_1><loc_2><loc_3>"):
        answer_with(monkeypatch, segmenter._model, nothing)
        (none,) = segmenter.segment(image, [BOX])
        assert (none.mask.any(), none.quality) == (False, 0.0)
    segmenter.close()
    with pytest.raises(ModelError, match="is closed"):
        segmenter.segment(image, [BOX])


def test_only_florence_of_its_family_outlines(tiny_checkpoints, writer_of):
    with pytest.raises(ModelError, match="'kosmos-2', which gives no masks for boxes"):
        build_segmenter(str(tiny_checkpoints("kosmos-2")), device="cpu")
    with pytest.raises(CommandError, match="cannot give masks; models that can"):
        writer_of("qwen3_vl").outline_region(image_of(), BOX)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl", "internvl"])
def test_chat_models_name_a_region(writer_of, monkeypatch, kind):
    model = writer_of(kind)
    asked = answer_with(monkeypatch, model, "mug")
    assert model.name_region(image_of(), BOX).text == "mug"
    prompt = tokenizer_of(model).decode(asked[0]["input_ids"][0])
    assert "category of the object in the region" in prompt
    model.describe_region(image_of(), BOX)
    described = tokenizer_of(model).decode(asked[1]["input_ids"][0])
    numbers = codecs.pixels_to_per_mille(BOX, (160, 96)) if kind != "qwen2_5_vl" else None
    if numbers is not None:
        assert str(list(numbers)) in prompt
        assert str(list(numbers)) in described


@pytest.mark.parametrize("kind", ["paligemma", "internvl"])
def test_every_model_that_reads_is_shown_a_region(writer_of, monkeypatch, kind):
    model = writer_of(kind)
    seen = []
    encode = model._dialect.encode
    monkeypatch.setattr(model._dialect, "encode", lambda part, *rest: (seen.append(part), encode(part, *rest))[1])
    answer_with(monkeypatch, model, "MILK")
    assert model.read_text(image_of(), BOX).text == "MILK"
    assert np.array_equal(seen[0], image_of()[24:60, 40:72])


def test_reading_in_a_region_shows_the_region_alone(writer_of, monkeypatch):
    """Models without a prompt for it; what they find there lies in the whole image."""
    model = writer_of("qwen3_vl")
    image = image_of()
    seen = []
    encode = model._dialect.encode
    monkeypatch.setattr(model._dialect, "encode", lambda part, *rest: (seen.append(part), encode(part, *rest))[1])
    answer_with(monkeypatch, model, '[{"bbox_2d": [0, 0, 500, 1000], "text_content": "MILK"}]')
    said = model.read_text(image, (40.4, 24, 71.5, 60))
    assert np.array_equal(seen[0], image[24:60, 40:72])
    assert said.mentions[0].label == "MILK"
    np.testing.assert_allclose(said.mentions[0].boxes_xyxy[0], (40, 24, 56, 60))
    for box, message in (((40, 24, 44, 60), "4 x 36 pixels is too small"), ((0, 0, 500, 5), "does not lie in")):
        with pytest.raises(CommandError, match=message):
            model.read_text(image, box)


def test_kosmos_caption_ties_words_to_boxes(writer_of, monkeypatch):
    model = writer_of("kosmos-2")
    library = importlib.import_module("transformers.models.kosmos2.processing_kosmos2")
    continuation = (
        "<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> by"
        "<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>."
    )
    answer_with(monkeypatch, model, continuation)
    said = model.caption(image_of())
    text, entities = library.clean_text_and_extract_entities_with_bboxes("<grounding> An image of" + continuation)
    assert said.text == text == "An image of a snowman by a fire."
    assert [(m.label, m.span) for m in said.mentions] == [(name, span) for name, span, _ in entities]
    for mention, (_, _, boxes) in zip(said.mentions, entities, strict=True):
        x1, y1, x2, y2 = boxes[0]
        assert mention.boxes_xyxy[0] == pytest.approx((x1 * 160, y1 * 96, x2 * 160, y2 * 96))


def test_kosmos_answers_and_regions_without_the_prompt(writer_of, monkeypatch):
    model = writer_of("kosmos-2")
    answer_with(monkeypatch, model, "<phrase> a red mug</phrase><object><patch_index_0000><patch_index_0033></object>.")
    said = model.answer(image_of(), "what is  it?")
    assert said.text == "a red mug."
    assert said.text[slice(*said.mentions[0].span)] == "a red mug"
    answer_with(monkeypatch, model, " a mug")
    assert model.describe_region(image_of(), BOX).text == "a mug"


def test_kosmos_says_nothing_for_a_phrase_without_object(writer_of, monkeypatch):
    model = writer_of("kosmos-2")
    answer_with(monkeypatch, model, " on<phrase> a table</phrase><object><patch_index_0000><patch_index_0033></object>")
    assert model.detect([image_of()], ["red mug"]) == [[]]


def test_several_phrases_in_one_answer_are_told_apart(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    answer_with(
        monkeypatch, model,
        '[{"bbox_2d": [0, 0, 500, 500], "label": "plate"}, {"bbox_2d": [500, 500, 1000, 1000], "label": "the red mug"},'
        ' {"bbox_2d": [0, 500, 500, 1000], "label": "zebra"}]',
    )  # fmt: skip
    (found,) = model.detect([image_of()], ["red mug", "plate", "mug"])
    assert {(d.phrase, d.box_xyxy[:2]) for d in found} == {("plate", (0, 0)), ("red mug", (80, 48))}


def test_points(writer_of, monkeypatch):
    answer_with(monkeypatch, writer_of("qwen3_vl"), '[{"point_2d": [500, 250], "label": "handle"}]')
    said = writer_of("qwen3_vl").point(image_of(), "handle")
    assert said.mentions[0].boxes_xyxy == ((80.0, 24.0, 80.0, 24.0),)
    assert writer_of("qwen3_vl").detect([image_of()], ["handle"]) == [[]]  # a point is no box


def test_qwen_knows_the_size_it_resized_to(writer_of):
    from vlm_perception.models.runtime import Placement

    for size in SIZES:
        wh = (size[1], size[0])
        dialect = writer_of("qwen2_5_vl")._dialect
        encoded = dialect.encode(image_of(size), "x", Placement("cpu", "float32"))
        assert encoded.network_wh == codecs.qwen_resized(wh, factor=28, min_pixels=28 * 28, max_pixels=112 * 112)


@pytest.mark.skipif(not torchvision_works(), reason="these processors need a torchvision that matches torch")
@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_qwen_inputs_from_parts_are_the_processors(tiny_checkpoints, kind):
    import dataclasses

    from transformers import Qwen2_5_VLProcessor, Qwen2VLVideoProcessor, Qwen3VLProcessor

    from vlm_perception.models.dialects.chat import ChatInputs
    from vlm_perception.models.loading import Checkpoint, load_image_processor, load_tokenizer
    from vlm_perception.models.runtime import Placement

    checkpoint = Checkpoint("x", str(tiny_checkpoints(kind)))
    images, tokenizer = load_image_processor(checkpoint), load_tokenizer(checkpoint)
    processor_class = Qwen2_5_VLProcessor if kind == "qwen2_5_vl" else Qwen3VLProcessor
    processor = processor_class(images, tokenizer, Qwen2VLVideoProcessor(), chat_template=tokenizer.chat_template)

    def expand(pixels):
        return "<|image_pad|>" * int(pixels["image_grid_thw"][0].prod() // images.merge_size**2)

    parts = ChatInputs(None, tokenizer, images, "<|image_pad|>", expand, ("<|image_pad|>",), {})
    cpu = Placement("cpu", "float32")
    ours = parts(image_of(), "find it", cpu)
    theirs = dataclasses.replace(parts, processor=processor)(image_of(), "find it", cpu)
    assert set(theirs) <= set(ours)
    for name, value in theirs.items():
        assert torch.equal(torch.as_tensor(ours[name]), torch.as_tensor(value)), name


@pytest.mark.skipif(not torchvision_works(), reason="these processors need a torchvision that matches torch")
@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl", "internvl", "molmo2"])
@pytest.mark.parametrize("size", SIZES)
def test_inputs_from_parts_are_those_of_the_checkpoints_own_processor(writer_of, kind, size):
    """As :func:`build_model` loads it where torchvision is, and what is made in its place where it is not."""
    import dataclasses

    model = writer_of(kind)
    chat = model._dialect._chat
    assert chat.processor is not None
    theirs = chat(image_of(size), "find it", model.placement)
    ours = dataclasses.replace(chat, processor=None)(image_of(size), "find it", model.placement)
    assert {"input_ids", "pixel_values"} <= set(theirs) <= set(ours)
    for name, value in theirs.items():
        torch.testing.assert_close(torch.as_tensor(ours[name]), torch.as_tensor(value), msg=name)


def test_fill_polygons_even_odd():
    outer, hole = (0, 0, 9, 0, 9, 9, 0, 9), (3, 3, 6, 3, 6, 6, 3, 6)
    mask = fill_polygons([outer, hole], (10, 10))
    assert mask[1, 1]
    assert not mask[5, 5] or mask.sum() < 100
    assert not fill_polygons([], (4, 4)).any()


def test_beam_scores_and_threshold(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"max_new_tokens": 4, "num_beams": 2})
    assert 0 < model.caption(image_of()).score <= 1
    with pytest.raises(ModelError, match="'num_beams' must be a whole number"):
        build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"num_beams": 1.5})


def test_low_confidence_is_dropped(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    answer_with(monkeypatch, model, '[{"bbox_2d": [0, 0, 500, 500], "label": "mug"}]')
    assert model.detect([image_of()], ["mug"], threshold=0.9) == [[]]
    assert len(model.detect([image_of()], ["mug"], threshold=0.7)[0]) == 1


def test_out_of_memory_is_an_error_that_says_what_to_do(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("paligemma")), device="cpu", options={"max_new_tokens": 2})
    real = model._model.generate

    def full(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    model._model.generate = full
    with pytest.raises(ModelError, match="ran out of memory"):
        model.detect([image_of()], ["mug"])
    model._model.generate = real
    model.detect([image_of()], ["mug"])
    model.close()
    with pytest.raises(ModelError, match="is closed"):
        model.caption(image_of())


@pytest.mark.parametrize("kind", ["florence2", "kosmos-2", "paligemma", "qwen3_vl", "internvl"])
def test_half_precision_runs(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", dtype="bf16", options={"max_new_tokens": 2})
    assert model.caption(image_of()).score > 0


def write_letters(network, letters):
    """Bend the network's scores, so that it writes "a" that often and then ends; returns the hook."""
    end, letter = network.generation_config.eos_token_id, 4 + ord("a") - 32  # as tiny.char_tokenizer has it
    step = itertools.count()

    def bend(_module, _inputs, scores):
        scores[..., end if next(step) >= letters else letter] += 1e4
        return scores

    return network.get_output_embeddings().register_forward_hook(bend)


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_end_that_the_library_writes_at_the_limit_is_none_of_the_models(tiny_checkpoints, beams, forced):
    """Florence-2's checkpoints say ``forced_eos_token_id``: the last token allowed is then always the end."""
    options = {"max_new_tokens": 6, "num_beams": beams}
    model = build_model(str(tiny_checkpoints("florence2")), device="cpu", options=options)
    config = model._model.generation_config
    assert config.forced_eos_token_id == config.eos_token_id
    if not forced:
        config.forced_eos_token_id = None
    encoded = model._dialect.encode(image_of(), model._dialect.caption().prompt, model.placement)
    for letters, last in ((50, "a"), (3, "</s>"), (4, "</s>")):
        hook = write_letters(model._model, letters)
        tokens = model._model.generate(**encoded.inputs, **model._arguments)[0]
        hook.remove()
        written = tokenizer_of(model).convert_ids_to_tokens(tokens[1:])
        assert written == ["a"] * min(letters, 5) + ["</s>" if forced else last]
        hook = write_letters(model._model, letters)
        said = model.caption(image_of())
        hook.remove()
        assert said.text == "".join(written).removesuffix("</s>")
        cut = "the answer was cut off at 6 tokens; raise max_new_tokens"
        assert said.lost == ((cut,) if letters == 50 else ())
