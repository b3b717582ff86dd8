"""What a model calls a thing -> which of the phrases it was asked for; and what of an answer is lost on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from vlm_perception.language.morphology import singular
from vlm_perception.models.base import Unread
from vlm_perception.models.denials import denied
from vlm_perception.models.parsers.base import Parsed, Place, excerpt

_ARTICLES: Final = frozenset({"a", "an", "the"})
# Problems of the parsers that cost no place.
_HARMLESS: Final = re.compile(
    r"mended |dropped (?:a|\d+) repeated|dropped \d+ mask codes|dropped the labels of|no label for|dropped .*: it speaks of image"
)
# What a parser says of words without any place.
_NO_PLACE: Final = re.compile("no coordinates in")
_TOLD: Final = 3  # problems a message tells


def fitting(label: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """The phrases that a model's label may mean: one, none, or several between which it does not decide.

    In singular or plural: the same words; else the phrase all of whose words are in the label, the longest one ("the
    big red mug" is a red mug, and a mug too); else the phrase in which the label's words are. A single phrase takes
    whatever the model calls it.
    """
    if len(phrases) == 1:
        return tuple(phrases)
    said = _words(label)
    if not said:
        return ()
    asked = {phrase: _words(phrase) for phrase in phrases}
    same = [phrase for phrase, words in asked.items() if words == said]
    if same:
        return (same[0],)
    within = [phrase for phrase, words in asked.items() if words and words < said]
    if within:
        longest = max(len(asked[phrase]) for phrase in within)
        return tuple(phrase for phrase in within if len(asked[phrase]) == longest)
    return tuple(phrase for phrase, words in asked.items() if said < words)


def _words(text: str) -> frozenset[str]:
    return frozenset(singular(word)[0] for word in re.findall(r"\w+", text.lower())) - _ARTICLES


def losses(problems: Iterable[str]) -> tuple[str, ...]:
    """Those problems of an answer that cost a place, or its end; the others were mended, or are of no account."""
    return tuple(problem for problem in problems if not _HARMLESS.match(problem))


def by_phrase(parsed: Parsed, phrases: Sequence[str]) -> tuple[list[tuple[str, Place]], tuple[Unread, ...]]:
    """Sort the boxes of an answer by the phrases that it was asked about.

    Args:
        parsed: what was read of the answer.
        phrases: that it was asked for.

    Returns:
        (phrase, box) in the order written; and what is missing: places that could not be read, points in place of boxes,
        labels that fit several phrases alike, or none while a phrase is left without a box (it may be a synonym). A
        plain "there is no mug" is an answer, and nothing is missing.
    """
    found: list[tuple[str, Place]] = []
    lost = list(losses(parsed.problems))
    torn: dict[tuple[str, ...], str] = {}
    strange: dict[str, None] = {}
    for place in parsed.places:
        fits = fitting(place.label, phrases)
        if place.is_point:
            lost.append(f"a point is no box: {excerpt(place.label)}")
        elif len(fits) == 1:
            found.append((fits[0], place))
        elif fits:
            torn[fits] = f"{excerpt(place.label)} may be {' or '.join(repr(phrase) for phrase in fits)}"
        else:
            strange[excerpt(place.label)] = None
    known = {phrase for phrase, _ in found}
    unread = [Unread(fits, why, partly=not known.isdisjoint(fits)) for fits, why in torn.items()]
    absent = denied(parsed.text, phrases) if not parsed.places and all(map(_NO_PLACE.match, lost)) else ()
    open_to_doubt = tuple(phrase for phrase in phrases if phrase not in absent)
    if lost and open_to_doubt:
        unread.insert(0, Unread(open_to_doubt, "; ".join(lost[:_TOLD]), partly=bool(found)))
    without = tuple(phrase for phrase in phrases if phrase not in known)
    if strange and without:
        labels = ", ".join(list(strange)[:_TOLD])
        unread.append(Unread(without, f"it called what it found {labels}", partly=False))
    return found, tuple(unread)
