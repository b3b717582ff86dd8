"""Tiny checkpoints, built once a session."""

import sys
from pathlib import Path

import pytest

from vlm_perception.models.factory import build_model

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def empty_hub_cache(tmp_path_factory):
    """What this machine has downloaded changes nothing here."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory):
    """``tiny_checkpoints(kind)`` -> folder in hub layout, built on first use."""
    import tiny

    root = tmp_path_factory.mktemp("tiny")
    built: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in built:
            built[kind] = tiny.BUILDERS[kind](root / kind)
        return built[kind]

    return get


@pytest.fixture(scope="module")
def model_of(tiny_checkpoints):
    """Kind -> its tiny checkpoint, loaded by the real path once a module."""
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_model(str(tiny_checkpoints(kind)), device="cpu")
        return cache[kind]

    return get


@pytest.fixture(scope="module")
def writer_of(tiny_checkpoints):
    """``writer_of(kind)`` -> a model that writes, whose answers are four tokens long; one a kind and module."""
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"max_new_tokens": 4})
        return cache[kind]

    return get
