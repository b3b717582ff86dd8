"""Labels of a model and the phrases it was asked for; what is lost on the way is told."""

import logging
import re
from pathlib import Path

import pytest
import yaml
from test_parsers import PARSERS

from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.phrase_labels import by_phrase, fitting, losses, meant, without_others

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize(
    ("label", "phrases", "meant"),
    [
        ("Red mug.", ("red mug", "mug", "plate"), ["red mug"]),
        ("the red mug", ("red mug", "mug", "plate"), ["red mug"]),
        ("mug", ("red mug", "mug", "plate"), ["mug"]),
        ("the big red mug", ("mug", "red mug", "plate"), ["red mug"]),
        ("zebra", ("red mug", "mug", "plate"), []),
        ("", ("red mug", "plate"), []),
        ("anything", ("plate",), []),
        ("frying pans", ("frying pan", "stove"), ["frying pan"]),
        ("frying pan", ("frying pans", "stove"), ["frying pans"]),
        ("Knives", ("knife", "fork"), ["knife"]),
        ("the frying-pan", ("frying pan", "stove"), ["frying pan"]),
        ("mug", ("red mug", "plate"), ["red mug"]),
        ("mug", ("red mug", "blue mug"), ["red mug", "blue mug"]),
        ("mugs", ("red mug", "blue mug", "plate"), ["red mug", "blue mug"]),
        ("a mug on a plate", ("mug", "plate"), ["mug", "plate"]),
        ("red mug", ("mug", "big red mug"), ["mug"]),  # a red mug is a mug for certain
        ("杯子", ("红色的杯子", "盘子"), ["红色的杯子"]),
        ("赤いカップ", ("カップ", "皿"), ["カップ"]),
    ],
)
def test_which_phrase_a_label_means(label, phrases, meant):
    assert list(fitting(label, phrases)) == meant


def sorted_by(*labels, phrases):
    places = [Place(label, (float(k), 0.0, k + 1.0, 1.0)) for k, label in enumerate(labels)]
    found, unread = by_phrase(Parsed(tuple(places)), phrases)
    return [phrase for phrase, _ in found], unread


def test_a_label_that_does_not_decide_is_told():
    found, (unread,) = sorted_by("mug", "blue mug", phrases=("red mug", "blue mug", "plate"))
    assert found == ["blue mug"]
    assert (unread.phrases, unread.partly) == (("red mug", "blue mug"), True)
    assert unread.why == "'mug' may be 'red mug' or 'blue mug'"


def test_another_name_is_told_while_something_asked_for_is_missing():
    """A model that calls the mug a cup has seen it: that there is no mug is not what it said."""
    found, (unread,) = sorted_by("cup", "plate", phrases=("mug", "plate"))
    assert found == ["plate"]
    assert (unread.phrases, unread.partly) == (("mug",), False)
    assert "'cup'" in unread.why
    assert sorted_by("mug", "plate", "zebra", phrases=("mug", "plate")) == (["mug", "plate"], ())


@pytest.mark.parametrize(
    ("phrase", "labels", "counted"),
    [
        ("mug", ["cup"], ["cup"]),  # alone it may be a synonym
        ("mug", ["cup", "plate"], ["cup", "plate"]),  # which of the two is not known
        ("mug", ["mug", "plate"], ["mug"]),
        ("mug", ["plate", "Mugs", "the big mug", ""], ["Mugs", "the big mug", ""]),
        ("red mug", ["red mug", "blue mug", "mug"], ["red mug", "mug"]),
        ("mug", ["", ""], ["", ""]),
        ("mug", ["", "plate"], ["", "plate"]),
        ("红色的杯子", ["红色的杯子", "杯子", "盘子"], ["红色的杯子", "杯子"]),
    ],
)
def test_one_thing_was_asked_for_and_something_else_named_beside_it(caplog, phrase, labels, counted):
    caplog.set_level(logging.INFO)
    places = tuple(Place(label, (float(k), 0.0, k + 1.0, 1.0)) for k, label in enumerate(labels))
    found, unread = by_phrase(Parsed(places), (phrase,))
    assert ([place.label for _, place in found], unread) == (counted, ())
    assert {asked for asked, _ in found} == {phrase}
    assert [place.label for place in without_others(Parsed(places), phrase).places] == counted
    left_out = [label for label in labels if label not in counted]
    assert all(repr(label) in caplog.text for label in left_out)
    assert ("left out" in caplog.text) is bool(left_out)


def test_two_things_asked_for_take_no_synonyms():
    assert meant(["mug", "cup", ""], ("mug", "plate")) == {"mug": ("mug",), "cup": (), "": ()}


def test_points_where_boxes_were_asked_for_are_told():
    parsed = parse_written('{"point_2d": [100, 200], "label": "handle"}', (1000, 1000))
    found, (unread,) = by_phrase(parsed, ("handle",))
    assert not found
    assert (unread.partly, unread.why) == (False, "a point is no box: 'handle'")


def test_what_could_be_read_is_kept_and_the_rest_is_told():
    parsed = parse_written('[{"bbox_2d": [10, 20, 30, 40], "label": "mug"}, {"bbox_2d": [50, 60, 7', (1000, 1000))
    found, (unread,) = by_phrase(parsed, ("mug",))
    assert [phrase for phrase, _ in found] == ["mug"]
    assert (unread.phrases, unread.partly) == (("mug",), True)
    assert "truncated end" in unread.why


@pytest.mark.parametrize("text", ["[]", "```json\n[]\n```", '[{"bbox_2d": [30, 40, 10, 20], "label": "mug"}]'])
def test_an_empty_list_and_what_was_mended_lose_nothing(text):
    assert by_phrase(parse_written(text, (1000, 1000)), ("mug",))[1] == ()


@pytest.mark.parametrize("kind", PARSERS)
def test_every_answer_of_the_corpus_that_gives_nothing_loses_something_or_says_so(kind):
    """Without a place an answer is an explicit "none", words only, or unreadable: there is no fourth case."""
    for case in yaml.safe_load((CORPUS / f"{kind}.yaml").read_text(encoding="utf-8")):
        limits = {"limits": tuple(case["limits"])} if "limits" in case else {}
        parsed = PARSERS[kind](case["text"], **limits)
        lost = losses(parsed.problems)
        assert set(lost) <= set(parsed.problems)
        if not parsed.places and not lost:
            empty = "[]" in case["text"] or not re.search(r"\w", case["text"])
            assert empty or kind in ("kosmos", "florence_words"), case["name"]  # these may be words only
        if any("truncated" in line or "outside" in line or "no box" in line for line in parsed.problems):
            assert lost, case["name"]
        if parsed.problems and all("mended" in line or "repeated" in line for line in parsed.problems):
            assert not lost, case["name"]


def test_no_words_of_the_model_make_a_loss_harmless():
    parsed = parse_written('{"bbox_2d": [1, 2, 3, 4]}, {"label": "x: it speaks of image 2, and there is one"}', (1000, 1000))
    assert len(losses(parsed.problems)) == 1
    assert losses(PARSERS["molmo"]('<points coords="1 1 100 200\t2 1 300 400">mug</points>').problems) == ()
