"""The run of nouns in a noun phrase, an open class: where it starts, where it ends, whose part it is."""

from __future__ import annotations

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.determiners import is_numeral, to_number
from vlm_perception.language.draft import Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.morphology import singular
from vlm_perception.language.premodifiers import PremodifierReader
from vlm_perception.language.prepositions import ANCHORED, PARTICIPLES, UNANCHORED
from vlm_perception.language.selections import EXCEPTIONS
from vlm_perception.types import CommandError

_VERBAL = frozenset("contains contain touches touch faces surrounds".split())
_INDEFINITE_PRONOUNS = frozenset("something anything everything nothing".split())
_HELPERS = frozenset("can could will would do does did".split())
_TO_VERBS = frozenset("place put drop stack".split())


class NounReader(PremodifierReader):
    """Reads the nouns at its cursor into a draft."""

    def _nouns(self, d: Draft) -> None:
        cursor = self.cursor
        while not cursor.done:
            word, following = cursor.word(), cursor.word(1)
            if word in {"one", "ones", "others"} and not d.nouns:
                cursor.pos += 1
                d.generic = True
                if word != "one" and not d.counted:
                    d.number = None
                return
            if word in _INDEFINITE_PRONOUNS and not d.nouns:
                cursor.pos += 1
                d.generic, d.whatever, d.definite = True, True, word == "everything"
                if word == "nothing":
                    d.number, d.counted = 0, True
                if word == "everything":
                    d.number, d.counted = None, True
                attribute = take_attribute(cursor, predicative=True)
                if attribute is not None:
                    d.attributes.append(attribute)
                if cursor.word() == "to" and is_content(cursor.word(1)) and cursor.word(1) not in lx.POSITIONS:
                    said = " ".join(t.raw for t in cursor.tokens[cursor.pos : cursor.end])
                    raise CommandError(f'did not understand "{said}" in "{word} {said}"; say what thing is meant')
                return
            if word == "'s" and d.nouns and not self._owns_part() and is_content(following):
                cursor.pos += 1
                d.nouns[-1] += "'s"
                continue
            if not is_content(word) or self._ends_nouns(d):
                break
            if d.nouns and is_numeral(word) and following == "from":  # "box #2 from the left"
                cursor.pos += 1
                d.ordinal = to_number(word)
                break
            cursor.pos += 1
            d.nouns.append(word)
            if cursor.word() == "and" and (word, cursor.word(1)) in lx.BINOMIALS:
                d.nouns += ["and", cursor.word(1)]
                cursor.pos += 2
            elif following == "number" and is_numeral(cursor.word(1)):
                d.ordinal = to_number(cursor.word(1))
                cursor.pos += 2
        if d.nouns and cursor.word() == "of" and self._is_filling():
            cursor.pos += 1
            d.nouns.append("of")
            while (
                is_content(cursor.word())
                and not ANCHORED.find(cursor)
                and cursor.word() not in lx.POSTURES | lx.SUPERLATIVES.keys() | lx.COMPARATIVES.keys()
            ):
                d.nouns.append(cursor.word())
                cursor.pos += 1
                if cursor.word() == "'s" and is_content(cursor.word(1)):  # "can of Campbell's soup"
                    d.nouns[-1] += "'s"
                    cursor.pos += 1
                if cursor.word() == "and" and (d.nouns[-1], cursor.word(1)) in lx.BINOMIALS:
                    d.nouns += ["and", cursor.word(1)]
                    cursor.pos += 2

    def _owns_part(self) -> bool:
        """Whether a possessive names a part ("the cabinet's top drawer") and not a kind ("rubik's cube")."""
        cursor = self.cursor
        i = cursor.pos + 1
        while i < cursor.end and (
            cursor.tokens[i].word in lx.POSITIONS.keys() | lx.SUPERLATIVES.keys() | lx.ORDINALS.keys()
            or kind_of(cursor.tokens[i].word)
        ):
            i += 1
        if i > cursor.pos + 1 and (i >= cursor.end or not is_content(cursor.tokens[i].word)):
            i -= 1  # "the table's center"
            if cursor.tokens[i].word in lx.POSITIONS:  # "the plate's left"
                return True
        return i < cursor.end and singular(cursor.tokens[i].word)[0] in lx.PARTS

    def _is_filling(self) -> bool:
        """Whether "of" joins a container and its content ("box of cookies"), not a part and its whole."""
        cursor = self.cursor
        head, following = singular(cursor.word(-1))[0], cursor.word(1)
        if head in lx.PARTS or not is_content(following) or is_numeral(following):
            return False
        return following not in lx.GENERIC_NOUNS and not self._is_viewer(following)

    @staticmethod
    def _is_viewer(word: str) -> bool:
        return word in lx.VIEWER

    def _ends_nouns(self, d: Draft) -> bool:
        """Whether the word at the cursor, a noun by its form, opens what follows the noun phrase."""
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        if not d.nouns:
            if word in {"facing", "containing", "touching"} or ANCHORED.find(cursor):
                return True
            if word in lx.POSTURES and (not is_content(following) or ANCHORED.find(cursor, cursor.pos + 1) is not None):
                return True
            return word in lx.VAGUE_TAILS and not is_content(following) and not d.determined
        if (
            word in lx.SUPERLATIVES
            or word in lx.COMPARATIVES
            or word in PARTICIPLES
            or (word == "wearing" and bool(following))
            or word in lx.ORDINALS
            or word == "upside"
        ):
            return True
        if kind_of(word) in {"color", "state"} and word not in lx.NOUN_TOO - {"open"} and not is_content(following):
            return True
        if word in {"made", "colored"} and following in lx.PREPOSITIONS | lx.COLORS | lx.COLOR_MODIFIERS:
            return True
        if word == "most" and following in lx.POSITIONS.keys() | {"to", "on", "at", "toward"}:
            return True
        if word in _HELPERS and following in {"you", "we", "i", "be"}:  # "how many mugs can you see"
            return True
        if word in _TO_VERBS and following in {"it", "them", "on", "in", "into", "onto", "inside"}:
            return True  # "pick cup place in basket"
        if word in {"called", "named"} and (following in lx.STOPS or not following):
            return True
        if word in {"counting", "counted", "starting"} and following in {"from", "at"}:
            return True
        if word == "cut" and following == "off":
            return True
        if self._places_end_it():
            return True
        if any(cursor.reach(pattern) >= 0 for pattern in EXCEPTIONS):
            return True
        if ANCHORED.find(cursor) or UNANCHORED.find(cursor):
            return True
        if word in _VERBAL:
            return True
        if word in lx.INTENSIFIERS and following in lx.POSTURES:
            return True
        if word in lx.POSTURES | lx.STANDS | lx.INTENSIFIERS | lx.VAGUE_TAILS | {"left", "right"}:
            return not is_content(following) or bool(ANCHORED.find(cursor, cursor.pos + 1))
        return False

    def _places_end_it(self) -> bool:
        """Whether place words stand here and end the phrase: "person far left", "donut top left"."""
        cursor = self.cursor
        i = cursor.pos
        while i < cursor.end and (cursor.tokens[i].word in lx.POSITIONS or cursor.tokens[i].word in {"far", "most"}):
            i += 1
        words = [t.word for t in cursor.tokens[cursor.pos : i]]
        ended = i >= cursor.end or cursor.tokens[i].word in {",", ".", "and"}
        return ended and len(words) > 1 and words[-1] in lx.POSITIONS and bool({"left", "right"} & set(words))
