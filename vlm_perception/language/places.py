"""Places: in the whole scene, beside the one who looks, named by the last word of a noun; and what is worn, not entered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import (
    KEY_PREDICATE,
)
from vlm_perception.types import Entity, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor

_VIEWER_KEY = {"near": "near", "next_to": "near", "in_front_of": "front", "far_from": "far", "behind": "back", "left_of": "left",
               "right_of": "right", "at": "near"}  # fmt: skip


def add_place(d: Draft, keys: str, negated: bool) -> None:
    """Add a place in the whole scene: keys joined by ``+``, or "row" and a key."""
    if keys.startswith("row "):
        d.relations.append(Relation(KEY_PREDICATE[keys[4:]], negated=negated, text=keys))
        return
    for key in keys.split("+"):
        if negated:
            d.relations.append(Relation(KEY_PREDICATE[key], negated=True, text=key))
        else:
            d.places.append(key)


def read_viewer(reader: NounPhraseReader, d: Draft, predicate: str, negated: bool) -> bool:
    """Relations to the one who looks: "near me", "facing the camera", "in front of the robot"."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.skip_articles()
    if cursor.word() not in lx.VIEWER or is_content(cursor.word(1)) or cursor.word(1) == "'s":
        cursor.pos = start
        return False
    if predicate == "facing":
        cursor.pos += 1
        d.relations.append(Relation("facing", (), negated, text="facing"))
        return True
    key = _VIEWER_KEY.get(predicate)
    if key is None:
        cursor.pos = start
        return False
    cursor.pos += 1
    add_place(d, key, negated)
    return True


def place_in_noun(predicate: str, anchors: tuple[Entity, ...]) -> tuple[str, tuple[Entity, ...]]:
    """ "from table center", "at the table edge": the place is the last word of the anchor's noun."""
    place = {"center": "at_center_of", "middle": "at_center_of", "edge": "at_edge_of", "corner": "at_corner_of"}
    whole = next((r.anchors for r in anchors[0].relations if r.predicate == "part_of"), None)
    sides = [k.key for k in anchors[0].rankings if k.key in {"left", "right", "front", "back"}]
    if (
        anchors[0].noun in {THING, "side"} and whole and sides and predicate in {"at", "in", "on"}
    ):  # "on the plate's left"
        return KEY_PREDICATE[sides[0]], whole
    if anchors[0].noun in place and whole and predicate in {"at", "in", "on", "near", "next_to"}:
        return place[anchors[0].noun], whole
    head, _, last = anchors[0].noun.rpartition(" ")
    if head and last in place and predicate in {"at", "in", "on", "near", "next_to", "from"}:
        phrase = anchors[0].phrase.removesuffix(f" {last}")
        return place[last], (replace(anchors[0], noun=head, phrase=phrase), *anchors[1:])
    return predicate, anchors


def is_bare(entity: Entity, nouns: set[str]) -> bool:
    """Whether nothing but one of some nouns is said of it."""
    return entity.noun in nouns and not (entity.relations or entity.rankings or entity.attributes)


def read_clothes(cursor: Cursor, d: Draft) -> bool:
    """ "the man in the blue shirt", "the woman in red": what is worn, and no container."""
    start = cursor.pos
    cursor.skip_articles()
    words: list[str] = []
    while is_content(cursor.word()) and not (words and words[-1] in lx.CLOTHES):
        words.append(cursor.word())
        cursor.pos += 1
    if not words or not (
        singular(words[-1])[0] in lx.CLOTHES or words[-1] in lx.CLOTHES or all(word in lx.COLORS for word in words)
    ):
        cursor.pos = start
        return False
    d.feature = f"wearing {' '.join(words)}"
    return True
