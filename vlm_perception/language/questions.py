"""Questions and statements: how many, where, which, is there, what is, "the bowl is on the plate"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.claims import (
    EXISTS,
    claimed,
    read_existing,
    read_predicate,
    read_said_of,
    read_statement,
    statement,
    take_phrase,
)
from vlm_perception.language.determiners import is_numeral
from vlm_perception.language.draft import THING
from vlm_perception.language.inversions import CONVERSE
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED
from vlm_perception.types import CommandError, Entity, Query, Relation, Role, RoleEntity, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor

_CLAIM: Final = ("is it true that", "check whether", "check if", "check that", "verify that", "verify whether", "verify if", "verify",
                 "confirm that", "confirm", "tell me if", "tell me whether", "true or false", "is it correct that", "make sure that",
                 "make sure", "it is true that", "see if", "see whether")  # fmt: skip
_HOW_MANY: Final = ("how many", "count how many", "count number of", "tell me how many", "what is number of", "what number of", "number of", "total number of",
                    "what is count of",
                    "give me number of", "count up", "count", "give me count of", "what is total number of")  # fmt: skip
_SCENE_TALK: Final = ("describe scene", "describe image", "describe picture", "describe this", "describe it", "describe what you see", "describe view",
                      "what do you see", "what can you see", "what is in image", "what is in scene", "what is in picture", "what is in view",
                      "what is there", "what is in front of you", "what is happening", "what is going on", "caption this", "caption image",
                      "caption", "describe", "what do you see in image", "describe everything", "give me caption", "describe frame",
                      "list objects", "list all objects", "list everything", "describe table", "describe workspace", "summarize scene",
                      "tell me what you see", "what objects are there", "what objects do you see", "what things are there", "caption scene")  # fmt: skip
_LOOKED_FOR: Final = ("can i find", "do you see", "did i put", "can i see", "did you see", "did i leave", "have you seen", "did you put",
                      "can you see", "do i find", "did you leave")  # fmt: skip
_ASKS: Final = lx.BE | frozenset("how where which does do did count".split())
_MEANS_NOTHING: Final = (
    frozenset(", . ? ! ; : and then so there here now in total altogether please are is exist visible".split())
    | lx.ARTICLES
)
_HOLDING: Final = frozenset("contains contain holds hold supports support carries carry touches touch".split())
_HELD: Final = {"hold": "held_by", "carry": "held_by", "contain": "in", "support": "on", "have": "part_of"}
_FACTS: Final = frozenset(
    "color colour size shape material kind type state brand name text word letter number time".split()
)


def read_question(reader: ClauseReader, text: str) -> Query | None:
    """Read a question or a statement; None when the command is neither.

    Raises:
        CommandError: it is a question of which a part was not understood.
    """
    cursor = reader.cursor
    asks = cursor.word() in _ASKS
    left = ""
    for read in (_count, _scene, _claim, _exists, _where_which, _what, _yes_no, _declarative):
        start = cursor.pos
        query = read(reader, text)
        if query is not None:
            rest = _left_over(cursor)
            if not rest or query.task in {Task.ASK, Task.DESCRIBE}:
                return query
            left = left or rest
        cursor.pos = start
        reader.mentions.clear()
    if asks and left:
        raise CommandError(f'did not understand "{left}" in "{text[:60]}"; say it in simpler words')
    return None


def _left_over(cursor: Cursor) -> str:
    """What a reader left unread, if that means anything."""
    start = cursor.pos
    rest = [t for t in cursor.tokens[start : cursor.end] if t.word not in _MEANS_NOTHING]
    return cursor.text(start, cursor.end) if rest else ""


def _targets(entities: list[Entity]) -> tuple[RoleEntity, ...]:
    return tuple(RoleEntity(Role.TARGET, e) for e in entities)


def _all(entity: Entity) -> Entity:
    return replace(entity, number=None)


def _count(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    cursor.skip_articles()
    if not take_phrase(cursor, _HOW_MANY):
        return None
    cursor.take("of")
    entities = reader.entities()
    if not entities:
        return None
    entities = [_finish(reader, e) for e in entities]
    return Query(text, Task.COUNT, "count", _targets([_all(e) for e in entities]))


def _finish(reader: ClauseReader, entity: Entity) -> Entity:
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
        return read_said_of(reader, [entity])[0]
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
    holder = _until_verb(reader)
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


def _until_verb(reader: ClauseReader) -> Entity | None:
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


def _scene(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    if take_phrase(cursor, _SCENE_TALK):
        while cursor.take_any({",", ".", "?", "!"}) or take_phrase(
            cursor,
            (
                "in detail",
                "briefly",
                "on table",
                "in image",
                "in scene",
                "in front of you",
                "for me",
                "to me",
                "here",
                "in picture",
            ),
        ):
            pass
        if cursor.done:
            return Query(text, Task.DESCRIBE, "describe")
    return None


def _claim(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    if not take_phrase(cursor, _CLAIM):
        return None
    cursor.take_any({":", ","})
    return read_statement(reader, text)


def _exists(reader: ClauseReader, text: str) -> Query | None:
    if not take_phrase(reader.cursor, EXISTS):
        return None
    cursor = reader.cursor
    for i in range(cursor.pos + 1, cursor.end):
        if cursor.tokens[i].word == "or" and not is_numeral(cursor.tokens[i - 1].word):
            raise CommandError(f'"or" leaves open what is asked in "{text[:60]}"; say one of them at a time')
    entities = read_existing(reader)
    return statement(text, entities) if entities else None


def _where_which(reader: ClauseReader, text: str) -> Query | None:
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
        return Query(text, Task.LOCATE, "", _targets(entities)) if entities else None
    which = cursor.take("which") or (
        cursor.word() == "what"
        and cursor.word(1) not in lx.BE | _FACTS | {"do", "can", "does", "of"}
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
        return Query(text, Task.LOCATE, "", _targets([turned]))
    plural = entity.number is None and cursor.word() in {"are", "sit", "stand", "lie"}
    asked = _finish(reader, entity)
    if asked is entity and not cursor.done:
        return None
    asked = _chosen(asked)
    number = None if plural else 1
    return Query(text, Task.LOCATE, "", _targets([replace(asked, number=number, definite=True)]))


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
    return Query(text, Task.LOCATE, "", _targets([replace(asked, relations=(*asked.relations, relation))]))


def _chosen(asked: Entity) -> Entity:
    """ "which mug is the largest on the table" asks for the largest of those that are on the table."""
    kind = next((r.of for r in asked.rankings if r.of is not None), None)
    if kind is None:
        return asked
    rankings = tuple(replace(r, of=None) for r in asked.rankings)
    named = kind if asked.noun == THING else asked
    relations = tuple(dict.fromkeys((*asked.relations, *kind.relations)))
    return replace(named, relations=relations, rankings=rankings, text=asked.text)


def _what(reader: ClauseReader, text: str) -> Query | None:
    """ "what is on the plate", "what color is the mug", and other open questions for a model that answers."""
    cursor = reader.cursor
    word = cursor.word()
    if word not in {"what", "who", "why", "when", "how", "whose", "read"} or cursor.word(1) == "many":
        return None
    cursor.pos += 1
    if word == "what" and cursor.word() in _FACTS:
        cursor.pos += 1
        cursor.take("of")
        cursor.take_any(lx.BE | {"does", "do"})
        entities = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", _targets(entities))
    if word == "what" and take_phrase(cursor, tuple(f"is {fact} of" for fact in _FACTS)):
        asked = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", _targets(asked))
    if word in {"what", "who"} and (cursor.take_any(lx.BE) or cursor.take_any(lx.STANDS)):
        thing = Entity(THING, THING, number=None, text=word)
        mark = cursor.pos
        described = None if cursor.word() in lx.ARTICLES else read_predicate(reader, thing)
        if described is not None and (described.relations or described.rankings):
            if described.rankings:
                described = replace(described, number=1)
            return Query(text, Task.ASK, "", _targets([described]))
        cursor.pos = mark
        mentioned = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", _targets(mentioned))
    cursor.take_any(
        {"big", "large", "tall", "far", "wide", "heavy", "high", "long", "full", "old", "much", "close", "near"}
    )
    cursor.take("away")
    cursor.take_any(lx.BE | {"does", "do"})
    mentioned = reader.entities()
    cursor.pos = cursor.end
    return Query(text, Task.ASK, "", _targets(mentioned))


def _yes_no(reader: ClauseReader, text: str) -> Query | None:
    """ "is the bowl on the plate", "are the mugs red", "does the basket contain a can"."""
    cursor = reader.cursor
    helper = cursor.take_any(lx.BE | {"does", "do", "did"})
    if not helper:
        return None
    cursor.take("not")  # "isn't the bowl on the plate?" asks whether it is
    negated = False
    first = (_before_adjective(reader) or reader.entity_bare()) if helper in lx.BE else None
    subjects = (
        [first] if first is not None else [e for e in [_until_verb(reader)] if e is not None] or reader.entities()
    )
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
        return Query(text, Task.ASK, "", _targets(subjects))
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
    while stop > start and cursor.tokens[stop - 1].word in _MEANS_NOTHING - lx.BE:
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


def _declarative(reader: ClauseReader, text: str) -> Query | None:
    """ "the bowl is on the plate", "a mug sits behind two plates"."""
    cursor = reader.cursor
    if not any(
        t.word
        in lx.BE - {"being", "been"}
        | lx.STANDS
        | {"contains", "touches", "surrounds", "holds", "supports", "carries", "has", "have"}
        for t in cursor.tokens[cursor.pos : cursor.end]
    ):
        return None
    start = cursor.pos
    subjects = reader.entities()
    if not subjects or cursor.word() not in lx.BE - {"being", "been"} | lx.STANDS | {
        "contains",
        "contain",
        "holds",
        "supports",
        "carries",
        "has",
        "have",
        "touches",
        "surrounds",
        "does",
        "do",
        "faces",
        "both",
        "all",
    }:
        return None
    cursor.pos = start
    reader.mentions.clear()
    return read_statement(reader, text)
