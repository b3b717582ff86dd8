"""Adjectives before a noun: colors (coordinated ones are one attribute), sizes, materials, shapes, states, looks."""

from __future__ import annotations

from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.tokens import Cursor
from vlm_perception.types import Attribute

_KINDS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("size", lx.SIZES),
    ("material", lx.MATERIALS),
    ("shape", lx.SHAPES),
    ("state", lx.STATES),
    ("other", lx.LOOKS),
)


def kind_of(word: str) -> str:
    """The attribute kind of a closed-class adjective, or ``""``."""
    if word in lx.COLORS:
        return "color"
    return next((kind for kind, words in _KINDS if word in words), "")


def take_attribute(cursor: Cursor, *, predicative: bool = False) -> Attribute | None:
    """Read one attribute at the cursor.

    Args:
        cursor: moved past the attribute when there is one.
        predicative: after "is": the word stands alone ("the mug is red"), so nothing needs to follow.

    Returns:
        The attribute, or None where the word is the noun itself ("the orange", "red wine bottle").
    """
    start = cursor.pos
    attribute = _read(cursor)
    if attribute is None:
        cursor.pos = start
        return None
    last, following = cursor.tokens[cursor.pos - 1].word, cursor.word()
    if not predicative:
        if (last, following) in lx.FIXED_PAIRS:
            cursor.pos = start
            return None
        if last in lx.NOUN_TOO and not _continues(cursor):
            cursor.pos = start
            return None
    return attribute


def _continues(cursor: Cursor) -> bool:
    word = cursor.word()
    if word in {"one", "ones"}:
        return True
    if word in {",", "and"}:
        return bool(kind_of(cursor.word(1))) and (is_content(cursor.word(2)) or cursor.word(2) == "and")
    return is_content(word) and word not in lx.SUPERLATIVES and word not in lx.COMPARATIVES and not (
        word in {"left", "right", "front"} and cursor.word(1) in {"of", "", ","}
    )  # fmt: skip


def _read(cursor: Cursor) -> Attribute | None:
    word, following = cursor.word(), cursor.word(1)
    if word == "made" and following in {"of", "from", "out", "with"}:
        return _made_of(cursor)
    if word == "colored" and (following in lx.COLORS | lx.COLOR_MODIFIERS or following == "in"):
        cursor.pos += 1
        cursor.take("in")
        return Attribute("color", shade) if (shade := _shade(cursor)) else None
    if (
        following in {"colored", "color"}
        and is_content(word)
        and (following == "colored" or word in lx.COLORS)
        and (word in lx.COLORS or cursor.word(2) not in lx.COLORS | lx.COLOR_MODIFIERS | {"in"})
    ):
        cursor.pos += 2
        return Attribute("color", word)
    if following == "shaped" and is_content(word):
        cursor.pos += 2
        return Attribute("shape", f"{word}-shaped")
    if following == "sized" and is_content(word):
        cursor.pos += 2
        return Attribute("size", word)
    if word == "stainless" and following == "steel":
        cursor.pos += 2
        return Attribute("material", "stainless steel")
    if word == "cut" and following == "off":
        cursor.pos += 2
        return Attribute("state", "cut off")
    if word == "upside" and following == "down":
        cursor.pos += 2
        return Attribute("state", "upside down")
    if word in {"turned", "switched"} and following in {"on", "off"}:
        cursor.pos += 2
        return Attribute("state", f"{word} {following}")
    shade = _shade(cursor)
    if shade:
        return Attribute("color", shade)
    kind = kind_of(word)
    if not kind:
        return None
    cursor.pos += 1
    return Attribute(kind, word)


def _made_of(cursor: Cursor) -> Attribute | None:
    """ "made of wood", "made out of stainless steel": whatever follows is the material."""
    cursor.pos += 1
    cursor.take("out")
    if not cursor.take_any({"of", "from", "with"}):
        return None
    cursor.skip_articles()
    words: list[str] = []
    while is_content(cursor.word()) and len(words) < 3 and cursor.word() not in lx.POSTURES:
        words.append(cursor.word())
        cursor.pos += 1
        if words[-1] in lx.MATERIALS and cursor.word() not in lx.MATERIALS:
            break
    return Attribute("material", " ".join(words)) if words else None


def _shade(cursor: Cursor) -> str:
    """A color with its modifiers and everything coordinated with it: ``"yellow and white"``, ``"dark blue"``."""
    first = _one_shade(cursor)
    if not first:
        return ""
    shades = [first]
    while True:
        start = cursor.pos
        joined = bool(cursor.take("and"))
        listed = not joined and cursor.take(",")
        listed_and = listed and cursor.take("and")
        following = _one_shade(cursor) if joined or listed else ""
        if listed and not listed_and and following and cursor.word() not in {"and", ","}:
            following = ""
        if not following:
            cursor.pos = start
            break
        shades.append(following)
    return " and ".join(shades)


def _one_shade(cursor: Cursor) -> str:
    start = cursor.pos
    words = []
    while cursor.word() in lx.COLOR_MODIFIERS:
        words.append(cursor.take_any(lx.COLOR_MODIFIERS))
    color = cursor.take_any(lx.COLORS)
    if not color:
        cursor.pos = start
        return ""
    while cursor.word() in lx.COLORS and cursor.word(1) not in {"", ","} and is_content(cursor.word(1)):
        if cursor.word() in lx.NOUN_TOO and cursor.word(1) not in lx.COLORS and not words:
            break
        color += " " + cursor.take_any(lx.COLORS)
    cursor.take("colored")
    return " ".join([*words, color])
