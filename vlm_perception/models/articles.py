"""English articles for prompts that want a noun phrase as it stands in a sentence. Pure functions."""

from __future__ import annotations

import re
from typing import Final

_DETERMINERS: Final = frozenset(
    "a an the this that these those my your his her its our their some any each every either neither all both no another "
    "several many few more most enough one two three four five six seven eight nine ten eleven twelve".split()
)
# Behind these the head noun is over: "mug with stripes", "two bottles of milk".
_AFTER_HEAD: Final = frozenset(
    "of with without in inside on onto under behind beside above below near next between at by from for that "
    "which to".split()
)
_PLURALS: Final = frozenset(
    "people men women children mice feet teeth geese knives dice cattle sheep scissors pliers tongs glasses pants".split()
)
_SINGULAR_IN_S: Final = frozenset("lens gas canvas bias atlas christmas texas news tennis chess molasses series".split())
_A: Final = re.compile(r"(?:one\b|once\b|uni(?![nm]|dent)|us[abeu]|ut[ei]|ubi|ure|uri|eu|ew)", re.IGNORECASE)
_AN: Final = re.compile(
    r"(?:[aeiou]|hour|hono|honest|heir|8|(?:11|18)(?!\d)|(?:led|lcd|x|mp3|rgb|hdmi|sd|ssd)\b)", re.IGNORECASE
)


def with_article(phrase: str) -> str:
    """A phrase with "a" or "an"; what has a determiner, or is a plural, stays as it is.

    >>> [with_article(phrase) for phrase in ("red mug", "orange mug", "the mug", "two mugs", "mugs", "glass")]
    ['a red mug', 'an orange mug', 'the mug', 'two mugs', 'mugs', 'a glass']
    """
    words = phrase.split()
    if not words or _determines(words[0]) or _is_plural(_head(words)):
        return phrase
    return f"{indefinite(words[0])} {phrase}"


def indefinite(word: str) -> str:
    """ "a" or "an", by how a word begins when it is spoken.

    >>> [indefinite(word) for word in ("apple", "uniform", "umbrella", "one-eyed", "hour", "hat", "LED", "8-pack")]
    ['an', 'a', 'an', 'a', 'an', 'a', 'an', 'an']
    """
    return "an" if _AN.match(word) and not _A.match(word) else "a"


def _determines(word: str) -> bool:
    return word.lower() in _DETERMINERS or word.isdigit() or word.endswith(("'s", "s'"))


def _head(words: list[str]) -> str:
    """The noun that a phrase is about; "left" and "right" are behind it only in "mug left of the plate"."""
    for before, word, after in zip(words, words[1:], [*words[2:], ""], strict=False):
        sided = word.lower() in ("left", "right") and after.lower() in ("of", "to")
        if sided or word.lower() in _AFTER_HEAD:
            return before
    return words[-1]


def _is_plural(noun: str) -> bool:
    lower = noun.lower()
    if lower in _PLURALS:
        return True
    return lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and lower not in _SINGULAR_IN_S
