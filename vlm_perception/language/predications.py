"""Relative clauses that say a verb or an adjective: "that contains an apple", "that is not red"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.types import Attribute, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader

VERBS = {
    "contains": "contains", "contain": "contains", "touches": "touching", "touch": "touching", "faces": "facing", "face": "facing",
    "surrounds": "around", "surround": "around", "supports": "supports", "carries": "supports", "holds": "holds", "hold": "holds",
}  # fmt: skip
POSTURES = frozenset("sitting standing lying laying hanging hidden parked".split())
"""Postures that are worth saying alone."""


def read_verbal(reader: NounPhraseReader, d: Draft, depth: int, negated: bool) -> bool:
    """ "that contains an apple", "that does not touch the wall"."""
    cursor = reader.cursor
    start = cursor.pos
    predicate = VERBS[cursor.word()]
    cursor.pos += 1
    anchor = reader.entity(depth + 1)
    if anchor is None:
        cursor.pos = start
        return False
    if predicate == "contains" and cursor.take("on", "it"):
        predicate = "supports"
    else:
        _ = cursor.take("in", "it") or cursor.take("inside")
    negated = negated != (anchor.number == 0)
    d.relations.append(Relation(predicate, (replace(anchor, number=1) if anchor.number == 0 else anchor,), negated))
    return True


def read_predicative(reader: NounPhraseReader, d: Draft, negated: bool, start: int) -> bool:
    """ "that is red", "that is not red", "which are open"."""
    cursor = reader.cursor
    cursor.take_any({"colored"})
    mark = cursor.pos
    attribute = take_attribute(cursor, predicative=True)
    posture = cursor.tokens[cursor.pos - 1].word if cursor.pos else ""
    if attribute is None and posture in POSTURES and not is_content(cursor.word()) and cursor.pos - start > 1:
        attribute = Attribute("state", posture)  # "who is sitting": stepped over already
    if attribute is None or is_content(cursor.word()):
        cursor.pos = mark
        other = reader.entity(1) if negated and d.nouns else None
        if other is not None and other.noun != THING:  # "the can that is not tomato soup"
            d.exclude.append(other)
            return True
        cursor.pos = start
        return False
    d.attributes.append(replace(attribute, negated=negated))
    while cursor.word() in {"and", "or", "nor"} and kind_of(cursor.word(1)):
        mark = cursor.pos
        cursor.pos += 1
        further = take_attribute(cursor, predicative=True)
        if further is None or is_content(cursor.word()):
            cursor.pos = mark
            break
        d.attributes.append(replace(further, negated=negated))
    return True
