"""Statements: "the bowl is on the plate", "there are two mugs", captions of several sentences."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import take_attribute
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.modifiers import read_modifiers
from vlm_perception.language.predications import POSTURES
from vlm_perception.language.tokens import Phrases
from vlm_perception.types import Attribute, CommandError, Entity, Query, Ranking, Relation, Task

if TYPE_CHECKING:
    from vlm_perception.language.clauses import ClauseReader
    from vlm_perception.language.tokens import Cursor


EXISTS: Final = ("is there", "are there", "there is", "there are", "do you see", "can you see", "do i see", "does image show",
                  "does scene contain", "does scene show", "does image contain", "can we see", "you see", "you can see", "i see",
                  "i can see", "there was", "there were", "do we have", "do you have", "have we got", "we see", "we have")  # fmt: skip

_HAD: Final = {
    tuple(f"{words} {it}".split()): name
    for words, name in {"in": "contains", "inside": "contains", "on": "supports", "on top of": "supports"}.items()
    for it in ("it", "them")
}


_sequences = lru_cache(maxsize=None)(Phrases)


def take_phrase(cursor: Cursor, phrases: tuple[str, ...]) -> bool:
    """Consume the longest of several word sequences; whether one stood at the cursor."""
    stops = [stop for _, stop in _sequences(phrases).standing(cursor)]
    if stops:
        cursor.pos = max(stops)
    return bool(stops)


def statement(text: str, claims: list[Entity]) -> Query:
    """A query that asks whether claims hold.

    Raises:
        CommandError: a claim holds something against each of several places.
    """
    for anchor in (
        a for claim in claims for r in claim.relations if r.predicate in {"in", "on", "at"} for a in r.anchors
    ):
        if anchor.text.lower().startswith(("every ", "each ")) and anchor.text != "each other":
            raise CommandError(f'whether it is so for "{anchor.text}" cannot be checked at once; say one of them')
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
    ranked = _ranked(reader, subject)
    if ranked is not None and negated:
        best = tuple(replace(r, of=None) for r in ranked)
        others = tuple(replace(kind, rankings=best, number=1) for r in ranked[:1] if (kind := r.of) is not None)
        return replace(subject, exclude=(*subject.exclude, *others))
    if ranked is not None:
        return replace(subject, rankings=(*subject.rankings, *ranked))
    whole = cursor.pos
    if cursor.take("part", "of") or (cursor.take_any(lx.ARTICLES) and cursor.take("part", "of")):
        owner = reader.entity(depth=1)
        if owner is not None:
            return replace(subject, relations=(*subject.relations, Relation("part_of", (owner,), negated)))
    cursor.pos = whole
    while not cursor.done:
        start = cursor.pos
        if cursor.take_any(lx.INTENSIFIERS - {"right", "somewhere"}) and not is_content(cursor.word()):
            cursor.pos = start
        attribute = take_attribute(cursor, predicative=True)
        if attribute is None and cursor.word() in POSTURES and cursor.word(1) in {"", ",", ".", "?", "!", "and"}:
            attribute = Attribute("state", cursor.take_any(POSTURES))  # "how many people are sitting"
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
            if other is not None and other.noun in {"size", "color", "kind", "type", "shape", "height", "material"}:
                raise CommandError(f'whether things have "{other.text}" cannot be checked; say the {other.noun} itself')
            if other is not None and other.noun != THING:
                return _with_attributes(
                    replace(subject, noun=other.noun, relations=(*subject.relations, *other.relations)),
                    other.attributes,
                    negated=negated,
                )
            cursor.pos = whole
        return None
    relations = [replace(r, negated=r.negated != negated) for r in draft.relations]
    described = _with_attributes(subject, tuple(draft.attributes), negated=negated)
    return replace(
        described,
        relations=(*subject.relations, *relations),
        rankings=(*subject.rankings, *draft.rankings),
        exclude=(*subject.exclude, *draft.exclude),
    )


def _ranked(reader: ClauseReader, subject: Entity) -> tuple[Ranking, ...] | None:
    """ "the largest", "the second mug from the left", "the closest one to the plate": a rank among things of a kind."""
    cursor = reader.cursor
    start, mentions = cursor.pos, list(reader.mentions)
    cursor.skip_articles()
    first = cursor.word()
    cursor.pos = start
    named = cursor.word() == "the" and first in lx.GENERIC_NOUNS  # "the one furthest to the left"
    if first not in lx.SUPERLATIVES and first not in lx.ORDINALS and not named:
        return None
    among = reader.entity()
    reader.mentions = mentions
    if among is None or not among.rankings or any(r.key == "left" and not r.text for r in among.rankings[1:]):
        cursor.pos = start
        return None
    kind = replace(among, rankings=(), number=None, text=among.text)
    if among.noun == THING and not set(among.text.lower().split()) & (lx.GENERIC_NOUNS - {"one", "ones"}):
        kind = replace(kind, noun=subject.noun, phrase=" ".join([*kind.phrase.split()[:-1], subject.noun]))
    return tuple(replace(r, of=kind) for r in among.rankings)


def claimed(subject: Entity, described: Entity) -> Entity:
    """What is claimed, with what it is claimed of where one thing that answers to all the words would not show it.

    Args:
        subject: as it was named: "all mugs", "the leftmost mug".
        described: the same with what is said of it.

    Returns:
        ``described``; superlatives that are claimed are held against everything of the subject's kind, and a subject
        that was picked by order, or is all of several, is kept beside it.
    """
    own = len(subject.rankings)
    kind = Entity(subject.noun, subject.noun, number=None, text=subject.noun)
    said = tuple(r if r.of is not None else replace(r, of=kind) for r in described.rankings[own:])
    described = replace(described, rankings=(*subject.rankings, *said))
    every = subject.number is None and subject.definite and subject.bounds is None
    if described == subject or not (own or every):
        return described
    if every and not own and not subject.relations and described.phrase == subject.phrase and not said:
        return described  # "the mugs are on the tray": each detected one is looked at anyway
    return replace(described, rankings=said, subject=subject)


def _with_attributes(entity: Entity, attributes: tuple[Attribute, ...], *, negated: bool) -> Entity:
    added = tuple(replace(a, negated=a.negated != negated) for a in attributes)
    visible = [
        a.value
        for a in (*entity.attributes, *added)
        if not a.negated and a.kind != "size" and not a.value.startswith("with ")
    ]
    return replace(entity, attributes=(*entity.attributes, *added), phrase=" ".join([*visible, entity.noun]))


def _having(reader: ClauseReader, subjects: list[Entity], *, negated: bool) -> list[Entity]:
    """ "has a handle" is a part of the thing; "has an apple in it" is not."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.pos += 1
    place, stop, after = next(
        (
            (name, i, reached)
            for i in range(cursor.pos, cursor.end)
            for words, name in _HAD.items()
            if (reached := cursor.reach(words, i)) >= 0
            and (reached == cursor.end or cursor.tokens[reached].word in ",.?!")
        ),
        ("", cursor.end, cursor.end),
    )
    end, cursor.end = cursor.end, stop
    try:
        had = reader.entities()
    finally:
        cursor.end = end
    if not had or (place and cursor.pos != stop):
        cursor.pos = start
        return []
    claims: list[Entity] = []
    for thing in had:
        nothing = thing.number == 0
        if place:
            cursor.pos = after
            bare = replace(thing, number=1, definite=False) if nothing else thing
            relation = Relation(place, (bare,), negated != nothing, text="has")
            claims += [replace(s, relations=(*s.relations, relation)) for s in subjects]
        elif thing.noun != THING:
            relations = [(*thing.relations, Relation("part_of", (s,), text="has")) for s in subjects]
            claims += [replace(thing, relations=r, number=0 if negated else thing.number) for r in relations]
    return claims


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
    cursor.take("only")
    entities = reader.entities()
    if negated:
        return [replace(e, number=0) for e in entities]
    if len(entities) > 1 and entities[-1].relations and not any(e.relations for e in entities[:-1]):
        # "there are two cups and a bowl on the tray": all of them
        entities = [*(replace(e, relations=entities[-1].relations) for e in entities[:-1]), entities[-1]]
    return [replace(e, definite=False) if e.number is None else e for e in entities]  # "there are mugs": some


def read_said_of(reader: ClauseReader, subjects: list[Entity]) -> list[Entity]:
    """The subjects with what the verb after them says: "is red", "contains a can", "touches the plate"."""
    having = (
        reader.cursor.word() in {"has", "have"} or reader.cursor.word(2) == "have" or reader.cursor.word(1) == "have"
    )
    if any(s.text.lower().startswith("most ") for s in subjects):
        raise CommandError('"most" of them is no exact number; say "all", or ask "how many"')
    claims = _said_of(reader, subjects)
    if having and any(s.number != 1 for s in subjects) and any(c.noun != s.noun for c in claims for s in subjects):
        raise CommandError("whether each of several has a part cannot be checked at once; say one of them")
    if having or len(claims) != len(subjects):
        return claims
    return [claimed(subject, claim) for subject, claim in zip(subjects, claims, strict=True)]


def _said_of(reader: ClauseReader, subjects: list[Entity]) -> list[Entity]:
    cursor = reader.cursor
    start = cursor.pos
    cursor.take_any({"both", "all"})
    helper = cursor.take_any({"does", "do", "did"})
    negated = bool(helper and cursor.take("not"))
    verb = cursor.take_any(lx.BE | lx.STANDS)
    if verb:
        cursor.take("there")
    elif cursor.take_any({"holds", "supports", "carries", "hold", "support", "carry"}):
        held = [Relation("holds", (e,), negated) for e in reader.entities()]
        return [replace(s, relations=(*s.relations, *held)) for s in subjects]
    elif cursor.word() in {"has", "have"}:
        return _having(reader, subjects, negated=negated) or subjects
    elif cursor.take_any({"contains", "contain"}):
        inside = reader.entities()
        contained = [Relation("contains", (e,), negated) for e in inside]
        cursor.take("in", "it")
        return [replace(s, relations=(*s.relations, *contained)) for s in subjects] if contained else subjects
    elif cursor.take_any({"touches", "touch", "faces", "face", "surrounds"}):
        predicate = {"to": "touching", "fa": "facing", "su": "around"}[cursor.tokens[cursor.pos - 1].word[:2]]
        anchors = reader.entities()
        if not anchors and predicate == "touching":  # "the mugs touch"
            anchors = [Entity(subjects[0].noun, subjects[0].noun, definite=False, text="each other")]
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
