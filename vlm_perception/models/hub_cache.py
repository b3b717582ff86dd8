"""What of a hub repository is on this disk. Downloads break off: what is there need not be all."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS: Final = ("tokenizer.json", "vocab.json", "vocab.txt", "tekken.json")
_A_TOKENIZER: Final = "a tokenizer"
_SENTENCE_PIECE: Final = ".model"  # tokenizer.model, spiece.model, sentencepiece.bpe.model


def lacking_files(hub_id: str, *, words: bool = True) -> tuple[str, ...] | None:
    """What the hub's cache lacks of a checkpoint.

    Args:
        hub_id: "owner/name".
        words: whether the model reads phrases, so that it needs a tokenizer.

    Returns:
        File names, or what a file would hold; empty: all that is needed is there. None: nothing at all is.
    """
    folder = _snapshot(hub_id)
    if folder is None:
        return None
    held = {path.name for path in folder.iterdir() if path.exists()}  # a link to nothing does not exist
    lacking = [] if "config.json" in held else ["config.json"]
    lacking += _lacking_weights(folder, held)
    if not held & set(_PROCESSORS):
        lacking.append(_PROCESSORS[0])
    if words and not holds_tokenizer(held):
        lacking.append(_A_TOKENIZER)
    return tuple(lacking)


def holds_tokenizer(names: Collection[str]) -> bool:
    """Whether one of a folder's files is a vocabulary."""
    return any(name in _TOKENIZERS or name.endswith(_SENTENCE_PIECE) for name in names)


def lacks_tokenizer(hub_id: str) -> bool:
    """Whether other files of a repository are in the cache, and no vocabulary."""
    return _A_TOKENIZER in (lacking_files(hub_id) or ())


def _snapshot(hub_id: str) -> Path | None:
    """The folder of the repository's main revision, if a file of it is there."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    indices = [f"{name}.index.json" for name in _WEIGHTS]
    for name in ("config.json", *_WEIGHTS, *indices, *_PROCESSORS, *_TOKENIZERS):
        found = try_to_load_from_cache(hub_id, name)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _lacking_weights(folder: Path, held: set[str]) -> list[str]:
    """Shards that the index names, or the file where there is no index."""
    for name in _WEIGHTS:
        if name in held:
            return []
        index = f"{name}.index.json"
        if index in held:
            try:
                shards = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                return [index]
            return sorted(shards - held) if shards else [index]
    return [_WEIGHTS[0]]
