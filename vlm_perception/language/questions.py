"""Questions and statements: how many, where, which, is there, what is, "the bowl is on the plate"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.claims import (
    EXISTS,
    read_existing,
    read_predicate,
    read_statement,
    statement,
    take_phrase,
)
from vlm_perception.language.determiners import is_numeral
from vlm_perception.language.draft import THING
from vlm_perception.types import CommandError, Entity, Query, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor

from vlm_perception.language.asked import FACTS, MEANS_NOTHING, targets_of, with_what_is_said
from vlm_perception.language.which import where_or_which
from vlm_perception.language.yes_no import yes_or_no

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
_ASKS: Final = lx.BE | frozenset("how where which does do did count".split())


def read_question(reader: ClauseReader, text: str) -> Query | None:
    """Read a question or a statement; None when the command is neither.

    Raises:
        CommandError: it is a question of which a part was not understood.
    """
    cursor = reader.cursor
    asks = cursor.word() in _ASKS
    left = ""
    for read in (_count, _scene, _claim, _exists, where_or_which, _what, yes_or_no, _declarative):
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
    rest = [t for t in cursor.tokens[start : cursor.end] if t.word not in MEANS_NOTHING]
    return cursor.text(start, cursor.end) if rest else ""


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
    entities = [with_what_is_said(reader, e) for e in entities]
    return Query(text, Task.COUNT, "count", targets_of([_all(e) for e in entities]))


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


def _what(reader: ClauseReader, text: str) -> Query | None:
    """ "what is on the plate", "what color is the mug", and other open questions for a model that answers."""
    cursor = reader.cursor
    word = cursor.word()
    if word not in {"what", "who", "why", "when", "how", "whose", "read"} or cursor.word(1) == "many":
        return None
    cursor.pos += 1
    if word == "what" and cursor.word() in FACTS:
        cursor.pos += 1
        cursor.take("of")
        cursor.take_any(lx.BE | {"does", "do"})
        entities = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", targets_of(entities))
    if word == "what" and take_phrase(cursor, tuple(f"is {fact} of" for fact in FACTS)):
        asked = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", targets_of(asked))
    if word in {"what", "who"} and (cursor.take_any(lx.BE) or cursor.take_any(lx.STANDS)):
        thing = Entity(THING, THING, number=None, text=word)
        mark = cursor.pos
        described = None if cursor.word() in lx.ARTICLES else read_predicate(reader, thing)
        if described is not None and (described.relations or described.rankings):
            if described.rankings:
                described = replace(described, number=1)
            return Query(text, Task.ASK, "", targets_of([described]))
        cursor.pos = mark
        mentioned = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", targets_of(mentioned))
    cursor.take_any(
        {"big", "large", "tall", "far", "wide", "heavy", "high", "long", "full", "old", "much", "close", "near"}
    )
    cursor.take("away")
    cursor.take_any(lx.BE | {"does", "do"})
    mentioned = reader.entities()
    cursor.pos = cursor.end
    return Query(text, Task.ASK, "", targets_of(mentioned))


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
