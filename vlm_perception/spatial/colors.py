"""Whether a measured color goes by a name; only for what a detector did not say."""

from __future__ import annotations

import colorsys
from typing import Final

# Hue intervals in degrees.
_HUES: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "red": ((345, 360), (0, 14)), "crimson": ((340, 360), (0, 10)), "maroon": ((340, 360), (0, 15)),
    "orange": ((14, 42),), "yellow": ((42, 68),), "gold": ((36, 58),), "golden": ((36, 58),), "green": ((68, 165),),
    "teal": ((160, 200),), "turquoise": ((160, 195),), "cyan": ((170, 200),), "blue": ((185, 262),), "navy": ((205, 262),),
    "indigo": ((235, 285),), "purple": ((255, 320),), "violet": ((255, 310),), "magenta": ((290, 335),), "pink": ((310, 360), (0, 12)),
}  # fmt: skip


def color_likeness(rgb: tuple[float, float, float], name: str) -> float:
    """How well a color goes by a name.

    Args:
        rgb: in [0, 255].
        name: "red", "dark blue", "yellow and white" (the best of its parts).

    Returns:
        In [0, 1]; 0.5 when the name is not known here.
    """
    if " and " in name:
        return max(color_likeness(rgb, part) for part in name.split(" and "))
    base = name.rsplit(maxsplit=1)[-1]
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255.0 for channel in rgb))
    degrees = hue * 360.0
    if base in {"white", "ivory", "silver"}:
        return _ramp(value, 0.45, 0.75) * (1.0 - _ramp(saturation, 0.2, 0.45))
    if base == "black":
        return 1.0 - _ramp(value, 0.25, 0.5)
    if base == "gray":
        return (1.0 - _ramp(saturation, 0.15, 0.35)) * _ramp(value, 0.15, 0.3) * (1.0 - _ramp(value, 0.75, 0.95))
    if base in {"brown", "tan", "beige", "khaki"}:
        return float(8 <= degrees <= 48) * _ramp(saturation, 0.1, 0.25) * (1.0 - 0.5 * _ramp(value, 0.75, 0.95))
    if base not in _HUES:
        return 0.5
    inside = max(_hue_within(degrees, low, high) for low, high in _HUES[base])
    return inside * _ramp(saturation, 0.2, 0.4) * _ramp(value, 0.1, 0.25)


def _hue_within(degrees: float, low: float, high: float) -> float:
    distance = 0.0 if low <= degrees <= high else min(abs(degrees - low), abs(degrees - high))
    return max(0.0, 1.0 - distance / 12.0)


def _ramp(x: float, zero: float, one: float) -> float:
    return min(1.0, max(0.0, (x - zero) / (one - zero)))
