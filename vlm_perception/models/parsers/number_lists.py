"""Lists of numbers in brackets, and pairs of corners, wherever they stand in a text."""

from __future__ import annotations

import re
from typing import Final

NUMBER: Final = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
# No two parts of a pattern that follow each other may match the same blanks: a model in a loop writes thousands.
_NEXT: Final = rf"(?:\s*[,;]\s*|\s+){NUMBER}"
LIST: Final = rf"[\[(]\s*{NUMBER}(?:{_NEXT}){{1,7}}\s*[\])]"
_LIST = re.compile(LIST)
_CORNERS = re.compile(rf"\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)\s*(?:,\s*)?\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)")
_UNCLOSED = re.compile(rf"[\[(]\s*{NUMBER}(?:(?:{_NEXT}){{2,}}|(?:{_NEXT})?[\s,;]*\Z)")


def numbers_in(text: str) -> list[float]:
    """All numbers of a text."""
    return [float(number) for number in re.findall(NUMBER, text)]


def number_lists(text: str) -> tuple[list[tuple[int, list[float]]], list[str]]:
    """Every bracket of three to eight numbers, and every pair of corners ``(x1,y1),(x2,y2)``.

    A pair alone is as likely a size or a remark.

    Returns:
        (where it begins, its numbers) in the order written; and what looks like such a bracket, but is not closed.
    """
    found: list[tuple[int, list[float]]] = []
    for match in _CORNERS.finditer(text):
        found.append((match.start(), [float(group) for group in match.groups()]))
    rest = _CORNERS.sub(_blank, text)
    for match in _LIST.finditer(rest):
        numbers = numbers_in(match.group(0))
        if len(numbers) > 2:
            found.append((match.start(), numbers))
    unclosed = [match.group(0) for match in _UNCLOSED.finditer(_LIST.sub(_blank, rest))]
    return sorted(found, key=lambda item: item[0]), unclosed


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group(0))
