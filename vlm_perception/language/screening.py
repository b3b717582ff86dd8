"""What is turned away before parsing: empty, oversized, wordless and foreign commands."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from vlm_perception.language.tongues import FOREIGN_WORDS, guess
from vlm_perception.types import CommandError

MAX_CHARACTERS: Final = 2000
_HINT: Final = 'say what to find, for example "the red mug left of the plate"'
# Some of those words are English ones too, or stand in names.
_FOREIGN: Final = frozenset[str]().union(*FOREIGN_WORDS.values()) - frozenset(
    "me on in a die an a i to is as do no so he was hat war am at am kiste un prato leg zet de af av per till um".split()
)
_LEADING_ARTICLES: Final = frozenset(
    "ein eine einen une una uno un la le el il lo los las les der das het os uma um en ett et".split()
)
# Accents of English loanwords and brand names: café, jalapeño, crème brûlée, Häagen.
_BORROWED: Final = frozenset("àáâãäåçèéêëìíîïñòóôõöøùúûüýßæœ")
_ENGLISH: Final = frozenset(
    "the an of to at by for with from and are that this which pick put place find get take give show "
    "where how what it them near left right next between behind front under above please one all both red blue green "
    "black white yellow mug bowl plate box can cup bottle not than most closest".split()
)


class ForeignLanguageError(CommandError):
    """A command that is not English, so that only a model that speaks its language can be asked.

    Attributes:
        told: what was not understood, in quotes.
        languages: ISO 639-1 codes of those it may be in; empty when it could be any.
    """

    def __init__(self, told: str, languages: frozenset[str] = frozenset()) -> None:
        """Say that it needs a model for it."""
        super().__init__(
            f"did not understand {told}: only English commands are understood, unless a model that speaks the language "
            f"is chosen; {_HINT}"
        )
        self.told = told
        self.languages = languages


def screen(text: str) -> str:
    """Normalise white space and refuse what cannot be an English command.

    Args:
        text: the command as received.

    Returns:
        The text with control characters removed and white space collapsed.

    Raises:
        CommandError: empty, longer than 2000 characters, or without words.
        ForeignLanguageError: not English.
    """
    if not isinstance(text, str):
        raise CommandError(f"the command must be text, not {type(text).__name__}; {_HINT}")
    if len(text) > MAX_CHARACTERS:
        raise CommandError(
            f"the command has {len(text)} characters, more than {MAX_CHARACTERS}; say it in one or two sentences"
        )
    controls = sum(unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn"} and c not in "\t\n\r" for c in text)
    if controls > 2 or "�" in text:
        raise CommandError(f"the command holds {max(controls, 1)} unreadable characters, binary data?; {_HINT}")
    clean = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in text).split())
    if not clean:
        raise CommandError(f"the command is empty; {_HINT}")
    letters = [c for c in clean if c.isalpha()]
    if not letters:
        raise CommandError(f'there are no words in "{_short(clean)}"; {_HINT}')
    strange = re.findall(r"\w+", "".join(c if _is_foreign_letter(c) else " " for c in clean))
    if strange:
        raise ForeignLanguageError(f'"{_short(" ".join(strange))}"', guess(clean))
    foreign = _rarely_accented(clean) or _foreign_words(clean)
    if foreign:
        raise ForeignLanguageError(f'"{_short(" ".join(foreign))}" in "{_short(clean)}"', guess(clean))
    return clean


def foreign_language(text: str) -> ForeignLanguageError | None:
    """Why a question or a phrase is for a model that speaks another language; None: it is English, or may be.

    Words of another script among English ones ("what does 出口 mean?") make no foreign text.
    """
    try:
        screen(text)
    except ForeignLanguageError as error:
        return None if any(word in _ENGLISH for word in re.findall(r"[a-z]+", text.lower())) else error
    except CommandError:
        return None
    return None


def _rarely_accented(clean: str) -> list[str]:
    """Words with Latin letters that English does not even borrow: Polish, Czech, Turkish, Vietnamese ..."""
    words = re.findall(r"[^\W\d_]+", clean)
    rare = [
        w for w in words if any(not c.isascii() and c.lower() not in _BORROWED for c in unicodedata.normalize("NFC", w))
    ]
    return rare if len(rare) > 1 or not any(w.lower() in _ENGLISH for w in words) else []


def _is_foreign_letter(c: str) -> bool:
    if c.isascii() or not c.isalpha():
        return False
    return not unicodedata.name(c, "").startswith(("LATIN", "MICRO", "FEMININE", "MASCULINE"))


def _foreign_words(clean: str) -> list[str]:
    """Words that are of other languages, if they are enough to tell that the text is."""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", clean.lower())
    if any(word in _ENGLISH for word in words):
        return []
    foreign = [word for word in words if word in _FOREIGN]
    accented = [word for word in words if not word.isascii()]
    if words[:1] == ["die"] and accented:
        foreign.insert(0, "die")
    if len(words) == 2 and words[0] in _LEADING_ARTICLES:  # "une pomme"
        foreign = words
    return foreign if len(foreign) >= 2 or accented or len(foreign) == len(words) else []


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
