"""Florence-2's text: words followed by ``<loc_k>`` tokens, four a box, pairs an outline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from vlm_perception.models.codecs import FLORENCE_BINS
from vlm_perception.models.parsers.base import Parsed, Place, check_box, excerpt, without_repeats

_LAST = float(FLORENCE_BINS - 1)
_NOISE = re.compile(r"</?s>|<pad>|</?(?:od|ground|obj|box|bbox|cap|ocr|dcap|ncap|grounding)>")
_RUN = re.compile(r"(?:<loc_\d+>|<sep>|</?poly>)+")
_LOC = re.compile(r"<loc_(\d+)>")
_TORSO = re.compile(r"<(?:l(?:o(?:c(?:_\d*)?)?)?)?$")


def parse_boxes(text: str) -> Parsed:
    """``red mug<loc_a><loc_b><loc_c><loc_d>...``: every four tokens after a label are a box.

    Returns:
        Places in bins (x first). Left-over tokens and tokens above 999 are reported.
    """
    problems: list[str] = []
    cleaned = _strip_torso(_NOISE.sub("", text), problems)
    places: list[Place] = []
    for label, tokens in _groups(cleaned):
        bins = [int(k) for k in _LOC.findall(tokens)]
        for start in range(0, len(bins) - len(bins) % 4, 4):
            place = _box(bins[start : start + 4], problems)
            if place is not None:
                places.append(replace(place, label=label))
        if len(bins) % 4:
            problems.append(f"dropped {len(bins) % 4} left-over location tokens after {excerpt(label)}")
    return _done(cleaned, places, problems)


def parse_polygons(text: str) -> Parsed:
    """``<poly>`` answers, or bare pairs of tokens: each outline with at least three corners is a place.

    Outlines of one answer that are separated by ``<sep>`` belong to one thing; ``<poly>...</poly>`` starts
    another. The box is the outlines' extent.
    """
    problems: list[str] = []
    cleaned = _strip_torso(_NOISE.sub("", text), problems)
    places: list[Place] = []
    for label, tokens in _groups(cleaned):
        for thing in re.findall(r"<poly>(.*?)(?:</poly>|$)", tokens) or [tokens]:
            outlines = _outlines(thing, label, problems)
            if outlines:
                xs = [x for outline in outlines for x in outline[0::2]]
                ys = [y for outline in outlines for y in outline[1::2]]
                box = (min(xs), min(ys), max(xs), max(ys))
                places.append(Place(label, box, polygons=tuple(outlines)))
    return _done(cleaned, places, problems)


def parse_quads(text: str) -> Parsed:
    """``<OCR_WITH_REGION>``: words and the four corners they stand in; the box is the corners' extent."""
    problems: list[str] = []
    cleaned = _strip_torso(_NOISE.sub("", text), problems)
    places: list[Place] = []
    for label, tokens in _groups(cleaned):
        bins = [float(k) for k in _LOC.findall(tokens)]
        if len(bins) != 8 or max(bins) > _LAST:
            problems.append(f"dropped {excerpt(label)}: {len(bins)} location tokens are no four corners")
            continue
        box = (min(bins[0::2]), min(bins[1::2]), max(bins[0::2]), max(bins[1::2]))
        places.append(Place(label, box, polygons=(tuple(bins),)))
    return _done(cleaned, places, problems)


def parse_words(text: str) -> Parsed:
    """Captions and the words of ``<REGION_TO_...>``, after which the model may repeat the region it was given."""
    problems: list[str] = []
    cleaned = _strip_torso(_NOISE.sub("", text), problems)
    return Parsed((), tuple(problems), " ".join(_RUN.sub(" ", cleaned).split()))


def _groups(cleaned: str) -> Iterator[tuple[str, str]]:
    """Each run of location tokens with the words before it."""
    position = 0
    for run in _RUN.finditer(cleaned):
        yield cleaned[position : run.start()].rpartition(">")[2].strip(), run.group(0)
        position = run.end()


def _outlines(thing: str, label: str, problems: list[str]) -> list[tuple[float, ...]]:
    outlines: list[tuple[float, ...]] = []
    for part in thing.split("<sep>"):
        bins = [float(k) for k in _LOC.findall(part)]
        if bins and max(bins) > _LAST:
            problems.append(f"dropped an outline of {excerpt(label)}: bin {max(bins):g} is above {_LAST:g}")
            continue
        if len(bins) % 2:
            problems.append(f"dropped a left-over location token after {excerpt(label)}")
            bins = bins[:-1]
        if len(bins) >= 6:
            outlines.append(tuple(bins))
        elif bins:
            problems.append(f"dropped an outline of {len(bins) // 2} corners after {excerpt(label)}")
    return outlines


def _box(bins: list[int], problems: list[str]) -> Place | None:
    if max(bins) > _LAST:
        problems.append(f"dropped {bins}: bin {max(bins)} is above {_LAST:g}")
        return None
    if bins[0] == bins[2] or bins[1] == bins[3]:
        # One bin wide or high is a thin thing, not an empty one.
        x1, x2 = sorted((bins[0], bins[2]))
        y1, y2 = sorted((bins[1], bins[3]))
        return Place("", (x1 - 0.5 * (x1 == x2), y1 - 0.5 * (y1 == y2), x2 + 0.5 * (x1 == x2), y2 + 0.5 * (y1 == y2)))
    return check_box(bins, (_LAST, _LAST), problems)


def _strip_torso(text: str, problems: list[str]) -> str:
    match = _TORSO.search(text)
    if match and match.group(0):
        problems.append(f"dropped a truncated end: {excerpt(match.group(0))}")
        return text[: match.start()]
    return text


def _done(cleaned: str, places: list[Place], problems: list[str]) -> Parsed:
    words = " ".join(re.sub(r"<[^<>]*>", " ", cleaned).split())
    if not places and not problems:
        problems.append(f"no location tokens in {excerpt(cleaned)}" if cleaned.strip() else "empty answer")
    return Parsed(without_repeats(places, problems), tuple(problems), words)
