"""Statements: "the bowl is on the plate", "there are two mugs", captions of several sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import take_attribute
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.modifiers import read_modifiers
from vlm_perception.types import Attribute, CommandError, Entity, Query, Relation, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor


EXISTS: Final = ("is there", "are there", "there is", "there are", "do you see", "can you see", "do i see", "does image show",
                  "does scene contain", "does scene show", "does image contain", "can we see", "you see", "you can see", "i see",
                  "i can see", "there was", "there were", "do we have", "do you have", "have we got", "we see", "we have")  # fmt: skip


def take_phrase(cursor: Cursor, phrases: tuple[str, ...]) -> bool:
    """Consume the longest of several word sequences; whether one stood at the cursor."""
    stops = [stop for p in phrases if (stop := cursor.reach(tuple(p.split()))) >= 0]
    if stops:
        cursor.pos = max(stops)
    return bool(stops)


def statement(text: str, claims: list[Entity]) -> Query:
    """A query that asks whether claims hold."""
    return Query(text, Task.VERIFY, "", (), tuple(claims))


def read_predicate(reader: ClauseReader, subject: Entity, *, negated: bool = False) -> Entity | None:
    """What is said of ``subject`` from the cursor on; None if nothing was."""
    cursor = reader.cursor
    negated = bool(cursor.take("not")) or negated
    draft = Draft(definite=False, number=None, counted=True, nouns=["x"])
    reader.reciprocal = Entity(subject.noun, subject.noun, definite=False, text="each other")
    try:
        return _predicate(reader, subject, draft, negated=negated)
    finally:
        reader.reciprocal = None


def _predicate(reader: ClauseReader, subject: Entity, draft: Draft, *, negated: bool) -> Entity | None:
    cursor = reader.cursor
    while not cursor.done:
        start = cursor.pos
        if cursor.take_any(lx.INTENSIFIERS - {"right", "somewhere"}) and not is_content(cursor.word()):
            cursor.pos = start
        attribute = take_attribute(cursor, predicative=True)
        if attribute is not None and not is_content(cursor.word()):
            draft.attributes.append(attribute)
        elif attribute is not None:
            cursor.pos = start
        read_modifiers(reader, draft, 0)
        cursor.take("and")
        if cursor.pos <= start:
            break
    if any(ranking.text.endswith(" than") for ranking in draft.rankings):
        raise CommandError("whether one thing is nearer than another cannot be checked; say which is the closest one")
    draft.settle_places()
    if not (draft.attributes or draft.relations or draft.rankings or draft.exclude):
        if cursor.word() in lx.ARTICLES:  # "the thing on the left is a mug"
            other = reader.entity()
            if other is not None and other.noun != THING:
                return _with_attributes(
                    replace(subject, noun=other.noun, relations=(*subject.relations, *other.relations)),
                    other.attributes,
                    negated=negated,
                )
        return None
    relations = [replace(r, negated=r.negated != negated) for r in draft.relations]
    described = _with_attributes(subject, tuple(draft.attributes), negated=negated)
    return replace(
        described,
        relations=(*subject.relations, *relations),
        rankings=(*subject.rankings, *draft.rankings),
        exclude=(*subject.exclude, *draft.exclude),
    )


def _with_attributes(entity: Entity, attributes: tuple[Attribute, ...], *, negated: bool) -> Entity:
    added = tuple(replace(a, negated=a.negated != negated) for a in attributes)
    visible = [
        a.value
        for a in (*entity.attributes, *added)
        if not a.negated and a.kind != "size" and not a.value.startswith("with ")
    ]
    return replace(entity, attributes=(*entity.attributes, *added), phrase=" ".join([*visible, entity.noun]))


def read_statement(reader: ClauseReader, text: str) -> Query | None:
    """Read claims to check: "the bowl is on the plate", "a mug next to a plate, and two bowls behind it"."""
    cursor = reader.cursor
    claims: list[Entity] = []
    while not cursor.done:
        while cursor.take_any({",", ".", "and", "while", "?", "!", ";", "that", "but"}):
            pass
        if cursor.done:
            break
        start = cursor.pos
        found = _claims(reader)
        if not found or cursor.pos == start:
            cursor.pos = start
            break
        claims += found
    return statement(text, claims) if claims else None


def _claims(reader: ClauseReader) -> list[Entity]:
    """One clause or mention."""
    cursor = reader.cursor
    start = cursor.pos
    if take_phrase(cursor, EXISTS):
        return read_existing(reader)
    cursor.take_any({"is", "are"})
    subjects = reader.entities()
    if not subjects:
        cursor.pos = start
        return []
    return read_said_of(reader, subjects)


def read_existing(reader: ClauseReader) -> list[Entity]:
    """What is claimed to be there, after "there is"; number 0 for what is claimed to be absent."""
    cursor = reader.cursor
    negated = bool(cursor.take("not"))
    cursor.take_any({"exactly", "only"})
    entities = reader.entities()
    return [replace(e, number=0) if negated else e for e in entities]


def read_said_of(reader: ClauseReader, subjects: list[Entity]) -> list[Entity]:
    """The subjects with what the verb after them says: "is red", "contains a can", "touches the plate"."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.take_any({"both", "all"})
    helper = cursor.take_any({"does", "do", "did"})
    negated = bool(helper and cursor.take("not"))
    verb = cursor.take_any(lx.BE | lx.STANDS)
    if verb:
        cursor.take("there")
    elif cursor.take_any({"holds", "supports", "carries"}):
        held = [Relation("holds", (e,), negated) for e in reader.entities()]
        return [replace(s, relations=(*s.relations, *held)) for s in subjects]
    elif cursor.take_any({"contains", "contain"}) or (cursor.take_any({"has", "have"})):
        inside = reader.entities()
        contained = [Relation("contains", (e,), negated) for e in inside]
        cursor.take("in", "it")
        return [replace(s, relations=(*s.relations, *contained)) for s in subjects] if contained else subjects
    elif cursor.take_any({"touches", "touch", "faces", "face", "surrounds"}):
        predicate = {"to": "touching", "fa": "facing", "su": "around"}[cursor.tokens[cursor.pos - 1].word[:2]]
        anchors = reader.entities()
        return [
            replace(s, relations=(*s.relations, *(Relation(predicate, (a,), negated) for a in anchors)))
            for s in subjects
        ]
    elif not helper:
        cursor.pos = start
    mentions = list(reader.mentions)
    others = [m for m in mentions if all(m is not s for s in subjects)]
    reader.mentions = others or mentions  # "it" is not the thing that is spoken of
    said = [read_predicate(reader, subjects[0], negated=negated)]
    if said[0] is None:
        reader.mentions = mentions
        if not verb:
            return subjects
        cursor.pos = start if cursor.done else cursor.pos
        return subjects
    stop = cursor.pos
    claims = [said[0]]
    for other in subjects[1:]:
        cursor.pos = start
        cursor.take_any({"both", "all"})
        cursor.take_any({"does", "do", "did"})
        cursor.take("not")
        cursor.take_any(lx.BE | lx.STANDS)
        reader.mentions = others or list(mentions)
        claims.append(read_predicate(reader, other, negated=negated) or other)
    cursor.pos = stop
    reader.mentions = mentions
    return [c for c in claims if c is not None]
