"""Written coordinates: what is thought is not said, no fault passes unsaid, and no text takes long to read."""

import json
import time

import pytest

from vlm_perception.models.asking import Sizes
from vlm_perception.models.dialects.base import as_text
from vlm_perception.models.parsers.point_tags import parse_points
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.phrase_labels import losses

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
    "points without end": "<point " * 4000,
    "malformed objects": '{"bbox_2d": [1, 2, 3, 4] "label": "mug"},' * 1000,
    "objects without end": '{"bbox_2d": [1, 2, 3, 4], "label": "mug", ' * 1000,
    "strings that may end anywhere": "{" + '"a": "x" y ' * 5000,
    "quotes": '{"bbox_2d": [1, 2, 3, 4], "label": "' + 'a" ' * 8000 + '"}',
    "a key and blanks": "{," + BLANKS + "a" + BLANKS,
    "a long key": "{" + "a" * 20000 + ":",
    "lists and blanks": '{"bbox_2d": [[1, 2, 3, 4]' + f"{BLANKS}[1, 2, 3, 4]" * 3,
    "brackets without end": "[1, 2, 3 " * 4000,
    "numbers without end": '{"bbox_2d": [' + "1, " * 8000 + "}",
    "refs and boxes": "<ref>a</ref>[1, 2, 3, 4]" * 2000,
    "strangers": '{"mug": [1, 2, 3, 4]}' * 2000 + '{"bbox": [5, 6, 7, 8]}',
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


@pytest.mark.parametrize("depth", [50, 400, 900, 3000])
@pytest.mark.parametrize("inner", ["1", "[1, 2, 3, 4]", '"mug"'])
@pytest.mark.parametrize("key", ["bbox_2d", "mug"])
def test_no_nesting_is_too_deep(depth, inner, key):
    """Whether or not the library can decode it, what stands beside it is read."""
    nested = f'{{"{key}": ' * depth + inner + "}" * depth
    lists = f'{{"{key}": ' + "[" * depth + inner + "]" * depth + "}"
    for text in (nested, lists):
        parsed = parse_written(text + '{"bbox_2d": [161, 521, 446, 706], "label": "mug"}', LIMITS)
        assert ("mug", MUG) in [(place.label, place.box) for place in parsed.places]


# --------------------------------------------------------------------------- one sign wrong

BOXES = {(10.0, 20.0, 300.0, 400.0): "red mug", (500.0, 510.0, 600.0, 610.0): "plate", (700.0, 710.0, 800.0, 810.0): "pan"}
ITEMS = [{"bbox_2d": [int(value) for value in box], "label": label} for box, label in BOXES.items()]
WHOLE = {
    "a list": json.dumps(ITEMS),
    "no blanks": json.dumps(ITEMS, separators=(",", ":")),
    "one a line": "\n".join(map(json.dumps, ITEMS)),
    "labels first": json.dumps([dict(reversed(item.items())) for item in ITEMS]),
    "under a key": json.dumps({"objects": ITEMS}),
    "Python": repr(ITEMS),
}


@pytest.mark.parametrize("form", WHOLE)
def test_no_wrong_sign_invents_a_box_or_loses_one_in_silence(form):
    """Each sign but letters and digits left out, doubled or another: boxes and labels are right, or it is told."""
    whole = WHOLE[form]
    kept = tried = 0
    for index, sign in enumerate(whole):
        for wrong in ("", 2 * sign, *"[]{},:\"' ") if sign in "[]{},:\"'" else ():
            text = whole[:index] + wrong + whole[index + 1 :]
            parsed = parse_written(text, LIMITS)
            told = (text, parsed)
            assert all(place.label in ("", BOXES[place.box]) for place in parsed.places), told
            assert len({place.box for place in parsed.places}) == len(parsed.places), told
            if len(parsed.places) < len(BOXES) or not all(place.label for place in parsed.places):
                assert losses(parsed.problems), told
            kept += len(parsed.places)
            tried += len(BOXES)
    assert kept > 0.8 * tried  # most of it can be saved


def test_what_was_mended_costs_nothing_and_what_was_lost_does():
    good = '{"bbox_2d": [161, 521, 446, 706], "label": "mug"}'
    for mended in ("{'bbox_2d': [1, 2, 3, 4], 'label': 'mug'}", '{"bbox_2d": [1, 2, 3, 4] "label": "13" mug"}'):
        parsed = parse_written(f"[{good}, {mended}]", LIMITS)
        assert (len(parsed.places), len(parsed.problems), losses(parsed.problems)) == (2, 1, ())
    for lost in ('{"bbox_2d": [1, 2, 3, "label": "mug"}', '{"bbox_2d": [1, 2, 3, 4], "label": "mug}', "[1, 2, 3, 4]", "[1, 2, 3"):
        assert losses(parse_written(f"[{good}, {lost}]", LIMITS).problems), lost
