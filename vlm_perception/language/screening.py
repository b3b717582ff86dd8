"""What is turned away before parsing: empty, oversized, wordless and foreign commands."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from vlm_perception.types import CommandError

MAX_CHARACTERS: Final = 2000
_HINT: Final = 'say what to find, for example "the red mug left of the plate"'
# Function words and command verbs of neighbouring languages that are not English words.
_FOREIGN: Final = frozenset(
    # German
    "der das den dem ein eine einen einem einer und auf neben unter hinter vor zwischen dem im ist sind wo wie viele "
    "nimm gib gibt leg lege stell stelle mir bitte rote roten roter rotes tasse teller links rechts von zeig finde "
    "grune blaue schwarze weisse kiste welche hole becher "
    # French
    "le la les une du des et sur sous dans pres derriere devant entre gauche droite cote prends prenez donne mets "
    "trouve trouvez est où rouge tasse assiette moi s'il vous plait montre combien bol noir "
    # Spanish
    "el los las un una del y en junto al sobre debajo detras delante izquierda derecha toma coge dame pon encuentra "
    "donde está esta taza roja rojo plato por favor cuantos cuántos hay muestra tazon negro "
    # Italian
    "il lo gli uno della dello nel sul sotto accanto dietro davanti sinistra destra prendi dammi metti trova dove "
    "rossa tazza piatto ciotola nera "
    # Portuguese
    "os uma umas ao à da na em perto atrás frente esquerda direita pegue pega coloque me encontre onde caneca "
    "vermelha prato tigela preta e o "
    # Nordic
    "det röda røde rødt kopp koppen kop tallrik tallerken skålen och og bredvid ved siden punainen kuppi muki ota lautanen "
    # Slavic, Turkish, Hungarian, Romanian, Indonesian, written without their accents
    "kubek czerwony talerz miska wez podnies hrnek talir cerveny bardak bardagi tabak kirmizi koy vedd piros bogre csesze "
    "ceasca rosie farfurie cana ambil cangkir merah piring letakkan gelas mangkuk atas yang "
    # Dutch
    "het een en naast onder achter tussen pak geef zet leg waar rode beker bord linker kom zwarte links".split()
) - frozenset("me on in a die an a i to is as do no so he was hat war am at am kiste un prato leg zet".split())  # fmt: skip
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
    """A command that is not English, so that only a model that speaks its language can be asked."""


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
        raise ForeignLanguageError(
            f'did not understand "{_short(" ".join(strange))}": only English commands are understood, unless a model '
            f"that speaks the language is chosen; {_HINT}"
        )
    _refuse_rare_accents(clean)
    _refuse_foreign(clean)
    return clean


def _refuse_rare_accents(clean: str) -> None:
    """Refuse words with Latin letters that English does not even borrow: Polish, Czech, Turkish, Vietnamese ..."""
    words = re.findall(r"[^\W\d_]+", clean)
    rare = [
        w for w in words if any(not c.isascii() and c.lower() not in _BORROWED for c in unicodedata.normalize("NFC", w))
    ]
    if rare and (len(rare) > 1 or not any(w.lower() in _ENGLISH for w in words)):
        raise ForeignLanguageError(
            f'did not understand "{_short(" ".join(rare))}" in "{_short(clean)}": only English commands are '
            f"understood, unless a model that speaks the language is chosen; {_HINT}"
        )


def _is_foreign_letter(c: str) -> bool:
    if c.isascii() or not c.isalpha():
        return False
    return not unicodedata.name(c, "").startswith(("LATIN", "MICRO", "FEMININE", "MASCULINE"))


def _refuse_foreign(clean: str) -> None:
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", clean.lower())
    if any(word in _ENGLISH for word in words):
        return
    foreign = [word for word in words if word in _FOREIGN]
    accented = [word for word in words if not word.isascii()]
    if words[:1] == ["die"] and accented:
        foreign.insert(0, "die")
    if len(words) == 2 and words[0] in _LEADING_ARTICLES:  # "une pomme"
        foreign = words
    if len(foreign) >= 2 or (foreign and (accented or len(foreign) == len(words))):
        raise ForeignLanguageError(
            f'did not understand "{_short(" ".join(foreign))}" in "{_short(clean)}": only English commands are '
            f"understood, unless a model that speaks the language is chosen; {_HINT}"
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
