"""From free text to a typed ``Query``; no images here."""

from vlm_perception.language.morphology import singular
from vlm_perception.language.parser import parse, parse_statement
from vlm_perception.language.screening import ForeignLanguageError, foreign_language

__all__ = ["ForeignLanguageError", "foreign_language", "parse", "parse_statement", "singular"]
