"""Text to tokens, and the cursor that the grammar reads them with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from vlm_perception.language import lexicon as lx

Pattern = tuple[str, ...]

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": " ", "”": " ", '"': " ", "–": "-", "—": ","})
_TOKEN: Final = re.compile(
    r"(?:dr|st|mr|mrs|ms)\.(?=\s)|[^\W_]+(?:['\-./&][^\W_]+)*'?|[,;:.?!()&+]", re.UNICODE | re.IGNORECASE
)
# Long function words that may be misspelt by one letter; short ones are listed in the lexicon.
_FUZZY: Final = frozenset(
    "between behind beside beneath underneath against inside nearest closest furthest farthest leftmost rightmost "
    "biggest largest smallest tallest please second middle bottom except around containing touching topmost"
    .split()
)  # fmt: skip
_NOT_FUZZY: Final = frozenset(
    "besides bedside closet closets seconds middles bottoms ground grounds insider insides bottomed inside outside riddle fiddle "
    "peddle puddle muddle paddle saddle middlesex button cotton accept expect pleased pleases round beside expects lagers "
    "lager larges smalls beckon reckon season sealant topmast surround reside decide aground arounds before become "
    "piddle meddle midday biddle mandle".split()
)


def _one_edit(word: str, target: str) -> bool:
    """Whether one insertion, deletion, swap or (in long words) substitution turns ``word`` into ``target``."""
    if word == target or abs(len(word) - len(target)) > 1 or word[0] != target[0]:
        return False
    i = 0
    while i < min(len(word), len(target)) and word[i] == target[i]:
        i += 1
    a, b = word[i:], target[i:]
    if len(a) == len(b):
        swapped = len(a) > 1 and a[:2] == b[1::-1] and a[2:] == b[2:]
        return swapped or (len(target) >= 7 and a[1:] == b[1:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]


@lru_cache(maxsize=4096)
def _mend(word: str) -> str:
    """American spelling, and typos in function words put right; nouns are left alone."""
    word = lx.SPELLING.get(word, word)
    word = lx.TYPOS.get(word, word)
    if len(word) >= 5 and word not in _FUZZY and word not in _NOT_FUZZY and word.isascii():
        for target in _FUZZY:
            if (len(word) > 5 or len(target) == 6) and _one_edit(word, target):
                return target
    return word


_KNOWN_PARTS: Final = frozenset(
    {
        *lx.COLORS,
        *lx.COLOR_MODIFIERS,
        *lx.ORDINALS,
        *lx.SUPERLATIVES,
        *lx.POSITIONS,
        *lx.SIZES,
        *lx.MATERIALS,
        *lx.SHAPES,
    }
    | {"and", "non", "colored", "of", "the", "coloured", "to", "sized", "shaped", "one", "in"}
)


@dataclass(frozen=True)
class Token:
    """One word or punctuation mark: as the grammar reads it, and as it was written."""

    word: str
    raw: str


def tokenize(text: str) -> list[Token]:
    """Split text into lower-case, spelling-corrected tokens; possessive ``'s`` becomes a token of its own."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    tokens: list[Token] = []
    for raw in _TOKEN.findall(text):
        tokens.extend(_tokens_of(raw))
    return tokens


def _tokens_of(raw: str) -> list[Token]:
    word = raw.lower()
    word = word.removesuffix(".") if len(word) > 1 else word
    if word in "()":
        return [Token(",", raw)]
    word = _mend(word)
    if word in lx.SPLIT:
        parts = lx.SPLIT[word].split()
        return [Token(part, raw if i == 0 else "") for i, part in enumerate(parts)]
    if word.endswith("'s"):
        return [*_tokens_of(raw[:-2]), Token("'s", "'s")]
    if word.endswith("'"):
        return [*_tokens_of(raw[:-1]), *([Token("'s", "'")] if word.endswith("s'") else [])]
    if ("-" in word or "/" in word) and word not in lx.SIZES and word not in lx.STATES:
        parts = re.split(r"[-/]", word)
        if any(part in _KNOWN_PARTS for part in parts):
            joined: list[Token] = []
            for i, part in enumerate(parts):
                if i and "/" in word:
                    joined.append(Token("and", "/"))
                joined.append(Token(_mend("not" if part == "non" else part), part))
            return joined
    return [Token(word, raw)]


@dataclass
class Cursor:
    """A position in a token list; every ``take_*`` moves on only when it matches."""

    tokens: list[Token]
    pos: int = 0
    end: int = field(default=-1)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.tokens)

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.pos >= self.end

    def word(self, ahead: int = 0) -> str:
        """The word ``ahead`` places on; ``""`` beyond the end."""
        i = self.pos + ahead
        return self.tokens[i].word if self.pos <= i < self.end or 0 <= i < self.end else ""

    def text(self, start: int, stop: int | None = None) -> str:
        """The words as written from ``start`` to ``stop`` (default: here)."""
        span = self.tokens[start : self.pos if stop is None else stop]
        return " ".join(t.raw for t in span if t.raw).replace(" 's", "'s").replace(" ,", ",").strip(" ,.?!;:")

    def take(self, *words: str) -> bool:
        """Consume exactly these words."""
        if all(self.word(i) == w for i, w in enumerate(words)):
            self.pos += len(words)
            return True
        return False

    def take_any(self, words: Collection[str]) -> str:
        """Consume one word out of a set; ``""`` when the next is none of them."""
        word = self.word()
        if word and word in words:
            self.pos += 1
            return word
        return ""

    def reach(self, pattern: Pattern, start: int | None = None) -> int:
        """Where ``pattern`` ends when it stands at ``start``, articles inside it skipped; -1 when it does not."""
        i = self.pos if start is None else start
        for k, word in enumerate(pattern):
            while k and word not in lx.ARTICLES and i < self.end and self.tokens[i].word in lx.ARTICLES:
                i += 1
            if i >= self.end or self.tokens[i].word != word:
                return -1
            i += 1
        return i

    def skip_articles(self) -> None:
        """Pass over ``the``, ``a``, ``an``."""
        while self.word() in lx.ARTICLES:
            self.pos += 1


class Phrases:
    """Word sequences that may stand at the cursor, looked up by their first word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._starting: dict[str, list[Pattern]] = {}
        for text in texts:
            pattern = tuple(text.split())
            self._starting.setdefault(pattern[0], []).append(pattern)

    def standing(self, cursor: Cursor) -> Iterator[tuple[Pattern, int]]:
        """Those that stand at the cursor, and where each ends."""
        for pattern in self._starting.get(cursor.word(), ()):
            stop = cursor.reach(pattern)
            if stop >= 0:
                yield pattern, stop


class _Node:
    """A step in the prefix tree of a ``PatternTable``."""

    __slots__ = ("following", "value")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.value: str | None = None


class PatternTable:
    """Word patterns, the longest one found first; articles between the words of a pattern are passed over."""

    def __init__(self, entries: dict[Pattern, str]) -> None:
        self._root = _Node()
        for pattern, value in entries.items():
            node = self._root
            for word in pattern:
                node = node.following.setdefault(word, _Node())
            node.value = value

    def find(self, cursor: Cursor, start: int | None = None) -> tuple[str, int] | None:
        """The value of the longest pattern that stands at ``start`` (default: the cursor), and where it ends."""
        i = cursor.pos if start is None else start
        node: _Node | None = self._root
        found = None
        while i < cursor.end:
            word = cursor.tokens[i].word
            node = node.following.get(word) if node is not None else None
            if node is None:
                break
            i += 1
            if node.value is not None:
                found = (node.value, i)
            while node.following and i < cursor.end and cursor.tokens[i].word in lx.ARTICLES:
                i += 1
        return found
