"""A relation after a noun, with its anchors: "to the left of the box", "between the two plates", "of the cabinet"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.coordination import share_noun
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import (
    ANCHORED,
    UNANCHORED,
    in_the_back,
    only_strengthens,
    own_side,
)
from vlm_perception.language.selections import read_others
from vlm_perception.language.superlatives import (
    scene_follows,
)
from vlm_perception.language.tokens import PatternTable
from vlm_perception.types import CommandError, Entity, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader

from vlm_perception.language.places import add_place, is_bare, place_in_noun, read_clothes, read_viewer
from vlm_perception.language.predications import VERBS, read_predicative, read_verbal

_DIRECTIONS = frozenset("left_of right_of in_front_of behind above below".split())
# The first half of "behind and to the left of", with or without its "of".
_HALVES = PatternTable(
    {
        tuple(text.split()): predicate
        for predicate, texts in {
            "left_of": "left|left of|to left|to left of", "right_of": "right|right of|to right|to right of", "behind": "behind",
            "in_front_of": "in front|in front of", "above": "above", "below": "below", "next_to": "next to|beside",
        }.items()
        for text in texts.split("|")
    }
)  # fmt: skip
# What several things make; no detector reports it.
_GROUPS = frozenset("stack pile row line group bunch series tower column lineup".split())
_UPRIGHT = frozenset("stack pile tower column".split())
_ACROSS = {"behind": "at_back_of", "in_front_of": "at_front_of"}


def read_relation(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
    """A relation or place, with what leads up to it: "that is not", "standing", "right"."""
    cursor = reader.cursor
    start = cursor.pos
    relative = bool(cursor.take_any({"that", "which", "who"}))
    if start and cursor.tokens[start - 1].word in {"and", "but", ",", "or"}:
        relative = relative or d.relative  # "that is on the tray and is left of the box"
    negated = False
    while not cursor.done:
        found = ANCHORED.find(cursor) or UNANCHORED.find(cursor)
        word = cursor.word()
        if found and not (word == "right" and only_strengthens(cursor)):
            break
        if relative and word in VERBS:
            break
        if word in {"not", "neither"}:
            negated = not negated
        elif not (
            word in lx.POSTURES
            or word in lx.INTENSIFIERS
            or (relative and (word in lx.BE or word in lx.STANDS or word == "both"))
            or word in {"does", "do"}
        ):
            break
        cursor.pos += 1
    if relative and cursor.word() in VERBS and read_verbal(reader, d, depth, negated):
        d.relative = True
        return True
    if (
        relative
        and not (ANCHORED.find(cursor) or UNANCHORED.find(cursor))
        and read_predicative(reader, d, negated, start)
    ):
        d.relative = True
        return True
    if _both_sides(reader, d, depth, negated) or _of_the_last(reader, d, negated):
        return True
    d.relative = d.relative or relative
    place, anchored = UNANCHORED.find(cursor), ANCHORED.find(cursor)
    if place and (anchored is None or place[1] > anchored[1]):
        cursor.pos = place[1]
        if cursor.word() == "of" and scene_follows(cursor, cursor.pos + 1):
            cursor.pos += 1
            cursor.skip_articles()
            cursor.pos += 1
        elif cursor.word() == "of":
            cursor.pos = place[1] - 1 if anchored else start
            if anchored is None:
                return False
        if cursor.pos == place[1] or cursor.pos > place[1]:
            add_place(d, place[0], negated)
            return True
    if anchored is None:
        cursor.pos = start
        return False
    predicate, stop = anchored
    phrase_start = cursor.pos
    if predicate == "behind" and in_the_back(cursor, phrase_start, stop):
        predicate = "at_back_of"
    cursor.pos = stop
    if predicate == "in" and d.nouns and d.nouns[-1] in lx.PEOPLE and read_clothes(cursor, d):
        return True
    if predicate == "between":
        anchors = _between(reader, depth)
    else:
        if read_viewer(reader, d, predicate, negated):
            return True
        if cursor.word() == "both" and _both(reader, d, predicate, depth, negated):
            return True
        away = predicate == "facing" and cursor.word() == "away"
        if reader.reciprocal is not None and cursor.done and predicate == "touching":
            anchor: Entity | None = reader.reciprocal
        else:
            anchor = None if away else read_others(reader, d) or reader.entity(depth + 1)
        anchors = () if anchor is None else (anchor,)
    if not anchors and place and place[1] == stop:  # "the book on top"
        add_place(d, place[0], negated)
        cursor.pos = stop
        return True
    if not anchors and predicate == "facing" and cursor.take("away"):
        negated = not negated
        cursor.take("from")
        if read_viewer(reader, d, predicate, negated):
            return True
        anchor = reader.entity(depth + 1)
        if anchor is None:
            d.relations.append(Relation(predicate, (), negated, text="facing away"))
            return True
        anchors = (anchor,)
    if not anchors:
        cursor.pos = start
        return False
    _refuse_comparison(anchors[0])
    side = next((lx.POSITIONS[t.word] for t in cursor.tokens[phrase_start:stop] if t.word in lx.POSITIONS), "")
    if (
        side
        and cursor.tokens[phrase_start].word in {"at", "in"}
        and is_bare(anchors[0], set(_UPRIGHT))
        and predicate not in _DIRECTIONS
    ):
        add_place(d, side, negated)  # "at the bottom of the tower"
        return True
    if (
        predicate in {"in", "on", "at"}
        and anchors[0].noun in _GROUPS
        and not (anchors[0].relations or anchors[0].rankings or anchors[0].attributes)
        and (d.rankings or d.places or d.ordinal or anchors[0].noun in {"row", "line"})
    ):
        if d.ordinal and not d.places and anchors[0].noun in _UPRIGHT:
            d.places.append("high")  # "the third plate in the stack"  # fmt: skip
        return True
    text = cursor.text(phrase_start, stop)
    predicate, anchors = place_in_noun(predicate, anchors)
    if (
        "side" in text and predicate in _ACROSS and anchors[0].noun in lx.SURFACE_NOUNS
    ):  # "on the far side of the table"
        predicate = _ACROSS[predicate]
    if is_bare(anchors[0], {"corner", "edge", "border"}) and predicate in {"at", "in", "on", "near", "next_to"}:
        spot = "at_corner_of" if anchors[0].noun == "corner" else "at_edge_of"
        d.relations.append(Relation(spot, (), negated, text))  # of the table, or of what is seen
        return True
    predicate = own_side(cursor, phrase_start, stop, predicate, anchors[0])
    if predicate in {"left_of", "right_of", "at_left_of", "at_right_of"} and (
        anchors[0].noun in lx.SURFACE_NOUNS | lx.SCENE_NOUNS
    ):
        add_place(d, predicate.removeprefix("at_").removesuffix("_of"), negated)
        return True
    if (
        predicate in {"in", "on", "at", "at_center_of", "at_front_of", "at_back_of"}
        and anchors[0].noun in lx.SCENE_NOUNS
        and anchors[0].noun not in lx.SURFACE_NOUNS
    ):
        words = [t.word for t in cursor.tokens[phrase_start:stop]]
        key = next((lx.POSITIONS[w] for w in words if w in lx.POSITIONS), "")
        if key:  # "at the top of the picture"
            add_place(d, key, negated)
        return True
    if anchors[0].noun in lx.SURFACE_NOUNS and anchors[0].text.lower().rpartition(" ")[2] in lx.POSITIONS:
        # "the mug on the table on the left": there is one table, the mug is on the left of it.
        d.places += [k.key for k in anchors[0].rankings]
        anchors = (replace(anchors[0], rankings=()), *anchors[1:])
    if anchors[0].number == 0:  # "in neither of the bowls"
        anchors, negated = (replace(anchors[0], number=1), *anchors[1:]), not negated
    d.relations.append(Relation(predicate, anchors, negated, text))
    return True


def _both(reader: NounPhraseReader, d: Draft, predicate: str, depth: int, negated: bool) -> bool:
    """ "touching both the red and the green block"."""
    cursor = reader.cursor
    start = cursor.pos
    anchors = reader.entities(depth + 1)
    if len(anchors) < 2:
        cursor.pos = start
        return False
    d.relations += [Relation(predicate, (anchor,), negated) for anchor in anchors]
    return True


def _both_sides(reader: NounPhraseReader, d: Draft, depth: int, negated: bool) -> bool:
    """ "behind and to the left of the box": two relations to one thing."""
    cursor = reader.cursor
    start = cursor.pos
    first = _HALVES.find(cursor)
    if first is None or first[1] >= cursor.end or cursor.tokens[first[1]].word not in {"and", ",", "but"}:
        return False
    cursor.pos = first[1] + 1
    cursor.take("and")
    cursor.take_any(lx.INTENSIFIERS)
    second = ANCHORED.find(cursor)
    if second is None or second[0] not in _DIRECTIONS or reader.starts_clause():
        cursor.pos = start
        return False
    cursor.pos = second[1]
    anchor = reader.entity(depth + 1)
    if anchor is None or second[0] == first[0]:
        cursor.pos = start
        return False
    d.relations += [Relation(predicate, (anchor,), negated) for predicate in (first[0], second[0])]
    return True


def _of_the_last(reader: NounPhraseReader, d: Draft, negated: bool) -> bool:
    """ "the laptop and the mouse to its right"."""
    cursor = reader.cursor
    start = cursor.pos
    if not (reader.mentions and cursor.take_any({"to", "on", "at"}) and cursor.take_any({"its", "their"})):
        cursor.pos = start
        return False
    side = cursor.take_any({"left", "right"})
    if not side or (is_content(cursor.word()) and cursor.word() not in {"side", "hand"}):
        cursor.pos = start
        return False
    cursor.take("hand")
    cursor.take("side")
    d.relations.append(Relation(f"{side}_of", (reader.mentions[-1],), negated))
    return True


def _between(reader: NounPhraseReader, depth: int) -> tuple[Entity, ...]:
    cursor = reader.cursor
    first = reader.entity(depth + 1)
    if first is None:
        return ()
    if first.number != 1:
        return (first,)
    if not cursor.take("and"):
        return ()
    if reader.head is not None:
        reader.head.sibling = first.noun.split() if first.noun != THING else []
    second = reader.entity(depth + 1)
    if reader.head is not None:
        reader.head.sibling = []
    if second is None:
        return ()
    shared = share_noun([first, second])
    return (shared[0], shared[1])


def _refuse_comparison(anchor: Entity) -> None:
    """Refuse "of the same color" and "by size": they compare things with one another, which no single frame relation does."""
    if anchor.noun in {"color", "size", "kind", "type", "shape", "sort"} and not anchor.attributes:
        raise CommandError(
            f'did not understand "{anchor.text}" as a way to tell things apart; say the {anchor.noun} itself'
        )


def read_part_of(reader: NounPhraseReader, d: Draft) -> bool:
    """ "the top drawer of the cabinet", "the handle of the mug"."""
    cursor = reader.cursor
    if cursor.word() != "of" or not d.described:
        return False
    start = cursor.pos
    cursor.pos += 1
    whole = reader.entity(depth=1)
    if whole is None:
        cursor.pos = start
        return False
    _refuse_comparison(whole)
    if whole.noun in _GROUPS and not whole.relations and (d.rankings or d.places or d.ordinal):
        return True  # "the bottom block of the stack": the blocks are the stack
    if whole.noun in lx.SCENE_NOUNS:
        return True
    d.relations.append(Relation("part_of", (whole,), text="of"))
    return True
