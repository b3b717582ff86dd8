"""Kosmos-2's hyperlinks: ``<phrase> a mug</phrase><object><patch_index_0044><patch_index_0863></object>``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from vlm_perception.models.codecs import KOSMOS_PATCHES_PER_SIDE, kosmos_to_pixels
from vlm_perception.models.parsers.base import Parsed, Place, excerpt

_CELLS: Final = KOSMOS_PATCHES_PER_SIDE**2
_TAG = re.compile(r"<patch_index_([^<>]*)>|</?[A-Za-z][^<>\s]*>")
_TORSO = re.compile(r"</?(?:[A-Za-z][^<>\s]*)?$")
_BETWEEN: Final = "</delimiter_of_multi_objects/>"


def parse_kosmos(text: str) -> Parsed:
    """The plain words, and a place for every pair of patch indices, tied to the words it stands after.

    Read with a small state machine and not with one pattern, so that a broken object costs only itself.

    Returns:
        Places as fractions of the image; ``span`` points into ``Parsed.text``.
    """
    reader = _Reader()
    position = 0
    for tag in _TAG.finditer(text):
        reader.words(text[position : tag.start()])
        reader.tag(tag.group(0), tag.group(1))
        position = tag.end()
    reader.words(_TORSO.sub("", text[position:]))
    reader.end()
    return Parsed(tuple(reader.places), tuple(reader.problems), reader.text.rstrip())


@dataclass
class _Reader:
    """What was read so far.

    Attributes:
        phrase: where the words of the last whole phrase stand in ``text``, until others follow.
        opened: where a phrase began that is not closed yet.
        objects: the cells of the object that is being read, a list for each of several; None outside of one. What
            is no cell stays as written.
    """

    text: str = ""
    places: list[Place] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    phrase: tuple[int, int] | None = None
    opened: int | None = None
    objects: list[list[int | str]] | None = None

    def words(self, piece: str) -> None:
        """Plain text; within an object there is none, so the object ended there."""
        if self.objects is not None:
            if not piece.strip():
                return
            self._close(whole=False)
        if piece.strip() and self.opened is None:
            self.phrase = None
        self.text = f"{self.text}{piece}" if self.text else piece.lstrip()

    def tag(self, name: str, index: str | None) -> None:
        """A mark; unknown ones say nothing."""
        if index is not None:
            self._cell(name, index)
        elif name == "<object>":
            self._close(whole=False)
            self.objects = [[]]
        elif name == "</object>":
            self._close(whole=True)
        elif name == _BETWEEN and self.objects is not None:
            self.objects.append([])
        elif name == "<phrase>":
            self._close(whole=False)
            self._cut_phrase()
            self.opened, self.phrase = len(self.text), None
        elif name == "</phrase>" and self.opened is not None:
            self.phrase, self.opened = (self.opened, len(self.text)), None

    def end(self) -> None:
        """Nothing follows."""
        self._close(whole=False)
        self._cut_phrase()

    def _cut_phrase(self) -> None:
        if self.opened is not None:
            self.problems.append("a phrase was cut off")
            self.opened = None

    def _cell(self, name: str, index: str) -> None:
        if self.objects is None:
            self.problems.append(f"dropped {excerpt(name)} outside an object")
        elif index.isascii() and index.isdigit() and len(index) <= 4:
            self.objects[-1].append(int(index))
        else:
            self.objects[-1].append(index)

    def _close(self, *, whole: bool) -> None:
        """Take over the object that is being read, if there is one; of one that was cut off, its whole pairs."""
        objects, self.objects = self.objects, None
        if objects is None:
            return
        label, span = "", None
        if self.phrase is not None:
            raw = self.text[self.phrase[0] : self.phrase[1]]
            label = raw.strip()
            start = self.phrase[0] + len(raw) - len(raw.lstrip())
            span = (start, start + len(label))
        self.phrase = None
        found: list[Place] = []
        for cells in objects:
            cut = not whole and cells is objects[-1]
            if not cut and (len(cells) % 2 or not cells):
                self.problems.append(f"dropped the object of {excerpt(label)}: {len(cells)} patch indices are no pairs")
                continue
            for first, last in zip(cells[0::2], cells[1::2], strict=False):  # a cut one may lack its last
                box = self._box(first, last, label)
                if box is not None and any(place.box == box for place in found):
                    self.problems.append(f"dropped a repeated box of {excerpt(label)}")
                elif box is not None:
                    found.append(Place(label, box, span))
        if not whole:
            self.problems.append(f"the object of {excerpt(label)} was cut off")
        self.places += found

    def _box(self, first: int | str, last: int | str, label: str) -> tuple[float, float, float, float] | None:
        if isinstance(first, str) or isinstance(last, str) or max(first, last) >= _CELLS:
            written = ", ".join(excerpt(cell) if isinstance(cell, str) else str(cell) for cell in (first, last))
            self.problems.append(f"dropped ({written}) of {excerpt(label)}: cells are 0 ... {_CELLS - 1}")
            return None
        side = KOSMOS_PATCHES_PER_SIDE
        (row1, column1), (row2, column2) = divmod(first, side), divmod(last, side)
        if row1 > row2 or column1 > column2:
            self.problems.append(f"mended ({first}, {last}) of {excerpt(label)}: its corners were swapped")
            row1, row2 = sorted((row1, row2))
            column1, column2 = sorted((column1, column2))
        return kosmos_to_pixels(row1 * side + column1, row2 * side + column2, (1.0, 1.0))
