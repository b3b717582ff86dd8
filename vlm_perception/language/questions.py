"""Questions and statements: how many, where, which, is there, what is, "the bowl is on the plate"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import take_attribute
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.modifiers import read_modifiers
from vlm_perception.types import Attribute, Entity, Query, Relation, Role, RoleEntity, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor

_EXISTS: Final = ("is there", "are there", "there is", "there are", "do you see", "can you see", "do i see", "does image show",
                  "does scene contain", "does scene show", "does image contain", "can we see", "you see", "you can see", "i see",
                  "i can see", "there was", "there were", "do we have", "do you have", "have we got", "we see", "we have")  # fmt: skip
_CLAIM: Final = ("is it true that", "check whether", "check if", "check that", "verify that", "verify whether", "verify if", "verify",
                 "confirm that", "confirm", "tell me if", "tell me whether", "true or false", "is it correct that", "make sure that",
                 "make sure", "it is true that", "see if", "see whether")  # fmt: skip
_HOW_MANY: Final = ("how many", "count how many", "count number of", "tell me how many", "what is number of", "what number of", "number of", "what is count of",
                    "give me number of", "count up", "count", "give me count of", "what is total number of")  # fmt: skip
_SCENE_TALK: Final = ("describe scene", "describe image", "describe picture", "describe this", "describe it", "describe what you see", "describe view",
                      "what do you see", "what can you see", "what is in image", "what is in scene", "what is in picture", "what is in view",
                      "what is there", "what is in front of you", "what is happening", "what is going on", "caption this", "caption image",
                      "caption", "describe", "what do you see in image", "describe everything", "give me caption", "describe frame",
                      "list objects", "list all objects", "list everything", "describe table", "describe workspace", "summarize scene",
                      "tell me what you see", "what objects are there", "what objects do you see", "what things are there", "caption scene")  # fmt: skip
_FACTS: Final = frozenset(
    "color colour size shape material kind type state brand name text word letter number time".split()
)


def _take(cursor: Cursor, phrases: tuple[str, ...]) -> bool:
    stops = [stop for p in phrases if (stop := cursor.reach(tuple(p.split()))) >= 0]
    if stops:
        cursor.pos = max(stops)
    return bool(stops)


def read_question(reader: ClauseReader, text: str) -> Query | None:
    """Read a question or a statement; None when the command is neither."""
    cursor = reader.cursor
    for read in (_count, _scene, _claim, _exists, _where_which, _what, _yes_no, _declarative):
        start = cursor.pos
        query = read(reader, text)
        if query is not None:
            return query
        cursor.pos = start
        reader.mentions.clear()
    return None


def _targets(entities: list[Entity]) -> tuple[RoleEntity, ...]:
    return tuple(RoleEntity(Role.TARGET, e) for e in entities)


def _all(entity: Entity) -> Entity:
    return replace(entity, number=None)


def _count(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    if not _take(cursor, _HOW_MANY):
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
    _take(
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
    if cursor.take_any(lx.BE) or cursor.take_any(lx.STANDS) or cursor.word() in {"touch", "contain"}:
        entity = _predicate(reader, entity) or entity
        if cursor.pos == start + 1:
            cursor.take("there")
        return entity
    return _predicate(reader, entity) or entity


def _predicate(reader: ClauseReader, subject: Entity, *, negated: bool = False) -> Entity | None:
    """What is said of ``subject`` from the cursor on; None if nothing was."""
    cursor = reader.cursor
    negated = bool(cursor.take("not")) or negated
    draft = Draft(definite=False, number=None, counted=True, nouns=["x"])
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


def _scene(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    if _take(cursor, _SCENE_TALK):
        while cursor.take_any({",", ".", "?", "!"}) or _take(
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


def _statement(text: str, claims: list[Entity]) -> Query:
    return Query(text, Task.VERIFY, "", (), tuple(claims))


def _claim(reader: ClauseReader, text: str) -> Query | None:
    cursor = reader.cursor
    if not _take(cursor, _CLAIM):
        return None
    cursor.take_any({":", ","})
    return read_statement(reader, text)


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
    return _statement(text, claims) if claims else None


def _claims(reader: ClauseReader) -> list[Entity]:
    """One clause or mention."""
    cursor = reader.cursor
    start = cursor.pos
    if _take(cursor, _EXISTS):
        return _existing(reader)
    cursor.take_any({"is", "are"})
    subjects = reader.entities()
    if not subjects:
        cursor.pos = start
        return []
    return _said_of(reader, subjects)


def _existing(reader: ClauseReader) -> list[Entity]:
    cursor = reader.cursor
    negated = bool(cursor.take("not"))
    cursor.take_any({"exactly", "only"})
    entities = reader.entities()
    return [replace(e, number=0) if negated else e for e in entities]


def _said_of(reader: ClauseReader, subjects: list[Entity]) -> list[Entity]:
    cursor = reader.cursor
    start = cursor.pos
    cursor.take_any({"both", "all"})
    helper = cursor.take_any({"does", "do", "did"})
    negated = bool(helper and cursor.take("not"))
    verb = cursor.take_any(lx.BE | lx.STANDS)
    if verb:
        cursor.take("there")
    elif cursor.take_any({"contains", "contain", "holds"}) or (cursor.take_any({"has", "have"})):
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
    said = [_predicate(reader, subjects[0], negated=negated)]
    if said[0] is None:
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
        reader.mentions = list(mentions)
        claims.append(_predicate(reader, other, negated=negated) or other)
    cursor.pos = stop
    return [c for c in claims if c is not None]


def _exists(reader: ClauseReader, text: str) -> Query | None:
    if not _take(reader.cursor, _EXISTS):
        return None
    entities = _existing(reader)
    return _statement(text, entities) if entities else None


def _where_which(reader: ClauseReader, text: str) -> Query | None:
    """ "where is the mug", "which mug is closest to the camera", "which of the mugs is red"."""
    cursor = reader.cursor
    if cursor.take("where"):
        if not (cursor.take_any(lx.BE) or _take(cursor, ("can i find", "do you see", "did i put", "can i see"))):
            return None
        entities = reader.entities()
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
    plural = entity.number is None and cursor.word() in {"are", "sit", "stand", "lie"}
    asked = _finish(reader, entity)
    if asked is entity and not cursor.done:
        return None
    number = None if plural else 1
    return Query(text, Task.LOCATE, "", _targets([replace(asked, number=number, definite=True)]))


def _what(reader: ClauseReader, text: str) -> Query | None:
    """ "what is on the plate", "what color is the mug", and other open questions for a model that answers."""
    cursor = reader.cursor
    word = cursor.word()
    if word not in {"what", "who", "why", "when", "how", "whose", "read"}:
        return None
    cursor.pos += 1
    if word == "what" and cursor.word() in _FACTS:
        cursor.pos += 1
        cursor.take("of")
        cursor.take_any(lx.BE | {"does", "do"})
        entities = reader.entities()
        cursor.pos = cursor.end
        return Query(text, Task.ASK, "", _targets(entities))
    if word in {"what", "who"} and (cursor.take_any(lx.BE) or cursor.take_any(lx.STANDS)):
        thing = Entity(THING, THING, number=None, text=word)
        mark = cursor.pos
        described = None if cursor.word() in lx.ARTICLES else _predicate(reader, thing)
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
    first = reader.entity_bare() if helper in lx.BE else None
    subjects = [first] if first is not None else reader.entities()
    if not subjects:
        return None
    if helper in lx.BE:
        said = _predicate(reader, subjects[0], negated=negated)
        return _statement(text, [said or subjects[0]])
    return _statement(text, _said_of(reader, subjects))


def _declarative(reader: ClauseReader, text: str) -> Query | None:
    """ "the bowl is on the plate", "a mug sits behind two plates"."""
    cursor = reader.cursor
    if not any(
        t.word in lx.BE | lx.STANDS | {"contains", "touches", "surrounds"}
        for t in cursor.tokens[cursor.pos : cursor.end]
    ):
        return None
    start = cursor.pos
    subjects = reader.entities()
    if not subjects or cursor.word() not in lx.BE | lx.STANDS | {
        "contains",
        "contain",
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
