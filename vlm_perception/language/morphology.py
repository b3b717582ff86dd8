"""English number by rule: plural nouns to singular, sloppy spellings included."""

from __future__ import annotations

import re
from typing import Final

_IRREGULAR: Final[dict[str, str]] = {
    "knives": "knife", "shelves": "shelf", "leaves": "leaf", "loaves": "loaf", "halves": "half", "wolves": "wolf",
    "calves": "calf", "scarves": "scarf", "thieves": "thief", "lives": "life", "selves": "self", "mice": "mouse",
    "geese": "goose", "feet": "foot", "teeth": "tooth", "children": "child", "people": "person", "men": "man",
    "women": "woman", "oxen": "ox", "dice": "die", "buses": "bus", "gases": "gas", "lenses": "lens", "shoes": "shoe",
    "toes": "toe", "canoes": "canoe", "axes": "axe", "caches": "cache", "quizzes": "quiz", "cacti": "cactus",
    "pies": "pie", "ties": "tie", "pants": "pants", "matches": "match", "ones": "one", "viruses": "virus",
    "cactuses": "cactus", "canvases": "canvas", "toothbrushs": "toothbrush", "mouses": "mouse", "leafs": "leaf",
    "avocados": "avocado", "movies": "movie", "dishs": "dish", "aloes": "aloe", "hoes": "hoe",
}  # fmt: skip
_IE: Final = frozenset(
    "cookie brownie smoothie movie selfie zombie hoodie talkie genie birdie calorie veggie rookie doggie pixie bootie "
    "beanie barbie cutie eyrie prairie magpie lie onesie frisbie quickie walkie".split()
)
_NOT_PLURAL: Final = frozenset(
    "gas lens canvas chess swiss series species bias atlas pancreas christmas alias texas molasses iris brass plus yes "
    "perhaps hummus tennis chassis always lets is was this its has as us bus cosmos".split()
)
# Always plural in form, one thing in number: "the scissors" is one tool.
_PLURALIA_TANTUM: Final = frozenset(
    "scissors tongs pliers tweezers sunglasses eyeglasses pants jeans trousers shorts headphones earphones binoculars "
    "goggles clippers shears stairs pajamas tights leggings".split()
)


def singular(word: str) -> tuple[str, bool]:
    """Reduce a noun to its singular.

    Args:
        word: one lower-case word.

    Returns:
        The singular, and whether ``word`` was a plural ("scissors" is not: one thing).
    """
    if word in _PLURALIA_TANTUM or word in _NOT_PLURAL:
        return word, False
    if word in _IRREGULAR:
        return _IRREGULAR[word], _IRREGULAR[word] != word
    if len(word) < 4 or not word.endswith("s") or re.search(r"(ss|us|is|'s)$", word):
        return word, False
    if word.endswith("ies") and len(word) > 4:
        stem = word[:-1]
        return (stem, True) if stem in _IE else (word[:-3] + "y", True)
    if re.search(r"(sses|shes|ches|xes|zzes)$", word):
        return word[:-2], True
    if word.endswith("oes"):
        return word[:-2], True
    return word[:-1], True
