"""Roundabout wordings brought to the plain one, before the grammar reads them: "most distant" is "farthest"."""

from __future__ import annotations

from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.determiners import is_amount
from vlm_perception.language.tokens import Cursor, PatternTable, Token

_PLAINER: Final[dict[str, str]] = {
    "most distant": "farthest", "most remote": "farthest", "next to last": "second to last", "on to of": "on top of",
    "under neath": "underneath", "if possible": "", "if you can": "", "if you please": "", "if you like": "", "if you do not mind": "",
    "anywhere": "", "in space between": "between", "in gap between": "between", "in area between": "between", "in room between": "between",
    "swap positions of": "swap", "swap places of": "swap", "swap locations of": "swap", "exchange positions of": "exchange",
    "exchange places of": "exchange", "exchange locations of": "exchange", "switch positions of": "swap", "switch places of": "swap",
    "on opposite side of": "behind", "at opposite side of": "behind", "are stacked": "are on one-another", "lying flat": "", "standing up": "upright",
    "standing upright": "upright", "lying down": "toppled", "has been placed": "is", "have been placed": "are", "has been put": "is",
    "have been put": "are", "was placed": "is", "were placed": "are", "was put": "is", "has been left": "is", "that i put": "that is",
    "that you put": "that is", "that i placed": "that is", "that you placed": "that is", "that i left": "that is", "that you left": "that is",
    "so that it is": "", "such that it is": "", "immediate left of": "left of", "immediate right of": "right of", "direct left of": "left of",
    "direct right of": "right of", "anybody": "any person", "anyone": "any person", "somebody": "a person", "someone": "a person",
    "nobody": "no person", "whose color is": "that is", "whichever": "the",
    "one at time": "", "one by one": "", "one after other": "",
    "at very bottom of": "at bottom of", "at very top of": "at top of", "in very middle of": "in middle of", "at very edge of": "at edge of",
    "half hidden": "hidden", "half covered": "hidden", "on other side of": "behind", "on far side of": "behind", "at far side of": "behind",
    "on near side of": "in front of",
    "whatever is": "thing that is", "whatever lies": "thing that lies", "whatever stands": "thing that stands", "whatever are": "things that are",
    "rest of": "other", "remaining": "other", "in same row": "", "in row from": "from", "counter clockwise": "counterclockwise",
    "side by side": "next to one-another", "one another": "one-another", "each other": "one-another", "turned over": "overturned",
    "tipped over": "toppled", "knocked over": "toppled", "fallen over": "toppled", "toppled over": "toppled", "flipped over": "overturned",
    "lying on its side": "toppled", "laying on its side": "toppled", "lies on its side": "is toppled", "on its side": "toppled",
    "lying on their sides": "toppled", "on their sides": "toppled", "lying on their side": "toppled", "fallen on its side": "toppled",
    "lying upside down": "upside down", "off white": "off-white",
    "outside of": "not in", "outside": "not in", "not outside": "in",
}  # fmt: skip
_BOUNDS: Final = PatternTable({tuple(text.split()): f"{text.replace(' ', '-')}-number" for text in lx.BOUNDS})
_TABLE: Final = PatternTable({tuple(text.split()): plain or "-" for text, plain in _PLAINER.items()})
_LAYS: Final = frozenset("put place lay set turn tip tilt rotate".split())
_UNITS: Final = frozenset(
    "cm mm m centimeter centimeters millimeter millimeters meter meters inch inches foot feet degree degrees deg".split()
)
_TOWARD: Final = frozenset("to left right up down forward backward forwards backwards away toward back".split())


def plainer(tokens: list[Token]) -> list[Token]:
    """The same command in plainer words.

    Args:
        tokens: of the whole command, politeness removed.

    Returns:
        Tokens whose ``raw`` still spell the command as written.
    """
    tokens = _direction_last(tokens)
    cursor = Cursor(tokens)
    kept: list[Token] = []
    i = 0
    while i < len(tokens):
        step = _measure(tokens, i)
        if step:
            i += step
            continue
        mended = _bounded(cursor, i) or _in_context(tokens, i)
        if mended is not None:
            words, stop = mended
        else:
            found = _TABLE.find(cursor, i)
            if found is None or not _applies(tokens, i, found[1]):
                kept.append(tokens[i])
                i += 1
                continue
            words, stop = [] if found[0] == "-" else found[0].split(), found[1]
            if words == ["toppled"] and any(t.word in _LAYS for t in tokens[:i]):
                words = []  # "lay the bottle on its side": not so yet
        said = " ".join(t.raw for t in tokens[i:stop] if t.raw)
        kept += [Token(word, said if k == 0 else "") for k, word in enumerate(words)]
        if not words and kept and kept[-1].word == "," and stop < len(tokens) and tokens[stop].word == ",":
            stop += 1
        i = stop
    return kept


def _direction_last(tokens: list[Token]) -> list[Token]:
    """ "from the left, the second mug" is "the second mug from the left"; "second-from-left can" likewise."""
    words = [t.word for t in tokens]
    if words[:1] in (["from"], ["counting"]) and "," in words[:6]:
        comma = words.index(",")
        if set(words[:comma]) & lx.POSITIONS.keys() and set(words[comma:]) & lx.ORDINALS.keys():
            return [*tokens[comma + 1 :], *tokens[:comma]]
    for i in range(1, len(words) - 2):
        if (
            words[i] == "from"
            and words[i - 1] in lx.ORDINALS
            and words[i + 1] in {"left", "right"}
            and "-" in tokens[i].raw
        ):
            return [*tokens[:i], *tokens[i + 2 :], *tokens[i : i + 2]]
    return tokens


def _applies(tokens: list[Token], start: int, stop: int) -> bool:
    first = tokens[start].word
    following = tokens[stop].word if stop < len(tokens) else ""
    if first == "outside":  # "the outside light"
        return following in lx.ARTICLES | lx.POSSESSIVES | lx.DEMONSTRATIVES or (
            start > 0 and lx.is_content(tokens[start - 1].word) and lx.is_content(following)
        )
    if first == "are":  # "the mugs are stacked", but not "stacked next to the lamp"
        return not following or following in {".", "?", "!", ","}
    if [t.word for t in tokens[start : start + 2]] == ["one", "at"] or "by" in [t.word for t in tokens[start:stop]]:
        return True
    if first in {"each", "one"}:  # "each other mug"
        return not lx.is_content(following)
    return bool(following) if first == "remaining" else True


def _measure(tokens: list[Token], i: int) -> int:
    """How many tokens "(by) 10 cm" takes, where it says how far to go and not how big a thing is."""
    start = i
    if tokens[i].word == "by":
        i += 1
    if i + 1 >= len(tokens) or not (tokens[i].word in lx.NUMBERS or tokens[i].word.replace(".", "").isdigit()):
        return 0
    if tokens[i + 1].word not in _UNITS or (start and tokens[start - 1].word in lx.ARTICLES):
        return 0
    stop = i + 2
    following = tokens[stop].word if stop < len(tokens) else ""
    return stop - start if following in _TOWARD or not lx.is_content(following) else 0


def _bounded(cursor: Cursor, i: int) -> tuple[list[str], int] | None:
    """ "at least" before a number is one word, and no preposition."""
    found = _BOUNDS.find(cursor, i)
    return ([found[0]], found[1]) if found is not None and is_amount(cursor, found[1]) else None


def _in_context(tokens: list[Token], i: int) -> tuple[list[str], int] | None:
    """Words that only their neighbors make plain."""
    words = [t.word for t in tokens[i : i + 4]] + [""] * 4
    if words[0] == "form" and words[1] in {"the", "left", "right", "top", "bottom"} and i:
        return ["from"], i + 1
    if words[0] == "no" and words[1] == "." and words[2] in lx.NUMBERS:
        return ["number"], i + 2
    if words[0] == "by" and words[1] in {"its", "their"} and lx.is_content(words[2]) and i:
        return [], i + 3  # "grasp the mug by its handle": how, not which
    if words[0] in {"neither", "nor"} and words[1] in lx.PREPOSITIONS - {"of"} | {"left", "right"}:
        return (["not"] if words[0] == "neither" else ["and", "not"]), i + 1
    if (
        words[0] == "number"
        and words[1] in lx.NUMBERS
        and words[2] == "from"
        and (not i or tokens[i - 1].word in lx.ARTICLES)
    ):
        rank = lx.NUMBERS[words[1]]
        ordinal = next((o for o, k in lx.ORDINALS.items() if k == rank), "")
        return ([ordinal, "one"], i + 2) if ordinal else None
    if (
        words[0] == "rest"
        and i
        and tokens[i - 1].word in lx.ARTICLES
        and words[1] != "of"
        and not lx.is_content(words[1])
    ):
        return ["other", "ones"], i + 1
    if i == 0 and words[0] == "were" and words[1] in {"is", "are"}:
        return ["where"], 1
    return None
