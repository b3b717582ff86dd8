"""Orders after a noun: "second from the left", "closest to the plate", "taller than"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlm_perception.language import lexicon as lx
from vlm_perception.language.comparisons import read_comparison
from vlm_perception.language.draft import Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED, OF_DIRECTION
from vlm_perception.types import Ranking

if TYPE_CHECKING:
    from vlm_perception.language.noun_phrases import NounPhraseReader
    from vlm_perception.language.tokens import Cursor


def read_ordinal_direction(cursor: Cursor, d: Draft) -> bool:
    """ "second ... from the left", "first on the right", "third to the left"."""
    if d.ordinal is None:
        return False
    start = cursor.pos
    cursor.take_any({"when", "if"})
    cursor.take_any({"counting", "counted", "starting"})
    linked = cursor.take_any({"from", "on", "at", "to", "in"})
    if linked:
        cursor.skip_articles()
        word = cursor.take_any(OF_DIRECTION)
        if (
            word
            and is_content(cursor.word())
            and cursor.word() not in {"side", "end", "hand", "edge", "corner"}
            and (ANCHORED.find(cursor) is None and linked != "from")
        ):
            cursor.pos = start  # "the second bottle on the bottom shelf"
            return False
        if word and (cursor.word() != "of" or (linked == "from" and OF_DIRECTION[word] in {"high", "low"})):
            cursor.take_any({"side", "end", "hand"})
            cursor.take_any({"side", "end"})
            mark = cursor.pos
            if cursor.take("to"):  # "from left to right", but not "... to the back of the shelf"
                cursor.skip_articles()
                if not cursor.take_any(OF_DIRECTION) or cursor.word() == "of":
                    cursor.pos = mark
            # "the last one on the right" is the rightmost, "the last from the right" the leftmost.
            rank = abs(d.ordinal) if linked != "from" else d.ordinal
            d.rankings.append(Ranking(OF_DIRECTION[word], rank, among=d.among, step=d.step))
            d.ordinal = None
            return True
    cursor.pos = start
    return False


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
        if key != "middle" and (following != "of" or scene_follows(cursor, cursor.pos + 2)):
            cursor.pos += 1
            cursor.take("hand")
            cursor.take_any({"side", "edge", "end", "border"})
            if cursor.word() == "of" and scene_follows(cursor, cursor.pos + 1):
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
    anchor = reader.entity(depth + 1)
    del reader.mentions[mentions:]
    if anchor is None:
        cursor.pos = start
        return None
    rank = ranking.rank if ranking.key == "near" else -ranking.rank
    return replace(ranking, key="distance", rank=rank, anchor=anchor)


def scene_follows(cursor: Cursor, i: int) -> bool:
    """Whether "the table", "the image" ... stands at ``i``."""
    while i < cursor.end and cursor.tokens[i].word in lx.ARTICLES:
        i += 1
    return i < cursor.end and cursor.tokens[i].word in lx.SCENE_NOUNS | lx.SURFACE_NOUNS


def read_late_complement(reader: NounPhraseReader, d: Draft) -> bool:
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


def _most(cursor: Cursor, d: Draft, ordinal: int) -> bool:
    """ "most to the left", "most left"."""
    start = cursor.pos
    if not cursor.take("most"):
        return False
    cursor.take_any({"to", "on", "at", "toward"})
    cursor.skip_articles()
    word = cursor.take_any(lx.POSITIONS)
    if not word or is_content(cursor.word()):
        cursor.pos = start
        return False
    d.rankings.append(Ranking(lx.POSITIONS[word], ordinal or 1, text=f"most {word}"))
    return True


def read_superlative(reader: NounPhraseReader, d: Draft) -> bool:
    """ "the box furthest to the right", "the mug closer to me", "the one that is tallest"."""
    cursor = reader.cursor
    start = cursor.pos
    if cursor.take_any({"that", "which", "who"}) and cursor.take_any(lx.BE):
        d.relative = True
    if cursor.word() in lx.POSTURES and cursor.word(1) in lx.SUPERLATIVES:  # "that is parked furthest from"
        cursor.pos += 1
    cursor.skip_articles()
    ordinal = lx.ORDINALS.get(cursor.word(), 0)
    if ordinal:
        cursor.pos += 1
        if cursor.word() not in lx.SUPERLATIVES:
            if d.ordinal is None:
                d.ordinal = ordinal
                if read_ordinal_direction(cursor, d):
                    return True
                d.ordinal = None
            cursor.pos = start
            return False
    if _most(cursor, d, ordinal):
        return True
    cursor.take_any({"most", "very"})
    word = cursor.take_any(lx.SUPERLATIVES) or (
        cursor.take_any(lx.COMPARATIVES)
        if cursor.word(1) != "than" or lx.COMPARATIVES.get(cursor.word()) in {"near", "far"}
        else ""
    )
    if not word:
        cursor.pos = start
        return False
    key = lx.SUPERLATIVES.get(word) or lx.COMPARATIVES[word]
    ranking = Ranking(key, ordinal or d.ordinal or 1, text=word)
    d.ordinal = None
    d.open_ranking = False
    if key in {"near", "far"} and word in lx.COMPARATIVES and read_comparison(reader, d, key):
        return True
    if key in {"near", "far"} or cursor.word() == "to":
        if not (cursor.word() == "to" and reader.to_is_goal and key not in {"near", "far"}):
            ranking = _complement(reader, ranking) or ranking
    d.rankings.append(ranking)
    if cursor.take("one") or cursor.take("ones"):
        pass
    return True
