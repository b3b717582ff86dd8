"""Florence-2's text: words followed by ``<loc_k>`` tokens, four a box, pairs an outline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vlm_perception.models.codecs import FLORENCE_BINS
from vlm_perception.models.parsers.base import Parsed, Place, check_box, excerpt, without_repeats

_LAST: Final = FLORENCE_BINS - 1
_CORNERS: Final = 4  # of what was read
_NOISE = re.compile(r"</?s>|<pad>|</?(?:od|ground|obj|box|bbox|cap|ocr|dcap|ncap|grounding)>")
_MARK = r"(?:<loc_[^<>]*>|<sep>|</?poly>)"
_RUN = re.compile(rf"{_MARK}(?:\s*{_MARK})*")
_LOC = re.compile(r"<loc_([^<>]*)>")
_TAG = re.compile(r"</?[A-Za-z][^<>\s]*>")
_TORSO = re.compile(r"</?[a-z]*(?:_\d*)?$")

_Bin = int | str  # what is no bin stays as written, so that the others keep their places


@dataclass(frozen=True)
class _Group:
    """A run of location tokens and the words before it."""

    label: str
    tokens: str

    @property
    def name(self) -> str:
        """The words, for a message."""
        return excerpt(self.label) if self.label else "something without words"


def parse_boxes(text: str) -> Parsed:
    """``red mug<loc_a><loc_b><loc_c><loc_d>...``: every four tokens after a label are a box.

    Returns:
        Places in bins (x first). Left-over tokens and tokens that are no bin are reported.
    """
    problems: list[str] = []
    cleaned = _cleaned(text, problems)
    places: list[Place] = []
    for group in _groups(cleaned):
        bins = _bins(group.tokens)
        for start in range(0, len(bins) - len(bins) % 4, 4):
            whole = _whole(bins[start : start + 4], f"a box of {group.name}", problems)
            place = _box(whole, problems) if whole else None
            if place is not None:
                places.append(replace(place, label=group.label))
        if len(bins) % 4:
            problems.append(f"dropped {len(bins) % 4} left-over location tokens after {group.name}")
    return _done(cleaned, places, problems)


def parse_polygons(text: str) -> Parsed:
    """``<poly>`` answers, or bare pairs of tokens: each outline with at least three corners is a place.

    Outlines of one answer that are separated by ``<sep>`` belong to one thing; ``<poly>...</poly>`` starts
    another. The box is the outlines' extent.
    """
    problems: list[str] = []
    cleaned = _cleaned(text, problems)
    places: list[Place] = []
    for group in _groups(cleaned):
        for thing in _things(group, problems):
            outlines = [o for part in thing.split("<sep>") if (o := _outline(part, group, problems)) is not None]
            if outlines:
                xs = [x for outline in outlines for x in outline[0::2]]
                ys = [y for outline in outlines for y in outline[1::2]]
                box = (min(xs), min(ys), max(xs), max(ys))
                places.append(Place(group.label, box, polygons=tuple(outlines)))
    return _done(cleaned, places, problems)


def parse_quads(text: str) -> Parsed:
    """``<OCR_WITH_REGION>``: words and the four corners they stand in; the box is the corners' extent.

    As in the library, the first eight tokens after the words are theirs.
    """
    problems: list[str] = []
    cleaned = _cleaned(text, problems)
    places: list[Place] = []
    for group in _groups(cleaned):
        bins = _bins(group.tokens)
        if len(bins) < 2 * _CORNERS:
            problems.append(f"dropped {group.name}: {len(bins)} location tokens are no four corners")
            continue
        if len(bins) > 2 * _CORNERS:
            problems.append(f"dropped {len(bins) - 2 * _CORNERS} left-over location tokens after {group.name}")
        corners = _whole(bins[: 2 * _CORNERS], f"the corners of {group.name}", problems)
        if corners:
            xs, ys = corners[0::2], corners[1::2]
            box = _widened(min(xs), min(ys), max(xs), max(ys))
            places.append(Place(group.label, box, polygons=(tuple(float(k) for k in corners),)))
    return _done(cleaned, places, problems)


def parse_words(text: str) -> Parsed:
    """Captions and the words of ``<REGION_TO_...>``, after which the model may repeat the region it was given."""
    problems: list[str] = []
    cleaned = _cleaned(text, problems)
    return Parsed((), tuple(problems), " ".join(_RUN.sub(" ", cleaned).split()))


def _cleaned(text: str, problems: list[str]) -> str:
    """Without marks that say nothing, and without a token that was cut off."""
    cleaned = _NOISE.sub("", text)
    torso = _TORSO.search(cleaned)
    if torso is None:
        return cleaned
    problems.append(f"dropped a truncated end: {excerpt(torso.group(0))}")
    return cleaned[: torso.start()]


def _groups(cleaned: str) -> Iterator[_Group]:
    position = 0
    for run in _RUN.finditer(cleaned):
        words = _TAG.sub(" ", cleaned[position : run.start()])
        yield _Group(" ".join(words.split()), run.group(0))
        position = run.end()


def _bins(tokens: str) -> list[_Bin]:
    return [_bin(written) for written in _LOC.findall(tokens)]


def _bin(written: str) -> _Bin:
    """A number of a bin; a token that is none is kept as it was written."""
    if 0 < len(written) <= 4 and written.isascii() and written.isdigit() and int(written) <= _LAST:
        return int(written)
    return written


def _whole(bins: Sequence[_Bin], what: str, problems: list[str]) -> list[int] | None:
    """The bins, if all of them are; else a problem."""
    wrong = [value for value in bins if isinstance(value, str)]
    if wrong:
        problems.append(f"dropped {what}: {excerpt(wrong[0])} is no bin of 0 ... {_LAST}")
        return None
    return [value for value in bins if isinstance(value, int)]


def _things(group: _Group, problems: list[str]) -> Iterator[str]:
    """What stands in each ``<poly>``; without any, all of it, and ``</poly>`` parts it."""
    marked = "<poly>" in group.tokens
    inside = False
    for piece in re.split(r"(</?poly>)", group.tokens):
        if piece in ("<poly>", "</poly>"):
            inside = piece == "<poly>"
        elif inside or not marked:
            yield piece
        elif "<loc_" in piece:
            problems.append(f"dropped {len(_LOC.findall(piece))} location tokens outside of <poly> after {group.name}")
    if inside:
        problems.append(f"the last outline of {group.name} was not closed")


def _outline(part: str, group: _Group, problems: list[str]) -> tuple[float, ...] | None:
    bins = _bins(part)
    if not bins:
        return None
    corners = _whole(bins, f"an outline of {group.name}", problems)
    if corners is None:
        return None
    if len(corners) % 2:
        problems.append(f"dropped a left-over location token after {group.name}")
        corners = corners[:-1]
    if len(corners) < 6:
        problems.append(f"dropped an outline of {len(corners) // 2} corners after {group.name}")
        return None
    if _on_a_line(corners):
        problems.append(f"dropped an outline of {group.name}: it has no area")
        return None
    return tuple(float(value) for value in corners)


def _on_a_line(corners: Sequence[int]) -> bool:
    """Whether all corners ``x1, y1, x2, y2 ...`` lie on one line, or in one point."""
    steps = [(x - corners[0], y - corners[1]) for x, y in zip(corners[0::2], corners[1::2], strict=True)]
    u, v = next(((a, b) for a, b in steps if a or b), (0, 0))
    return all(u * b == v * a for a, b in steps)


def _box(bins: Sequence[int], problems: list[str]) -> Place | None:
    if bins[0] == bins[2] or bins[1] == bins[3]:
        x1, x2 = sorted((bins[0], bins[2]))
        y1, y2 = sorted((bins[1], bins[3]))
        return Place("", _widened(x1, y1, x2, y2))
    return check_box(bins, (float(_LAST), float(_LAST)), problems)


def _widened(x1: int, y1: int, x2: int, y2: int) -> tuple[float, float, float, float]:
    """One bin wide or high is a thin thing, not an empty one."""
    return (x1 - 0.5 * (x1 == x2), y1 - 0.5 * (y1 == y2), x2 + 0.5 * (x1 == x2), y2 + 0.5 * (y1 == y2))


def _done(cleaned: str, places: list[Place], problems: list[str]) -> Parsed:
    words = " ".join(_TAG.sub(" ", _RUN.sub(" ", cleaned)).split())
    if not places and not problems:
        problems.append(f"no location tokens in {excerpt(cleaned)}" if cleaned.strip() else "empty answer")
    return Parsed(without_repeats(places, problems), tuple(problems), words)
