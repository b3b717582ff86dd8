"""Kosmos-2's hyperlinks: ``<phrase> a mug</phrase><object><patch_index_0044><patch_index_0863></object>``."""

from __future__ import annotations

import re

from vlm_perception.models.codecs import KOSMOS_PATCHES_PER_SIDE, kosmos_to_pixels
from vlm_perception.models.parsers.base import Parsed, Place, excerpt

_CELLS = KOSMOS_PATCHES_PER_SIDE**2
_TAG = re.compile(r"<phrase>|</phrase>|<object>|</object>|<patch_index_(\d+)>|</delimiter_of_multi_objects/>|<[^<>]*>")


def parse_kosmos(text: str) -> Parsed:
    """The plain words, and a place for every pair of patch indices, tied to the words it stands after.

    Read with a small state machine and not with one pattern, so that a broken object costs only itself.

    Returns:
        Places as fractions of the image; ``span`` points into ``Parsed.text``.
    """
    problems: list[str] = []
    words = ""
    places: list[Place] = []
    phrase: tuple[int, int] | None = None
    opened: int | None = None
    cells: list[int] | None = None
    position = 0

    def add(piece: str) -> None:
        nonlocal words
        words = f"{words}{piece}".lstrip() if words else piece.lstrip()

    for tag in _TAG.finditer(text):
        if cells is None:
            add(text[position : tag.start()])
        position = tag.end()
        name = tag.group(0)
        if name == "<phrase>":
            opened, phrase = len(words), None
        elif name == "</phrase>" and opened is not None:
            phrase, opened = (opened, len(words)), None
        elif name == "<object>":
            cells = []
        elif tag.group(1) is not None:
            if cells is not None:
                cells.append(int(tag.group(1)))
            else:
                problems.append(f"dropped {name} outside an object")
        elif name == "</object>" and cells is not None:
            places += _places(cells, phrase, words, problems)
            cells, phrase = None, None
    if cells is not None:
        problems.append("dropped an object that was cut off")
    else:
        add(re.sub(r"<[^<>]*$", "", text[position:]))
    if opened is not None:
        problems.append("a phrase was cut off")
    return Parsed(tuple(places), tuple(problems), words.rstrip())


def _places(
    cells: list[int], phrase: tuple[int, int] | None, words: str, problems: list[str]
) -> list[Place]:
    label, span = "", None
    if phrase is not None:
        raw = words[phrase[0] : phrase[1]]
        start = phrase[0] + len(raw) - len(raw.lstrip())
        label = raw.strip()
        span = (start, start + len(label))
    if len(cells) % 2 or not cells:
        problems.append(f"dropped the object of {excerpt(label)}: {len(cells)} patch indices are no pairs")
        return []
    found: list[Place] = []
    for first, last in zip(cells[0::2], cells[1::2], strict=True):
        row1, column1 = divmod(first, KOSMOS_PATCHES_PER_SIDE)
        row2, column2 = divmod(last, KOSMOS_PATCHES_PER_SIDE)
        if max(first, last) >= _CELLS:
            problems.append(f"dropped ({first}, {last}) of {excerpt(label)}: the last cell is {_CELLS - 1}")
            continue
        if row1 > row2 or column1 > column2:
            problems.append(f"mended ({first}, {last}) of {excerpt(label)}: its corners were swapped")
            row1, row2 = sorted((row1, row2))
            column1, column2 = sorted((column1, column2))
        side = KOSMOS_PATCHES_PER_SIDE
        box = kosmos_to_pixels(row1 * side + column1, row2 * side + column2, (1.0, 1.0))
        if any(place.box == box for place in found):
            problems.append(f"dropped a repeated box of {excerpt(label)}")
            continue
        found.append(Place(label, box, span))
    return found
