"""Distances compared: "closer to the plate than to the box", "nearer to me than the bowl is"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.draft import Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.selections import read_others
from vlm_perception.types import CommandError, Entity, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor


def read_comparison(reader: NounPhraseReader, d: Draft, key: str) -> bool:
    """Read what stands after "closer" or "farther", if it compares; the cursor stays where it does not.

    "Closer to Y than to Z" holds one thing against two places, "closer to Y than Z (is)" two things against one.

    Args:
        reader: its cursor stands after the comparative.
        d: the relation is added to it.
        key: "near" or "far".

    Raises:
        CommandError: the viewer is the second of two places.
    """
    cursor = reader.cursor
    start = cursor.pos
    cursor.take("away")
    mentions = len(reader.mentions)
    place: Entity | None = None
    if cursor.take_any({"to", "from"}) and not _viewer(cursor):
        place = reader.entity(depth=2)
        if place is None:
            cursor.pos = start
            return False
    if not cursor.take("than"):
        cursor.pos = start
        del reader.mentions[mentions:]
        return False
    again = cursor.take_any({"to", "from"})
    other = None if again and _viewer(cursor) else read_others(reader, d) or reader.entity(depth=2)
    del reader.mentions[mentions:]
    if again:
        if place is None or other is None:
            raise CommandError(
                "how near a thing is to you and how near to another thing cannot be compared; say two things"
            )
        anchors = (place, other) if key == "near" else (other, place)
        d.relations.append(Relation("nearer_to", anchors, text="than to"))
        return True
    if other is None:
        cursor.pos = start
        return False
    if cursor.word() in lx.BE and not is_content(cursor.word(1)) and cursor.word(1) not in lx.PREPOSITIONS:
        cursor.pos += 1
    predicate = "nearer_than" if key == "near" else "farther_than"
    d.relations.append(Relation(predicate, (other,) if place is None else (other, place), text="than"))
    return True


def _viewer(cursor: Cursor) -> bool:
    """Consume "me", "the camera"."""
    start = cursor.pos
    cursor.skip_articles()
    if cursor.word() in lx.VIEWER and not is_content(cursor.word(1)) and cursor.word(1) != "'s":
        cursor.pos += 1
        return True
    cursor.pos = start
    return False
