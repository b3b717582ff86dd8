"""Objects with a box or a point in them, as chat models write them: keys and values -> places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vlm_perception.models.parsers.base import Place, check_box, check_point, excerpt
from vlm_perception.models.parsers.json_pieces import Kind, Piece
from vlm_perception.models.parsers.malformed import Members, members_of
from vlm_perception.models.parsers.number_lists import numbers_in

_BOX_KEYS: Final = ("bbox_2d", "box_2d", "bbox", "box", "bounding_box", "coordinates")
_POINT_KEYS: Final = ("point_2d", "point")
_KEYS: Final = (*_BOX_KEYS, *_POINT_KEYS)
_CORNERS: Final = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"))
_LABEL_KEYS: Final = ("label", "name", "phrase", "object", "text", "text_content", "description", "category")
_WORDS: Final = re.compile(rf"\b(?:{'|'.join((*_KEYS, *_LABEL_KEYS))})\b")
STRAY_MEMBER: Final = re.compile(rf"{_WORDS.pattern}[\"']\s*:[^{{}}]*")
_FEWEST: Final = 3  # numbers that may be what is left of a box


@dataclass(frozen=True)
class Read:
    """What an object says.

    Attributes:
        places: in the order written.
        problems: what was dropped or mended.
        known: whether it says where anything is, in a way that is known here.
    """

    places: tuple[Place, ...]
    problems: tuple[str, ...]
    known: bool


def read_object(piece: Piece, limits: tuple[float, float]) -> Read:
    """Read an object, with those within it; of one that is no JSON, only what is certain.

    What names a thing, or holds numbers, and has no box that is known as one, is a problem.

    Args:
        piece: of a text, but none between objects.
        limits: largest x and y.
    """
    if piece.value is not None:
        return _whole(piece.value, limits)
    problems: list[str] = []
    members = members_of(piece.text)
    places = list(_of_members(members, limits, problems))
    known = _key(dict.fromkeys(members.names)) != ""
    told = excerpt(piece.text)
    if piece.kind is Kind.TRUNCATED:
        problems.append(f"dropped a truncated end: {told}")
    elif not places:
        if _WORDS.search(piece.text) or len(numbers_in(piece.text)) >= _FEWEST:
            problems.append(f"dropped a malformed object: {told}")
    elif members.complete and _label(members)[1]:
        problems.append(f"mended a malformed object: {told}")
    else:
        problems.append(f"read a malformed object in part: {told}")
    return Read(tuple(places), tuple(problems), known)


def _whole(value: dict[str, Any], limits: tuple[float, float]) -> Read:
    places: list[Place] = []
    problems: list[str] = []
    known = False
    # A stack, for nothing limits how deep they are nested; and whether it belongs to a box.
    rest: list[tuple[dict[str, Any] | list[Any], bool]] = [(value, False)]
    while rest:
        item, owned = rest.pop()
        key = ""
        if isinstance(item, dict) and (key := _key(item)):
            known = True
            places += _of_item(item, limits, problems)
        elif not owned and _says_something(item):
            problems.append(f"dropped {_told(item)}: it has no box")
            continue
        members = [item[name] for name in item if name != key] if isinstance(item, dict) else item
        inner = [child for child in members if isinstance(child, (dict, list))]
        rest += [(child, owned or bool(key)) for child in reversed(inner)]
    return Read(tuple(places), tuple(problems), known)


def _of_members(members: Members, limits: tuple[float, float], problems: list[str]) -> Iterator[Place]:
    """The boxes of a malformed object; all have its label, if it has but one."""
    label, _ = _label(members)
    read = dict(members.read)
    key = _key(read)
    if key not in _KEYS:
        if key and len(set(members.names)) == len(members.names):
            yield from _of_item({**read, "label": label}, limits, problems)
        return
    for name, value in members.read:
        if name == key:
            yield from _of_item({key: value, "label": label}, limits, problems)


def _label(members: Members) -> tuple[str, bool]:
    """What it calls the thing ("" if it does not say), and whether that is certain."""
    name = next((key for key in _LABEL_KEYS if key in members.names), "")
    said = {value for key, value in members.read if key == name and isinstance(value, str)}
    certain = len(said) <= 1 and members.names.count(name) == sum(key == name for key, _ in members.read)
    return (said.pop().strip() if certain and said else "", certain)


def _of_item(item: Mapping[str, Any], limits: tuple[float, float], problems: list[str]) -> Iterator[Place]:
    key = _key(item)
    label = next((item[name].strip() for name in _LABEL_KEYS if isinstance(item.get(name), str)), "")
    value = item[key] if key in _KEYS else item
    if isinstance(value, Mapping) and _corners(value):
        value = [value[name] for name in _corners(value)]
    many = isinstance(value, list) and bool(value) and all(isinstance(inner, list) for inner in value)
    for numbers in value if many else [value]:
        if not isinstance(numbers, list) or any(
            isinstance(n, bool) or not isinstance(n, (int, float)) for n in numbers
        ):
            problems.append(f"dropped {_told(item)}: '{key}' is no list of numbers")
            continue
        check = check_point if key in _POINT_KEYS else check_box
        place = check(numbers, limits, problems)
        if place is not None:
            yield replace(place, label=label)


def _key(item: Mapping[str, Any]) -> str:
    """The key that says where a thing is; for four coordinates by name, the first of them; "" if there is none."""
    return next((key for key in _KEYS if key in item), (*_corners(item), "")[0])


def _corners(item: Mapping[str, Any]) -> tuple[str, ...]:
    return next((names for names in _CORNERS if all(name in item for name in names)), ())


def _says_something(item: dict[str, Any] | list[Any]) -> bool:
    """Whether what has no known box names a thing, or holds the numbers of a box; what it says within is another's."""
    members = list(item.values()) if isinstance(item, dict) else item
    within = [child for member in members for child in (member if isinstance(member, list) else [member])]
    if isinstance(item, dict):
        if any(isinstance(child, (dict, list)) for child in within):
            return False
        members = within
    numbers = sum(isinstance(value, (int, float)) and not isinstance(value, bool) for value in members)
    named = isinstance(item, dict) and any(isinstance(item.get(name), str) for name in _LABEL_KEYS)
    return named or numbers >= _FEWEST


def _told(item: object) -> str:
    try:
        return excerpt(json.dumps(item, ensure_ascii=False))
    except RecursionError:
        return "an object nested too deep"
