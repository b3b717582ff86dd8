"""Options of a model, checked when they are read; a wrong one is refused with its name and what it takes.

Which model takes which is in :mod:`vlm_perception.models.options_table`; :mod:`vlm_perception.models.options_check` holds
all that a user sets against it before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.options_kinds import (
    BY_PHRASE,
    OPTIONS,
    Choice,
    Flag,
    Kind,
    Number,
    OneOrMore,
    Template,
    Text,
    Whole,
    listed,
)
from vlm_perception.types import ModelError


def parse_option(text: str) -> tuple[str, object]:
    """``NAME=VALUE``, the value in YAML: ``compile=true``, ``threshold=0.3``.

    Raises:
        ValueError: the text is not of that form.
    """
    import yaml

    name, equals, value = text.partition("=")
    try:
        if equals and name.strip():
            return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"the value of NAME=VALUE must be YAML, got '{text}'") from error
    raise ValueError(f"expected NAME=VALUE, e.g. boxes_from=heatmap, got '{text}'")


@dataclass(frozen=True)
class Options:
    """Named values for the model ``owner``."""

    values: Mapping[str, Any]
    owner: str

    def check(self, name: str, kind: Kind) -> Any:
        """The value of an option that is given, or None.

        Raises:
            ModelError: it is of another kind; names option, value and what it takes.
        """
        if name not in self.values:
            return None
        value = self.values[name]
        if not kind.fits(value):
            got = "nothing" if value is None else repr(value)
            raise ModelError(f"'{self.owner}': option '{name}' must be {kind.words}, got {got}")
        return value

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number in ``[low, high]``."""
        value = self.check(name, Number(low, high))
        return default if value is None else float(value)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number in ``[low, high]``."""
        value = self.check(name, Whole(low, high))
        return default if value is None else int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.check(name, Flag())
        return default if value is None else bool(value)

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of several words, by default the first."""
        value = self.check(name, Choice(tuple(known)))
        return known[0] if value is None else str(value)

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.check(name, Text("a text"))
        return default if value is None else str(value)

    def template(self, name: str, default: str) -> str:
        """A text with one ``{}``, for a phrase."""
        value = self.check(name, Template())
        return default if value is None else str(value)

    def texts(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        """Texts with one ``{}`` each, for a phrase; one alone needs no list."""
        return self._several(name, Template(), default)

    def words(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        """Texts; one alone needs no list."""
        return self._several(name, Text("a text"), default)

    def _several(self, name: str, kind: Kind, default: Sequence[str]) -> tuple[str, ...]:
        value = self.check(name, OneOrMore(kind))
        if value is None:
            return tuple(default)
        return tuple(str(item) for item in listed(value) or (value,))

    def named(self, name: str) -> Mapping[str, object]:
        """Names and whatever goes with each; empty by default."""
        return dict(self.check(name, OPTIONS) or {})

    def by_phrase(self, name: str) -> Mapping[str, float]:
        """Phrases and a number in [0, 1] for each; empty by default."""
        value = self.check(name, BY_PHRASE) or {}
        return {phrase: float(number) for phrase, number in value.items()}
