"""Written coordinates: what is thought is not said, and no text takes long to read."""

import time

import pytest

from vlm_perception.models.asking import Sizes
from vlm_perception.models.dialects.base import as_text
from vlm_perception.models.parsers.point_tags import parse_points
from vlm_perception.models.parsers.written import parse_written

LIMITS = (1000.0, 1000.0)
MUG = (161.0, 521.0, 446.0, 706.0)


def boxes(text):
    return [place.box for place in parse_written(text, LIMITS).places]


@pytest.mark.parametrize(
    "thought",
    [
        "<think>may be [600, 500, 800, 700], no</think>",
        '<think>\n{"bbox_2d": [600, 500, 800, 700], "label": "mug"}\n</think>\n\n',
        "may be [600, 500, 800, 700], no</think>",  # the template wrote <think> into the prompt
        "<think>[600, 500, 800, 700]</think><think>[1, 2, 3, 4]</think>",
    ],
)
@pytest.mark.parametrize("answer", ["[161, 521, 446, 706]", '[{"bbox_2d": [161, 521, 446, 706], "label": "pan"}]'])
def test_drafts_are_no_boxes(thought, answer):
    parsed = parse_written(thought + answer, LIMITS)
    assert ([place.box for place in parsed.places], parsed.problems) == ([MUG], ())
    assert parsed.text == answer
    assert boxes(f"{answer}<think>or [1, 2, 3, 4]?</think>") == [MUG]


def test_a_thought_that_never_ended_is_no_answer():
    parsed = parse_written("<think>may be [600, 500, 800, 700]", LIMITS)
    assert parsed.places == ()
    assert "still thinking; raise max_new_tokens" in parsed.problems[0]
    kept = parse_written("[161, 521, 446, 706]<think>or [600, 500, 800, 700]", LIMITS)
    assert [place.box for place in kept.places] == [MUG]


def test_words_are_told_without_the_thoughts():
    sizes = Sizes((8, 8), (8, 8))
    assert as_text("<think>Is it red?\nYes.</think>\n\nIt is  red.", sizes).text == "It is red."
    cut = as_text("<think>Is it", sizes)
    assert (cut.text, len(cut.problems)) == ("", 1)


BLANKS = " " * 20000
SLOW = {
    "a number and blanks": "[1" + BLANKS,
    "numbers, blanks and no end": "[1" + f"{BLANKS}2" * 4,
    "corners and blanks": "(1,2)" + BLANKS,
    "refs without end": "<ref>" * 8000,
    "object refs without end": "<|object_ref_start|>" * 4000,
    "thoughts without end": "<think>" * 8000,
    "ends of thoughts": "<think>" + "</think>" * 8000,
    "an empty point": "<point" + BLANKS,
    "digits": "[" + "1" * 20000,
}


@pytest.mark.parametrize("name", SLOW)
def test_no_text_takes_long_to_read(name):
    """What a model in a loop writes is read in steps of about its length; twice the blanks, twice the time."""
    start = time.process_time()
    parse_written(SLOW[name], LIMITS)
    parse_points(SLOW[name])
    assert time.process_time() - start < 1.0


def test_blanks_between_numbers_are_still_a_list():
    assert boxes("[161 521 446 706]") == [MUG]
    assert boxes("[ 161 ,521;  446\n706 ]") == [MUG]
    assert boxes("(161,521) , (446,706)") == [MUG]
    assert boxes("(161,521)  (446,706)") == [MUG]
