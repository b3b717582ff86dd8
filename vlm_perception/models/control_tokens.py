"""What a user writes is words. A control token among them would end the user's turn, or stand for an image.

Tokenizers read the text of a control token as that token wherever it stands, and the library's processors replace their
placeholders in the whole prompt; neither can be told which part of it is the user's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from vlm_perception.types import CommandError

# Control tokens are marked as such; a word, or a "!" by which some tokenizers pad, stays one although it is special.
_MARKED: Final = re.compile(r"<\S+>|\[\S+\]|\{\S+\}|\|\S+\|")


def control_tokens(dialect: object) -> dict[str, str]:
    """Every text that means more to a model than its words.

    Args:
        dialect: it keeps a processor, or chat inputs, which keep the tokenizer.

    Returns:
        The special and added tokens of the tokenizers and the placeholders and task names of the processors, each under
        its form for :func:`refuse_control_tokens`.
    """
    found: set[str] = set()
    for speaker in _speakers(dialect):
        tokenizer = speaker.tokenizer
        added = tokenizer.get_added_vocab() if hasattr(tokenizer, "get_added_vocab") else ()
        texts = [*tokenizer.all_special_tokens, *added, *_kept(speaker)]
        found.update(text.strip() for text in texts if _MARKED.search(text))
    return folded(found)


def folded(tokens: Iterable[str]) -> dict[str, str]:
    """Tokens by what is left of them whatever a tokenizer's normalizer, or a dialect, may do to the case and the like."""
    return {_folded(token): token for token in tokens}


def refuse_control_tokens(words: str, tokens: Mapping[str, str]) -> None:
    """Refuse words of a user that hold a control token.

    Args:
        words: a question or a phrase, as it goes into the prompt.
        tokens: of :func:`control_tokens` or :func:`folded`.

    Raises:
        CommandError: they do; names the token, and how to write it as words.
    """
    plain = _folded(words)
    held = max((token for form, token in tokens.items() if form in plain), key=len, default="")
    if held:
        bare = " ".join(re.findall(r"\w+", held))
        way_out = f"write it without the brackets, as '{bare}'" if bare else "leave it out"
        raise CommandError(f"'{held}' is a control token of this model and no words to it: {way_out}")


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = (c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf"))
    return "".join(" " if c == "\u2581" else c for c in kept)  # SentencePiece's blank


def _speakers(dialect: object) -> list[Any]:
    """What has a tokenizer: the dialect's processor or chat inputs, and the processor of the latter."""
    parts = _with_tokenizer(vars(dialect).values())
    return [*parts, *_with_tokenizer(inner for part in parts for inner in vars(part).values())]


def _with_tokenizer(parts: Iterable[Any]) -> list[Any]:
    return [part for part in parts if hasattr(getattr(part, "tokenizer", None), "all_special_tokens")]


def _kept(speaker: object) -> Iterator[str]:
    """The marks that a processor keeps, alone or in lists, or as the names of its prompts; a template is none."""
    for value in vars(speaker).values():
        texts = value if isinstance(value, (list, tuple, set, dict)) else [value]
        yield from (text for text in texts if isinstance(text, str) and not re.search(r"\s", text))
