"""Choosing from a group ("the red one of the mugs") and leaving out of it ("except the red one")."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, UNANCHORED
from vlm_perception.types import Entity, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor


EXCEPTIONS = (("except", "for"), ("except",), ("other", "than"), ("apart", "from"), ("aside", "from"), ("besides",),
               ("excluding",), ("but", "not"), ("rather", "than"), ("instead", "of"), ("not", "counting"), ("without", "counting"))  # fmt: skip


def read_partitive(reader: NounPhraseReader, d: Draft) -> bool:
    """ "the red one of the mugs", "the larger of the two", "the leftmost of them"."""
    cursor = reader.cursor
    if cursor.word() != "of" or d.nouns:
        return False
    if not (d.generic or d.rankings or d.places or d.ordinal or d.attributes):
        return False
    start = cursor.pos
    cursor.pos += 1
    mentions = len(reader.mentions)
    if cursor.word() in {"them", "these", "those"} and (cursor.word(1) == "all" or not is_content(cursor.word(1))):
        cursor.pos += 1
        cursor.take("all")
        if reader.mentions:
            d.nouns = reader.mentions[-1].noun.split()
            d.counted = True
        d.generic = True
        return True
    group = reader.entity(depth=1) or _bare_number(cursor)
    del reader.mentions[mentions:]
    if group is None:
        cursor.pos = start
        return False
    if group.noun == THING:
        d.generic = True
    else:
        d.nouns = group.noun.split()
    d.counted = True  # the group's words are singular already; the number is the draft's own
    d.attributes += group.attributes
    d.relations += group.relations
    d.relations += [  # "the bigger of the two cans on the left"
        Relation(KEY_PREDICATE[r.key], text=r.text)
        for r in group.rankings
        if r.anchor is None and r.key in KEY_PREDICATE
    ]
    d.exclude += group.exclude
    d.rankings = [
        replace(r, among=group.number)
        if group.number not in {1, None}
        else replace(r, among=None if r.among == 2 else r.among)
        for r in d.rankings
    ]
    if group.number not in {1, None}:
        d.among = group.number
    return True


def read_others(reader: NounPhraseReader, d: Draft) -> Entity | None:
    """ "each other", "the others": any other of the same kind."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.skip_articles()
    noun = d.settle_number() if d.nouns else THING
    if reader.reciprocal is not None:
        noun = reader.reciprocal.noun
    if noun != THING and (cursor.take("others") or cursor.take("other", "ones")):
        return Entity(noun, noun, number=None, text="the others")
    cursor.pos = start
    if not cursor.take("one-another"):
        return None
    if reader.reciprocal is not None:
        return reader.reciprocal
    return Entity(noun, noun, definite=False, text="each other")


def _bare_number(cursor: Cursor) -> Entity | None:
    """ "(the) two" in "the larger of the two"."""
    cursor.skip_articles()
    number = lx.NUMBERS.get(cursor.take_any(lx.NUMBERS), 0)
    return Entity(THING, THING, number=number) if number > 1 else None


def is_clause_ahead(reader: NounPhraseReader, pos: int) -> bool:
    """Whether a verb stands at ``pos``."""
    cursor = reader.cursor
    here, cursor.pos = cursor.pos, pos
    found = reader.starts_clause()
    cursor.pos = here
    return found


def read_exception(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
    """ "except the red one", "but not the mug", "not the red one"."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.take(",")
    matched = False
    for pattern in EXCEPTIONS:
        stop = cursor.reach(pattern)
        if stop >= 0:
            cursor.pos = stop
            matched = True
            break
    if matched and d.outer is not None and d.outer.number is None and d.number == 1:
        cursor.pos = start  # "everything on the tray except the plate"
        return False
    if not matched and (d.number is None or not d.definite) and not is_clause_ahead(reader, cursor.pos + 1):
        matched = bool(cursor.take("but")) and cursor.word() != "not"  # "all mugs but the red one"
    if not matched and not (cursor.take("not") and cursor.word() in lx.ARTICLES | lx.DEMONSTRATIVES):
        cursor.pos = start
        return False
    if (matched or depth > 0) and (ANCHORED.find(cursor) or UNANCHORED.find(cursor)):
        cursor.pos = start  # "but not on the plate" is a relation
        return False
    mentions = list(reader.mentions)
    noun = d.settle_number() if d.nouns else THING
    if noun != THING:
        reader.mentions = [Entity(noun=noun, phrase=noun)]
    excluded = reader.entities(depth=1)
    reader.mentions = mentions
    if not excluded:
        cursor.pos = start
        return False
    for other in excluded:
        bare = other.noun == THING and noun != THING
        d.exclude.append(
            replace(other, noun=noun, phrase=" ".join([*other.phrase.split()[:-1], noun])) if bare else other
        )
    return True
