"""What the library says while it loads the checkpoint that ships with this package, and no user can act on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_perception.models.runtime import import_transformers
from vlm_perception.resources import asset_path

# Advice about the width of attention heads, for a CUDA kernel that the library does not call.
_ADVICE = "You'd better set embed_dim"


@contextmanager
def quiet_if_shipped(location: str) -> Iterator[None]:
    """No progress bar and no advice on the network's shape, while the shipped checkpoint loads.

    Of every other checkpoint all is said: it may take minutes, and its shape may be its user's own.

    Args:
        location: a local folder, or a hub id.
    """
    if not Path(location).is_dir() or asset_path().resolve() not in Path(location).resolve().parents:
        yield
        return
    log = import_transformers().utils.logging
    had_bar = log.is_progress_bar_enabled()
    if had_bar:
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_ADVICE, category=UserWarning)
            yield
    finally:
        if had_bar:
            log.enable_progress_bar()
