"""Clauses that say a relation from the other side: "the plate the apple is on", "the box in which the cat sits"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.draft import Draft
from vlm_perception.language.prepositions import ANCHORED
from vlm_perception.types import Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor

CONVERSE: Final[dict[str, str]] = {
    "on": "supports", "in": "contains", "at": "holds", "supports": "on", "contains": "in", "left_of": "right_of", "right_of": "left_of",
    "in_front_of": "behind", "behind": "in_front_of", "above": "below", "below": "above", "under": "above", "next_to": "next_to",
    "near": "near", "far_from": "far_from", "touching": "touching", "against": "against", "around": "around",
}  # fmt: skip
"""What holds for b when a predicate holds for a: ``p(a, b)`` is ``CONVERSE[p](b, a)``."""
_ENDS: Final = frozenset(", . ; ? ! and but then or".split())


def read_converse(reader: NounPhraseReader, d: Draft) -> bool:
    """Read one such clause after a noun; the cursor stays where there is none."""
    cursor = reader.cursor
    if not d.described:
        return False
    start = cursor.pos
    if _preposition_first(reader, d) or _preposition_last(reader, d):
        return True
    cursor.pos = start
    return False


def _preposition_first(reader: NounPhraseReader, d: Draft) -> bool:
    """ "on which the book stands", "on top of which there is a cup", "where the lamp stands"."""
    cursor = reader.cursor
    found = ANCHORED.find(cursor)
    if found is not None and found[1] < cursor.end and cursor.tokens[found[1]].word == "which":
        predicate = found[0]
        cursor.pos = found[1] + 1
    elif cursor.take("where"):
        predicate = "at"
    else:
        return False
    if predicate not in CONVERSE:
        return False
    if cursor.take("there") or cursor.word() in lx.BE | lx.STANDS:
        cursor.take_any(lx.BE | lx.STANDS)
        anchor = reader.entity(depth=1)
        if anchor is None:
            return False
        d.relations.append(Relation(CONVERSE[predicate], (anchor,), text="which"))
        return True
    stop = _verb_ahead(cursor)
    return stop >= 0 and _between_here_and(reader, d, stop, stop + 1, predicate)


def _preposition_last(reader: NounPhraseReader, d: Draft) -> bool:
    """ "(that) the apple is on"."""
    cursor = reader.cursor
    cursor.take_any({"that", "which"})
    if cursor.word() not in lx.ARTICLES | lx.POSSESSIVES | lx.DEMONSTRATIVES:
        return False
    stop = _verb_ahead(cursor)
    if stop < 0:
        return False
    after = stop + 1
    while after < cursor.end and cursor.tokens[after].word in lx.POSTURES | lx.INTENSIFIERS:
        after += 1
    found = ANCHORED.find(cursor, after)
    if found is None or (found[1] < cursor.end and cursor.tokens[found[1]].word not in _ENDS | lx.BE):
        return False
    return _between_here_and(reader, d, stop, found[1], found[0])


def _verb_ahead(cursor: Cursor) -> int:
    """Where the next "is", "stands" ... is, before any comma or full stop; -1 when there is none."""
    for i in range(cursor.pos + 1, cursor.end):
        if cursor.tokens[i].word in lx.BE | lx.STANDS:
            return i
        if cursor.tokens[i].word in _ENDS | {"that", "which"}:
            break
    return -1


def _between_here_and(reader: NounPhraseReader, d: Draft, stop: int, after: int, predicate: str) -> bool:
    """The anchor is what stands before the verb at ``stop``."""
    cursor = reader.cursor
    if predicate not in CONVERSE:
        return False
    end, cursor.end = cursor.end, stop
    try:
        anchor = reader.entity(depth=1)
        whole = cursor.pos == stop
    finally:
        cursor.end = end
    if anchor is None or not whole:
        return False
    cursor.pos = after
    d.relations.append(Relation(CONVERSE[predicate], (anchor,), text=predicate))
    return True
