"""Questions for a thing: "where is the mug", "which mug is closest", "in which drawer is the knife"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.claims import (
    take_phrase,
)
from vlm_perception.language.draft import THING
from vlm_perception.language.inversions import CONVERSE
from vlm_perception.language.prepositions import ANCHORED
from vlm_perception.types import Entity, Query, Relation, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader

from vlm_perception.language.asked import FACTS, targets_of, with_what_is_said

_LOOKED_FOR: Final = ("can i find", "do you see", "did i put", "can i see", "did you see", "did i leave", "have you seen", "did you put",
                      "can you see", "do i find", "did you leave")  # fmt: skip


def where_or_which(reader: ClauseReader, text: str) -> Query | None:
    """ "where is the mug", "which mug is closest to the camera", "which of the mugs is red"."""
    cursor = reader.cursor
    contained = _in_which(reader, text)
    if contained is not None:
        return contained
    if cursor.take("where"):
        cursor.take_any(lx.INTENSIFIERS)
        leads = bool(cursor.take_any(lx.BE)) or take_phrase(cursor, _LOOKED_FOR)
        entities = reader.entities()
        if not leads and not cursor.take_any(lx.BE):  # "(do you know) where the scissors are"
            return None
        return Query(text, Task.LOCATE, "", targets_of(entities)) if entities else None
    which = cursor.take("which") or (
        cursor.word() == "what"
        and cursor.word(1) not in lx.BE | FACTS | {"do", "can", "does", "of"}
        and cursor.take("what")
    )
    if not which:
        return None
    if cursor.word() in lx.BE or cursor.word() in lx.STANDS:
        entity: Entity | None = Entity(THING, THING, text="which")
    else:
        if cursor.word() == "of":
            cursor.pos += 1
        entity = reader.entity()
    if entity is None:
        return None
    turned = _which_last(reader, entity)
    if turned is not None:
        return Query(text, Task.LOCATE, "", targets_of([turned]))
    plural = entity.number is None and cursor.word() in {"are", "sit", "stand", "lie"}
    asked = with_what_is_said(reader, entity)
    if asked is entity and not cursor.done:
        return None
    asked = _chosen(asked)
    number = None if plural else 1
    return Query(text, Task.LOCATE, "", targets_of([replace(asked, number=number, definite=True)]))


def _which_last(reader: ClauseReader, asked: Entity) -> Entity | None:
    """ "which drawer is the knife in?"."""
    cursor = reader.cursor
    start, end = cursor.pos, cursor.end
    if cursor.word() not in lx.BE or cursor.word(1) not in lx.ARTICLES | lx.POSSESSIVES:
        return None
    last = end
    while last > start and cursor.tokens[last - 1].word in {".", "?", "!"}:
        last -= 1
    for i in range(start + 2, last):
        found = ANCHORED.find(cursor, i)
        if found is None or found[1] != last or found[0] not in CONVERSE:
            continue
        cursor.pos, cursor.end = start + 1, i
        anchor = reader.entity(depth=1)
        whole = cursor.pos == i
        cursor.pos, cursor.end = (last if anchor is not None and whole else start), end
        if anchor is None or not whole:
            return None
        relation = Relation(CONVERSE[found[0]], (anchor,), text=cursor.text(i, last))
        return replace(asked, relations=(*asked.relations, relation), number=1, definite=True)
    return None


def _in_which(reader: ClauseReader, text: str) -> Query | None:
    """ "in which drawer is the knife?"."""
    cursor = reader.cursor
    found = ANCHORED.find(cursor)
    if found is None or found[0] not in CONVERSE or cursor.tokens[found[1] : found[1] + 1] == []:
        return None
    if cursor.tokens[found[1]].word not in {"which", "what"}:
        return None
    cursor.pos = found[1] + 1
    asked = reader.entity_bare()
    if asked is None or not cursor.take_any(lx.BE):
        return None
    anchor = reader.entity(depth=1)
    if anchor is None:
        return None
    relation = Relation(CONVERSE[found[0]], (anchor,), text=cursor.tokens[found[1] - 1].word)
    return Query(text, Task.LOCATE, "", targets_of([replace(asked, relations=(*asked.relations, relation))]))


def _chosen(asked: Entity) -> Entity:
    """ "which mug is the largest on the table" asks for the largest of those that are on the table."""
    kind = next((r.of for r in asked.rankings if r.of is not None), None)
    if kind is None:
        return asked
    rankings = tuple(replace(r, of=None) for r in asked.rankings)
    named = kind if asked.noun == THING else asked
    relations = tuple(dict.fromkeys((*asked.relations, *kind.relations)))
    return replace(named, relations=relations, rankings=rankings, text=asked.text)
