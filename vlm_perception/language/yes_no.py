"""Questions to be answered by yes or no: "is the bowl on the plate", "does the basket contain a can"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.claims import (
    claimed,
    read_predicate,
    read_said_of,
    statement,
)
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED
from vlm_perception.types import Entity, Query, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor

from vlm_perception.language.asked import MEANS_NOTHING, targets_of, until_verb


def yes_or_no(reader: ClauseReader, text: str) -> Query | None:
    """ "is the bowl on the plate", "are the mugs red", "does the basket contain a can"."""
    cursor = reader.cursor
    helper = cursor.take_any(lx.BE | {"does", "do", "did"})
    if not helper:
        return None
    cursor.take("not")  # "isn't the bowl on the plate?" asks whether it is
    negated = False
    first = (_before_adjective(reader) or reader.entity_bare()) if helper in lx.BE else None
    subjects = [first] if first is not None else [e for e in [until_verb(reader)] if e is not None] or reader.entities()
    while first is not None and cursor.word() == "and" and cursor.word(1) in lx.ARTICLES | lx.POSSESSIVES:
        cursor.pos += 1
        further = reader.entity_bare()
        if further is None:
            return None
        subjects.append(further)
    if not subjects:
        return None
    if helper in lx.BE and cursor.word() != "there" and _offers_choice(cursor):
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", targets_of(subjects))
    if helper in lx.BE:
        start, claims = cursor.pos, []
        for subject in subjects:
            cursor.pos = start
            claims.append(claimed(subject, read_predicate(reader, subject, negated=negated) or subject))
        return statement(text, claims)
    return statement(text, read_said_of(reader, subjects))


def _offers_choice(cursor: Cursor) -> bool:
    """ "is it red or blue", "in front of or behind the box": no yes or no answers that."""
    for i in range(cursor.pos + 1, cursor.end - 1):
        if cursor.tokens[i].word == "or":
            following, before = cursor.tokens[i + 1].word, cursor.tokens[i - 1].word
            if kind_of(following) and kind_of(before) and kind_of(before) != "":
                return True
            if ANCHORED.find(cursor, i + 1) or following in lx.POSITIONS:
                return True
    return False


def _before_adjective(reader: ClauseReader) -> Entity | None:
    """The subject of "is the mug on the table red": all that stands before the last adjectives; None if it has no such end."""
    cursor = reader.cursor
    start, end = cursor.pos, cursor.end
    stop = end
    while stop > start and cursor.tokens[stop - 1].word in MEANS_NOTHING - lx.BE:
        stop -= 1
    last = stop
    while stop > start and (
        kind_of(cursor.tokens[stop - 1].word) or cursor.tokens[stop - 1].word in {"and", *lx.COLOR_MODIFIERS}
    ):
        stop -= 1
    if stop in (last, start) or not is_content(cursor.tokens[stop - 1].word):
        return None
    cursor.end = stop
    try:
        subject = reader.entity()
        whole = cursor.pos == stop
    finally:
        cursor.end = end
    if subject is not None and whole and (subject.relations or subject.rankings):
        return subject
    cursor.pos = start
    reader.mentions.clear()
    return None
