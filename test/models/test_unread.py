"""What a model that answers in words said and could not be read: it is told, and is no "there is none"."""

import pytest
import torch
from cube_scene import scene
from test_generative import answer_with, image_of

from vlm_perception.models.base import TellsUnread
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.models.factory import build_model
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import ModelError, Status

BOX = '{"bbox_2d": [0, 0, 500, 500], "label": "mug"}'


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("qwen3_vl", "I am sorry, I cannot help.", "'I am sorry, I cannot help.'"),
        ("qwen2_5_vl", "{", "truncated end"),
        ("internvl", "there is no need to", "no coordinates in"),
        ("florence2", "sorry", "'sorry'"),
        ("florence2", "mug<loc_5><loc_6>", "left-over location tokens"),
        ("paligemma", "sorry", "no location tokens in 'sorry'"),
        ("kosmos-2", "<object><patch_index_0044>", "cut off"),
    ],
)
def test_unreadable_answers_are_told(writer_of, monkeypatch, kind, text, why):
    model = writer_of(kind)
    assert isinstance(model, TellsUnread)
    answer_with(monkeypatch, model, text)
    assert model.detect([image_of(), image_of()], ["mug"]) == [[], []]
    assert [len(unread) for unread in model.unread] == [1, 1]
    (unread,) = model.unread[1]
    assert (unread.phrases, unread.partly) == (("mug",), False)
    assert why in unread.why


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("qwen3_vl", "[]"),
        ("qwen3_vl", f"[{BOX}]"),
        ("qwen3_vl", "There are no mugs in the image."),
        ("internvl", "there is no such thing"),
        ("kosmos-2", " on<phrase> a table</phrase><object><patch_index_0000><patch_index_0033></object>"),
        ("kosmos-2", " on<phrase> a table</phrase><object><patch_index_00"),
    ],
)
def test_a_clear_answer_leaves_nothing_unread(writer_of, monkeypatch, kind, text):
    model = writer_of(kind)
    answer_with(monkeypatch, model, "sorry" if kind != "kosmos-2" else "<object><patch_index_0044>")
    model.detect([image_of()], ["mug"])
    assert model.unread[0]
    answer_with(monkeypatch, model, text)
    model.detect([image_of()], ["mug"])
    assert model.unread == ((),)


def test_phrases_that_were_asked_one_by_one_are_lost_one_by_one(writer_of, monkeypatch):
    model = writer_of("internvl")
    answers = iter(["<ref>mug</ref><box>[[10, 20, 30, 40]]</box>", "what plate?"])
    answer_with(monkeypatch, model, "x")
    monkeypatch.setattr(model._dialect, "decode", lambda *_: next(answers))
    (found,) = model.detect([image_of()], ["mug", "plate"])
    assert [d.phrase for d in found] == ["mug"]
    assert [(u.phrases, u.why) for u in model.unread[0]] == [(("plate",), "no coordinates in 'what plate?'")]


@pytest.mark.parametrize("kind", ["florence2", "paligemma"])
def test_no_location_tokens_at_all_are_a_list_without_places(writer_of, monkeypatch, kind):
    """These write one place after the other, so that silence is the empty list; a chat model that says nothing is none."""
    answer_with(monkeypatch, writer_of(kind), "")
    assert writer_of(kind).detect([image_of()], ["mug"]) == [[]]
    assert writer_of(kind).unread == ((),)
    answer_with(monkeypatch, writer_of("qwen3_vl"), "")
    writer_of("qwen3_vl").detect([image_of()], ["mug"])
    assert writer_of("qwen3_vl").unread[0][0].why == "empty answer"


# --------------------------------------------------------------------------- cut off


def test_an_answer_that_was_cut_off_says_so(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    told = "cut off at 4 tokens; raise max_new_tokens"
    answer_with(monkeypatch, model, f"[{BOX}", ended=False)
    (found,) = model.detect([image_of()], ["mug"])
    assert len(found) == 1
    (unread,) = model.unread[0]
    assert (unread.partly, told in unread.why) == (True, True)
    said = model.caption(image_of())
    assert told in said.lost[0]
    answer_with(monkeypatch, model, f"[{BOX}]")
    model.detect([image_of()], ["mug"])
    assert model.unread == ((),)


@pytest.mark.parametrize("kind", ["florence2", "paligemma", "qwen3_vl"])
@pytest.mark.parametrize("beams", [1, 2])
def test_real_generation_knows_whether_it_ended(tiny_checkpoints, kind, beams):
    options = {"max_new_tokens": 4, "num_beams": beams}
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", options=options)
    cut = any("cut off at 4 tokens" in line for line in model.caption(image_of()).lost)
    assert cut is not ended_by_itself(model, image_of())
    with torch.no_grad():  # now nothing but the end is likely
        bias = torch.zeros(model._model.get_output_embeddings().weight.shape[0])
        bias[model._model.generation_config.eos_token_id] = 1e4
        head = model._model.get_output_embeddings()
        head.register_forward_hook(lambda _m, _i, out: out + bias.to(out))
    assert model.caption(image_of()).lost == ()


def ended_by_itself(model, image):
    """Whether the library, when it writes no end of its own at the limit, finds one."""
    encoded = model._dialect.encode(image, model._dialect.caption().prompt, model.placement)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model._model.generation_config, "forced_eos_token_id", None)
        whole = model._model.generate(**encoded.inputs, **model._arguments)[0].tolist()
    start = 1 if model._model.config.is_encoder_decoder else encoded.inputs["input_ids"].shape[1]
    return model._model.generation_config.eos_token_id in whole[start:]


def test_where_kosmos_stops_after_its_object_is_of_no_account(writer_of, monkeypatch):
    model = writer_of("kosmos-2")
    answer_with(monkeypatch, model, "<object><patch_index_0000><patch_index_0033></object> on a", ended=False)
    (found,) = model.detect([image_of()], ["mug"])
    assert (len(found), model.unread) == (1, ((),))
    answer_with(monkeypatch, model, "<object><patch_index_0000>", ended=False)
    model.detect([image_of()], ["mug"])
    assert "cut off" in model.unread[0][0].why


# --------------------------------------------------------------------------- words


def test_a_reader_of_places_tells_no_markup(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    for text in ("[]", "```json\n[]\n```", '[{"bbox_2d": [1, 2, 3, 4], "text_con'):
        answer_with(monkeypatch, model, text)
        assert model.read_text(image_of()).text == ""
    answer_with(monkeypatch, model, '[{"bbox_2d": [1, 2, 3, 4], "text_content": "MILK"}]')
    assert model.read_text(image_of()).text == "MILK"
    answer_with(monkeypatch, model, '[{"point_2d": [1, 2], "label": "handle"}]')
    assert model.point(image_of(), "handle").text == "handle"


def test_kosmos_says_nothing_when_it_adds_nothing_to_the_prompt(writer_of, monkeypatch):
    model = writer_of("kosmos-2")
    answer_with(monkeypatch, model, "")
    assert model.caption(image_of()).text == ""
    answer_with(monkeypatch, model, " a mug")
    assert model.caption(image_of()).text == "An image of a mug"


@pytest.mark.parametrize("words", ["There are none.", "This isn't in the image.", "There is no red mug."])
def test_molmo_says_in_words_that_there_is_none(tiny_checkpoints, monkeypatch, words):
    model = build_model(str(tiny_checkpoints("molmo2")), device="cpu", options={"max_new_tokens": 4})
    answer_with(monkeypatch, model, words)
    said = model.point(image_of(), "red mug")
    assert (said.mentions, said.lost) == ((), ())
    answer_with(monkeypatch, model, "Sorry.")
    assert "'Sorry.'" in model.point(image_of(), "red mug").lost[0]


@pytest.mark.parametrize(
    "words",
    ["There is no image.", "There is no way to tell", "There are no visible coordinates", "There is no plate.",
     "There are no mugs on the shelf.", "There is no blue mug."],
)  # fmt: skip
def test_molmo_saying_that_something_else_is_not_there_says_nothing_of_what_was_asked(
    tiny_checkpoints, monkeypatch, words
):
    model = build_model(str(tiny_checkpoints("molmo2")), device="cpu", options={"max_new_tokens": 4})
    answer_with(monkeypatch, model, words)
    assert "no points in" in model.point(image_of(), "red mug").lost[0]
    refused = told(model, "how many mugs are there?")
    assert (refused.status, refused.count) == (Status.MODEL_ERROR, None)


def test_molmos_points_at_something_else_are_not_counted(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("molmo2")), device="cpu", options={"max_new_tokens": 4})
    answer_with(
        monkeypatch, model,
        '<points coords="1 1 500 500">cubes</points> and <points coords="1 1 250 500">mug</points>',
    )  # fmt: skip
    assert [mention.label for mention in model.point(image_of(), "cube").mentions] == ["cubes"]
    assert told(model, "how many cubes are there?").count == 1


def test_a_damaged_network_is_an_error(tiny_checkpoints):
    """Its first token would be as good an answer as any other."""
    for options in ({}, {"num_beams": 2}):
        model = build_model(str(tiny_checkpoints("qwen3_vl")), device="cpu", options={"max_new_tokens": 2, **options})
        with torch.no_grad():
            model._model.get_output_embeddings().weight.fill_(float("nan"))
        with pytest.raises(ModelError, match="returned NaN scores in float32 on cpu; its weights are damaged"):
            model.detect([image_of()], ["mug"])


# --------------------------------------------------------------------------- to the answer


def told(model, command):
    return Pipeline(model, DepthGrabCut()).answer(scene(), command)


def test_molmos_points_are_resolved(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("molmo2")), device="cpu", options={"max_new_tokens": 4})
    answer_with(monkeypatch, model, '<points coords="1 1 500 500 2 250 500 3 765 520">cubes</points>')
    second = told(model, "the second cube from the left")
    assert (second.status, second.targets[0].object.box_xyxy) == (Status.SUCCEEDED, (140, 100, 180, 140)), (
        second.message
    )
    assert told(model, "the cube").status is Status.AMBIGUOUS
    assert told(model, "how many cubes are there?").count == 3
    answer_with(monkeypatch, model, "There are none.")
    assert told(model, "how many cubes are there?").count == 0
    answer_with(monkeypatch, model, "Sorry.")
    refused = told(model, "how many cubes are there?")
    assert (refused.status, refused.count) == (Status.MODEL_ERROR, None)
    assert "'Sorry.'" in refused.message


def test_what_qwen_refuses_is_no_count_and_its_empty_list_is(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    answer_with(monkeypatch, model, "I am sorry, I cannot help.")
    for command in ("how many cubes are there?", "is there a red cube?"):
        refused = told(model, command)
        assert (refused.status, refused.count, refused.verdict) == (Status.MODEL_ERROR, None, None)
        assert "'I am sorry, I cannot help.'" in refused.message
    answer_with(monkeypatch, model, "[]")
    assert told(model, "how many cubes are there?").count == 0
    answer_with(monkeypatch, model, '[{"bbox_2d": [437, 416, 562, 583], "label": "cube"}]', ended=False)
    cut = told(model, "how many cubes are there?")
    assert cut.status is Status.MODEL_ERROR
    assert "cut off at 4 tokens; raise max_new_tokens. There are at least 1." in cut.message


LEFT, RIGHT = '{"bbox_2d": [218, 416, 281, 583], "label": "cube"}', '{"bbox_2d": [437, 416, 562, 583]%s"label": "%s"}'


@pytest.mark.parametrize(
    ("right", "count"),
    [
        (RIGHT % (" ", "cube"), 2),
        (RIGHT.replace('"', "'") % (", ", "cube"), 2),
        (RIGHT % (", ", 'the 2" cube'), 2),
        (RIGHT.replace("583]", "583") % (", ", "cube"), None),
        (RIGHT.replace("562, ", "") % (", ", "cube"), None),
        (RIGHT % (", ", "plate"), 1),  # it says itself that this is none
    ],
)
def test_a_malformed_object_is_counted_where_it_is_certain_and_else_there_is_no_count(
    writer_of, monkeypatch, right, count
):
    model = writer_of("qwen3_vl")
    answer_with(monkeypatch, model, f"[{LEFT}, {right}]")
    counted = told(model, "how many cubes are there?")
    assert (counted.status, counted.count) == (Status.MODEL_ERROR if count is None else Status.SUCCEEDED, count), (
        counted.message
    )
    found = told(model, "the left cube")
    assert found.status is Status.SUCCEEDED
    assert ("malformed" in found.message or "no box" in found.message) is (count is None), found.message


def test_a_line_with_an_inch_sign_is_read(writer_of, monkeypatch):
    model = writer_of("qwen3_vl")
    lines = '{"bbox_2d": [1, 2, 300, 40], "text_content": "MILK"}, {"bbox_2d": [1, 50, 300, 90], "text_content": "5" screen"}'
    answer_with(monkeypatch, model, f"[{lines}]")
    said = model.read_text(image_of())
    assert (said.text, said.lost) == ('MILK\n5" screen', ())
