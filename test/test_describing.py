"""Words about a scene whose truth is known, from models whose words are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cube_scene import ColorModel, scene
from describing_models import GREEN, LEFT, RIGHT, Speaker, middle_m, tied

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models.base import Capabilities, GroundedText, Mention
from vlm_perception.models.capability import who_can
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.models.parsers.kosmos import parse_kosmos
from vlm_perception.pipeline import Pipeline
from vlm_perception.scene import box_iou
from vlm_perception.types import Answer, Detection, Status


def run(model, task: str, text: str = "", *, frame=None, **region) -> Answer:
    request = DescribeRequest(DescribeTask(task), text, **region)
    return Pipeline(model, DepthGrabCut()).describe(frame or scene(), request)


def places(answer: Answer) -> list[np.ndarray]:
    assert all(g.object.geometry is not None for g in answer.targets)
    return [g.object.geometry.surface_centroid_m for g in answer.targets]


def test_a_caption_is_grounded_in_3d() -> None:
    said = tied("A green cube stands beside two red cubes.", ("A green cube", (GREEN,)), ("two red cubes", (LEFT, RIGHT)))
    answer = run(Speaker(said=said), "caption")
    assert answer.status is Status.SUCCEEDED, answer.message
    assert answer.answer == said.text
    assert [t.phrase for t in answer.targets] == ["A green cube", "two red cubes", "two red cubes"]
    np.testing.assert_allclose(places(answer), [middle_m(k) for k in (1, 0, 2)], atol=0.004)
    assert {"speak", "segment", "geometry", "total"} <= set(answer.latency_ms)


def test_hyperlinks_say_the_same_as_the_boxes() -> None:
    said = tied("A green cube stands beside two red cubes.", ("A green cube", (GREEN,)), ("two red cubes", (LEFT, RIGHT)))
    line = run(Speaker(said=said), "caption").extra["hyperlinks"]
    assert line.startswith("<phrase>A green cube</phrase><object><patch_index_")
    parsed = parse_kosmos(line)
    assert (parsed.text, parsed.problems) == (said.text, ())
    assert [p.label for p in parsed.places] == ["A green cube", "two red cubes", "two red cubes"]
    for place, box in zip(parsed.places, (GREEN, LEFT, RIGHT), strict=True):
        np.testing.assert_allclose(np.multiply(place.box, (320, 240, 320, 240)), box, atol=10.0)  # one cell of 32


def test_a_caption_without_boxes_is_grounded_by_the_detector() -> None:
    """Most families caption in words only; what the words name is then looked for."""
    said = GroundedText("The image shows a green cube next to a purple giraffe.", (), 0.5)
    answer = run(Speaker(said=said), "caption")
    assert [t.phrase for t in answer.targets] == ["green cube"]
    np.testing.assert_allclose(places(answer)[0], middle_m(1), atol=0.004)
    assert "<phrase>a green cube</phrase>" in answer.extra["hyperlinks"]
    assert "giraffe</phrase>" not in answer.extra["hyperlinks"], "it is not there, so it has no box"


def test_an_answer_comes_with_its_evidence() -> None:
    model = Speaker(said=GroundedText("It is green.", (), 0.5))
    answer = run(model, "ask", "What color is the cube between the red cubes?")
    assert model.asked == [("answer", "What color is the cube between the red cubes?")]
    assert (answer.status, answer.answer) == (Status.SUCCEEDED, "It is green.")
    assert {t.phrase for t in answer.targets} & {"cube", "red cube"}
    own = run(Speaker(said=tied("a green cube", ("green cube", (GREEN,)))), "ask", "What is it?")
    np.testing.assert_allclose(places(own), [middle_m(1)], atol=0.004)


@pytest.mark.parametrize(
    ("command", "asked"),
    [("describe the scene", ("caption",)), ("what color is the left cube?", ("answer", "what color is the left cube?"))],
)
def test_spoken_commands_reach_a_model_that_speaks(command, asked) -> None:
    model = Speaker(said=tied("a green cube", ("a green cube", (GREEN,))))
    answer = Pipeline(model, DepthGrabCut()).answer(scene(), command)
    assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "a green cube", command)
    assert model.asked == [asked]
    assert len(answer.targets) == 1


def test_other_languages_go_to_models_that_speak_them() -> None:
    class German(Speaker):
        def detect(self, images_rgb, phrases, *, threshold=None):
            self.asked.append(tuple(phrases))
            return [[Detection(phrases[0], "Würfel", 0.9, GREEN)] for _ in images_rgb]

    can = Capabilities(detects=True, answers=True, languages=("en", "de"))
    model = German(said=GroundedText("Grün.", (), 0.5), capabilities=can)
    found = Pipeline(model, DepthGrabCut()).answer(scene(), "Nimm den grünen Würfel neben der Tasse")
    assert found.status is Status.SUCCEEDED, found.message
    assert model.asked == [("Nimm den grünen Würfel neben der Tasse",)]
    np.testing.assert_allclose(places(found), [middle_m(1)], atol=0.004)
    said = Pipeline(model, DepthGrabCut()).answer(scene(), "Welche Farbe hat der Würfel auf dem Tisch?")
    assert (said.status, said.answer) == (Status.SUCCEEDED, "Grün.")
    refused = Pipeline(ColorModel(), None).answer(scene(), "Nimm den grünen Würfel neben der Tasse")
    assert refused.status is Status.INVALID_COMMAND
    assert "only English" in refused.message


@pytest.mark.parametrize(
    ("task", "needed"),
    [("caption", "captions"), ("ask", "answers"), ("region", "describes_regions"), ("category", "names_regions"), ("read", "reads_text"), ("check", "captions")],
)  # fmt: skip
def test_what_a_model_cannot_do_is_refused_naming_who_can(task, needed) -> None:
    text = "what is this" if task == "ask" else ""
    answer = run(ColorModel(), task, text, region_xyxy=GREEN)
    assert answer.status is Status.INVALID_COMMAND
    assert "'colors' cannot" in answer.message
    assert all(name in answer.message for name in who_can(needed))


@pytest.mark.parametrize(
    ("command", "needed"), [("describe the scene", "captions"), ("what color is the left cube?", "answers")]
)
def test_a_detector_refuses_spoken_commands_naming_who_can(command, needed) -> None:
    answer = Pipeline(ColorModel(), None).answer(scene(), command)
    assert answer.status is Status.INVALID_COMMAND
    assert "'colors' cannot" in answer.message
    assert all(name in answer.message for name in who_can(needed))
    assert "the red mug" in answer.message


@pytest.mark.parametrize("task", ["ask", "verify", "point", "count"])
def test_empty_requests_say_what_is_missing(task) -> None:
    answer = run(Speaker(), task, "  ")
    assert answer.status is Status.INVALID_COMMAND
    assert "'text'" in answer.message


# --------------------------------------------------------------------------- regions


def test_a_boxed_region_is_described_and_placed() -> None:
    model = Speaker(said=GroundedText("a green cube", (), 0.5))
    answer = run(model, "region", region_xyxy=(138, 98, 182, 142))
    assert model.asked == [("region", (138.0, 98.0, 182.0, 142.0))]
    assert (answer.status, answer.answer) == (Status.SUCCEEDED, "a green cube")
    assert answer.targets[0].object.label == "a green cube"
    np.testing.assert_allclose(places(answer)[0], middle_m(1), atol=0.004)


@pytest.mark.parametrize("points", [((150.0, 110.0),), ((145.0, 105.0), (160.0, 121.0), (175.0, 133.0))])
@pytest.mark.parametrize("depth", [True, False])
def test_a_click_or_a_scribble_means_the_thing_under_it(points, depth) -> None:
    frame = scene() if depth else replace(scene(), depth_m=None)
    model = Speaker(said=GroundedText("a green cube", (), 0.5))
    answer = run(model, "region", points_uv=points, frame=frame)
    assert answer.status is Status.SUCCEEDED, answer.message
    ((_, box),) = model.asked
    assert box_iou(box, GREEN) > 0.9
    if depth:
        np.testing.assert_allclose(places(answer)[0], middle_m(1), atol=0.004)


@pytest.mark.parametrize(("task", "asked"), [("category", "name"), ("read", "read")])
def test_a_region_is_named_or_read(task, asked) -> None:
    for region in ({"region_xyxy": GREEN}, {"points_uv": ((150.0, 110.0), (170.0, 130.0))}):
        model = Speaker(said=GroundedText("cube", (), 0.5))
        answer = run(model, task, **region)
        ((said, box),) = model.asked
        assert said == asked
        assert box_iou(box, GREEN) > 0.9
        assert (answer.status, answer.answer, answer.command) == (Status.SUCCEEDED, "cube", task)
        assert [found.object.label for found in answer.targets] == ["cube"]
        np.testing.assert_allclose(places(answer)[0], middle_m(1), atol=0.004)


def test_lines_read_in_a_region_are_its_things() -> None:
    said = GroundedText("", (Mention(None, "MILK", (LEFT,)),), 0.6)
    answer = run(Speaker(said=said), "read", region_xyxy=(0, 0, 320, 240))
    assert answer.answer == "MILK"
    np.testing.assert_allclose(places(answer), [middle_m(0)], atol=0.004)
    nothing = run(Speaker(said=GroundedText("", (), 0.6)), "read", region_xyxy=GREEN)
    assert (nothing.status, nothing.targets) == (Status.NOT_FOUND, ())
    missing = run(Speaker(), "category")
    assert missing.status is Status.INVALID_COMMAND
    assert "The task 'category' needs a box" in missing.message


def test_a_click_on_the_background_is_a_small_window() -> None:
    model = Speaker(said=GroundedText("a wall", (), 0.5))
    run(model, "region", points_uv=((300.0, 20.0),))
    ((_, (x0, y0, x1, y1)),) = model.asked
    assert x0 <= 300 < x1 <= 320
    assert y0 <= 20 < y1
    assert (x1 - x0) * (y1 - y0) < 0.05 * 320 * 240


def test_a_segmenter_that_takes_points_is_asked() -> None:
    class Points(DepthGrabCut):
        def segment_points(self, image_rgb, groups):
            from vlm_perception.types import MaskProposal

            mask = np.zeros(image_rgb.shape[:2], bool)
            mask[100:140, 140:180] = True
            assert groups == [[(10.0, 10.0)]]
            return [MaskProposal(mask, 0.9)]

    model = Speaker(said=GroundedText("something", (), 0.5))
    request = DescribeRequest(DescribeTask.REGION, points_uv=((10.0, 10.0),))
    Pipeline(model, Points()).describe(scene(), request)
    assert model.asked == [("region", (10.0, 10.0, 180.0, 140.0))]


@pytest.mark.parametrize(
    "region",
    [{}, {"region_xyxy": (400, 10, 500, 20)}, {"region_xyxy": (5, 5, 5, 9)}, {"points_uv": ((320.0, 5.0),)},
     {"points_uv": ((float("nan"), 5.0),)}],
)  # fmt: skip
def test_regions_outside_are_refused(region) -> None:
    answer = run(Speaker(said=GroundedText("x", (), 0.5)), "region", **region)
    assert answer.status is Status.INVALID_COMMAND
    assert "image" in answer.message or "point" in answer.message


# --------------------------------------------------------------------------- reading, pointing, counting


def test_reading_tells_every_line_with_its_place() -> None:
    said = GroundedText('[{"bbox_2d": ...}]', (Mention(None, "MILK", (GREEN,)), Mention(None, "1 L", (RIGHT,))), 0.6)
    answer = run(Speaker(said=said), "read")
    assert answer.answer == "MILK\n1 L"
    np.testing.assert_allclose(places(answer), [middle_m(1), middle_m(2)], atol=0.004)
    assert parse_kosmos(answer.extra["hyperlinks"]).text == "MILK\n1 L"
    nothing = run(Speaker(said=GroundedText("", (), 0.6)), "read")
    assert nothing.status is Status.NOT_FOUND
    assert "no text was read" in nothing.message


def test_a_model_that_points_is_asked_and_its_points_become_things() -> None:
    said = GroundedText("", (Mention(None, "handle", ((161.0, 121.0, 161.0, 121.0),)),), 0.6)
    model = Speaker(said=said)
    answer = run(model, "point", "the green cube")
    assert model.asked == [("point", "green cube")]
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(places(answer), [middle_m(1)], atol=0.004)
    blind = run(Speaker(said=said), "point", "the green cube", frame=replace(scene(), depth_m=None))
    assert blind.status is Status.NO_DEPTH
    assert run(Speaker(), "point", "the green cube").status is Status.NOT_FOUND


@pytest.mark.parametrize(
    ("text", "asked"),
    [("the red cube", "red cube"), ("point at the red cube", "red cube"), ("A red cube", "red cube"), ("cubes", "cubes"),
     ("the handle of the mug", "handle of the mug"), ("der rote Würfel", "der rote Würfel")],
)  # fmt: skip
def test_the_article_is_the_prompts(text, asked) -> None:
    model = Speaker()
    model.capabilities = replace(model.capabilities, languages=("en", "de"))
    run(model, "point", text)
    assert model.asked == [("point", asked)]


def test_a_model_without_points_points_through_the_resolver() -> None:
    answer = run(ColorModel(), "point", "the cube right of the green cube")
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(places(answer)[0], middle_m(2), atol=0.004)


@pytest.mark.parametrize(("text", "count"), [("red cubes", 2), ("how many cubes are there?", 3), ("giraffes", 0)])
def test_counting(text, count) -> None:
    answer = run(Speaker(), "count", text)
    assert (answer.status, answer.count) == (Status.SUCCEEDED, count)


def test_a_model_that_only_points_counts_its_points_and_locates_by_them() -> None:
    points = tuple((u, v, u, v) for u, v in ((80.0, 120.0), (160.0, 120.0)))
    model = Speaker(said=GroundedText("", (Mention(None, "", points),), 0.6), capabilities=Capabilities(points=True))
    counted = run(model, "count", "cubes")
    assert (counted.status, counted.count) == (Status.SUCCEEDED, 2)
    answer = Pipeline(model, DepthGrabCut()).answer(scene(), "the cubes")
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(places(answer), [middle_m(0), middle_m(1)], atol=0.004)


def test_captions_of_a_model_that_only_points_are_grounded_by_its_points() -> None:
    class Pointer(Speaker):
        def point(self, image_rgb, phrase):
            self.asked.append(("point", phrase))
            place = {"green cube": (160.0, 120.0), "red cube": (80.0, 120.0)}.get(phrase)
            return GroundedText("", (Mention(None, phrase, ((*place, *place),)),) if place else (), 0.6)

    can = Capabilities(points=True, captions=True)
    model = Pointer(said=GroundedText("A green cube beside a red cube and a giraffe.", (), 0.5), capabilities=can)
    answer = run(model, "caption")
    assert [found.phrase for found in answer.targets] == ["green cube", "red cube"]
    np.testing.assert_allclose(places(answer), [middle_m(1), middle_m(0)], atol=0.004)
    assert ("point", "giraffe") in model.asked


# --------------------------------------------------------------------------- checking

CAPTION = "The image shows a green cube and two red cubes. A red cube is left of the green cube, and a purple giraffe."


def judged(answer: Answer) -> dict[str, bool | None]:
    return {claim.text: claim.holds for claim in answer.extra["claims"]}


@pytest.mark.parametrize("model", [ColorModel(), Speaker()])
def test_a_caption_is_checked_thing_by_thing(model) -> None:
    answer = run(model, "check", CAPTION)
    assert answer.status is Status.SUCCEEDED, answer.message
    assert judged(answer) == {
        "a green cube": True,
        "2 red cubes": True,
        "a red cube": True,
        "a purple giraffe": False,
        "a red cube left of the green cube": True,
    }
    assert answer.verdict is False
    assert "not so: a purple giraffe" in answer.answer
    by_text = {claim.text: claim for claim in answer.extra["claims"]}
    shown = {item.instance_id: item.box_xyxy for item in answer.objects}
    assert [shown[k] for k in by_text["a green cube"].instance_ids] == [GREEN]
    assert {shown[k] for k in by_text["a red cube left of the green cube"].instance_ids} == {LEFT, GREEN}
    assert by_text["a purple giraffe"].reason == "I see no purple giraffe"
    assert not by_text["a purple giraffe"].instance_ids


def test_a_false_relation_is_found_and_shown() -> None:
    answer = run(ColorModel(), "check", "a green cube. The green cube is behind the red cube on the left.")
    assert judged(answer)["a green cube"] is True
    false = [claim for claim in answer.extra["claims"] if claim.holds is False]
    assert len(false) == 1
    assert "behind" in false[0].text
    assert false[0].instance_ids


def test_a_models_own_caption_is_checked() -> None:
    model = Speaker(said=GroundedText("A green cube stands left of a blue cube.", (), 0.5))
    answer = run(model, "check")
    assert model.asked == [("caption",)]
    assert judged(answer) == {"a green cube": True, "a blue cube": False, "a green cube left of the blue cube": False}
    assert "A green cube stands left of a blue cube." in answer.message
    silent = run(Speaker(said=GroundedText("42", (), 0.5)), "check")
    assert silent.status is Status.NOT_FOUND
    assert "42" in silent.message


def test_words_that_are_not_understood_or_not_known_are_not_judged() -> None:
    known = frozenset({"cube", "red", "green"})
    model = ColorModel(capabilities=Capabilities(detects=True, vocabulary=known))
    answer = run(model, "check", "a green cube on a table, and a stapler. Bla blub whatever zzz.")
    claims = judged(answer)
    assert claims["a green cube"] is True
    assert claims["a stapler"] is None
    assert claims["a table"] is None
    assert answer.verdict is True
    assert "could not be judged" in answer.answer
    only = run(model, "verify", "there is a stapler")
    assert (only.status, only.verdict) == (Status.NOT_FOUND, None)
    assert "does not know 'stapler'" in only.message


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("the green cube is left of the red cube", True),
        ("is the green cube behind the red cube on the left?", False),
        ("there are two red cubes", True),
        ("There are three red cubes. The green cube is there.", False),
        ("The green cube is right of a red cube. There are two red cubes.", True),
        ("there is no giraffe", True),
    ],
)
def test_statements_are_verified_with_the_boxes_that_prove_it(text, verdict) -> None:
    answer = run(ColorModel(), "verify", text)
    assert (answer.status, answer.verdict) == (Status.SUCCEEDED, verdict), answer.message
    assert answer.answer.startswith("Yes" if verdict else "No")
    if "giraffe" not in text:
        assert answer.targets


def test_a_statement_that_is_not_understood_is_refused() -> None:
    answer = run(ColorModel(), "verify", "The green cube is there, looking out at the city. Thank you.")
    assert answer.status is Status.INVALID_COMMAND
    assert "did not understand" in answer.message


def test_faults_are_statuses() -> None:
    broken = run(Speaker(error=RuntimeError("boom")), "caption")
    assert broken.status is Status.MODEL_ERROR
    assert "boom" in broken.message
    odd = replace(scene(), depth_m=np.ones((199, 311), np.float32))
    assert run(Speaker(said=tied("a cube", ("a cube", (GREEN,)))), "caption", frame=odd).status is Status.NO_DEPTH
    request = DescribeRequest(DescribeTask.CAPTION)
    answer = Pipeline(Speaker(), None).describe(scene(), request, canceled=lambda: True)
    assert answer.status is Status.CANCELED
    assert run(Speaker(), "caption").status is Status.NOT_FOUND
