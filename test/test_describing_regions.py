"""A part of the image is asked about, named or read: given as a region, or located first; nothing said is dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cube_scene import scene
from describing_models import GREEN, LEFT, RIGHT, Speaker, middle_m, tied

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models.base import Capabilities, GroundedText, Mention
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Answer, Status

BOX = (130.0, 90.0, 190.0, 150.0)


class Seeing(Speaker):
    """Also remembers the pixels that it was shown with a question."""

    def answer(self, image_rgb, question):
        self.asked.append(image_rgb)
        return super().answer(image_rgb, question)


def run(model, task: str, text: str = "", **region) -> Answer:
    request = DescribeRequest(DescribeTask(task), text, **region)
    return Pipeline(model, DepthGrabCut()).describe(scene(), request)


def ground(model, command: str) -> Answer:
    return Pipeline(model, DepthGrabCut()).answer(scene(), command)


def model_of(said: str = "MILK", **can: bool) -> Speaker:
    return Speaker(said=GroundedText(said, (), 0.5), capabilities=Capabilities(**can))


# --------------------------------------------------------------------------- a question about a region


def test_a_question_about_a_region_reaches_the_model_with_its_pixels_alone() -> None:
    model = Seeing(said=tied("It is chipped here.", ("here", ((10.0, 10.0, 50.0, 50.0),))))
    answer = run(model, "ask", "is this mug chipped?", region_xyxy=BOX)
    shown, asked = model.asked
    assert asked == ("answer", "is this mug chipped?")
    np.testing.assert_array_equal(shown, scene().color_rgb[90:150, 130:190])
    assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "It is chipped here.", "is this mug chipped?")
    assert {t.phrase: t.object.box_xyxy for t in answer.targets} == {"region": BOX, "here": GREEN}, "moved back"


def test_a_question_about_a_click_is_about_the_thing_under_it() -> None:
    model = Seeing(said=GroundedText("green", (), 0.5))
    answer = run(model, "ask", "what color is it?", points_uv=((160.0, 120.0),))
    x0, y0, x1, y1 = (int(v) for v in GREEN)
    np.testing.assert_array_equal(model.asked[0], scene().color_rgb[y0:y1, x0:x1])
    (target,) = answer.targets
    assert (target.phrase, target.object.box_xyxy) == ("region", GREEN)
    np.testing.assert_allclose(target.object.geometry.surface_centroid_m, middle_m(1), atol=0.004)


@pytest.mark.parametrize("box", [(0, 0, 3, 3), (400, 0, 500, 20)])
def test_a_region_without_enough_pixels_is_refused(box) -> None:
    answer = run(Speaker(), "ask", "what is it?", region_xyxy=box)
    assert answer.status is Status.INVALID_COMMAND
    assert "region" in answer.message


# --------------------------------------------------------------------------- what would be dropped is refused


@pytest.mark.parametrize(
    ("task", "text", "region", "says"),
    [
        ("caption", "only the drinks, please", {}, "takes no text, got 'only the drinks, please'; a question goes with 'ask'"),
        ("region", "is this mug chipped?", {"region_xyxy": BOX}, "a question about a region goes with 'ask'"),
        ("category", "the mug", {"points_uv": ((160.0, 120.0),)}, "not both"),
        ("read", "the label", {"region_xyxy": BOX}, "not both"),
        ("read", "what does it say?", {}, "a question goes with 'ask'"),
        ("region", "is this mug chipped?", {}, "a question goes with 'ask'"),
        ("count", "mug", {"region_xyxy": BOX}, "takes no region; a region goes with 'region', 'category', 'read', 'ask'"),
        ("point", "mug", {"points_uv": ((160.0, 120.0),)}, "takes no region"),
        ("verify", "there is a mug", {"region_xyxy": BOX}, "takes no region"),
        ("check", "", {"region_xyxy": BOX}, "takes no region"),
        ("caption", "", {"region_xyxy": BOX}, "takes no region"),
        ("region", "", {"region_xyxy": BOX, "points_uv": ((160.0, 120.0),)}, "not both"),
    ],
)
def test_what_a_task_does_not_take_is_refused_naming_what_does(task, text, region, says) -> None:
    model = Speaker()
    answer = run(model, task, text, **region)
    assert answer.status is Status.INVALID_COMMAND
    assert says in answer.message
    assert model.asked == []


# --------------------------------------------------------------------------- a thing in place of a region


@pytest.mark.parametrize(("task", "asked"), [("region", "region"), ("category", "name"), ("read", "read")])
def test_a_thing_that_is_named_is_located_first(task, asked) -> None:
    model = Speaker(said=GroundedText("MILK", (), 0.5))
    answer = run(model, task, "the cube right of the green cube")
    assert model.asked == [(asked, RIGHT)]
    assert (answer.status, answer.answer) == (Status.SUCCEEDED, "MILK")
    (target,) = answer.targets
    assert (target.phrase, target.object.label) == ("cube", "MILK")
    np.testing.assert_allclose(target.object.geometry.surface_centroid_m, middle_m(2), atol=0.004)


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [("the giraffe", Status.NOT_FOUND, "giraffe"), ("the red cube", Status.AMBIGUOUS, "which one")],
)
def test_a_thing_that_is_not_there_or_not_one_is_told(text, status, says) -> None:
    model = Speaker(said=GroundedText("MILK", (), 0.5))
    answer = run(model, "read", text)
    assert (answer.status, answer.answer, model.asked) == (status, "", [])
    assert says in answer.message


def test_several_things_are_read_one_after_the_other() -> None:
    class Labels(Speaker):
        def read_text(self, image_rgb, box_xyxy=None):
            self.asked.append(box_xyxy)
            words = "MILK" if box_xyxy == LEFT else "SALT"
            return GroundedText(words, (Mention(None, words, (box_xyxy,)),), 0.6)

    model = Labels()
    answer = run(model, "read", "the red cubes")
    assert sorted(model.asked) == [LEFT, RIGHT]
    assert sorted(answer.answer.split("\n")) == ["MILK", "SALT"]
    assert {t.phrase: t.object.box_xyxy for t in answer.targets} == {"MILK": LEFT, "SALT": RIGHT}
    for words in ("MILK", "SALT"):
        assert f"<phrase>{words}</phrase>" in answer.extra["hyperlinks"]


# --------------------------------------------------------------------------- spoken

ALL = {"detects": True, "answers": True, "reads_text": True, "captions": True, "describes_regions": True}
READER = {"detects": True, "reads_text": True, "captions": True, "describes_regions": True}


@pytest.mark.parametrize("can", [ALL, READER])
@pytest.mark.parametrize(
    "command",
    ["read the text", "Read the label, please.", "read it", "can you read all the text in the image?", "read the signs",
     "please read the writing", "read everything", "read out the words"],
)  # fmt: skip
def test_reading_without_a_place_is_of_all_of_the_image(can, command) -> None:
    model = model_of(**can)
    answer = ground(model, command)
    assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "MILK", command)
    assert model.asked == [("read",)]


@pytest.mark.parametrize("can", [ALL, READER, {"points": True, "reads_text": True}])
@pytest.mark.parametrize(
    "command",
    ["read the label on the green cube", "please read the text of the green cube", "read what is on the green cube",
     "can you read the writing on the second cube from the left?"],
)  # fmt: skip
def test_the_label_on_a_thing_is_read_in_its_box(can, command) -> None:
    model = model_of(**can)
    if not model.capabilities.detects:
        model.point = lambda image, phrase: GroundedText("", (Mention(None, "", ((160.0, 120.0, 160.0, 120.0),)),), 0.5)
        command = "read the label on the green cube"
    answer = ground(model, command)
    assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "MILK", command), answer.message
    ((asked, box),) = model.asked
    assert asked == "read"
    np.testing.assert_allclose(box, GREEN, atol=2.0)
    assert [t.object.label for t in answer.targets] == ["MILK"]


def test_other_readings_are_questions_where_the_model_answers() -> None:
    for command in ("read the serial number of the second edition", "what does the sign say?", "read the small label on the cube"):
        model = model_of(**ALL)
        assert ground(model, command).status is Status.SUCCEEDED
        assert model.asked == [("answer", command)]
    asks = model_of(detects=True, answers=True)
    assert ground(asks, "read the label on the green cube").status is Status.SUCCEEDED
    assert asks.asked == [("answer", "read the label on the green cube")]


def test_without_questions_the_thing_itself_is_located() -> None:
    model = model_of(**READER)
    assert ground(model, "read the green cube").status is Status.SUCCEEDED
    assert model.asked == [("read", GREEN)]


def test_words_that_a_reader_cannot_use_are_refused_with_the_way_out() -> None:
    model = model_of(reads_text=True)
    refused = ground(model, "read the label on the green cube")
    assert refused.status is Status.INVALID_COMMAND
    assert "--region" in refused.message
    assert "'read the text'" in refused.message
    assert model.asked == []
    blind = ground(model_of(detects=True), "read the label on the green cube")
    assert blind.status is Status.INVALID_COMMAND
    assert "cannot read text; models that can: florence-2-base" in blind.message


@pytest.mark.parametrize("command", ["ready the green cube", "reading the green cube"])
def test_words_that_begin_like_it_are_not_reading(command) -> None:
    model = model_of(**ALL)
    ground(model, command)
    assert model.asked == []


def test_describing_a_thing_is_about_the_thing() -> None:
    model = model_of("a green cube", **ALL)
    answer = ground(model, "describe the green cube")
    assert model.asked == [("region", GREEN)]
    assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "a green cube", "describe the green cube")
    talker = model_of("a green cube", detects=True, captions=True, answers=True)
    ground(talker, "describe the green cube")
    assert talker.asked == [("answer", "describe the green cube")]
    whole = model_of("a scene", **ALL)
    ground(whole, "describe the scene")
    assert whole.asked == [("caption",)]
    refused = ground(model_of(detects=True, captions=True), "describe the green cube")
    assert refused.status is Status.INVALID_COMMAND
    assert "cannot describe a region; models that can" in refused.message


def test_a_thing_in_another_language_is_located_by_who_speaks_it() -> None:
    model = model_of(**READER)
    model.capabilities = replace(model.capabilities, languages=("en", "zh"))
    assert run(model, "read", "绿色的方块").status is Status.NOT_FOUND, "this detector has no word for it, but was asked"
