"""Which languages a text that is not English may be in: by its letters, then by its most frequent words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

# ISO 639-1 code -> function words, command verbs and table-top words that are not English words.
FOREIGN_WORDS: Final[Mapping[str, frozenset[str]]] = {
    code: frozenset(words.split())
    for code, words in {
        "de": "der das den dem ein eine einen einem einer und auf neben unter hinter vor zwischen im ist sind wo wie viele "
        "nimm gib gibt lege stell stelle mir bitte rote roten roter rotes tasse teller links rechts von zeig finde "
        "grune blaue schwarze weisse kiste welche hole becher",
        "fr": "le la les un une du des et sur sous dans pres derriere devant entre gauche droite cote prends prenez donne mets "
        "trouve trouvez est où rouge tasse assiette moi s'il vous plait montre combien bol noir de en",
        "es": "el la los las un una del y en junto al sobre debajo detras delante entre izquierda derecha toma coge dame pon "
        "encuentra donde está esta taza roja rojo plato por favor cuantos cuántos hay muestra tazon negro de",
        "it": "il la lo le gli un una uno della dello nel sul sotto accanto dietro davanti sinistra destra prendi dammi metti "
        "trova dove rossa tazza piatto ciotola nera per e",
        "pt": "os um uma umas ao à da na em perto atrás frente esquerda direita pegue pega coloque encontre onde caneca "
        "vermelha prato tigela preta e o de por favor entre sobre",
        "sv": "det en ett röda kopp koppen tallrik skålen och bredvid till",
        "da": "det en et røde rødt kop tallerken og ved siden af",
        "no": "det en et røde rødt kopp koppen tallerken og ved siden av",
        "fi": "punainen kuppi muki ota lautanen",
        "pl": "kubek czerwony talerz miska wez podnies",
        "cs": "hrnek talir cerveny",
        "tr": "bardak bardagi tabak kirmizi koy",
        "hu": "vedd piros bogre csesze",
        "ro": "ceasca rosie farfurie cana un",
        "id": "ambil cangkir merah piring letakkan gelas mangkuk atas yang",
        "ms": "ambil cawan merah pinggan gelas mangkuk atas yang",
        "nl": "het een en naast onder achter tussen pak geef waar rode beker bord linker kom zwarte links de",
    }.items()
}  # fmt: skip
# Letters that of the languages above, and of English, only these write.
_LETTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "ß": ("de",), "ł": ("pl",), "ő": ("hu",), "ű": ("hu",), "ř": ("cs",), "ě": ("cs",), "ů": ("cs",), "ğ": ("tr",),
    "ı": ("tr",), "ț": ("ro",), "ș": ("ro",), "ă": ("ro", "vi"), "ơ": ("vi",), "ư": ("vi",), "đ": ("vi", "hr", "sr"),
}  # fmt: skip
_VIETNAMESE: Final = range(0x1EA0, 0x1EFA)  # letters with a tone mark over another mark
# How the Unicode names of a script's letters begin -> the languages that write it.
_SCRIPTS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(codes.split())
    for name, codes in {
        "CJK": "zh ja", "HIRAGANA": "ja", "KATAKANA": "ja", "HALFWIDTH KATAKANA": "ja", "HANGUL": "ko", "BOPOMOFO": "zh",
        "CYRILLIC": "ru uk bg be sr mk kk ky mn tg tt", "ARABIC": "ar fa ur ps ug sd ku", "GREEK": "el", "HEBREW": "he yi",
        "THAI": "th", "DEVANAGARI": "hi mr ne sa", "BENGALI": "bn as", "TAMIL": "ta", "TELUGU": "te", "GEORGIAN": "ka",
        "ARMENIAN": "hy",
    }.items()
}  # fmt: skip
LATIN: Final = frozenset(
    "af az ca cs cy da de es et eu fi fr ga gl ha hr hu id is it lt lv ms mt nl no pl pt ro sk sl sq sr sv sw tl tr uz vi".split()
)
_CERTAIN: Final = 2  # words of a language, from which on it is told from its neighbours


def guess(text: str) -> frozenset[str]:
    """The languages, one or several, that a text may be in, by its letters and words.

    Args:
        text: what is known not to be English.

    Returns:
        ISO 639-1 codes; empty when it could be in any.
    """
    scripts = [codes for letter in text for codes in [_script(letter)] if codes is not None]
    foreign = [codes for codes in scripts if codes != LATIN]
    if foreign:
        return frozenset.intersection(*foreign)
    if not scripts:
        return frozenset()
    found = _hits(text)
    most = max(found.values(), default=0)
    if most < _CERTAIN:
        return LATIN
    return frozenset(code for code, number in found.items() if number >= max(1, most - 1))


def _hits(text: str) -> dict[str, int]:
    """How many words speak for each language."""
    found: dict[str, int] = {}
    for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", unicodedata.normalize("NFC", text.lower())):
        codes = {code for code, words in FOREIGN_WORDS.items() if word in words}
        codes.update(code for letter in word for code in _LETTERS.get(letter, ()))
        if any(ord(letter) in _VIETNAMESE for letter in word):
            codes.add("vi")
        for code in codes:
            found[code] = found.get(code, 0) + 1
    return found


def _script(letter: str) -> frozenset[str] | None:
    """The languages of a letter's script; empty for one that is not known here, None for what is no letter."""
    if not letter.isalpha():
        return None
    name = unicodedata.name(letter, "")
    if letter.isascii() or name.startswith(("LATIN", "MICRO", "FEMININE", "MASCULINE")):
        return LATIN
    return next((codes for start, codes in _SCRIPTS.items() if name.startswith(start)), frozenset())
