"""Which kinds of trouble a rendered thing is for a mask, judged from the truth alone: thin, dark, touched, held ..."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

FLAT_KINDS: Final = frozenset(
    "plate yellow_plate plain_plate black_book red_yellow_book yellow_book laptop flat_stove yellow_stove".split()
)
SHINY_KINDS: Final = frozenset(
    "moka_pot yellow_moka_pot chefmate_8_frypan faucet microwave short_fridge rs_can alphabet_soup tomato_sauce".split()
)
GROUPS: Final = (
    "thin",
    "lattice",
    "flat",
    "dark",
    "bright",
    "shiny",
    "colored like what is around",
    "touching",
    "on or in another",
    "holding another",
    "partly hidden",
    "small",
    "easy",
)
_ELONGATED = 4.0
_LATTICE_SOLIDITY = 0.6
_DARK_LUMA, _BRIGHT_LUMA = 45.0, 200.0
_ALIKE_LAB = 18.0
_TOUCHED_SHARE = 0.15
_HELD_SHARE = 0.6
_HIDDEN_BELOW = 0.8
_SMALL_PX = 400


def groups_of(
    thing: dict[str, Any], others: list[dict[str, Any]], ids: NDArray[np.uint8], lab: NDArray[Any]
) -> tuple[str, ...]:
    """The groups that a thing is in, in the order of `GROUPS`; `easy` where it is in no other.

    Args:
        thing: Its record: `number`, `key`, `box`, `pixels`, `shown`.
        others: The records of the frame, its own among them or not.
        ids: (H, W) instance numbers.
        lab: (H, W, 3) float CIE L*a*b* of the picture, L in [0, 255].
    """
    mask = ids == thing["number"]
    ring = _grown(mask, 3) & ~mask
    width_px = 2 * cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, 3).max()
    area = float(thing["pixels"])
    neighbour = np.bincount(ids[ring], minlength=256)[1:].astype(float) / max(1, np.count_nonzero(ring))
    luma = float(np.median(lab[mask][:, 0]))
    contrast = np.linalg.norm(np.median(lab[mask], axis=0) - np.median(lab[ring], axis=0)) if ring.any() else 255.0
    truths = {
        "thin": area / width_px**2 >= _ELONGATED,
        "lattice": area < _LATTICE_SOLIDITY * _hull_area(mask),
        "flat": thing["key"] in FLAT_KINDS,
        "dark": luma < _DARK_LUMA,
        "bright": luma > _BRIGHT_LUMA,
        "shiny": thing["key"] in SHINY_KINDS,
        "colored like what is around": contrast < _ALIKE_LAB,
        "touching": neighbour.sum() >= _TOUCHED_SHARE,
        "on or in another": neighbour.max() >= _HELD_SHARE,
        "holding another": any(_inside(o["box"], thing["box"]) and neighbour[o["number"] - 1] > 0.02 for o in others),
        "partly hidden": thing["shown"] < _HIDDEN_BELOW,
        "small": area < _SMALL_PX,
    }
    found = tuple(name for name in GROUPS if truths.get(name))
    return found or ("easy",)


def lose_depth(
    depth_m: NDArray[np.float32],
    things: list[tuple[Mask, tuple[str, ...]]],
    rng: np.random.Generator,
    share: float = 0.6,
) -> NDArray[np.float32]:
    """Depth without `share` of the pixels of dark, bright and shiny things, in patches, as active sensors lose it."""
    out = depth_m.copy()
    for mask, groups in things:
        if not {"dark", "bright", "shiny"} & set(groups):
            continue
        rows, columns = np.nonzero(mask)
        size_px = 0.12 * max(float(np.ptp(rows)), float(np.ptp(columns)), 8.0)
        noise = cv2.GaussianBlur(rng.normal(0, 1, depth_m.shape), (0, 0), size_px)
        out[mask & (noise < np.quantile(noise[mask], share))] = 0
    return out


def _inside(a: list[int], b: list[int], share: float = 0.8) -> bool:
    """Whether `share` of box `a` lies in box `b`, which is larger."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    size_a, size_b = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return a != b and size_a < size_b and max(w, 0) * max(h, 0) >= share * size_a


def _hull_area(mask: Mask) -> float:
    rows, columns = np.nonzero(mask)
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)])
    return float(cv2.contourArea(cv2.convexHull(corners.astype(np.int32))))


def _grown(mask: Mask, by_px: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return cv2.dilate(mask.view(np.uint8), kernel) > 0
