"""A model that says in plain words that something is not there, where it was asked for a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vlm_perception.models.label_words import label_words

_LONGEST: Final = 300  # characters; a denial is a sentence
_POLITE: Final = r"(?:(?:i am sorry|i'm sorry|sorry|unfortunately|no)[,.]? )?(?:but )?"
_SEEN: Final = r"(?: (?:is |are )?(?:clearly )?(?:visible|present|found|shown|detected|depicted|there))?"
_WHERE: Final = r"(?: (?:in|on|within) (?:the|this) (?:(?:given|provided) )?(?:image|picture|photo|scene))?"
_DENIAL: Final = re.compile(
    rf"{_POLITE}(?:"
    r"(?:there (?:is|are) )?(?:no|not any|none of)"
    r"|there (?:isn't|is not|aren't|are not)(?: any| an?)?"
    r"|i (?:can't|cannot|can not|don't|do not|could not|couldn't) (?:see|find|detect|locate)(?: any| an?)?"
    rf") (?P<what>[\w ,-]+?){_SEEN}{_WHERE}[.!]?"
)
_NONE: Final = re.compile(rf"{_POLITE}(?:there (?:is|are) )?none{_SEEN}{_WHERE}[.!]?")
_BETWEEN: Final = re.compile(r",? (?:or|nor|and)(?: any| an?| no)? |, (?:no )?")
_WHATEVER: Final = frozenset({"object", "item", "thing", "instance", "match", "category", "matching", "requested"})
# That there is no image may be said of what the model was given.
_SIGHT: Final = frozenset({"image", "picture", "photo", "photograph"})


def denied(text: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """Of the phrases asked for, those that a sentence says for certain are not there.

    "There is no mug in the image." denies "mug" and "red mug", since a red mug would be a mug; "There is no red mug."
    says nothing of mugs. "There are none." denies all. Whatever else stands beside it, the text denies nothing.

    Args:
        text: an answer without any place in it.
        phrases: that were asked for.
    """
    sentence = " ".join(text.lower().replace("’", "'").split())
    if len(sentence) > _LONGEST:
        return ()
    if _NONE.fullmatch(sentence):
        return tuple(phrases)
    match = _DENIAL.fullmatch(sentence)
    if match is None:
        return ()
    absent: dict[str, None] = {}
    for part in _BETWEEN.split(match["what"]):
        words = label_words(part)
        covered = phrases if words <= _WHATEVER else [phrase for phrase in phrases if words <= label_words(phrase)]
        if not words or words <= _SIGHT or not covered:
            return ()
        absent.update(dict.fromkeys(covered))
    return tuple(phrase for phrase in phrases if phrase in absent)

