"""Coordinates written in digits: JSON answers, ``[x1, y1, x2, y2]``, ``(x1,y1),(x2,y2)``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from vlm_perception.models.parsers.base import Parsed, Place, check_box, excerpt, without_repeats
from vlm_perception.models.parsers.json_pieces import Kind, cut_up
from vlm_perception.models.parsers.number_lists import number_lists
from vlm_perception.models.parsers.thoughts import without_thoughts
from vlm_perception.models.parsers.written_objects import STRAY_MEMBER, read_object

_REF = re.compile(r"<ref>([^<]*)</ref>|<\|object_ref_start\|>([^<]*)<\|object_ref_end\|>")
_READ_ALREADY = "{}"  # in place of an object, which parts what is before it from what is after it


def parse_written(text: str, limits: tuple[float, float]) -> Parsed:
    """Find every box or point that a text certainly states.

    JSON objects are read first. Of one that is malformed or was cut off, a box is kept if all its numbers and its bracket
    are there, and its label if that is certain; the rest is reported. Where there are no objects, lists of four numbers
    in brackets or pairs of corners are read, labelled by a ``<ref>`` before them; beside objects they are reported, for
    what they mean there is not certain. What the model thought before it answered is not read.

    Args:
        text: the model's answer.
        limits: largest x and y in the unit the model writes: (1, 1), (1000, 1000), or the resized image's size.

    Returns:
        Places in that unit. An explicit empty list is no problem; prose without coordinates is one.
    """
    text, cut = without_thoughts(text)
    problems = [cut] if cut else []
    strange: list[str] = []  # objects that say where nothing is, in a way that is known
    places: list[Place] = []
    boxes: set[tuple[float, ...]] = set()
    unread: list[str] = []
    between: list[str] = []
    listed = False
    for piece in cut_up(text):
        if piece.kind is Kind.BETWEEN:
            unread.append(piece.text)
            between.append(piece.text)
            continue
        read = read_object(piece, limits)
        # What is left of an object in a loop says again what a whole one said.
        fresh = [place for place in read.places if piece.kind is Kind.WHOLE or place.label or place.box not in boxes]
        boxes |= {place.box for place in fresh}
        places += fresh
        certain = read.known or piece.kind is Kind.TRUNCATED
        (problems if certain else strange).extend(read.problems)
        unread.append(_READ_ALREADY if read.known else piece.text)
        between.append(_READ_ALREADY)
        listed = listed or (read.known and piece.kind is Kind.WHOLE)
    if places or listed:
        problems += [*strange, *_beside("".join(between), limits, places)]
    else:
        places = _from_prose("".join(unread), limits, problems)
    if not places and not problems and not re.search(r"\[\s*\]", text):
        problems.append(f"no coordinates in {excerpt(text)}" if text.strip() else "empty answer")
    return Parsed(without_repeats(places, problems), tuple(problems), text.strip())


def _from_prose(text: str, limits: tuple[float, float], problems: list[str]) -> list[Place]:
    refs = list(_REF.finditer(text))
    ends = [ref.end() for ref in refs]
    found, unclosed = number_lists(text)
    places: list[Place] = []
    for start, numbers in found:
        place = check_box(numbers, limits, problems)
        if place is not None:
            before = bisect_right(ends, start)
            words = refs[before - 1].group(1) or refs[before - 1].group(2) or "" if before else ""
            places.append(replace(place, label=words.strip()))
    problems += [f"dropped {excerpt(torn)}: its bracket is not closed" for torn in unclosed]
    return places


def _beside(text: str, limits: tuple[float, float], places: Sequence[Place]) -> list[str]:
    """What stands outside of all objects: keys of one, and brackets, unless they repeat in words what an object says."""
    said = {place.box for place in places}
    found, unclosed = number_lists(text)
    problems = [f"dropped {excerpt(stray.group(0))}: outside of all objects" for stray in STRAY_MEMBER.finditer(text)]
    for _, numbers in found:
        place = check_box(numbers, limits, [])
        if place is None or place.box not in said:
            written = excerpt(", ".join(f"{number:g}" for number in numbers))
            problems.append(f"dropped {written}: outside of all objects")
    return problems + [f"dropped {excerpt(torn)}: its bracket is not closed" for torn in unclosed]
