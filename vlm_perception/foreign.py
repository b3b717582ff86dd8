"""Commands in other languages than English: for the models that speak them; to such a model the words go as they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from vlm_perception import language
from vlm_perception.language import ForeignLanguageError
from vlm_perception.models.base import GroundingModel
from vlm_perception.models.registry import load_registry
from vlm_perception.types import CommandError, Entity, Query, Role, RoleEntity, Task

_NAMES: Final = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_QUESTION_MARKS: Final = ("?", "？", "؟")  # noqa: RUF001 -- Chinese and Arabic ones
_MARKS: Final = " .!?:;。！？؟"  # noqa: RUF001


def who_speaks(languages: Collection[str]) -> list[str]:
    """Names of the registry's models that speak one of some languages; of none: that speak others than English."""
    return [name for name, entry in load_registry().items() if _speaks(entry.languages, languages)]


def may_speak(model: GroundingModel, foreign: ForeignLanguageError) -> bool:
    """Whether a model declares the language of a text; see :func:`require_language`."""
    return _speaks(model.capabilities.languages, foreign.languages)


def require_language(model: GroundingModel, foreign: ForeignLanguageError) -> None:
    """Check that a model may speak the language of a text.

    Where that is not certain, a model that speaks one of those it may be in will do, or any that speaks several.

    Raises:
        CommandError: it does not; names its languages, the text's if that is certain, and the models that speak it.
    """
    if may_speak(model, foreign):
        return
    spoken = model.capabilities.languages
    able = [name for name in who_speaks(foreign.languages) if name != model.name]
    certain = f", and this is {_names(foreign.languages)}" if len(foreign.languages) == 1 else ""
    others = f"models that speak it: {', '.join(able)}" if able else "no model of the registry speaks it"
    raise CommandError(
        f"did not understand {foreign.told}: '{model.name}' understands only {_names(spoken)}{certain}; {others}. Or say "
        'it in English, for example "the red mug left of the plate"'
    )


def understood(text: str, model: GroundingModel) -> Query:
    """A command's meaning; one that only the model understands is a question, or the whole of it names the thing.

    Raises:
        CommandError: it means nothing, or is in a language that the model does not speak.
    """
    try:
        return language.parse(text)
    except ForeignLanguageError as error:
        require_language(model, error)
    if text.rstrip().endswith(_QUESTION_MARKS):
        return Query(" ".join(text.split()), Task.ASK)
    return named(text, Task.LOCATE)


def named(text: str, task: Task) -> Query:
    """A task for a thing that is named in another language, by all of the text; when counting, for all that there are."""
    words = " ".join(text.split())
    phrase = words.strip(_MARKS) if task is Task.COUNT else words
    number = None if task is Task.COUNT else 1
    return Query(words, task, items=(RoleEntity(Role.TARGET, Entity(phrase, phrase, number=number, text=phrase)),))


def _speaks(spoken: Sequence[str], languages: Collection[str]) -> bool:
    return not set(spoken).isdisjoint(languages) if languages else len(spoken) > 1


def _names(languages: Collection[str]) -> str:
    *first, last = [_NAMES.get(code, code) for code in languages]
    return f"{', '.join(first)} and {last}" if first else last
