"""PaliGemma's text: ``<locY1><locX1><locY2><locX2> label ; ...``, for masks with 16 ``<segNNN>`` codes after the box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlm_perception.models.codecs import PALIGEMMA_BINS
from vlm_perception.models.parsers.base import Parsed, Place, check_box, excerpt, without_repeats

MASK_CODES = 16
_LAST_BIN = PALIGEMMA_BINS - 1
_LAST_CODE = 127
_SHOWN = 8  # tokens of a box, and digits of a token, in a message
_MARKUP = re.compile(r"</?s>|<pad>|<eos>|<bos>")
_LOC = re.compile(r"<loc([^<>]*)>")
_SEG = re.compile(r"<seg([^<>]*)>")
_LOC_RUN = re.compile(r"(?:<loc[^<>]*>\s*)+")
_TAG = re.compile(r"<[^<>]*>?")


@dataclass(frozen=True)
class _Object:
    """One run of location tokens and what follows it, as written."""

    bins: tuple[str, ...]
    codes: tuple[str, ...]
    label: str


def parse_paligemma(text: str) -> Parsed:
    """One place a box; boxes are separated by ``;``, and those that are not are told apart all the same.

    Returns:
        Places in bins, *x first* (the text has y first). A box of other than four location tokens is reported;
        a set of other than 16 valid mask codes is dropped and its box kept, for which code is missing or too many
        nobody knows.
    """
    problems: list[str] = []
    cleaned = _MARKUP.sub("", text)
    places: list[Place] = []
    for entry in cleaned.split(";"):
        if not entry.strip():
            continue
        found = _objects(entry, problems)
        if not found:
            problems.append(f"no location tokens in {excerpt(entry)}")
        for item in found:
            place = _place(item, entry, problems)
            if place is not None:
                places.append(place)
    if not cleaned.strip():
        problems.append("empty answer")
    return Parsed(without_repeats(places, problems), tuple(problems), _words(cleaned))


def _objects(entry: str, problems: list[str]) -> list[_Object]:
    """What an entry speaks of: one thing, or several where the separators were forgotten."""
    runs = list(_LOC_RUN.finditer(entry))
    if not runs:
        return []
    before = entry[: runs[0].start()]
    orphans = len(_SEG.findall(before))
    if orphans:
        problems.append(f"dropped {orphans} mask codes before the box in {excerpt(entry)}")
    ends = [*(run.start() for run in runs[1:]), len(entry)]
    tails = [entry[run.end() : end] for run, end in zip(runs, ends, strict=True)]
    labels = [_words(tail) for tail in tails]
    if not labels[-1] and _words(before):
        if len(runs) == 1:
            labels = [_words(before)]
        else:
            problems.append(f"dropped the labels of {excerpt(entry)}: each could be of the box before or after it")
            labels = [""] * len(runs)
    return [
        _Object(tuple(_LOC.findall(run.group())), tuple(_SEG.findall(tail)), label)
        for run, tail, label in zip(runs, tails, labels, strict=True)
    ]


def _place(item: _Object, entry: str, problems: list[str]) -> Place | None:
    bins = _numbers(item.bins, digits=4, last=_LAST_BIN)
    if bins is None or len(bins) != 4:
        written = ", ".join(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text in item.bins[:_SHOWN])
        problems.append(
            f"dropped {excerpt(entry)}: {len(item.bins)} location tokens [{written}], "
            f"expected four in [0, {_LAST_BIN}]"
        )
        return None
    y1, x1, y2, x2 = bins
    place = check_box((x1, y1, x2, y2), (float(_LAST_BIN), float(_LAST_BIN)), problems)
    if place is None:
        return None
    codes = _numbers(item.codes, digits=3, last=_LAST_CODE)
    if item.codes and (codes is None or len(codes) != MASK_CODES):
        problems.append(
            f"dropped {len(item.codes)} mask codes of {excerpt(item.label)}: expected {MASK_CODES} in [0, {_LAST_CODE}]"
        )
        codes = ()
    if not item.label:
        problems.append(f"no label for the box {[int(value) for value in place.box]}")
    return replace(place, label=item.label, codes=codes or ())


def _numbers(written: Sequence[str], *, digits: int, last: int) -> tuple[int, ...] | None:
    """All of them as numbers, or None when one is malformed or too high."""
    if not all(len(text) == digits and text.isascii() and text.isdigit() and int(text) <= last for text in written):
        return None
    return tuple(int(text) for text in written)


def _words(text: str) -> str:
    return " ".join(_TAG.sub(" ", text).split())
