"""The window of an image that a mask occupies: small work instead of the whole image's."""

from __future__ import annotations

import numpy as np

from vlm_perception.types import BoolMask

Window = tuple[slice, slice]


def mask_window(mask: BoolMask) -> Window | None:
    """Rows and columns of the smallest window around a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        Slices, so that ``mask[window]`` holds every pixel that is set; None for an empty mask.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    v0, v1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[v0:v1].any(axis=0))
    return slice(v0, v1), slice(int(columns[0]), int(columns[-1]) + 1)
