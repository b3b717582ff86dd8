"""That something is not there, said in words: read only where it is certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_perception.models.denials import denied
from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.parsers.written import parse_written
from vlm_perception.models.phrase_labels import by_phrase

ASKED = ("red mug", "mug", "plate")


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("There are none.", ASKED),
        ("None", ASKED),
        ("There are no such objects in the image.", ASKED),
        ("No matching objects found.", ASKED),
        ("There is no mug in the image.", ("red mug", "mug")),
        ("There are no mugs visible in this picture.", ("red mug", "mug")),
        ("There isn't a mug in the scene", ("red mug", "mug")),
        ("No, there is no mug.", ("red mug", "mug")),
        ("Sorry, but I cannot see any plates.", ("plate",)),
        ("Unfortunately, I don’t see a plate in the provided image.", ("plate",)),
        ("There is no red mug.", ("red mug",)),
        ("There is no mug or plate in the image.", ASKED),
        ("There are no mugs, no plates.", ASKED),
        ("no plate is visible", ("plate",)),
    ],
)
def test_what_is_denied(text, absent):
    assert denied(text, ASKED) == absent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am sorry, I cannot help.",
        "I cannot see the image.",
        "I cannot see.",
        "There is no need to look.",
        "There is no doubt: a mug.",
        "There is no image.",
        "There is no image to look at",
        "There is no way to tell",
        "There are no visible coordinates",
        "There are no mugs on the shelf",
        "There is no cup.",
        "There is no red mug, but there is a blue one.",
        "There is no mug. There is a cup.",
        "There is no mug on the table.",  # there may be one elsewhere
        "There is no blue mug in the image.",
        "There is no mug-like thing.",
        "It is not clear whether there is no mug.",
        "Is there no mug?",
        "There is a mug.",
        "Es gibt keine Tasse.",
        "no",
        "no " * 5000,
    ],
)
def test_what_is_not_certain_denies_nothing(text):
    assert denied(text, ("red mug", "mug", "plate")) == ()


def test_that_there_is_no_image_may_be_said_of_the_input():
    assert denied("There is no picture.", ("picture", "picture on the wall")) == ()
    assert denied("There is no picture on the wall.", ("picture on the wall",)) == ("picture on the wall",)


@given(st.text(max_size=80))
def test_any_text_is_taken(text):
    assert set(denied(text, ASKED)) <= set(ASKED)


def test_what_a_denial_leaves_open_is_still_missing():
    found, (unread,) = by_phrase(parse_written("There is no red mug.", (1000, 1000)), ASKED)
    assert (found, unread.phrases) == ([], ("mug", "plate"))
    assert by_phrase(parse_written("There is no mug.", (1000, 1000)), ("mug",)) == ([], ())


def test_a_denial_beside_something_lost_is_none():
    parsed = Parsed((), ("dropped a truncated end: '[{'",), "There is no mug.")
    assert by_phrase(parsed, ("mug",))[1]
    parsed = Parsed((Place("mug", (0.0, 0.0, 9.0, 9.0)),), ("no coordinates in x",), "There is no mug.")
    assert by_phrase(parsed, ("mug",))[1]
