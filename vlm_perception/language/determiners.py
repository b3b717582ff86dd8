"""What stands before a noun phrase: articles, numbers, quantifiers, "the other"."""

from __future__ import annotations

from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.draft import Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import ANCHORED, PARTICIPLES
from vlm_perception.language.tokens import Cursor
from vlm_perception.types import CommandError

_UNITS = frozenset(
    "ml l cl g kg mg oz lb lbs liter liters litre litres gram grams cm mm inch inches watt volt gallon".split()
)
_BOUNDS: Final = {f"{text.replace(' ', '-')}-number": bound for text, bound in lx.BOUNDS.items()}
_FILLERS = frozenset("only same entire whole actual specific particular given single following own different".split())


def read_determiners(cursor: Cursor, d: Draft) -> None:
    """Consume determiners at the cursor into the draft."""
    while not cursor.done:
        _refuse_half(cursor)
        if _bounded(cursor, d):
            continue
        word = cursor.word()
        following = cursor.word(1)
        paired = 1 if word in lx.ARTICLES else 0
        if cursor.word(paired) in {"pair", "couple", "set"} and cursor.word(paired + 1) == "of":
            following = cursor.word(paired)
            cursor.pos += paired + 2
            if following == "pair" and cursor.word() in {"glasses", "spectacles", "specs"}:
                d.nouns.append(cursor.word())  # eyeglasses: one thing
                cursor.pos += 1
                d.plural_form = True
            many = singular(_head_ahead(cursor))[1] and not d.nouns
            d.number, d.counted, d.definite = (None, True, False) if many and following == "set" else (2, True, False)
            if not many:  # scissors: a pair is one thing
                d.number, d.definite = 1, word not in {"a", "an"}
        elif word in lx.ARTICLES:
            cursor.pos += 1
            d.determined = True
            if word != "the":
                d.definite = False
        elif word in {"none", "neither"} and following == "of":
            cursor.pos += 2
            d.number, d.counted, d.determined, d.definite, d.chosen = 0, True, True, False, True
        elif (
            word == "most"
            and is_content(following)
            and singular(_head_ahead(cursor, 1))[1]
            and following not in lx.POSITIONS
        ):
            cursor.pos += 1
            d.number, d.counted, d.determined, d.definite = None, True, True, False
        elif (
            word == "most" and following == "of" and cursor.word(2) in lx.ARTICLES | lx.DEMONSTRATIVES | lx.POSSESSIVES
        ):
            cursor.pos += 2
            d.number, d.counted, d.determined, d.definite = None, True, True, False
        elif (
            word == "every"
            and (following == "other" or lx.ORDINALS.get(following, 0) > 1)
            and is_content(cursor.word(2))
        ):
            cursor.pos += 2  # "every other": the first, the third ...; "every second": the second, the fourth ...
            d.step = lx.ORDINALS.get(following, 2)
            d.ordinal = 1 if following == "other" else d.step
            d.number, d.counted, d.determined = None, True, True
        elif word in {"all", "every", "each"}:
            cursor.pos += 1
            cursor.take("of")
            d.number, d.counted, d.determined = None, True, True
        elif word in {"any", "some", "another", "either"}:
            cursor.pos += 1
            if cursor.take("of") and word in {"any", "either"}:
                d.number, d.counted, d.chosen = 1, True, not is_numeral(cursor.word())
                if word == "either":
                    d.chosen = True
            d.definite, d.determined = False, True
            d.other = d.other or word == "another"
        elif word == "other":
            cursor.pos += 1
            d.other = d.determined = True
        elif word in lx.VAGUE_PLURAL and is_content(following):
            cursor.pos += 1
            d.number, d.counted, d.definite, d.determined = None, True, False, True
        elif is_numeral(word):
            if following in _UNITS:  # "the 500 ml bottle"
                break
            if word == "one" and not (following == "of" or is_content(following)):
                break
            if word == "one" and (kind_of(following) == "" and ANCHORED.find(cursor, cursor.pos + 1)):
                break
            if word == "one" and following in (
                lx.SUPERLATIVES.keys() | lx.COMPARATIVES.keys() | lx.POSTURES | PARTICIPLES
            ):
                break
            cursor.pos += 1
            if not d.chosen:
                d.number, d.counted = to_number(word), True
            if cursor.take("of"):
                d.chosen = True
                d.definite = word == "both"
                d.determined = False
                continue
            if word in {"one", "no"} and not d.determined:
                d.definite = False
            d.determined = True
        elif word in lx.DEMONSTRATIVES and (is_content(following) or following in {"one", "ones"}):
            cursor.pos += 1
            d.determined = True
        elif (word in lx.POSSESSIVES or word in _FILLERS) and is_content(following):
            cursor.pos += 1
            d.determined = True
        else:
            break


def _bounded(cursor: Cursor, d: Draft) -> bool:
    """ "at least two", "no more than three", "exactly one", "two or three", "two or more": how many at least and at most."""
    word = cursor.word()
    if word in _BOUNDS:
        least, most = _BOUNDS[word]
        number = to_number(cursor.word(1))
        cursor.pos += 2
        if least == most:
            d.number, d.counted, d.determined = number, True, True
            d.bounds = (1, 1) if number == 1 else None  # any other number is exact by itself
            d.definite = number != 1
        else:
            _set_bounds(d, 0 if least is None else number + least, None if most is None else number + most)
    else:
        if not is_amount(cursor, cursor.pos) or cursor.word(1) not in {"or", "to"}:
            return False
        fewest, second = to_number(word), cursor.word(2)
        if second in {"more", "fewer", "less"} and cursor.word(1) == "or":
            _set_bounds(d, *((fewest, None) if second == "more" else (0, fewest)))
        elif is_numeral(second) and to_number(second) > fewest:
            _set_bounds(d, fewest, to_number(second))
        else:
            return False
        cursor.pos += 3
    if cursor.take("of"):
        d.chosen = True
    return True


def is_amount(cursor: Cursor, i: int) -> bool:
    """Whether a number stands at ``i`` and counts things, not millilitres."""
    if i >= cursor.end or not is_numeral(cursor.tokens[i].word) or cursor.tokens[i].word == "no":
        return False
    return not (i + 1 < cursor.end and cursor.tokens[i + 1].word in _UNITS)


def _set_bounds(d: Draft, least: int, most: int | None) -> None:
    if most is not None and most < max(least, 0):
        raise CommandError(f"fewer than {most + 1} is less than nothing; say a larger number")
    d.bounds, d.number = (least, most), None
    d.counted, d.definite, d.determined = True, False, True


def _refuse_half(cursor: Cursor) -> None:
    """A share of what is there is no number: "half of the mugs", "half the apples".

    Raises:
        CommandError: with the words, and what to say instead.
    """
    if cursor.word() != "half":
        return
    if (cursor.word(1) == "of" and singular(_head_ahead(cursor, 3))[1]) or (
        cursor.word(1) in lx.ARTICLES and singular(_head_ahead(cursor, 2))[1]
    ):
        raise CommandError('"half of" them is no exact number; say "two" or "all", or ask "how many"')


def is_numeral(word: str) -> bool:
    """Whether a word is a number."""
    return word in lx.NUMBERS or (word.isascii() and word.isdigit() and len(word) < 4)


def to_number(word: str) -> int:
    """Its value."""
    return lx.NUMBERS[word] if word in lx.NUMBERS else int(word)


def _head_ahead(cursor: Cursor, ahead: int = 0) -> str:
    while is_content(cursor.word(ahead + 1)):
        ahead += 1
    return cursor.word(ahead)
