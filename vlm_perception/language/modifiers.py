"""What follows a noun: relations, places, superlatives with their complements, negations, exceptions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.coordination import share_noun
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.features import read_feature, read_trailing_word
from vlm_perception.language.inversions import read_converse
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import (
    ANCHORED,
    KEY_PREDICATE,
    UNANCHORED,
    in_the_back,
    only_strengthens,
    own_side,
)
from vlm_perception.language.selections import read_exception, read_others, read_partitive
from vlm_perception.language.superlatives import (
    read_late_complement,
    read_ordinal_direction,
    read_superlative,
    scene_follows,
)
from vlm_perception.language.tokens import PatternTable
from vlm_perception.types import CommandError, Entity, Ranking, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor

_VERBS = {
    "contains": "contains", "contain": "contains", "touches": "touching", "touch": "touching", "faces": "facing", "face": "facing",
    "surrounds": "around", "surround": "around", "supports": "supports", "carries": "supports", "holds": "holds", "hold": "holds",
}  # fmt: skip
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
_OPPOSITE = {
    "left": "right",
    "right": "left",
    "front": "back",
    "back": "front",
    "high": "low",
    "low": "high",
    "near": "far",
    "far": "near",
}
# What several things make; no detector reports it.
_GROUPS = frozenset("stack pile row line group bunch series tower column lineup".split())
_UPRIGHT = frozenset("stack pile tower column".split())
_ACROSS = {"behind": "at_back_of", "in_front_of": "at_front_of"}
_VIEWER_KEY = {"near": "near", "next_to": "near", "in_front_of": "front", "far_from": "far", "behind": "back", "left_of": "left",
               "right_of": "right", "at": "near"}  # fmt: skip
_ASIDES = tuple(
    tuple(text.split())
    for text in (
        "in image|in picture|in photo|in scene|in view|in frame|on screen|from my perspective|from your perspective|"
        "from my point of view|from your point of view|from camera's point of view|from here|in this image|in this scene|"
        "you see|i see|you can see|i can see|that you see|that i see|that you can see|that i can see|as seen from camera|"
        "seen from camera|from robot's perspective|in room|of scene|of image|of picture|for me|to me|with your gripper|"
        "in this picture|over there|over here|right now|in front of camera|in front of you|for us|of mine|on workspace|"
        "in workspace|in camera view|in your view|in field of view|from camera's perspective"
    ).split("|")
)


def read_modifiers(reader: NounPhraseReader, d: Draft, depth: int) -> None:
    """Consume every modifier after the noun run of ``d``.

    Args:
        reader: its cursor stands after the noun run.
        d: what was read so far; extended in place.
        depth: 0 for the entity itself, more for anchors, which leave commas and "and" to the outermost one.
    """
    cursor = reader.cursor
    while not cursor.done:
        start = cursor.pos
        if (
            read_ordinal_direction(cursor, d)
            or read_partitive(reader, d)
            or read_late_complement(reader, d)
            or read_superlative(reader, d)
            or read_trailing_word(cursor, d)
            or read_exception(reader, d, depth)
            or read_feature(reader, d)
            or _aside(cursor, d)
            or _end_of_row(cursor, d)
            or _apposition(reader, d, depth)
            or read_converse(reader, d)
            or _relation(reader, d, depth)
            or _part_of(reader, d)
        ):
            if cursor.pos > start:
                continue
        cursor.pos = start
        if depth == 0 and d.described and _continues(reader, d):
            continue
        cursor.pos = start
        return


def read_partitive_or_part(reader: NounPhraseReader, d: Draft) -> None:
    """Consume only "of the mugs" / "of the cabinet"."""
    if not read_partitive(reader, d):
        _part_of(reader, d)


def _continues(reader: NounPhraseReader, d: Draft) -> bool:
    """Step over "," or "and" when a further modifier of the same thing follows ("on the left, behind the laptop")."""
    cursor = reader.cursor
    comma = cursor.take(",")
    joined = cursor.take("and") or cursor.take("but")
    if not (comma or joined) or reader.starts_clause():
        return False
    i = cursor.pos
    if comma and cursor.word() in {"left", "right"} and i + 1 >= cursor.end:  # "chair in front, left"
        return True
    while (
        i < cursor.end
        and not ANCHORED.find(cursor, i)
        and cursor.tokens[i].word
        in {
            "that",
            "which",
            "is",
            "are",
            "not",
            "does",
            "do",
            *lx.POSTURES,
            *lx.INTENSIFIERS,
            *lx.STANDS,
        }
    ):
        i += 1
    if i >= cursor.end:
        return False
    further = UNANCHORED.find(cursor, i)
    anchored = ANCHORED.find(cursor, i)
    if joined and further and (anchored is None or anchored[1] < further[1]) and _OPPOSITE.get(further[0]) in d.places:
        return False  # "on the left and on the right": nothing is both
    word = cursor.tokens[i].word
    if comma and not joined and (word in lx.SUPERLATIVES or word in lx.COMPARATIVES):
        return True
    if comma and not joined and word in lx.ORDINALS and not d.nouns and cursor.tokens[i + 1 : i + 2]:
        cursor.pos = i + 1
        d.ordinal = lx.ORDINALS[word]
        cursor.take("one")
        return read_ordinal_direction(cursor, d)
    if d.relative and word in _VERBS:
        return True
    if joined and d.relative and cursor.word() in lx.BE and kind_of(word):
        return True  # "that is on the tray and is red"
    if (
        comma
        and not joined
        and all(t.word in lx.POSITIONS.keys() | {"far", "most"} for t in cursor.tokens[i : cursor.end])
    ):
        return True  # "bowl of rice, top right"
    return bool(ANCHORED.find(cursor, i) or UNANCHORED.find(cursor, i)) or cursor.word() in {"not", "that", "which"}


def _aside(cursor: Cursor, d: Draft) -> bool:
    for pattern in _ASIDES:
        stop = cursor.reach(pattern)
        if stop >= 0 and (d.described or stop == cursor.end):
            if cursor.tokens[stop - 1].word == "me" and pattern == ("to", "me") and d.open_ranking:
                continue
            cursor.pos = stop
            return True
    return False


def _end_of_row(cursor: Cursor, d: Draft) -> bool:
    """ "at the end of the row", "at the start of the line"."""
    for end, rank in (("end", -1), ("start", 1), ("beginning", 1), ("head", 1)):
        for group in ("row", "line", "queue", "series"):
            stop = cursor.reach(("at", end, "of", group))
            if stop >= 0 and d.ordinal is None:
                cursor.pos, d.ordinal = stop, rank
                return True
    return False


def _apposition(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
    """ "the mug beside the laptop, the red one"."""
    cursor = reader.cursor
    start = cursor.pos
    if depth or not d.nouns or not (cursor.take(",") and cursor.take("the")):
        cursor.pos = start
        return False
    attributes = []
    while (attribute := take_attribute(cursor)) is not None:
        attributes.append(attribute)
    ranked = lx.SUPERLATIVES.get(cursor.word(), "") if not attributes else ""
    cursor.pos += bool(ranked)
    if (
        not (attributes or ranked)
        or not cursor.take("one")
        or not (cursor.done or cursor.word() in {",", ".", "?", "!"})
    ):
        cursor.pos = start
        return False
    d.attributes += attributes
    d.rankings += [Ranking(ranked, text=cursor.word(-2))] if ranked else []
    return True


def _relation(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
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
        if relative and word in _VERBS:
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
    if relative and cursor.word() in _VERBS and _verbal(reader, d, depth, negated):
        d.relative = True
        return True
    if relative and not (ANCHORED.find(cursor) or UNANCHORED.find(cursor)) and _predicative(reader, d, negated, start):
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
            _add_place(d, place[0], negated)
            return True
    if anchored is None:
        cursor.pos = start
        return False
    predicate, stop = anchored
    phrase_start = cursor.pos
    if predicate == "behind" and in_the_back(cursor, phrase_start, stop):
        predicate = "at_back_of"
    cursor.pos = stop
    if predicate == "in" and d.nouns and d.nouns[-1] in lx.PEOPLE and _worn(cursor, d):
        return True
    if predicate == "between":
        anchors = _between(reader, depth)
    else:
        if _viewer(reader, d, predicate, negated):
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
        _add_place(d, place[0], negated)
        cursor.pos = stop
        return True
    if not anchors and predicate == "facing" and cursor.take("away"):
        negated = not negated
        cursor.take("from")
        if _viewer(reader, d, predicate, negated):
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
    predicate, anchors = _table_center(predicate, anchors)
    if (
        "side" in text and predicate in _ACROSS and anchors[0].noun in lx.SURFACE_NOUNS
    ):  # "on the far side of the table"
        predicate = _ACROSS[predicate]
    if _bare(anchors[0], {"corner", "edge", "border"}) and predicate in {"at", "in", "on", "near", "next_to"}:
        spot = "at_corner_of" if anchors[0].noun == "corner" else "at_edge_of"
        d.relations.append(Relation(spot, (), negated, text))  # of the table, or of what is seen
        return True
    predicate = own_side(cursor, phrase_start, stop, predicate, anchors[0])
    if predicate in {"left_of", "right_of", "at_left_of", "at_right_of"} and (
        anchors[0].noun in lx.SURFACE_NOUNS | lx.SCENE_NOUNS
    ):
        _add_place(d, predicate.removeprefix("at_").removesuffix("_of"), negated)
        return True
    if (
        predicate in {"in", "on", "at", "at_center_of", "at_front_of", "at_back_of"}
        and anchors[0].noun in lx.SCENE_NOUNS
        and anchors[0].noun not in lx.SURFACE_NOUNS
    ):
        words = [t.word for t in cursor.tokens[phrase_start:stop]]
        key = next((lx.POSITIONS[w] for w in words if w in lx.POSITIONS), "")
        if key:  # "at the top of the picture"
            _add_place(d, key, negated)
        return True
    if anchors[0].noun in lx.SURFACE_NOUNS and anchors[0].text.lower().rpartition(" ")[2] in lx.POSITIONS:
        # "the mug on the table on the left": there is one table, the mug is on the left of it.
        d.places += [k.key for k in anchors[0].rankings]
        anchors = (replace(anchors[0], rankings=()), *anchors[1:])
    if anchors[0].number == 0:  # "in neither of the bowls"
        anchors, negated = (replace(anchors[0], number=1), *anchors[1:]), not negated
    d.relations.append(Relation(predicate, anchors, negated, text))
    return True


def _worn(cursor: Cursor, d: Draft) -> bool:
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


def _bare(entity: Entity, nouns: set[str]) -> bool:
    return entity.noun in nouns and not (entity.relations or entity.rankings or entity.attributes)


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


def _verbal(reader: NounPhraseReader, d: Draft, depth: int, negated: bool) -> bool:
    """ "that contains an apple", "that does not touch the wall"."""
    cursor = reader.cursor
    start = cursor.pos
    predicate = _VERBS[cursor.word()]
    cursor.pos += 1
    anchor = reader.entity(depth + 1)
    if anchor is None:
        cursor.pos = start
        return False
    if predicate == "contains" and cursor.take("on", "it"):
        predicate = "supports"
    else:
        _ = cursor.take("in", "it") or cursor.take("inside")
    negated = negated != (anchor.number == 0)
    d.relations.append(Relation(predicate, (replace(anchor, number=1) if anchor.number == 0 else anchor,), negated))
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


def _add_place(d: Draft, keys: str, negated: bool) -> None:
    if keys.startswith("row "):
        d.relations.append(Relation(KEY_PREDICATE[keys[4:]], negated=negated, text=keys))
        return
    for key in keys.split("+"):
        if negated:
            d.relations.append(Relation(KEY_PREDICATE[key], negated=True, text=key))
        else:
            d.places.append(key)


def _viewer(reader: NounPhraseReader, d: Draft, predicate: str, negated: bool) -> bool:
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
    _add_place(d, key, negated)
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


def _table_center(predicate: str, anchors: tuple[Entity, ...]) -> tuple[str, tuple[Entity, ...]]:
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


def _predicative(reader: NounPhraseReader, d: Draft, negated: bool, start: int) -> bool:
    """ "that is red", "that is not red", "which are open"."""
    cursor = reader.cursor
    cursor.take_any({"colored"})
    mark = cursor.pos
    attribute = take_attribute(cursor, predicative=True)
    if attribute is None or is_content(cursor.word()):
        cursor.pos = mark
        other = reader.entity(1) if negated and d.nouns else None
        if other is not None and other.noun != THING:  # "the can that is not tomato soup"
            d.exclude.append(other)
            return True
        cursor.pos = start
        return False
    d.attributes.append(replace(attribute, negated=negated))
    while cursor.word() in {"and", "or", "nor"} and kind_of(cursor.word(1)):
        mark = cursor.pos
        cursor.pos += 1
        further = take_attribute(cursor, predicative=True)
        if further is None or is_content(cursor.word()):
            cursor.pos = mark
            break
        d.attributes.append(replace(further, negated=negated))
    return True


def _refuse_comparison(anchor: Entity) -> None:
    """Refuse "of the same color" and "by size": they compare things with one another, which no single frame relation does."""
    if anchor.noun in {"color", "size", "kind", "type", "shape", "sort"} and not anchor.attributes:
        raise CommandError(
            f'did not understand "{anchor.text}" as a way to tell things apart; say the {anchor.noun} itself'
        )


def _part_of(reader: NounPhraseReader, d: Draft) -> bool:
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
