"""Points in tags: ``<point x="61.5" y="40.4" alt="red mug">red mug</point>``."""

from __future__ import annotations

import re
from dataclasses import replace

from vlm_perception.models.parsers.base import Parsed, Place, check_point, excerpt, without_repeats
from vlm_perception.models.parsers.number_lists import NUMBER

_TAG = re.compile(r"<points?\s([^<>]*?)/?>(?:([^<]*)</points?>)?")
_XY = re.compile(rf"\bx(\d*)\s*=\s*[\"']\s*({NUMBER})\s*[\"']\s+y\1\s*=\s*[\"']\s*({NUMBER})\s*[\"']")
_ONE = re.compile(r"\bx\d*\s*=")
_OPENED = re.compile(r"<points?\b[^<>]*")


def parse_points(text: str, limits: tuple[float, float] = (100.0, 100.0)) -> Parsed:
    """Molmo's points, in per cent of each side.

    Args:
        text: the model's answer.
        limits: largest x and y.

    Returns:
        The points of all whole tags; a tag that was cut off, or has no x and y, is reported.
    """
    problems: list[str] = []
    places: list[Place] = []
    for tag in _TAG.finditer(text):
        label = _alt(tag.group(1)) or (tag.group(2) or "").strip()
        found = list(_XY.finditer(tag.group(1)))
        if not found:
            problems.append(f"dropped {excerpt(tag.group(0))}: no x and y")
        elif len(found) < len(_ONE.findall(tag.group(1))):
            problems.append(f"dropped a part of {excerpt(tag.group(0))}: an x without its y")
        for match in found:
            place = check_point((float(match.group(2)), float(match.group(3))), limits, problems)
            if place is not None:
                places.append(replace(place, label=label))
    torn = [match.group(0) for match in _OPENED.finditer(_TAG.sub(" ", text))]
    problems += [f"no points in {excerpt(tag)}: the tag is not closed" for tag in torn]
    if not places and not problems:
        problems.append(f"no points in {excerpt(text)}" if text.strip() else "empty answer")
    words = re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", text)).strip()
    return Parsed(without_repeats(places, problems), tuple(problems), words)


def _alt(attributes: str) -> str:
    match = re.search(r"alt\s*=\s*[\"']([^\"']*)[\"']", attributes)
    return match.group(1).strip() if match else ""
