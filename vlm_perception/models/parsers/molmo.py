"""Molmo's points: ``<points coords="1 1 193 076 2 226 144">red mugs</points>`` (Molmo 2), and its elders'."""

from __future__ import annotations

import re
from dataclasses import replace

from vlm_perception.models.parsers.base import Parsed, Place, check_point, excerpt, without_repeats
from vlm_perception.models.parsers.point_tags import parse_points

_TAG = re.compile(r"<points?\b[^<>]*?\bcoords\s*=\s*[\"']([^\"'<>]*)([\"'][^<>]*>)?([^<]*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_LIMITS = (1000.0, 1000.0)


def parse_molmo(text: str) -> Parsed:
    """Read the points of one image.

    Molmo 2 writes groups separated by tabs, one an image: its number, then ``id x y`` for each point, in per mille
    of the sides. Molmo's ``<point x= y=>`` in per cent are read too.

    Args:
        text: the model's answer.

    Returns:
        Points in per mille. Of a truncated answer the whole triples are kept, and the rest is reported.
    """
    tags = list(_TAG.finditer(text))
    if not tags:
        return _elders(text)
    problems: list[str] = []
    places: list[Place] = []
    for tag in tags:
        whole = tag.group(2) is not None
        label = (tag.group(3) or "").strip() if whole else ""
        *groups, last = re.split(r"[\t;]", tag.group(1))
        found = [place for group in groups for place in _group(group, problems, cut=False)]
        found += _group(last, problems, cut=not whole)
        places += [replace(place, label=label) for place in found]
    rest = _TAG.sub(" ", text)
    if "<point" in rest:
        others = _elders(rest)
        places += others.places
        problems += others.problems
    if not places and not problems:
        problems.append(f"no points in {excerpt(text)}")
    words = re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", text)).strip()
    return Parsed(without_repeats(places, problems), tuple(problems), words)


def _group(group: str, problems: list[str], *, cut: bool) -> list[Place]:
    """One image's points. With ``cut`` the last number may lack digits, so its triple goes."""
    tokens = group.replace(":", " ").replace(",", " ").split()
    if not tokens:
        return []
    if not all(_NUMBER.fullmatch(token) for token in tokens):
        problems.append(f"dropped {excerpt(group)}: not all of it are numbers")
        return []
    if float(tokens[0]) != 1:
        problems.append(f"dropped {excerpt(group)}: it speaks of image {tokens[0][:9]}, and there is one")
        return []
    rest = tokens[1:]
    whole = len(rest) // 3 - (1 if cut and len(rest) % 3 == 0 else 0)
    if len(rest) != 3 * whole:
        problems.append(f"dropped the end of {excerpt(group)}: not a whole id, x, y")
    found: list[Place] = []
    for start in range(0, 3 * max(whole, 0), 3):
        place = check_point((float(rest[start + 1]), float(rest[start + 2])), _LIMITS, problems)
        if place is not None:
            found.append(place)
    return found


def _elders(text: str) -> Parsed:
    parsed = parse_points(text)
    places = tuple(
        replace(place, box=(place.box[0] * 10, place.box[1] * 10, place.box[2] * 10, place.box[3] * 10))
        for place in parsed.places
    )
    return replace(parsed, places=places)
