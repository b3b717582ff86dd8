"""What the resolver says: why there is no answer, and the question to ask back."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from vlm_perception.spatial.candidates import GENERIC
from vlm_perception.types import Entity, Relation

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def unknown_words(phrase: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """Words of a phrase that a closed-vocabulary model was never taught.

    Args:
        phrase: as asked of the model, e.g. "red stapler".
        vocabulary: words or phrases, any case.

    Returns:
        The words that occur in no entry, in the order of the phrase.
    """
    known = {word for entry in vocabulary for word in entry.lower().split()}
    return tuple(
        word
        for word in phrase.lower().split()
        if word not in known and word.removesuffix("s") not in known and f"{word}s" not in known
    )


def plural_of(noun: str) -> str:
    """The regular plural of a short noun phrase, for messages; of one in another script the phrase itself."""
    if not noun[-1:].isascii() and not unicodedata.name(noun[-1:], "").startswith("LATIN"):
        return noun
    head, of, tail = noun.partition(" of ")
    if head.endswith(("s", "x", "z", "ch", "sh")):
        many = head + "es"
    elif head.endswith("y") and head[-2:-1] not in set("aeiou"):
        many = head[:-1] + "ies"
    elif head.endswith(("fe", "shelf", "leaf", "loaf", "half")):
        many = head.removesuffix("fe").removesuffix("f") + "ves"
    else:
        many = head + "s"
    return many + of + tail


def name_of(entity: Entity, number: int = 1) -> str:
    """What to call an entity: "red mug", "things"."""
    phrase = entity.phrase if entity.phrase not in GENERIC else "thing"
    return phrase if number == 1 else plural_of(phrase)


def counted(entity: Entity, number: int) -> str:
    """ "2 red mugs", "no red mug"."""
    return f"no {name_of(entity)}" if number == 0 else f"{number} {name_of(entity, number)}"


def article(noun: str) -> str:
    """ "a mug", "an apple"."""
    return f"{'an' if noun[:1] in set('aeiou') else 'a'} {noun}"


def relation_words(relation: Relation) -> str:
    """ "left of the plate", "between the plate and the ramekin"."""
    words = relation.predicate.replace("_", " ")
    if not relation.anchors:
        place = {
            "left_of": "on the left", "right_of": "on the right", "at_front_of": "at the front", "at_back_of": "at the back",
            "at_center_of": "in the middle", "above": "at the top", "below": "at the bottom",
        }.get(relation.predicate, words)  # fmt: skip
        return f"not {place}" if relation.negated else place
    words = {
        "next_to": "next to", "in": "in", "supports": "with on it:", "part_of": "of", "at_left_of": "on the left side of",
        "at_right_of": "on the right side of",
    }.get(relation.predicate, words)  # fmt: skip
    if relation.predicate in {"nearer_to", "nearer_than", "farther_than"}:
        return f"{'not ' if relation.negated else ''}{_compared(relation)}"
    anchors = " and ".join(f"the {name_of(a, 1 if a.number == 1 else 2)}" for a in relation.anchors)
    return f"{'not ' if relation.negated else ''}{words} {anchors}"


def _compared(relation: Relation) -> str:
    """ "nearer to the plate than to the box", "farther from the plate than the bowl", "nearer than the bowl"."""
    names = [f"the {name_of(a, 1 if a.number == 1 else 2)}" for a in relation.anchors]
    if relation.predicate == "nearer_to":
        return f"nearer to {names[0]} than to {names[1]}"
    words, link = ("nearer", "to") if relation.predicate == "nearer_than" else ("farther", "from")
    return f"{words} than {names[0]}" if len(names) == 1 else f"{words} {link} {names[1]} than {names[0]}"


def amount(bounds: tuple[int, int | None]) -> str:
    """ "at least two", "at most three", "exactly one", "two to four"."""
    least, most = bounds
    if most is None:
        return f"at least {number_word(least)}"
    if least == most:
        return f"exactly {number_word(least)}"
    return f"at most {number_word(most)}" if least == 0 else f"{number_word(least)} to {number_word(most)}"


def described(entity: Entity) -> str:
    """The entity with its relations, in words."""
    return " ".join(
        [name_of(entity, 1 if entity.number in {1, None} else 2), *(relation_words(r) for r in entity.relations)]
    )


def unknown_hint(entity: Entity, vocabulary: frozenset[str] | None) -> str:
    """Why a closed-vocabulary model could not have found it; "" if that is not why."""
    if vocabulary is None or entity.phrase in GENERIC:
        return ""
    words = unknown_words(entity.phrase, vocabulary)
    if not words:
        return ""
    told = ", ".join(f'"{word}"' for word in words)
    return f" {told} {'is not a word' if len(words) == 1 else 'are not words'} this model knows; name it differently or choose an open-vocabulary model."


def question_back(entity: Entity, across: Sequence[float], away: Sequence[float]) -> str:
    """What to ask when several things do equally well.

    Args:
        entity: what was asked for.
        across: where each is from left to right, any unit.
        away: where each is from near to far, any unit; NaN where unknown.
    """
    n = len(across)
    spread_across, spread_away = float(np.ptp(across)), float(np.ptp(away)) if np.isfinite(away).all() else 0.0
    if n == 2:
        names = ["left", "right"] if spread_across >= 0.5 * spread_away else ["near", "far"]
    elif n == 3:
        names = ["left", "middle", "right"] if spread_across >= 0.5 * spread_away else ["near", "middle", "far"]
    else:
        last = _ORDINALS[n - 1] if n <= len(_ORDINALS) else "last"
        return f"I see {counted(entity, n)}; which one: the first, the second, ... or the {last} from the left?"
    choice = ", the ".join(names[:-1])
    return f"I see {counted(entity, n)}; which one: the {choice} or the {names[-1]} one?"


def number_word(n: int) -> str:
    """ "two"; figures above ten."""
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else str(n)
