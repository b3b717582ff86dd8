"""Phrases on their way into a prompt."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.prompts import caption_phrase, clean_phrase, grounding_caption, head_phrase, one_line

# As said, for models that write, for detection heads.
PHRASES = [
    ("red mug", "red mug", "red mug"),
    ("  Red\tmug \n", "Red mug", "Red mug"),
    ("the 1.5 l bottle", "the 1.5 l bottle", "the 1.5 l bottle"),
    ("the 1.5 l bottle.", "the 1.5 l bottle", "the 1.5 l bottle"),
    (".5 l bottle", ".5 l bottle", "5 l bottle"),
    ("... 5 l bottle", "5 l bottle", "5 l bottle"),
    ("Dr. Pepper can", "Dr. Pepper can", "Dr Pepper can"),
    ("mug, please!", "mug, please", "mug, please"),
    ("Yahoo! mug?", "Yahoo! mug", "Yahoo mug"),
    ("'red mug'", "red mug", "'red mug'"),
    ('"red mug".', "red mug", '"red mug"'),
    ("\u201eTasse\u201c", "Tasse", "\u201eTasse\u201c"),
    ("\u00abtasse\u00bb", "tasse", "\u00abtasse\u00bb"),
    ("\u7ea2\u8272\u7684\u676f\u5b50\u3002", "\u7ea2\u8272\u7684\u676f\u5b50", "\u7ea2\u8272\u7684\u676f\u5b50\u3002"),
    ('the 13" screen', "the 13'' screen", 'the 13" screen'),
    ('the mug that says "Emma"', "the mug that says ''Emma", 'the mug that says "Emma"'),
    ("mug ; plate;", "mug plate", "mug plate"),
    ("the students' mug", "the students' mug", "the students' mug"),
    ("mug (red)", "mug (red)", "mug (red)"),
    ("50% full glass #2", "50% full glass #2", "50% full glass #2"),
    ("a <b> c", "a <b> c", "a b c"),
    ("mug\u200b\u202e\x07", "mug", "mug"),
    ("mug\ud800", "mug", "mug"),  # what an argument that is no UTF-8 becomes
    ("\u0645\u06cc\u200c\u0632", "\u0645\u06cc\u200c\u0632", "\u0645\u06cc\u200c\u0632"),
    ("", "", ""),
    (" . ?", "", ""),
    ("''", "", "''"),
]


@pytest.mark.parametrize(("said", "written", "seen"), PHRASES)
def test_phrases(said, written, seen):
    assert clean_phrase(said) == written
    assert head_phrase(said) == seen


def test_a_full_stop_of_a_number_would_end_a_phrase_of_grounding_dino():
    assert caption_phrase("1.5 l Bottle") == "1 5 l bottle"
    caption, spans = grounding_caption(["1.5 l Bottle", "a dog"])
    assert caption == "1 5 l bottle. a dog."
    assert [caption[a:b] for a, b in spans] == ["1 5 l bottle", "a dog"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_whatever_is_said_becomes_one_line_once_and_for_all(text):
    for clean in (one_line, clean_phrase, head_phrase, caption_phrase):
        line = clean(text)
        assert line == " ".join(line.split())
        hidden = [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\u200c\u200d"]
        assert not hidden
        assert clean(line) == line
        line.encode()
    assert not set('";') & set(clean_phrase(text))
    assert not set("?!;<>{}|[]") & set(head_phrase(text))
    assert "." not in caption_phrase(text)
