"""What every parser returns, and the checks that every box goes through."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_EXCERPT = 60
_SHOWN = 8  # numbers of a list that is wrong
# Past the border by at most this share of the range: rounding, not nonsense.
_SLACK = 0.02


@dataclass(frozen=True)
class Place:
    """One box, point or outline as the model wrote it, in the model's own unit.

    Attributes:
        label: the model's words for it, "" when it gave none.
        box: ``(x1, y1, x2, y2)``, ordered; for a point both corners are the point.
        span: where the words stand in ``Parsed.text``, or None.
        polygons: outlines as ``(x1, y1, x2, y2, ...)`` each, if the model gave any.
        is_point: whether only a point is known.
        codes: discrete codes that go with the box (mask tokens).
    """

    label: str
    box: tuple[float, float, float, float]
    span: tuple[int, int] | None = None
    polygons: tuple[tuple[float, ...], ...] = ()
    is_point: bool = False
    codes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """A model's text, understood as far as it can be.

    Attributes:
        places: in the order written.
        problems: what was dropped or mended, in words fit for a log.
        text: the words without the markup.
    """

    places: tuple[Place, ...] = ()
    problems: tuple[str, ...] = ()
    text: str = ""


def excerpt(text: str) -> str:
    """The beginning of a text on one line, for a message."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _EXCERPT else line[:_EXCERPT] + "...")


def _as_floats(numbers: Sequence[float]) -> list[float]:
    """JSON's whole numbers can be larger than any float."""
    values = []
    for number in numbers:
        try:
            values.append(float(number))
        except OverflowError:
            values.append(math.inf if number > 0 else -math.inf)
    return values


def _as_written(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown}, ..."


def check_box(numbers: Sequence[float], limits: tuple[float, float], problems: list[str]) -> Place | None:
    """Order the corners, pull rounding errors back inside, refuse the rest.

    Two opposite corners say the same box in whichever order, so swapped ones are mended. A coordinate beyond
    the border by more than 2 % of the range is no rounding error, and the box is dropped.

    Args:
        numbers: as written; anything but four finite numbers is refused.
        limits: largest x and largest y.
        problems: gets a line for whatever is mended or dropped.
    """
    values = _as_floats(numbers)
    written = _as_written(values)
    if len(values) != 4:
        problems.append(f"dropped [{written}]: {len(values)} numbers are no box")
        return None
    if not all(math.isfinite(value) for value in values):
        problems.append(f"dropped [{written}]: not finite")
        return None
    for index, value in enumerate(values):
        limit = limits[index % 2]
        if not -_SLACK * limit <= value <= (1.0 + _SLACK) * limit:
            problems.append(f"dropped [{written}]: {value:g} is outside [0, {limit:g}]")
            return None
        values[index] = min(max(value, 0.0), limit)
    x1, x2 = sorted((values[0], values[2]))
    y1, y2 = sorted((values[1], values[3]))
    if (x1, y1) != (values[0], values[1]):
        problems.append(f"mended [{written}]: its corners were swapped")
    if x1 == x2 or y1 == y2:
        problems.append(f"dropped [{written}]: it has no area")
        return None
    return Place("", (x1, y1, x2, y2))


def check_point(numbers: Sequence[float], limits: tuple[float, float], problems: list[str]) -> Place | None:
    """As :func:`check_box`, for ``(x, y)``."""
    given = _as_floats(numbers)
    written = _as_written(given)
    if len(given) != 2 or not all(math.isfinite(value) for value in given):
        problems.append(f"dropped [{written}]: no point")
        return None
    values = []
    for value, limit in zip(given, limits, strict=True):
        if not -_SLACK * limit <= value <= (1.0 + _SLACK) * limit:
            problems.append(f"dropped [{written}]: {value:g} is outside [0, {limit:g}]")
            return None
        values.append(min(max(value, 0.0), limit))
    return Place("", (values[0], values[1], values[0], values[1]), is_point=True)


def without_repeats(places: Iterable[Place], problems: list[str]) -> tuple[Place, ...]:
    """Each label with its box and outlines once; generation that runs in circles repeats itself."""
    kept: dict[tuple[object, ...], Place] = {}
    repeats = 0
    for place in places:
        key = (place.label.lower(), place.box, place.polygons)
        if key in kept:
            repeats += 1
        else:
            kept[key] = place
    if repeats:
        problems.append(f"dropped {repeats} repeated boxes")
    return tuple(kept.values())
