"""What follows a noun: relations, places, superlatives with their complements, negations, exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.draft import Draft
from vlm_perception.language.features import read_feature, read_trailing_word
from vlm_perception.language.inversions import read_converse
from vlm_perception.language.prepositions import (
    ANCHORED,
    UNANCHORED,
)
from vlm_perception.language.selections import read_exception, read_partitive
from vlm_perception.language.superlatives import (
    read_late_complement,
    read_ordinal_direction,
    read_superlative,
)
from vlm_perception.types import Ranking

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor

from vlm_perception.language.predications import VERBS
from vlm_perception.language.relations import read_part_of, read_relation

_OPPOSITE = {
    "left": "right",
    "right": "left",
    "front": "back",
    "back": "front",
    "high": "low",
    "low": "high",
    "near": "far",
    "far": "near",
}
_ASIDES = tuple(
    tuple(text.split())
    for text in (
        "in image|in picture|in photo|in scene|in view|in frame|on screen|from my perspective|from your perspective|"
        "from my point of view|from your point of view|from camera's point of view|from here|in this image|in this scene|"
        "you see|i see|you can see|i can see|that you see|that i see|that you can see|that i can see|as seen from camera|"
        "seen from camera|from robot's perspective|in room|of scene|of image|of picture|for me|to me|with your gripper|"
        "in this picture|over there|over here|right now|in front of camera|in front of you|for us|of mine|on workspace|"
        "in workspace|in camera view|in your view|in field of view|from camera's perspective"
    ).split("|")
)


def read_modifiers(reader: NounPhraseReader, d: Draft, depth: int) -> None:
    """Consume every modifier after the noun run of ``d``.

    Args:
        reader: its cursor stands after the noun run.
        d: what was read so far; extended in place.
        depth: 0 for the entity itself, more for anchors, which leave commas and "and" to the outermost one.
    """
    cursor = reader.cursor
    while not cursor.done:
        start = cursor.pos
        if (
            read_ordinal_direction(cursor, d)
            or read_partitive(reader, d)
            or read_late_complement(reader, d)
            or read_superlative(reader, d)
            or read_trailing_word(cursor, d)
            or read_exception(reader, d, depth)
            or read_feature(reader, d)
            or _aside(cursor, d)
            or _end_of_row(cursor, d)
            or _apposition(reader, d, depth)
            or read_converse(reader, d)
            or read_relation(reader, d, depth)
            or read_part_of(reader, d)
        ):
            if cursor.pos > start:
                continue
        cursor.pos = start
        if depth == 0 and d.described and _continues(reader, d):
            continue
        cursor.pos = start
        return


def read_partitive_or_part(reader: NounPhraseReader, d: Draft) -> None:
    """Consume only "of the mugs" / "of the cabinet"."""
    if not read_partitive(reader, d):
        read_part_of(reader, d)


def _continues(reader: NounPhraseReader, d: Draft) -> bool:
    """Step over "," or "and" when a further modifier of the same thing follows ("on the left, behind the laptop")."""
    cursor = reader.cursor
    comma = cursor.take(",")
    joined = cursor.take("and") or cursor.take("but")
    if not (comma or joined) or reader.starts_clause():
        return False
    i = cursor.pos
    if comma and cursor.word() in {"left", "right"} and i + 1 >= cursor.end:  # "chair in front, left"
        return True
    while (
        i < cursor.end
        and not ANCHORED.find(cursor, i)
        and cursor.tokens[i].word
        in {
            "that",
            "which",
            "is",
            "are",
            "not",
            "does",
            "do",
            *lx.POSTURES,
            *lx.INTENSIFIERS,
            *lx.STANDS,
        }
    ):
        i += 1
    if i >= cursor.end:
        return False
    further = UNANCHORED.find(cursor, i)
    anchored = ANCHORED.find(cursor, i)
    if joined and further and (anchored is None or anchored[1] < further[1]) and _OPPOSITE.get(further[0]) in d.places:
        return False  # "on the left and on the right": nothing is both
    word = cursor.tokens[i].word
    if comma and not joined and (word in lx.SUPERLATIVES or word in lx.COMPARATIVES):
        return True
    if comma and not joined and word in lx.ORDINALS and not d.nouns and cursor.tokens[i + 1 : i + 2]:
        cursor.pos = i + 1
        d.ordinal = lx.ORDINALS[word]
        cursor.take("one")
        return read_ordinal_direction(cursor, d)
    if d.relative and word in VERBS:
        return True
    if joined and d.relative and cursor.word() in lx.BE and kind_of(word):
        return True  # "that is on the tray and is red"
    if (
        comma
        and not joined
        and all(t.word in lx.POSITIONS.keys() | {"far", "most"} for t in cursor.tokens[i : cursor.end])
    ):
        return True  # "bowl of rice, top right"
    return bool(ANCHORED.find(cursor, i) or UNANCHORED.find(cursor, i)) or cursor.word() in {"not", "that", "which"}


def _aside(cursor: Cursor, d: Draft) -> bool:
    for pattern in _ASIDES:
        stop = cursor.reach(pattern)
        if stop >= 0 and (d.described or stop == cursor.end):
            if cursor.tokens[stop - 1].word == "me" and pattern == ("to", "me") and d.open_ranking:
                continue
            cursor.pos = stop
            return True
    return False


def _end_of_row(cursor: Cursor, d: Draft) -> bool:
    """ "at the end of the row", "at the start of the line"."""
    for end, rank in (("end", -1), ("start", 1), ("beginning", 1), ("head", 1)):
        for group in ("row", "line", "queue", "series"):
            stop = cursor.reach(("at", end, "of", group))
            if stop >= 0 and d.ordinal is None:
                cursor.pos, d.ordinal = stop, rank
                return True
    return False


def _apposition(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
    """ "the mug beside the laptop, the red one"."""
    cursor = reader.cursor
    start = cursor.pos
    if depth or not d.nouns or not (cursor.take(",") and cursor.take("the")):
        cursor.pos = start
        return False
    attributes = []
    while (attribute := take_attribute(cursor)) is not None:
        attributes.append(attribute)
    ranked = lx.SUPERLATIVES.get(cursor.word(), "") if not attributes else ""
    cursor.pos += bool(ranked)
    if (
        not (attributes or ranked)
        or not cursor.take("one")
        or not (cursor.done or cursor.word() in {",", ".", "?", "!"})
    ):
        cursor.pos = start
        return False
    d.attributes += attributes
    d.rankings += [Ranking(ranked, text=cursor.word(-2))] if ranked else []
    return True
