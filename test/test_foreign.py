"""Commands in other languages than English reach the models that speak them, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cube_scene import ColorModel, scene
from describing_models import GREEN, LEFT, Speaker, middle_m

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.foreign import who_speaks
from vlm_perception.models.base import Capabilities, GroundedText, Mention
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Answer, Detection, Status

CAN = {"detects": True, "counts": True, "answers": True}
GERMAN, CHINESE, SPANISH = "Nimm den gruenen Wuerfel neben der Tasse", "红色的杯子", "dame la taza roja"


class Abroad(Speaker):
    """Finds two things whatever it is asked for, and remembers the phrases."""

    def detect(self, images_rgb, phrases, *, threshold=None):
        self.asked.append(tuple(phrases))
        return [[Detection(phrases[0], phrases[0], 0.9, box) for box in (GREEN, LEFT)] for _ in images_rgb]


def model_of(*languages: str, **can: bool) -> Abroad:
    return Abroad(said=GroundedText("Ja.", (), 0.5), capabilities=Capabilities(**{**CAN, **can}, languages=languages))


def ground(model, command: str) -> Answer:
    return Pipeline(model, DepthGrabCut()).answer(scene(), command)


def describe(model, task: str, text: str) -> Answer:
    return Pipeline(model, DepthGrabCut()).describe(scene(), DescribeRequest(DescribeTask(task), text))


@pytest.mark.parametrize(
    ("languages", "command"),
    [
        (("en", "zh"), CHINESE),
        (("en", "de"), GERMAN),
        (("en", "es", "fr"), SPANISH),
        (("en", "ja"), "赤いマグカップを取って"),
        (("en", "vi"), "lấy cái cốc màu đỏ"),
        (("en", "ru"), "возьми красную кружку"),
        (("en", "pl", "zh"), "podnieś żółty kubek"),
        (("en", "de"), "tag den röda muggen från hyllan"),  # no list has it: passed as before
    ],
)
def test_the_whole_of_it_is_looked_for(languages, command) -> None:
    model = model_of(*languages)
    assert ground(model, command).status in {Status.SUCCEEDED, Status.AMBIGUOUS}
    assert model.asked == [(command,)]


@pytest.mark.parametrize(
    ("languages", "command", "says"),
    [
        (("en", "zh"), GERMAN, "English and Chinese, and this is German"),
        (("en", "zh"), SPANISH, "this is Spanish"),
        (("en", "zh"), "возьми красную кружку", "English and Chinese; models that speak it: qwen2.5-vl-3b"),
        (("en", "zh"), "赤いマグカップを取って", "this is Japanese"),
        (("en", "zh"), "lấy cái cốc màu đỏ", "models that speak it: qwen2.5-vl-3b"),
        (("en", "de"), SPANISH, "English and German, and this is Spanish"),
        (("en", "de", "fr"), CHINESE, "English, German and French; models that speak it: qwen2.5-vl-3b"),
        (("en",), GERMAN, "only English, and this is German; models that speak it: qwen2.5-vl-3b"),
        (("en", "zh"), "πάρε την κόκκινη κούπα", "this is Greek; no model of the registry speaks it"),
    ],
)
def test_a_language_that_is_not_declared_is_refused(languages, command, says) -> None:
    model = model_of(*languages, points=True, reads_text=True, describes_regions=True)
    asked = [ground(model, command), *(describe(model, task, command) for task in ("count", "point", "ask", "region", "read"))]
    asked.append(describe(model_of(*languages), "point", command))
    for answer in asked:
        assert answer.status is Status.INVALID_COMMAND
        assert says in answer.message, answer.message
        assert "'speaker' understands only" in answer.message
        assert "say it in English" in answer.message
    assert model.asked == []


def test_a_detector_names_who_speaks_it() -> None:
    refused = ground(ColorModel(), CHINESE)
    assert refused.status is Status.INVALID_COMMAND
    assert all(name in refused.message for name in ("qwen3-vl-2b", "internvl3-2b", "'colors' understands only English"))


def test_who_speaks() -> None:
    assert who_speaks({"zh"}) == [*who_speaks({"de"}), "internvl3-2b"]
    assert {"tabletop", "molmo2-4b"} <= set(who_speaks({"en"}))
    assert who_speaks({"el"}) == []
    assert who_speaks(()) == who_speaks({"zh"}), "of unknown language: who speaks several"


def test_counting_is_of_all_that_the_words_name() -> None:
    model = model_of("en", "zh")
    answer = describe(model, "count", "杯子？")
    assert (answer.status, answer.count, answer.answer) == (Status.SUCCEEDED, 2, "I see 2 杯子.")
    assert model.asked == [("杯子",)]


def test_pointing_takes_the_words_as_they_are() -> None:
    class Single(Abroad):
        def detect(self, images_rgb, phrases, *, threshold=None):
            return [found[:1] for found in super().detect(images_rgb, phrases)]

    model = Single(capabilities=model_of("en", "zh").capabilities)
    answer = describe(model, "point", "绿色的方块")
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(answer.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    model.capabilities = replace(model.capabilities, points=True)
    model.said = GroundedText("", (Mention(None, "", ((160.0, 120.0, 160.0, 120.0),)),), 0.5)
    assert describe(model, "point", "绿色的方块").status is Status.SUCCEEDED
    assert model.asked == [("绿色的方块",), ("point", "绿色的方块")]


def test_questions_go_to_the_model_in_its_languages() -> None:
    model = model_of("en", "de")
    for asked in (lambda text: ground(model, text), lambda text: describe(model, "ask", text)):
        assert asked("Welche Farbe hat der Becher auf dem Tisch?").answer == "Ja."
    mixed = model_of("en")
    assert describe(mixed, "ask", "what does 出口 mean?").status is Status.SUCCEEDED, "an English question"


@pytest.mark.parametrize("task", ["verify", "check"])
@pytest.mark.parametrize("text", ["桌子上有一个杯子", "Der Würfel ist auf dem Tisch.", "le bol est sur la table"])
def test_statements_are_english_whatever_the_model(task, text) -> None:
    refused = describe(model_of("en", "zh", "de", "fr"), task, text)
    assert refused.status is Status.INVALID_COMMAND
    assert "in English only, whatever the model" in refused.message
    assert "the task 'ask'" in refused.message
    for unasked in (model_of("en", "zh", "de", "fr", answers=False), model_of("en", "ja" if text.isascii() else "el")):
        assert "'ask'" not in describe(unasked, task, text).message


def test_an_english_statement_that_claims_nothing_is_not_called_foreign() -> None:
    assert "claims nothing" in describe(model_of("en", "zh"), "verify", "42").message
