"""What a loading error means, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from vlm_perception.models.hub_cache import lacking_files
from vlm_perception.models.runtime import first_line
from vlm_perception.types import ModelError

_UNREACHABLE: Final = {
    "ConnectError",
    "ConnectionError",
    "ConnectTimeout",
    "HfHubHTTPError",
    "HTTPError",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "NameResolutionError",
    "OfflineModeIsEnabled",
    "ProxyError",
    "ReadTimeout",
    "TimeoutException",
}
_OPTIONAL: Final = (
    "torchvision",
    "timm",
    "accelerate",
    "bitsandbytes",
    "sentencepiece",
    "einops",
    "tiktoken",
    "num2words",
    "pillow",
)


class CheckpointError(ModelError):
    """A file of a checkpoint is not where it was looked for, or cannot be used."""


def explain(error: BaseException, name: str, location: str, *, offline: bool) -> str:
    """Say what a loading error means.

    Args:
        error: what the library raised.
        name: of the model, as the user wrote it.
        location: its folder or hub id.
        offline: whether the network was left alone.
    """
    what = f"cannot load '{name}'"
    if name != location:
        what += f" from '{location}'"
    names = {type(link).__name__ for link in _chain(error)}
    text = " ".join(str(link) for link in _chain(error))
    if "GatedRepoError" in names or "gated repo" in text:
        return (
            f"{what}: its licence has to be accepted first. Log in at https://huggingface.co/{location}, "
            "accept the licence, then run `hf auth login` on this machine"
        )
    if is_missing_package(error):
        missing = next((m for m in _OPTIONAL if m in text.lower()), "")
        hint = f"pip install {missing}" if missing else first_line(error)
        return f"{what}: a Python package is missing or broken ({hint}): {first_line(error)}"
    if "SafetensorError" in names:
        return f"{what}: a file of weights is damaged or cut off ({first_line(error)}). Copy or download it again"
    if Path(location).is_dir():
        return (
            f"{what}: {first_line(error)} ({type(error).__name__}); "
            f"the folder holds: {listing(Path(location))}"
        )
    if "RepositoryNotFoundError" in names and not offline:
        return f"{what}: the hub has no such repository, or it is private (then run `hf auth login`)"
    lacking = lacking_files(location, words=False) or ()
    absent = f"of its files the cache lacks {', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}"
    if offline or names & _UNREACHABLE or "offline" in text or "couldn't connect" in text.lower():
        why = "offline mode is on" if offline or env_offline() else "the hub cannot be reached"
        return (
            f"{what}: {why} and {absent if lacking else 'the files are not in the cache'}. On a machine with network run "
            f"`hf download {location} --local-dir FOLDER`, copy FOLDER here and give its path as "
            "the model"
        )
    if lacking:  # a hub that does not answer is no hub without the file, but the library words it so
        return f"{what}: {absent} ({first_line(error)}). Where the hub can be reached, run `hf download {location}`"
    return f"{what}: {type(error).__name__}: {first_line(error)}"


def is_missing_package(error: BaseException) -> bool:
    """Whether a Python package is what is missing."""
    names = {type(link).__name__ for link in _chain(error)}
    return isinstance(error, ImportError) or bool(names & {"ImportError", "ModuleNotFoundError"})


def env_offline() -> bool:
    """Whether the hub's own switch says to leave the network alone."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def listing(folder: Path) -> str:
    """What a folder holds, in words."""
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") if names else "nothing"


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in links:
        links.append(current)
        current = current.__cause__ or current.__context__
    return links
