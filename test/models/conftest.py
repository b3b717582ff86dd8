"""Tiny checkpoints, built once a session."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


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
