"""The words of a label or a phrase that mean something, so that both can be compared."""

from __future__ import annotations

import re
from typing import Final

from vlm_perception.language.morphology import singular

_ARTICLES: Final = frozenset({"a", "an", "any", "of", "the", "these", "those", "such"})
# Chinese and Japanese put no blanks between words: each character is taken as one.
_UNSPACED: Final = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def label_words(text: str) -> frozenset[str]:
    """In singular and lower case, without articles.

    >>> sorted(label_words("The red mugs."))
    ['mug', 'red']
    """
    return frozenset(singular(word)[0] for word in _WORD.findall(text.lower())) - _ARTICLES
