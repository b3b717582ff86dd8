"""Options of a model, checked when they are read; a wrong one is refused with its name and range."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_perception.types import ModelError

# Understood by every torch-backed family.
COMMON = ("compile", "load_in_8bit", "load_in_4bit", "attn_implementation")


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

    def check_names(self, known: Sequence[str]) -> None:
        """Refuse a name that nobody reads.

        Raises:
            ModelError: names the option, and the close match.
        """
        names = (*known, *COMMON)
        for name in self.values:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(names))}"
                raise ModelError(f"'{self.owner}' has no option '{name}': {hint}")

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number in ``[low, high]``."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ModelError(
                f"'{self.owner}': option '{name}' must be a number in [{low}, {high}], got {value!r}"
            )
        return float(value)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number in ``[low, high]``."""
        value = self.number(name, default, low=low, high=high)
        if value != int(value):
            raise ModelError(f"'{self.owner}': option '{name}' must be a whole number, got {value}")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false, false by default."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise ModelError(f"'{self.owner}': option '{name}' must be true or false, got {value!r}")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of several words, by default the first."""
        value = self.values.get(name, known[0])
        if value not in known:
            raise ModelError(f"'{self.owner}': option '{name}' must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    def texts(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        """Texts with one ``{}`` each, for a phrase."""
        value = self.values.get(name) or default
        if isinstance(value, str) or not all(isinstance(text, str) and text.count("{}") == 1 for text in value):
            raise ModelError(f"'{self.owner}': option '{name}' must be texts with one {{}} each, got {value!r}")
        return tuple(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A mapping, empty by default."""
        value = self.values.get(name) or {}
        if not isinstance(value, Mapping):
            raise ModelError(f"'{self.owner}': option '{name}' must be a mapping, got {type(value).__name__}")
        return value
