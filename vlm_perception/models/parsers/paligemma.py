"""PaliGemma's text: ``<locY1><locX1><locY2><locX2> label ; ...``, for masks with 16 ``<segNNN>`` codes."""

from __future__ import annotations

import re
from dataclasses import replace

from vlm_perception.models.codecs import PALIGEMMA_BINS
from vlm_perception.models.parsers.base import Parsed, Place, check_box, excerpt, without_repeats

MASK_CODES = 16
_MARKUP = re.compile(r"</?s>|<pad>|<eos>|<bos>")
_LOC = re.compile(r"<loc(\d{4})>")
_SEG = re.compile(r"<seg(\d{3})>")
_LAST = float(PALIGEMMA_BINS - 1)


def parse_paligemma(text: str) -> Parsed:
    """One place an entry; entries are separated by ``;``.

    Returns:
        Places in bins, *x first* (the text has y first). An entry with other than four location tokens is
        reported; one with an incomplete set of mask codes keeps its box and loses the codes.
    """
    problems: list[str] = []
    cleaned = _MARKUP.sub("", text)
    places: list[Place] = []
    for entry in cleaned.split(";"):
        if not entry.strip():
            continue
        bins = [int(k) for k in _LOC.findall(entry)]
        codes = tuple(int(k) for k in _SEG.findall(entry))
        label = " ".join(re.sub(r"<[^<>]*>?", " ", entry).split())
        if not bins:
            problems.append(f"no location tokens in {excerpt(entry)}")
            continue
        if len(bins) != 4 or max(bins) > _LAST:
            problems.append(f"dropped {excerpt(entry)}: {len(bins)} location tokens {bins}, expected four in [0, 1023]")
            continue
        y1, x1, y2, x2 = bins
        place = check_box((x1, y1, x2, y2), (_LAST, _LAST), problems)
        if place is None:
            continue
        if codes and (len(codes) != MASK_CODES or max(codes) > 127):
            problems.append(f"dropped {len(codes)} mask codes of {excerpt(label)}: expected {MASK_CODES} in [0, 127]")
            codes = ()
        places.append(replace(place, label=label, codes=codes))
    if not cleaned.strip():
        problems.append("empty answer")
    words = " ".join(re.sub(r"<[^<>]*>?", " ", cleaned).split())
    return Parsed(without_repeats(places, problems), tuple(problems), words)
