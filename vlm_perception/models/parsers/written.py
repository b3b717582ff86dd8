"""Coordinates written in digits: JSON answers, ``[x1, y1, x2, y2]``, ``(x1,y1),(x2,y2)``, ``<point x= y=>``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vlm_perception.models.parsers.base import (
    Parsed,
    Place,
    check_box,
    check_point,
    excerpt,
    without_repeats,
)
from vlm_perception.models.parsers.thoughts import without_thoughts

_BOX_KEYS = ("bbox_2d", "box_2d", "bbox", "box", "bounding_box", "coordinates")
_POINT_KEYS = ("point_2d", "point")
_LABEL_KEYS = ("label", "name", "phrase", "object", "text", "text_content", "description", "category")

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
# No two parts of a pattern that follow each other may match the same blanks: a model in a loop writes thousands.
_LIST = re.compile(rf"[\[(]\s*({_NUMBER}(?:(?:\s*[,;]\s*|\s+){_NUMBER}){{1,7}})\s*[\])]")
_CORNERS = re.compile(
    rf"\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)\s*(?:,\s*)?\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)"
)
_REF = re.compile(r"<ref>([^<]*)</ref>|<\|object_ref_start\|>([^<]*)<\|object_ref_end\|>")
_POINT_TAG = re.compile(r"<points?\s([^<>]*?)/?>(?:([^<]*)</points?>)?")
_POINT_XY = re.compile(rf"\bx(\d*)\s*=\s*[\"']\s*({_NUMBER})\s*[\"']\s+y\1\s*=\s*[\"']\s*({_NUMBER})\s*[\"']")


def parse_written(text: str, limits: tuple[float, float]) -> Parsed:
    """Find every box or point that a text certainly states.

    JSON objects are read first, whole ones only: of a truncated answer the complete objects are kept and the
    torso is reported. Without any, lists of four numbers in brackets or pairs of corners are read, labelled by
    a ``<ref>`` before them. What the model thought before it answered is not read.

    Args:
        text: the model's answer.
        limits: largest x and y in the unit the model writes: (1, 1), (1000, 1000), or the resized image's size.

    Returns:
        Places in that unit. An explicit empty list is no problem; prose without coordinates is one.
    """
    text, cut = without_thoughts(text)
    problems = [cut] if cut else []
    objects, torso = _json_objects(text)
    places = [place for item in objects for place in _from_object(item, limits, problems)]
    if torso:
        problems.append(f"dropped a truncated end: {excerpt(torso)}")
    if not places and not any(_keys(item) for item in objects):
        places = list(_from_prose(text, limits, problems))
    if not places and not problems and not re.search(r"\[\s*\]", text):
        problems.append(f"no coordinates in {excerpt(text)}" if text.strip() else "empty answer")
    return Parsed(without_repeats(places, problems), tuple(problems), text.strip())


def parse_points(text: str, limits: tuple[float, float] = (100.0, 100.0)) -> Parsed:
    """Molmo's ``<point x="61.5" y="40.4" alt="red mug">red mug</point>``, in per cent of each side."""
    problems: list[str] = []
    places: list[Place] = []
    for tag in _POINT_TAG.finditer(text):
        label = _alt(tag.group(1)) or (tag.group(2) or "").strip()
        found = list(_POINT_XY.finditer(tag.group(1)))
        if not found:
            problems.append(f"dropped {excerpt(tag.group(0))}: no x and y")
        for match in found:
            place = check_point((float(match.group(2)), float(match.group(3))), limits, problems)
            if place is not None:
                places.append(replace(place, label=label))
    if not places and not problems:
        problems.append(f"no points in {excerpt(text)}" if text.strip() else "empty answer")
    words = re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", text)).strip()
    return Parsed(without_repeats(places, problems), tuple(problems), words)


def _alt(attributes: str) -> str:
    match = re.search(r"alt\s*=\s*[\"']([^\"']*)[\"']", attributes)
    return match.group(1).strip() if match else ""


def _json_objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """Every whole JSON object of a text, outermost first, and the end that was cut off ("" if none)."""
    decoder = json.JSONDecoder()
    objects: list[dict[str, Any]] = []
    torso = ""
    index = text.find("{")
    while index >= 0:
        try:
            value, end = decoder.raw_decode(text, index)
        except (ValueError, RecursionError):
            if text.find("}", index) < 0:
                torso = text[index:]
            end = index + 1
        else:
            objects += _flatten(value)
            torso = ""
        index = text.find("{", end)
    return objects, torso


def _flatten(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if _keys(value):
            yield value
        else:
            for inner in value.values():
                yield from _flatten(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flatten(inner)


def _keys(item: dict[str, Any]) -> str:
    return next((key for key in (*_BOX_KEYS, *_POINT_KEYS) if key in item), "")


def _from_object(
    item: dict[str, Any], limits: tuple[float, float], problems: list[str]
) -> Iterator[Place]:
    key = _keys(item)
    if not key:
        return
    label = next((item[name].strip() for name in _LABEL_KEYS if isinstance(item.get(name), str)), "")
    value = item[key]
    many = isinstance(value, list) and bool(value) and all(isinstance(inner, list) for inner in value)
    for numbers in value if many else [value]:
        if not isinstance(numbers, list) or any(
            isinstance(n, bool) or not isinstance(n, (int, float)) for n in numbers
        ):
            problems.append(f"dropped {excerpt(json.dumps(item, ensure_ascii=False))}: '{key}' is no list of numbers")
            continue
        check = check_point if key in _POINT_KEYS else check_box
        place = check(numbers, limits, problems)
        if place is not None:
            yield replace(place, label=label)


def _from_prose(text: str, limits: tuple[float, float], problems: list[str]) -> Iterator[Place]:
    refs = [(match.end(), (match.group(1) or match.group(2) or "").strip()) for match in _REF.finditer(text)]
    found: list[tuple[int, list[float]]] = []
    rest = text
    for match in _CORNERS.finditer(text):
        found.append((match.start(), [float(group) for group in match.groups()]))
        rest = rest[: match.start()] + " " * len(match.group(0)) + rest[match.end() :]
    for match in _LIST.finditer(rest):
        numbers = [float(number) for number in re.findall(_NUMBER, match.group(1))]
        if len(numbers) > 2:  # a pair in prose is as likely a size or a remark
            found.append((match.start(), numbers))
    for start, numbers in sorted(found, key=lambda item: item[0]):
        place = check_box(numbers, limits, problems)
        if place is not None:
            label = next((words for end, words in reversed(refs) if end <= start), "")
            yield replace(place, label=label)
