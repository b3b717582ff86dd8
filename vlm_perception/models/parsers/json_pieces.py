"""A text cut up into its JSON objects, whole or malformed, and what stands between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What a piece of a text is."""

    WHOLE = auto()  # an object that can be decoded
    MALFORMED = auto()  # from a brace to the one that closes it, or to the next that opens
    TRUNCATED = auto()  # from a brace to the end, and none closes it
    BETWEEN = auto()  # no object


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Attributes:
        kind: what it is.
        text: as written.
        value: the decoded object, if it is whole.
    """

    kind: Kind
    text: str
    value: dict[str, Any] | None = None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice JSON keeps the last only: two objects whose borders were lost would become one."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


# Not strict: a line break within a string is read as what it is.
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_unique)


def cut_up(text: str) -> Iterator[Piece]:
    """The pieces of a text, in order; together they are the text.

    The outermost objects that are whole come out whole. Where one is malformed, those within it are found all the same.
    """
    position, start = 0, text.find("{")
    last_closed = text.rfind("}")
    while start >= 0:
        if position < start:
            yield Piece(Kind.BETWEEN, text[position:start])
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            following = text.find("{", start + 1)
            limit = following if following >= 0 else len(text)
            closed = text.find("}", start, limit)
            position = closed + 1 if closed >= 0 else limit
            truncated = following < 0 and last_closed < start
            yield Piece(Kind.TRUNCATED if truncated else Kind.MALFORMED, text[start:position])
            start = following
        else:
            yield Piece(Kind.WHOLE, text[start:position], value)
            start = text.find("{", position)
    if position < len(text):
        yield Piece(Kind.BETWEEN, text[position:])
