"""What the value of an option may be: each kind says it in words and tells whether a value fits. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol


class Kind(Protocol):
    """A kind of values."""

    @property
    def words(self) -> str:
        """What fits, as in "must be ..."."""

    def fits(self, value: object) -> bool:
        """Whether a value is one."""


@dataclass(frozen=True)
class Number:
    """A number in ``[low, high]``; NaN is none."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """See :class:`Kind`."""
        return f"a number in [{self.low:g}, {self.high:g}]"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Whole:
    """A whole number in ``[low, high]``; 4.0 is one."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """See :class:`Kind`."""
        return f"a whole number in [{self.low}, {self.high}]"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, (int, float)) and Number(self.low, self.high).fits(value) and float(value).is_integer()


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words: str = "true or false"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    known: tuple[str, ...]

    @property
    def words(self) -> str:
        """See :class:`Kind`."""
        return f"one of {', '.join(self.known)}"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return value in self.known


@dataclass(frozen=True)
class Text:
    """A text that is not empty; ``words`` says of what."""

    words: str

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, str) and bool(value.strip())


@dataclass(frozen=True)
class FlagOrText:
    """True, false or a text; ``words`` says of what."""

    words: str

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, bool) or Text("").fits(value)


@dataclass(frozen=True)
class Template:
    """A text with one ``{}``, and no other brace, for a phrase."""

    words: str = "a text with one {}"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, str) and value.count("{}") == 1 and not set("{}") & set(value.replace("{}", ""))


@dataclass(frozen=True)
class OneOrMore:
    """A value of another kind, or a list of them that is not empty."""

    kind: Kind

    @property
    def words(self) -> str:
        """See :class:`Kind`."""
        return f"{self.kind.words}, or a list of such"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return self.kind.fits(value) or (bool(listed(value)) and all(self.kind.fits(item) for item in listed(value)))


@dataclass(frozen=True)
class Named:
    """A mapping from names to values.

    Attributes:
        of: what the names are.
        example: one entry, as a user types it.
        kind: of the values; None: whoever gets them checks them.
    """

    of: str
    example: str
    kind: Kind | None = None

    @property
    def words(self) -> str:
        """See :class:`Kind`."""
        values = "their values" if self.kind is None else self.kind.words
        return f"a mapping from {self.of} to {values}, such as {{{self.example}}}"

    def fits(self, value: object) -> bool:
        """See :class:`Kind`."""
        return isinstance(value, Mapping) and all(
            Text("").fits(name) and (self.kind is None or self.kind.fits(item)) for name, item in value.items()
        )


BY_PHRASE: Final = Named("phrases", "red mug: 0.4", Number(0.0, 1.0))
OPTIONS: Final = Named("options", "multimask: false")


def listed(value: object) -> tuple[object, ...]:
    """The items of a list; none of what is no list."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()
