"""The word-level tokenizer that ships with the checkpoint."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from training.phrases import PAINTABLE, vocabulary, words
from training.tokenizer import UNKNOWN, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():  # noqa: ANN201
    return build_tokenizer(words(vocabulary(PAINTABLE)))


def test_knows_every_phrase(tokenizer) -> None:  # noqa: ANN001
    for phrase in vocabulary(PAINTABLE):
        assert tokenizer.tokenize(phrase) == phrase.split()


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ("The black bowls", ["black", "bowl"]),
        ("boxes", ["box"]),
        ("a grey shelf", ["gray", "shelf"]),
        ("shelves", ["shelf"]),
        ("the stapler", [UNKNOWN]),
        ("Detect black bowl, mug.", ["detect"]),
    ],
)
def test_normalizes(tokenizer, said: str, tokens: list[str]) -> None:  # noqa: ANN001
    assert tokenizer.tokenize(said) == tokens


def test_the_end_has_the_highest_id(tokenizer) -> None:  # noqa: ANN001
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer("mug").input_ids[-1] == tokenizer.eos_token_id
