"""What follows a noun: relations, places, superlatives with their complements, negations, exceptions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, OF_DIRECTION, UNANCHORED
from vlm_perception.types import Entity, Ranking, Relation

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor

EXCEPTIONS = (("except", "for"), ("except",), ("other", "than"), ("apart", "from"), ("aside", "from"), ("besides",),
               ("excluding",), ("but", "not"), ("rather", "than"), ("instead", "of"), ("not", "counting"), ("without", "counting"))  # fmt: skip
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
            _ordinal_direction(cursor, d)
            or _partitive(reader, d)
            or _late_complement(reader, d)
            or _superlative_after(reader, d)
            or _trailing_word(cursor, d)
            or _exception(reader, d, depth)
            or _with(reader, d)
            or _aside(cursor, d)
            or _relation(reader, d, depth)
            or _part_of(reader, d)
        ):
            if cursor.pos > start:
                continue
        cursor.pos = start
        if depth == 0 and d.described and _continues(reader):
            continue
        cursor.pos = start
        return


def read_partitive_or_part(reader: NounPhraseReader, d: Draft) -> None:
    """Consume only "of the mugs" / "of the cabinet"."""
    if not _partitive(reader, d):
        _part_of(reader, d)


def _continues(reader: NounPhraseReader) -> bool:
    """Step over "," or "and" when a further modifier of the same thing follows ("on the left, behind the laptop")."""
    cursor = reader.cursor
    comma = cursor.take(",")
    joined = cursor.take("and") or cursor.take("but")
    if not (comma or joined) or reader.starts_clause():
        return False
    i = cursor.pos
    while i < cursor.end and not ANCHORED.find(cursor, i) and cursor.tokens[i].word in {
        "that",
        "which",
        "is",
        "are",
        "not",
        *lx.POSTURES,
        *lx.INTENSIFIERS,
    }:
        i += 1
    if i >= cursor.end:
        return False
    word = cursor.tokens[i].word
    if comma and not joined and (word in lx.SUPERLATIVES or word in lx.COMPARATIVES):
        return True
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


def _ordinal_direction(cursor: Cursor, d: Draft) -> bool:
    """ "second ... from the left", "first on the right", "third to the left"."""
    if d.ordinal is None:
        return False
    start = cursor.pos
    cursor.take("counting")
    cursor.take("counted")
    cursor.take("starting")
    linked = cursor.take_any({"from", "on", "at", "to", "in"})
    if linked:
        cursor.skip_articles()
        word = cursor.take_any(OF_DIRECTION)
        if word and cursor.word() != "of":
            cursor.take_any({"side", "end", "hand"})
            cursor.take_any({"side", "end"})
            if cursor.take("to"):
                cursor.skip_articles()
                cursor.take_any(OF_DIRECTION)
            # "the last one on the right" is the rightmost, "the last from the right" the leftmost.
            rank = abs(d.ordinal) if linked != "from" else d.ordinal
            d.rankings.append(Ranking(OF_DIRECTION[word], rank, among=d.among))
            d.ordinal = None
            return True
    cursor.pos = start
    return False


def _partitive(reader: NounPhraseReader, d: Draft) -> bool:
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


def _bare_number(cursor: Cursor) -> Entity | None:
    """ "(the) two" in "the larger of the two"."""
    cursor.skip_articles()
    number = lx.NUMBERS.get(cursor.take_any(lx.NUMBERS), 0)
    return Entity(THING, THING, number=number) if number > 1 else None


def _complement(reader: NounPhraseReader, ranking: Ranking, depth: int = 1) -> Ranking | None:
    """Read "(to) the plate", "to me", "from the camera", "to the right" after a superlative; None if none."""
    cursor = reader.cursor
    start = cursor.pos
    linked = bool(cursor.take("away", "from")) or bool(cursor.take_any({"to", "from", "by"}))
    if not linked and cursor.take("away"):
        return ranking
    mark = cursor.pos
    cursor.skip_articles()
    word, following = cursor.word(), cursor.word(1)
    if word in {"my", "your"} and following in {"left", "right"}:
        cursor.pos += 1
        word, following = cursor.word(), cursor.word(1)
    if word in lx.POSITIONS and not (
        is_content(following) and following not in {"side", "edge", "hand", "end", "wall", "corner", "border"}
    ):
        key = lx.POSITIONS[word]
        if following != "of" or _scene_after(cursor, cursor.pos + 2):
            cursor.pos += 1
            cursor.take("hand")
            cursor.take_any({"side", "edge", "end", "border"})
            if cursor.word() == "of" and _scene_after(cursor, cursor.pos + 1):
                cursor.pos += 1
                cursor.skip_articles()
                cursor.pos += 1
            return replace(ranking, key=key)
    if word in lx.VIEWER and (following != "'s"):
        cursor.pos += 1
        return replace(ranking, text=f"{ranking.text} {word}".strip())
    cursor.pos = mark
    if not linked and not (word in lx.SCENE_NOUNS or cursor.word() in lx.ARTICLES or is_content(word)):
        cursor.pos = start
        return None
    mentions = len(reader.mentions)
    anchor = _anchor(reader, depth)
    del reader.mentions[mentions:]
    if anchor is None:
        cursor.pos = start
        return None
    rank = ranking.rank if ranking.key == "near" else -ranking.rank
    if cursor.take("than"):
        reader.entity(depth=1)
    return replace(ranking, key="distance", rank=rank, anchor=anchor)


def _scene_after(cursor: Cursor, i: int) -> bool:
    while i < cursor.end and cursor.tokens[i].word in lx.ARTICLES:
        i += 1
    return i < cursor.end and cursor.tokens[i].word in lx.SCENE_NOUNS | lx.SURFACE_NOUNS


def _late_complement(reader: NounPhraseReader, d: Draft) -> bool:
    """ "the closest mug to the plate": the complement of a superlative that stood before the noun."""
    cursor = reader.cursor
    if not d.open_ranking or not d.rankings or cursor.word() not in {"to", "from"}:
        return False
    if (cursor.word() == "to" and reader.to_is_goal and d.nouns) or (ANCHORED.find(cursor) and cursor.word() == "to"):
        return False
    if cursor.word() == "from" and d.rankings[-1].key == "near":
        return False
    ranking = _complement(reader, d.rankings[-1])
    if ranking is None:
        return False
    d.rankings[-1] = ranking
    d.open_ranking = False
    return True


def _superlative_after(reader: NounPhraseReader, d: Draft) -> bool:
    """ "the box furthest to the right", "the mug closer to me", "the one that is tallest"."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.take_any({"that", "which"})
    cursor.take_any(lx.BE)
    cursor.skip_articles()
    ordinal = lx.ORDINALS.get(cursor.word(), 0)
    if ordinal:
        cursor.pos += 1
        if cursor.word() not in lx.SUPERLATIVES:
            if d.ordinal is None:
                d.ordinal = ordinal
                if _ordinal_direction(cursor, d):
                    return True
                d.ordinal = None
            cursor.pos = start
            return False
    cursor.take_any({"most", "very"})
    word = cursor.take_any(lx.SUPERLATIVES) or (cursor.take_any(lx.COMPARATIVES) if cursor.word(1) != "than" else "")
    if not word and cursor.word() == "most" and cursor.word(1) in lx.POSITIONS:
        cursor.pos += 1
    if not word:
        cursor.pos = start
        return False
    key = lx.SUPERLATIVES.get(word) or lx.COMPARATIVES[word]
    ranking = Ranking(key, ordinal or d.ordinal or 1, text=word)
    d.ordinal = None
    d.open_ranking = False
    if key in {"near", "far"} and word in lx.COMPARATIVES and _compared(reader, d, key):
        return True
    if key in {"near", "far"} or cursor.word() == "to":
        if not (cursor.word() == "to" and reader.to_is_goal and key not in {"near", "far"}):
            ranking = _complement(reader, ranking) or ranking
    d.rankings.append(ranking)
    if cursor.take("one") or cursor.take("ones"):
        pass
    return True


def _compared(reader: NounPhraseReader, d: Draft, key: str) -> bool:
    """ "closer to me than the bowl" compares two things along the line of sight."""
    cursor = reader.cursor
    start = cursor.pos
    cursor.take_any({"to", "from"})
    cursor.skip_articles()
    if cursor.take_any(lx.VIEWER) and cursor.take("than"):
        other = _anchor(reader, 1)
        if other is not None:
            d.relations.append(Relation("in_front_of" if key == "near" else "behind", (other,), text="than"))
            return True
    cursor.pos = start
    return False


def _trailing_word(cursor: Cursor, d: Draft) -> bool:
    """ "the mug left" is short for "on the left"; "a mug full", "the mug red" put the adjective last."""
    word = cursor.word()
    if d.nouns and kind_of(word) in {"color", "state"} and not is_content(cursor.word(1)) and not ANCHORED.find(cursor):
        attribute = take_attribute(cursor, predicative=True)
        if attribute is not None:
            d.attributes.append(attribute)
            return True
    if (
        word not in {"left", "right"}
        or not d.nouns
        or ANCHORED.find(cursor)
        or is_content(cursor.word(1))
        or _better_after(cursor)
    ):
        return False
    cursor.pos += 1
    d.places.append(lx.POSITIONS[word])
    return True


def _exception(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
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
    if not matched and not (cursor.take("not") and cursor.word() in lx.ARTICLES | lx.DEMONSTRATIVES):
        cursor.pos = start
        return False
    if depth > 0 and (ANCHORED.find(cursor) or UNANCHORED.find(cursor)):
        cursor.pos = start
        return False
    if matched and (ANCHORED.find(cursor) or UNANCHORED.find(cursor)):
        cursor.pos = start
        return bool(cursor.take(",")) | bool(cursor.take("but")) and _relation(reader, d, depth)
    mentions = list(reader.mentions)
    noun = d.settle_number()
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


def _with(reader: NounPhraseReader, d: Draft) -> bool:
    """ "with a lid" is a visible feature; "with a spoon in it" is a relation."""
    cursor = reader.cursor
    start = cursor.pos
    relative = cursor.take_any({"that", "which"})
    has = bool(relative and cursor.take_any({"has", "have", "holds", "contains", "contain"}))
    holds = has and cursor.tokens[cursor.pos - 1].word in {"holds", "contains", "contain"}
    without = not has and cursor.take("without")
    wearing = not has and not without and cursor.take("wearing")
    if not has and not without and not wearing and not cursor.take("with"):
        cursor.pos = start
        return False
    negated = bool(cursor.take("no")) or without
    begin = cursor.pos
    stop = begin
    while stop < cursor.end and (
        is_content(cursor.tokens[stop].word) or cursor.tokens[stop].word in {"the", "a", "an", "and", "of", "its"}
    ):
        if ANCHORED.find(cursor, stop) and cursor.tokens[stop].word in lx.PREPOSITIONS:
            break
        stop += 1
    words = [t.word for t in cursor.tokens[begin:stop] if t.word not in lx.ARTICLES]
    if not words:
        cursor.pos = start
        return False
    place = cursor.tokens[stop].word if stop < cursor.end else ""
    alone = stop + 1 >= cursor.end or cursor.tokens[stop + 1].word in {"it", "them", "top", ",", "and", "."}
    if holds or (place in {"in", "inside", "on"} and alone):
        inner = replace_end(cursor, stop)
        anchor = reader.entity(depth=1)
        cursor.end = inner
        if anchor is not None and cursor.pos == stop:
            if not holds:
                cursor.pos += 1
                cursor.take_any({"it", "them", "top"})
                if cursor.take("of"):
                    cursor.take_any({"it", "them"})
            nothing = "nothing" in words
            d.relations.append(
                Relation("supports" if place == "on" else "contains", (anchor,), negated != nothing, text="with")
            )
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
    lead = "wearing" if wearing else "with no" if negated else "with"
    d.feature = f"{lead} {' '.join(words)}"
    return True


def replace_end(cursor: Cursor, stop: int) -> int:
    """Make the cursor end at ``stop``; returns the old end."""
    old = cursor.end
    cursor.end = stop
    return old


def _anchor(reader: NounPhraseReader, depth: int) -> Entity | None:
    return reader.entity(depth + 1)


def _relation(reader: NounPhraseReader, d: Draft, depth: int) -> bool:
    """A relation or place, with what leads up to it: "that is not", "standing", "right"."""
    cursor = reader.cursor
    start = cursor.pos
    relative = cursor.take_any({"that", "which", "who"})
    negated = False
    while not cursor.done:
        found = ANCHORED.find(cursor) or UNANCHORED.find(cursor)
        word = cursor.word()
        if found and not (word == "right" and _better_after(cursor)):
            break
        if word in {"not", "neither"}:
            negated = not negated
        elif not (
            word in lx.POSTURES
            or word in lx.INTENSIFIERS
            or (relative and (word in lx.BE or word in lx.STANDS))
            or word in {"does", "do"}
        ):
            break
        cursor.pos += 1
    if relative and not (ANCHORED.find(cursor) or UNANCHORED.find(cursor)) and _predicative(reader, d, negated, start):
        return True
    place, anchored = UNANCHORED.find(cursor), ANCHORED.find(cursor)
    if place and (anchored is None or place[1] > anchored[1]):
        cursor.pos = place[1]
        if cursor.word() == "of" and _scene_after(cursor, cursor.pos + 1):
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
    cursor.pos = stop
    if predicate == "between":
        anchors = _between(reader, depth)
    else:
        if _viewer(reader, d, predicate, negated):
            return True
        anchor = _anchor(reader, depth)
        anchors = () if anchor is None else (anchor,)
    if not anchors:
        cursor.pos = start
        return False
    text = cursor.text(phrase_start, stop)
    predicate, anchors = _table_center(predicate, anchors)
    if predicate in {"left_of", "right_of"} and anchors[0].noun in lx.SURFACE_NOUNS | lx.SCENE_NOUNS:
        _add_place(d, predicate.removesuffix("_of"), negated)
        return True
    if (
        predicate in {"in", "on", "at"}
        and anchors[0].noun in lx.SCENE_NOUNS
        and anchors[0].noun not in lx.SURFACE_NOUNS
    ):
        return True
    d.relations.append(Relation(predicate, anchors, negated, text))
    return True


def _better_after(cursor: Cursor) -> bool:
    """Whether "right" only strengthens what follows ("right behind the mug", "right next to it")."""
    following = cursor.word(1)
    return (
        following not in {"of", "to", "from", "side", "hand", "edge"}
        and ANCHORED.find(cursor, cursor.pos + 1) is not None
    )


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
    second = reader.entity(depth + 1)
    if second is None:
        return ()
    shared = reader._share_noun([first, second])  # noqa: SLF001
    return (shared[0], shared[1])


def _table_center(predicate: str, anchors: tuple[Entity, ...]) -> tuple[str, tuple[Entity, ...]]:
    """ "from table center", "at the table edge": the place is the last word of the anchor's noun."""
    place = {"center": "at_center_of", "middle": "at_center_of", "edge": "at_edge_of", "corner": "at_corner_of"}
    whole = next((r.anchors for r in anchors[0].relations if r.predicate == "part_of"), None)
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
    if whole.noun in lx.SCENE_NOUNS:
        return True
    d.relations.append(Relation("part_of", (whole,), text="of"))
    return True
