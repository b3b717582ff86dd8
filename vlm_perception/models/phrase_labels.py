"""What a model calls a thing -> which of the phrases it was asked for; and what of an answer is lost on the way."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from vlm_perception.models.base import Unread
from vlm_perception.models.denials import denied
from vlm_perception.models.label_words import label_words
from vlm_perception.models.parsers.base import Parsed, Place, excerpt

_LOG = logging.getLogger(__name__)
# Problems of the parsers that cost no place.
_HARMLESS: Final = re.compile(
    r"mended |dropped (?:a|\d+) repeated|dropped \d+ mask codes|dropped the labels of|no label for"
    r"|dropped .*: it speaks of image \S+, and there is one$"
)
# What a parser says of words without any place.
_NO_PLACE: Final = re.compile("no coordinates in")
_TOLD: Final = 3  # problems a message tells


def fitting(label: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """The phrases that a model's label may mean: one, none, or several between which it does not decide.

    In singular or plural: the same words; else the phrase all of whose words are in the label, the longest one ("the
    big red mug" is a red mug, and a mug too); else the phrase in which the label's words are.
    """
    said = label_words(label)
    if not said:
        return ()
    asked = {phrase: label_words(phrase) for phrase in phrases}
    same = [phrase for phrase, words in asked.items() if words == said]
    if same:
        return (same[0],)
    within = [phrase for phrase, words in asked.items() if words and words < said]
    if within:
        longest = max(len(asked[phrase]) for phrase in within)
        return tuple(phrase for phrase in within if len(asked[phrase]) == longest)
    return tuple(phrase for phrase, words in asked.items() if said < words)


def meant(labels: Iterable[str], phrases: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each label of one answer the phrases that it may mean, see :func:`fitting`.

    Where one thing alone was asked for, a label that does not fit may be a synonym ("cup"), and no label is needed. Once
    another label fits, the model has called the thing by its name, and what it calls something else is something else.
    """
    fits = {label: fitting(label, phrases) for label in labels}
    if len(phrases) > 1:
        return fits
    named = any(fits.values())
    return {label: () if named and not fit and label_words(label) else tuple(phrases) for label, fit in fits.items()}


def without_others(parsed: Parsed, phrase: str) -> Parsed:
    """An answer about one phrase, without the places that it calls something else; they are told in the log."""
    means = meant((place.label for place in parsed.places), (phrase,))
    _log_others([label for label, fits in means.items() if not fits], (phrase,))
    return replace(parsed, places=tuple(place for place in parsed.places if means[place.label]))


def _log_others(labels: Sequence[str], phrases: Sequence[str]) -> None:
    if labels:
        told = ", ".join(excerpt(label) for label in labels[:_TOLD])
        _LOG.info("left out what the model calls %s: it was asked for %s", told, ", ".join(map(repr, phrases)))


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
        labels that fit several phrases alike, or none while a phrase is left without a box (it may be a synonym; while
        all have boxes, it is told in the log). A plain "there is no mug" is an answer, and nothing is missing.
    """
    found: list[tuple[str, Place]] = []
    lost = list(losses(parsed.problems))
    torn: dict[tuple[str, ...], str] = {}
    strange: dict[str, None] = {}
    means = meant((place.label for place in parsed.places if not place.is_point), phrases)
    for place in parsed.places:
        fits = means.get(place.label, ())
        if place.is_point:
            lost.append(f"a point is no box: {excerpt(place.label)}")
        elif len(fits) == 1:
            found.append((fits[0], place))
        elif fits:
            torn[fits] = f"{excerpt(place.label)} may be {' or '.join(repr(phrase) for phrase in fits)}"
        else:
            strange[place.label] = None
    known = {phrase for phrase, _ in found}
    unread = [Unread(fits, why, partly=not known.isdisjoint(fits)) for fits, why in torn.items()]
    absent = denied(parsed.text, phrases) if not parsed.places and all(map(_NO_PLACE.match, lost)) else ()
    open_to_doubt = tuple(phrase for phrase in phrases if phrase not in absent)
    if lost and open_to_doubt:
        unread.insert(0, Unread(open_to_doubt, "; ".join(lost[:_TOLD]), partly=bool(found)))
    without = tuple(phrase for phrase in phrases if phrase not in known)
    if strange and without:
        labels = ", ".join(excerpt(label) for label in list(strange)[:_TOLD])
        unread.append(Unread(without, f"it called what it found {labels}", partly=False))
    else:
        _log_others(list(strange), phrases)
    return found, tuple(unread)
