"""An object that is no JSON: what of it reads for certain."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from vlm_perception.models.parsers.number_lists import LIST, NUMBER, numbers_in

_KEY = re.compile(r"([\"'])(\w{1,40})\1\s*:|[{,]\s*(\w{1,40})\s*:")
_LIST = re.compile(LIST)
_LISTS = re.compile(rf"\[\s*{LIST}(?:(?:\s*,\s*|\s*){LIST})*\s*\]|\[\s*\]")
_SCALAR = re.compile(rf"{NUMBER}|[Tt]rue|[Ff]alse|null|None")
# A quote beside one of these may have ended the string: what follows would be another's.
_STRUCTURE: Final = ",:;[]{}"


@dataclass(frozen=True)
class Members:
    """Keys and values of a malformed object.

    Attributes:
        names: all keys, in the order written.
        read: the keys and values that read for certain, likewise.
        complete: there is nothing in the object but these, so that only its punctuation was wrong.
    """

    names: tuple[str, ...]
    read: tuple[tuple[str, Any], ...]
    complete: bool


def members_of(text: str) -> Members:
    """Read an object whose punctuation is wrong: commas too few or too many, Python's quotes, quotes within a string.

    What stands from one key to the next is the value of the first. Numbers are certain if their bracket is closed; a
    string, if it is closed where the value ends and nothing in it looks like the end of another.

    Args:
        text: from its opening brace to the closing one, or to where it was torn.
    """
    keys = list(_KEY.finditer(text))
    closed = text.endswith("}")
    complete = closed and bool(keys) and not text[: keys[0].start()].strip("{ \t\r\n")
    names: list[str] = []
    read: list[tuple[str, Any]] = []
    for index, key in enumerate(keys):
        last = index + 1 == len(keys)
        value = text[key.end() : len(text) if last else keys[index + 1].start()].rstrip()
        names.append(key.group(2) or key.group(3))
        ended = not last or closed or value.endswith(",")
        certain, whole = _value(value.rstrip("},; \t\r\n").lstrip(), ended=ended)
        complete = complete and whole
        read += [(names[-1], result) for result in certain]
    return Members(tuple(names), tuple(read), complete)


def _value(text: str, *, ended: bool) -> tuple[list[Any], bool]:
    """The value, if there is a certain one, and whether it is all there is.

    Args:
        text: of the value.
        ended: whether something shows that it ended there.
    """
    for pattern in (_LISTS, _LIST):
        match = pattern.match(text)
        if match is not None:
            inner = [numbers_in(part) for part in _LIST.findall(match.group(0))]
            return [inner if pattern is _LISTS else inner[0]], match.end() == len(text)
    if _SCALAR.fullmatch(text):
        return [_scalar(text)] if ended else [], ended
    words = _string(text) if ended else None
    return ([], False) if words is None else ([words], True)


def _scalar(text: str) -> float | bool | None:
    if text[0] in "TtFf":
        return text[0] in "Tt"
    return None if text in ("null", "None") else float(text)


def _string(text: str) -> str | None:
    """What a string in either kind of quotes says, quotes within it included; None where its end is open to doubt."""
    quote = text[:1]
    if len(text) < 2 or quote not in ('"', "'") or text[-1] != quote:
        return None
    parts = text[1:-1].split(quote)
    for before, after in pairwise(parts):
        neighbours = (before.rstrip()[-1:], after.lstrip()[:1])
        if not before.endswith("\\") and any(sign in _STRUCTURE for sign in neighbours):  # the empty one is in it too
            return None
    written = re.sub(r"\\.|\"", _escaped, text[1:-1], flags=re.DOTALL)
    try:
        return str(json.loads(f'"{written}"', strict=False))
    except ValueError:
        return None


def _escaped(match: re.Match[str]) -> str:
    """As JSON has it: Python escapes single quotes too."""
    return {'"': '\\"', "\\'": "'"}.get(match.group(0), match.group(0))
