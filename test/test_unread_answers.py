"""What a model said and could not be read is no "there is none": the answer admits it, with the words and a way out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from cube_scene import ColorModel, scene
from describing_models import GREEN, Speaker, tied

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models.base import Capabilities, GroundedText, Mention, TellsUnread, Unread
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Look, Pipeline
from vlm_perception.types import Answer, Status

WHY = "no coordinates in 'I am sorry.'"
TORN = "dropped a truncated end: '{\"bbox'"


@dataclass
class Mumbler(ColorModel):
    """Its answers about some phrases cannot be read, or not to the end."""

    name: str = "mumbler"
    lost: dict[str, str] = field(default_factory=dict)
    kept: bool = False  # what was said before the unreadable part
    unread: tuple = ()

    def detect(self, images_rgb, phrases, *, threshold=None):
        readable = [phrase for phrase in phrases if self.kept or phrase not in self.lost]
        found = super().detect(images_rgb, readable, threshold=threshold)
        of_one = tuple(Unread((p,), why, partly=self.kept) for p, why in self.lost.items() if p in phrases)
        self.unread = tuple(of_one for _ in images_rgb)
        return found


def ground(command: str, **fields) -> Answer:
    return Pipeline(Mumbler(**fields), DepthGrabCut()).answer(scene(), command)


def describe(task: str, text: str, **fields) -> Answer:
    return Pipeline(Mumbler(**fields), DepthGrabCut()).describe(scene(), DescribeRequest(DescribeTask(task), text))


CUBES_LOST = {"green cube": WHY, "red cube": WHY, "cube": WHY}


def test_the_models_here_tell() -> None:
    assert isinstance(Mumbler(), TellsUnread)
    assert not isinstance(ColorModel(), TellsUnread)


def test_what_is_looked_for_and_not_read_is_not_said_to_be_absent() -> None:
    answer = ground("the green cube", lost=CUBES_LOST)
    assert answer.status is Status.NOT_FOUND
    assert answer.message == (
        "The answer of 'mumbler' about 'green cube', 'cube' could not be read: no coordinates in 'I am sorry.'. Say it in "
        "other words, or take another model."
    )
    assert answer.extra["problems"] == (WHY,)


@pytest.mark.parametrize(
    "command",
    ["how many cubes are there?", "is there a green cube?", "is there no green cube?", "are there three cubes?",
     "is the green cube left of the red cube?"],
)  # fmt: skip
def test_counts_and_verdicts_are_not_made_up(command) -> None:
    answer = ground(command, lost=CUBES_LOST)
    assert answer.status is Status.MODEL_ERROR
    assert WHY in answer.message
    assert "another model" in answer.message
    assert (answer.count, answer.verdict, answer.answer, answer.targets) == (None, None, "", ())


@pytest.mark.parametrize(("task", "text"), [("count", "cubes"), ("verify", "there is a green cube"), ("verify", "there is no giraffe"),
                                            ("check", "a green cube beside a giraffe")])  # fmt: skip
def test_so_are_those_of_the_describe_tasks(task, text) -> None:
    answer = describe(task, text, lost={**CUBES_LOST, "giraffe": WHY})
    assert answer.status is Status.MODEL_ERROR
    assert WHY in answer.message
    assert (answer.count, answer.verdict, answer.answer) == (None, None, "")


def test_an_incomplete_list_is_no_count_but_its_things_are_kept() -> None:
    answer = ground("how many cubes are there?", lost={"cube": TORN}, kept=True)
    assert answer.status is Status.MODEL_ERROR
    assert answer.message.startswith("Not all of the answer of 'mumbler' about 'cube' could be read: dropped a truncated end")
    assert "There are at least 3." in answer.message
    assert answer.count is None
    assert len(answer.runner_ups) == 3


@pytest.mark.parametrize(
    ("command", "verdict"),
    [("is there a green cube?", True), ("are there cubes?", True), ("are there three cubes?", None), ("is there no green cube?", None),
     ("is there a giraffe?", False)],
)  # fmt: skip
def test_what_was_seen_stands_and_what_an_unread_box_could_change_does_not(command, verdict) -> None:
    answer = ground(command, lost=dict.fromkeys(("cube", "green cube"), TORN), kept=True)
    assert answer.verdict is verdict
    assert answer.status is (Status.MODEL_ERROR if verdict is None else Status.SUCCEEDED)
    assert ("could be read" in answer.message) is (verdict is not False), "of the giraffe everything was read"


def test_a_find_tells_what_else_was_not_read() -> None:
    answer = ground("the green cube", lost={"green cube": TORN}, kept=True)
    assert answer.status is Status.SUCCEEDED
    assert answer.message.startswith("Found the green cube. Not all of the answer of 'mumbler'")
    few = ground("four cubes", lost={"cube": TORN}, kept=True)
    assert few.status is Status.NOT_FOUND
    assert few.message.startswith("I see only 3 cubes of the 4 asked for. Not all of the answer")


def test_claims_that_could_be_read_are_judged() -> None:
    answer = describe("check", "a green cube and a giraffe", lost={"giraffe": WHY})
    claims = {claim.text: claim for claim in answer.extra["claims"]}
    assert (claims["a green cube"].holds, claims["a giraffe"].holds) == (True, None)
    assert WHY in claims["a giraffe"].reason
    assert answer.status is Status.SUCCEEDED
    assert "1 could not be judged" in answer.message
    both = describe("verify", "There is a green cube. There is a giraffe.", lost={"giraffe": WHY})
    assert (both.status, both.verdict) == (Status.MODEL_ERROR, None), "that all of it is so is not known"
    one = describe("verify", "There is a purple cube. There is a giraffe.", lost={"giraffe": WHY})
    assert (one.status, one.verdict) == (Status.SUCCEEDED, False), "one that is false is enough"


def test_each_camera_has_its_own() -> None:
    class OneEyed(Mumbler):
        def detect(self, images_rgb, phrases, *, threshold=None):
            found = super().detect(images_rgb, phrases, threshold=threshold)
            self.unread = (*self.unread[:-1], ())
            return [[], found[1]]

    model = OneEyed(lost=CUBES_LOST, kept=True)
    first, second = Pipeline(model, DepthGrabCut()).answer_all([Look(scene()), Look(scene())], "how many red cubes are there?")
    assert (first.status, second.status, second.count) == (Status.MODEL_ERROR, Status.SUCCEEDED, 2)
    assert "problems" not in second.extra


def test_a_model_whose_report_does_not_fit_is_an_error() -> None:
    class Short(Mumbler):
        def detect(self, images_rgb, phrases, *, threshold=None):
            found = super().detect(images_rgb, phrases, threshold=threshold)
            self.unread = ()
            return found

    (answer,) = Pipeline(Short(), None).answer_all([Look(scene())], "the green cube")
    assert answer.status is Status.MODEL_ERROR


# --------------------------------------------------------------------------- words


def run(model, task: str, text: str = "") -> Answer:
    return Pipeline(model, DepthGrabCut()).describe(scene(), DescribeRequest(DescribeTask(task), text))


def test_words_that_were_cut_off_say_so() -> None:
    cut = "the answer was cut off at 4 tokens; raise max_new_tokens"
    said = replace(tied("A green cube beside", ("A green cube", (GREEN,))), problems=(cut,), lost=(cut,))
    answer = run(Speaker(said=said), "caption")
    assert answer.status is Status.SUCCEEDED
    assert answer.message.endswith(f"Not all could be read: {cut}.")
    nothing = run(Speaker(said=replace(said, text="", mentions=())), "caption")
    assert nothing.message == f"'speaker': it said nothing: {cut}."


def test_nothing_read_is_not_found_with_the_reason() -> None:
    place = Mention(None, "", (GREEN,))
    answer = run(Speaker(said=GroundedText("", (place,), 0.6, (TORN,), (TORN,))), "read")
    assert (answer.status, answer.answer, answer.targets) == (Status.NOT_FOUND, "", ())
    assert answer.message == f"'speaker': no text was read: {TORN}."


def test_what_a_caption_names_and_was_not_read_is_told() -> None:
    class Captioner(Mumbler):
        def caption(self, image_rgb):
            return GroundedText("A green cube beside a red cube.", (), 0.5)

    model = Captioner(lost={"red cube": WHY}, capabilities=Capabilities(detects=True, captions=True))
    answer = run(model, "caption")
    assert [target.phrase for target in answer.targets] == ["green cube"]
    assert WHY in answer.message
    assert answer.extra["problems"] == (WHY,)


def test_pointing_at_nothing_differs_from_pointing_that_was_not_read() -> None:
    lost = ("no points in 'Sorry.'",)
    unread = run(Speaker(said=GroundedText("Sorry.", (), 0.6, lost, lost)), "point", "the green cube")
    assert unread.status is Status.NOT_FOUND
    assert "about 'green cube' could not be read: no points in 'Sorry.'" in unread.message
    none = run(Speaker(said=GroundedText("There are none.", (), 0.6)), "point", "the green cube")
    assert none.message == "'speaker' points at nothing for 'green cube'."
