"""What stands before a noun: adjectives, ordinals, superlatives, "left" and "top"."""

from __future__ import annotations

from dataclasses import replace

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.determiners import is_numeral, to_number
from vlm_perception.language.draft import Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import ANCHORED, UNANCHORED
from vlm_perception.language.tokens import Cursor
from vlm_perception.types import CommandError, Ranking


class PremodifierReader:
    """Reads them at its cursor into a draft."""

    cursor: Cursor

    def _premodifiers(self, d: Draft) -> None:
        cursor = self.cursor
        previous_kind = ""
        while not cursor.done:
            word, following = cursor.word(), cursor.word(1)
            if word in {"very", "really", "quite", "most", "extreme", "far"} and (
                kind_of(following) or following in lx.SUPERLATIVES or following in lx.POSITIONS
            ):
                cursor.pos += 1
                continue
            if word in {",", "and"} and previous_kind:
                ahead = cursor.pos + 1 + (word == "," and following == "and")
                next_kind = kind_of(cursor.tokens[ahead].word) if ahead < cursor.end else ""
                if next_kind and next_kind != previous_kind:
                    cursor.pos = ahead
                    previous_kind = ""
                    continue
                break
            if word == "not" and kind_of(following):
                cursor.pos += 1
                attribute = take_attribute(cursor)
                if attribute is None:
                    cursor.pos -= 1
                    break
                d.attributes.append(replace(attribute, negated=True))
                continue
            if word in lx.UNSEEN:
                raise CommandError(f'how things compare as "{word}" cannot be seen; say what the thing looks like')
            if word in lx.ORDINALS and self._ordinal(d):
                continue
            if word in lx.SUPERLATIVES or (word in lx.COMPARATIVES and following != "than"):
                self._superlative(d)
                continue
            if word in lx.POSITIONS and self._positional(d):
                continue
            if d.rankings and is_numeral(word) and word != "one" and is_content(following):
                cursor.pos += 1
                d.number, d.counted = to_number(word), True
                continue
            attribute = take_attribute(cursor)
            if attribute is None:
                break
            d.attributes.append(attribute)
            previous_kind = attribute.kind

    def _ordinal(self, d: Draft) -> bool:
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        cursor.pos += 1
        rank = lx.ORDINALS[word]
        if cursor.take("to", "last") or (following == "last" and cursor.take("last")):
            rank = -abs(rank)
        d.ordinal = rank
        if cursor.word() in lx.NUMBERS and cursor.word() not in {"one", "no"}:
            d.number, d.counted = lx.NUMBERS[cursor.word()], True
            cursor.pos += 1
        return True

    def _superlative(self, d: Draft) -> None:
        cursor = self.cursor
        word = cursor.word()
        cursor.pos += 1
        key = lx.SUPERLATIVES.get(word) or lx.COMPARATIVES[word]
        if word in {"furthest", "farthest", "further", "farther"} and cursor.word() in {
            "left",
            "right",
            "back",
            "front",
        }:
            key = lx.POSITIONS[cursor.word()]
            cursor.pos += 1
        rank, d.ordinal = d.ordinal or 1, None
        d.rankings.append(Ranking(key, rank, among=2 if word in lx.COMPARATIVES and d.number == 1 else None, text=word))
        d.open_ranking = key in {"near", "far"}

    def _positional(self, d: Draft) -> bool:
        """ "left", "top", "middle" ... before a noun, or in place of one ("the left and the right mug")."""
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        if following == "of":
            if not d.determined or not self._partitive_after(cursor.pos + 2):
                return False
        elif ANCHORED.find(cursor) or UNANCHORED.find(cursor):
            return False
        elif (
            not is_content(following)
            and following not in {"one", "ones"}
            and not (
                (d.determined or self._alone())
                and word in {"left", "right", "middle", "front", "back", "top", "bottom"}
            )
        ):
            return False
        cursor.pos += 1
        cursor.take("most")
        if cursor.word() in {"hand", "side"} and is_content(cursor.word(1)):
            cursor.pos += 1
        d.places.append(lx.POSITIONS[word])
        return True

    def _alone(self) -> bool:
        """Whether place words are all there is: "left", "top left"."""
        return self.cursor.pos == self.cursor.end - 1 and self.cursor.tokens[0].word in lx.POSITIONS

    def _partitive_after(self, start: int) -> bool:
        """Whether what stands at ``start`` is a group to choose from: "the two", "the mugs", "them"."""
        cursor = self.cursor
        i = start
        while i < cursor.end and cursor.tokens[i].word in lx.ARTICLES | lx.DEMONSTRATIVES | lx.POSSESSIVES | {"all"}:
            i += 1
        if i >= cursor.end:
            return False
        word = cursor.tokens[i].word
        if word in {"them", "these", "those"} or is_numeral(word):
            return True
        j = i
        while j < cursor.end and is_content(cursor.tokens[j].word) and not ANCHORED.find(cursor, j):
            j += 1
        return j > i and singular(cursor.tokens[j - 1].word)[1]
