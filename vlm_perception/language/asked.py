"""What questions share: the entities they ask for, and what they say of them after the verb."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.claims import (
    read_predicate,
    read_said_of,
    take_phrase,
)
from vlm_perception.types import Entity, Relation, Role, RoleEntity

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader

_HOLDING: Final = frozenset("contains contain has have holds hold supports support carries carry touches touch".split())
_HELD: Final = {"hold": "held_by", "carry": "held_by", "contain": "in", "support": "on", "have": "part_of"}
MEANS_NOTHING: Final = (
    frozenset(", . ? ! ; : and then so there here now in total altogether please are is exist visible".split())
    | lx.ARTICLES
)
FACTS: Final = frozenset(
    "color colour size shape material kind type state brand name text word letter number time".split()
)


def targets_of(entities: list[Entity]) -> tuple[RoleEntity, ...]:
    """Entities as what is to be found."""
    return tuple(RoleEntity(Role.TARGET, e) for e in entities)


def with_what_is_said(reader: ClauseReader, entity: Entity) -> Entity:
    """Add what a question says of its subject after the verb: "are there", "are on the plate", "are red"."""
    cursor = reader.cursor
    take_phrase(
        cursor,
        (
            "are there",
            "is there",
            "do you see",
            "can you see",
            "do i have",
            "do we have",
            "are visible",
            "are present",
            "can be seen",
        ),
    )
    start = cursor.pos
    if cursor.word() in _HOLDING:
        said = read_said_of(reader, [entity])[0]
        if said.noun != entity.noun:  # "which mug has a handle": no relation between things
            cursor.pos = start
            return entity
        return said
    if cursor.word() in {"does", "do"}:
        return _held_by(reader, entity) or entity
    if cursor.take_any(lx.BE) or cursor.take_any(lx.STANDS) or cursor.word() in {"touch", "contain"}:
        entity = read_predicate(reader, entity) or entity
        if cursor.pos == start + 1:
            cursor.take("there")
        return entity
    return read_predicate(reader, entity) or entity


def _held_by(reader: ClauseReader, entity: Entity) -> Entity | None:
    """ "(how many cups) does the tray hold", "(how many legs) does the table have"."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.pos += 1
    holder = until_verb(reader)
    predicate = _HELD.get(cursor.word(), "")
    if holder is None or not predicate:
        cursor.pos = start
        return None
    cursor.pos += 1
    if cursor.take("on", "it"):
        predicate = "on"
    elif cursor.take("in", "it") or cursor.take("inside"):
        predicate = "in"
    return replace(entity, relations=(*entity.relations, Relation(predicate, (holder,), text="hold")))


def until_verb(reader: ClauseReader) -> Entity | None:
    """The subject of "does the tray hold": what stands before a verb that is a noun too."""
    cursor = reader.cursor
    start, end = cursor.pos, cursor.end
    stop = next((i for i in range(start + 1, end) if cursor.tokens[i].word in _HELD), -1)
    if stop < 0:
        return None
    cursor.end = stop
    try:
        subject = reader.entity_bare()
        whole = cursor.pos == stop
    finally:
        cursor.end = end
    if not whole:
        cursor.pos = start
        return None
    return subject
