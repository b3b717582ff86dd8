"""What a thing has or wears ("with a red lid"), what is in it ("with a spoon in it"), and adjectives behind the noun."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.draft import Draft
from vlm_perception.language.inversions import CONVERSE
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED, only_strengthens
from vlm_perception.types import CommandError, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor


def read_trailing_word(cursor: Cursor, d: Draft) -> bool:
    """ "the mug left" is short for "on the left"; "a mug full", "the mug red" put the adjective last."""
    word = cursor.word()
    if d.described and (word in {"made", "colored"} or (word == "cut" and cursor.word(1) == "off")):
        attribute = take_attribute(cursor, predicative=True)
        if attribute is not None:
            d.attributes.append(attribute)
            return True
    if d.nouns and _trailing_places(cursor, d):
        return True
    if d.nouns and kind_of(word) in {"color", "state"} and not is_content(cursor.word(1)) and not ANCHORED.find(cursor):
        attribute = take_attribute(cursor, predicative=True)
        if attribute is not None:
            d.attributes.append(attribute)
            return True
    if (
        word not in {"left", "right"}
        or not (d.nouns or d.generic)
        or ANCHORED.find(cursor)
        or is_content(cursor.word(1))
        or only_strengthens(cursor)
    ):
        return False
    cursor.pos += 1
    d.places.append(lx.POSITIONS[word])
    return True


def _trailing_places(cursor: Cursor, d: Draft) -> bool:
    """ "donut top left", "person far left": place words that end a terse description."""
    stop = cursor.pos
    while stop < cursor.end and (
        cursor.tokens[stop].word in lx.POSITIONS or cursor.tokens[stop].word in {"far", "most"}
    ):
        stop += 1
    words = [t.word for t in cursor.tokens[cursor.pos : stop]]
    if len(words) < 2 or words[-1] not in lx.POSITIONS or not {"left", "right"} & set(words):
        return False
    if stop < cursor.end and cursor.tokens[stop].word not in {",", ".", "and"}:
        return False
    cursor.pos = stop
    d.places += [lx.POSITIONS[w] for w in words if w in lx.POSITIONS]
    return True


def read_feature(reader: NounPhraseReader, d: Draft) -> bool:
    """ "with a lid" is a visible feature; "with a spoon in it" is a relation."""
    cursor = reader.cursor
    start = cursor.pos
    relative = cursor.take_any({"that", "which", "who"})
    if relative and cursor.word() in lx.BE and "wearing" in {cursor.word(1), cursor.word(2)}:
        cursor.pos += 1
    lacks = bool(relative and (cursor.take("does", "not") or cursor.take("do", "not")))
    has = bool(relative and cursor.take_any({"has", "have", "holds", "contains", "contain"}))
    holds = has and cursor.tokens[cursor.pos - 1].word in {"holds", "contains", "contain"}
    without = not has and cursor.take("without")
    bare = not has and not without and cursor.take("not", "wearing")
    wearing = bare or (not has and not without and cursor.take("wearing"))
    if not has and not without and not wearing and not cursor.take("with"):
        cursor.pos = start
        return False
    negated = bool(cursor.take("no")) or without or lacks
    if lacks and not has:
        cursor.pos = start
        return False
    cursor.take("any")
    if cursor.word(cursor.word() == "the") in {"most", "fewest", "least"}:
        raise CommandError(
            f"what has the {cursor.word(cursor.word() == 'the')} of something is not counted; say which one by its place"
        )
    begin = cursor.pos
    stop = begin
    while stop < cursor.end and (
        is_content(cursor.tokens[stop].word)
        or cursor.tokens[stop].word in lx.BOUNDING | {"the", "a", "an", "and", "of", "its", "another", "some"}
    ):
        if ANCHORED.find(cursor, stop) and cursor.tokens[stop].word in lx.PREPOSITIONS | {"left", "right"}:
            break
        stop += 1
    words = [t.word for t in cursor.tokens[begin:stop] if t.word not in lx.ARTICLES]
    if not words:
        cursor.pos = start
        return False
    if not holds and _beside_it(reader, d, stop, negated=negated):
        return True
    place = cursor.tokens[stop].word if stop < cursor.end else ""
    alone = stop + 1 >= cursor.end or cursor.tokens[stop + 1].word in {"it", "them", "top", ",", "and", "."}
    if holds or (place in {"in", "inside", "on"} and alone):
        inner = _replace_end(cursor, stop)
        anchors = reader.entities(depth=1)
        cursor.end = inner
        if anchors and cursor.pos == stop:
            if not holds:
                cursor.pos += 1
                cursor.take_any({"it", "them", "top"})
                if cursor.take("of"):
                    cursor.take_any({"it", "them"})
            nothing = anchors[0].number == 0
            anchors = [replace(a, number=1) for a in anchors] if nothing else anchors
            predicate = "supports" if place == "on" else "contains"
            d.relations += [Relation(predicate, (anchor,), negated != nothing, text="with") for anchor in anchors]
            return True
        cursor.pos = start
        return False
    # A new clause or item may follow "and": the feature ends before it.
    for i in range(begin, stop):
        if cursor.tokens[i].word == "and" and not kind_of(cursor.tokens[i + 1].word if i + 1 < stop else ""):
            cursor.pos = i + 1
            stop = i
            break
    cursor.pos = stop
    words = [t.word for t in cursor.tokens[begin:stop] if t.word not in lx.ARTICLES]
    if not words:
        cursor.pos = start
        return False
    lead = "not wearing" if bare else "wearing" if wearing else "with no" if negated else "with"
    d.feature = f"{lead} {' '.join(words)}"
    return True


def _beside_it(reader: NounPhraseReader, d: Draft, stop: int, *, negated: bool) -> bool:
    """ "with a mug next to it": the relation, said from the other side."""
    cursor = reader.cursor
    start = cursor.pos
    found = ANCHORED.find(cursor, stop)
    if found is None or found[1] >= cursor.end or cursor.tokens[found[1]].word not in {"it", "them"}:
        return False
    predicate = CONVERSE.get(found[0], "")
    if found[0] in {"in", "on", "at", "contains", "supports"} or not predicate:
        return False
    end = _replace_end(cursor, stop)
    anchors = reader.entities(depth=1)
    whole = cursor.pos == stop
    cursor.end = end
    if not anchors or not whole:
        cursor.pos = start
        return False
    cursor.pos = found[1] + 1
    for anchor in anchors:
        nothing = anchor.number == 0
        bare = replace(anchor, number=1, definite=False) if nothing else anchor
        d.relations.append(Relation(predicate, (bare,), negated != nothing, text="with"))
    return True


def _replace_end(cursor: Cursor, stop: int) -> int:
    """Make the cursor end at ``stop``; returns the old end."""
    old = cursor.end
    cursor.end = stop
    return old
