"""Words of the user as models want to read them: those that write, and detection heads. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

# They carry nothing about the thing; a head need not light up on them.
FUNCTION_WORDS = frozenset({"a", "an", "the", "of", "and", "with", "in", "on", "or", "for"})
# What people put around a phrase: sentence marks and quotes, in the scripts of the models' languages.
_AROUND: Final = (
    " .,:;!?'\"`\u00b4\u2026\u00a1\u00bf\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb"
    "\u3001\u3002\u300c\u300d\u300e\u300f\uff01\uff0c\uff0e\uff1a\uff1b\uff1f\u060c\u061b\u061f"
)
_JOINERS: Final = "\u200c\u200d"  # invisible, but letters of some scripts are wrong without them


def one_line(text: str) -> str:
    r"""Single spaces, no control characters, nothing invisible, nothing that is no character.

    >>> one_line("what is\n\x07this\u200b?")
    'what is this?'
    """
    seen = []
    for character in text:
        kind = unicodedata.category(character)
        if kind == "Cc":
            seen.append(" ")
        elif kind not in ("Cf", "Cs") or character in _JOINERS:
            seen.append(character)
    return " ".join("".join(seen).split())


def clean_phrase(phrase: str) -> str:
    r"""A phrase for a model that writes: one line, without the marks and quotes around it.

    Within it, the double quotes and semicolons by which prompts tell phrases apart are no longer that.

    >>> clean_phrase(' "The 1.5 l bottle,\nDr. Pepper!" ')
    'The 1.5 l bottle, Dr. Pepper'
    >>> clean_phrase('the 13" screen')
    "the 13'' screen"
    """
    line = one_line(phrase).rstrip(_AROUND)
    words = line.lstrip(_AROUND)
    if words[:1].isdigit() and line.removesuffix(words).endswith("."):  # ".5 l bottle"
        words = "." + words
    return one_line(words.replace(";", " ").replace('"', "''"))


def head_phrase(phrase: str) -> str:
    r"""A phrase for a detection head: one line, no brackets, and no marks but the points of numbers.

    >>> head_phrase(" Dr. Pepper\ncan? 1.5 l")
    'Dr Pepper can 1.5 l'
    """
    return one_line(re.sub(r"[?!;<>{}|\[\]]|\.(?!(?<=\d\.)\d)", " ", phrase))


def caption_phrase(phrase: str) -> str:
    """A phrase for the text of Grounding DINO, in which every full stop ends a phrase, that of a number as well."""
    return one_line(head_phrase(phrase).replace(".", " ")).lower()


def grounding_caption(phrases: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of Grounding DINO: lower-case phrases, each closed by a full stop.

    As documented for ``GroundingDinoProcessor``: ``["A cat", "a dog"]`` -> ``"a cat. a dog."``.

    Returns:
        The caption, and for each phrase its ``(start, end)`` in characters, end exclusive.
    """
    parts = [caption_phrase(phrase) for phrase in phrases]
    spans: list[tuple[int, int]] = []
    start = 0
    for part in parts:
        spans.append((start, start + len(part)))
        start += len(part) + len(". ")
    return ". ".join(parts) + ".", spans


def words_in_span(text: str, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Character spans of the words that matter inside ``text[start:end]``; all words if none does."""
    start, end = span
    words = [(m.start() + start, m.end() + start) for m in re.finditer(r"\w+", text[start:end])]
    content = [(a, b) for a, b in words if text[a:b] not in FUNCTION_WORDS]
    return content or words or [span]


def pack(phrases: Sequence[str], length: Callable[[str], int], limit: int) -> list[list[int]]:
    """Fill prompts of at most ``limit`` with phrases, in order.

    Args:
        phrases: what to pack.
        length: cost of one phrase (tokens, or 1 to count phrases).
        limit: largest total cost of a prompt.

    Returns:
        Index groups; a phrase that alone exceeds ``limit`` gets a group of its own.
    """
    groups: list[list[int]] = []
    used = 0
    for index, phrase in enumerate(phrases):
        cost = length(phrase)
        if not groups or used + cost > limit:
            groups.append([])
            used = 0
        groups[-1].append(index)
        used += cost
    return groups
