"""Where the files that ship with the package are: in a checkout, a colcon install or a pip install."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = "vlm_perception"


def config_path(name: str) -> Path:
    """Find a file of ``config/``, e.g. ``config_path("models.yaml")``.

    Looked at, in this order: the source checkout around this module, the ``share`` folder of the install
    prefix this module lies in (``<prefix>/lib/pythonX.Y/site-packages`` of colcon, or Debian's
    ``<prefix>/local/lib/pythonX.Y/dist-packages``), and the ``share`` folder of this Python.

    Raises:
        FileNotFoundError: it is in none of them; the message lists the places.
    """
    return find_config(name, module_dir=Path(__file__).resolve().parent, python_prefix=Path(sys.prefix))


def find_config(name: str, *, module_dir: Path, python_prefix: Path) -> Path:
    """As :func:`config_path`, for a package at ``module_dir`` under a Python at ``python_prefix``."""
    candidates = [module_dir.parent / "config" / name]
    # The prefix is whatever holds lib/ or local/lib/; its depth differs between the layouts.
    for parent in module_dir.parents:
        candidates.append(parent / "share" / _PACKAGE / "config" / name)
    candidates.append(python_prefix / "share" / _PACKAGE / "config" / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = ", ".join(dict.fromkeys(str(candidate.parent) for candidate in candidates))
    raise FileNotFoundError(f"config file '{name}' of {_PACKAGE} is missing; looked in: {places}")


def asset_path(*parts: str) -> Path:
    """The path of something under ``vlm_perception/assets``; whether it exists is the caller's to check."""
    return Path(__file__).resolve().parent.joinpath("assets", *parts)
