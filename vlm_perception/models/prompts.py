"""Phrases as each detection head wants to read them. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# They carry nothing about the thing; a head need not light up on them.
FUNCTION_WORDS = frozenset({"a", "an", "the", "of", "and", "with", "in", "on", "or", "for"})


def clean_phrase(phrase: str) -> str:
    r"""One line, single spaces, no characters that a head reads as the end of a phrase.

    >>> clean_phrase(" Dr. Pepper\ncan? ")
    'Dr Pepper can'
    """
    return " ".join(re.sub(r"[.?!;\x00-\x1f]+", " ", phrase).split())


def grounding_caption(phrases: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of Grounding DINO: lower-case phrases, each closed by a full stop.

    As documented for ``GroundingDinoProcessor``: ``["A cat", "a dog"]`` -> ``"a cat. a dog."``.

    Returns:
        The caption, and for each phrase its ``(start, end)`` in characters, end exclusive.
    """
    parts = [clean_phrase(phrase).lower() for phrase in phrases]
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
