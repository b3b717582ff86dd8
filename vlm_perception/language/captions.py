"""Captions: sentences about an image -> claims, each thing and each relation one that can be checked by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from vlm_perception.language.draft import THING
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.parser import parse_statement
from vlm_perception.types import CommandError, Entity

_IMAGE: Final = r"(?:image|picture|photo|photograph|scene|view|frame)"
# What captions begin with and do not claim.
_LEAD: Final = re.compile(
    rf"^(?:(?:in|on) (?:the|this|that) {_IMAGE}\s*,?\s*|"
    rf"(?:(?:the|this|that) {_IMAGE} (?:is|shows|features|depicts|contains|displays|captures|includes)|"
    rf"(?:(?:this|it|here) is )?(?:an?|the) (?:close-?up |close |detailed |blurry |color )?"
    rf"(?:{_IMAGE}|close-?up|shot|close-?up shot) of|(?:it|we) (?:shows|see|can see))\s+)+",
    re.IGNORECASE,
)
_DEPTH_OF_FIELD: Final = re.compile(r"[\s,]*\bin the (?:background|foreground|distance)\b", re.IGNORECASE)
_WITH: Final = re.compile(r",\s*(?:and\s+)?with\s+(?=(?:a|an|the|some|one|two|three|four|several)\b)", re.IGNORECASE)
_ENDS: Final = re.compile(r"(?<=[a-z0-9)\"'])\s*[.;!?\n]+(?:\s+|$)", re.IGNORECASE)
_PRONOUN: Final = re.compile(r"^(?:it|they|this|these)\b", re.IGNORECASE)
_CLAUSE: Final = re.compile(r"\s*,\s*(?:and\s+|while\s+)?|\s+(?:while|whereas|as)\s+", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


@dataclass(frozen=True)
class Claims:
    """A text, taken apart.

    Attributes:
        whole: one entity a claim, with everything asserted of it, as ``Query.statement`` has it.
        rest: sentences, or words of them, of which nothing was made.
    """

    whole: tuple[Entity, ...]
    rest: tuple[str, ...] = ()

    @property
    def atoms(self) -> tuple[Entity, ...]:
        """The smallest claims: that each thing is there, and then that each relation holds, in the order said.

        A claim that joins several relations is also there as a whole, for they might hold of different things.
        """
        things: dict[object, Entity] = {}
        relations: dict[object, Entity] = {}
        for claim in self.whole:
            for entity in _mentioned(claim):
                things.setdefault(_same(entity), entity)
            for related in _related(claim):
                relations.setdefault(_same(related), related)
        return (*things.values(), *relations.values())

    @property
    def things(self) -> tuple[Entity, ...]:
        """Every thing that is said to be there, each once."""
        return tuple(atom for atom in self.atoms if not atom.relations and atom.number != 0)


def parse_claims(text: str) -> Claims:
    """Take a text of one or more sentences apart into claims.

    Args:
        text: a statement, or a caption as a model or a person writes it.

    Raises:
        CommandError: nothing in it is a claim.
    """
    claims: list[Entity] = []
    rest: list[str] = []
    before = ""
    for sentence in _sentences(text):
        for part in _parts(sentence, before):
            found = _read(part, before)
            if not found:
                rest.append(part)
                continue
            claims += found
            before = part
            left = _left_over(part, found)
            if left:
                rest.append(left)
    if not claims:
        shown = " ".join(text.split())[:80]
        raise CommandError(f"'{shown}' claims nothing that can be checked; say for example 'the bowl is on the plate'")
    return Claims(tuple(dict.fromkeys(claims)), tuple(rest))


def _sentences(text: str) -> Iterator[str]:
    for raw in _ENDS.split(_WITH.sub(". ", _DEPTH_OF_FIELD.sub("", text.strip()))):
        sentence = _LEAD.sub("", raw.strip(" \t,.")).strip()
        if sentence:
            yield sentence


def _parts(sentence: str, before: str) -> list[str]:
    """A sentence that is understood, or else its clauses: what one of them says may still be checked."""
    if _read(sentence, before):
        return [sentence]
    return [part for part in _CLAUSE.split(sentence) if part] or [sentence]


def _read(sentence: str, before: str) -> list[Entity]:
    """The claims of one sentence; a pronoun that it begins with is what the sentence before spoke of."""
    if before and _PRONOUN.match(sentence):
        known = _statement(before)
        return [claim for claim in _statement(f"{before}. {sentence}") if claim not in known]
    return _statement(sentence)


def _statement(text: str) -> list[Entity]:
    try:
        claims = parse_statement(text).statement
    except CommandError:
        return []
    # "a thing", and nothing said of it, is no claim.
    return [claim for claim in claims if [*_mentioned(claim), *_related(claim)]]


def _mentioned(entity: Entity) -> Iterator[Entity]:
    """An entity and those it is related to, bare; what is said not to be there is left whole."""
    if entity.number == 0:
        yield entity
    elif entity.noun != THING or any(not a.negated for a in entity.attributes):
        yield replace(entity, relations=(), rankings=(), exclude=())
    for relation in entity.relations:
        if not relation.negated:
            for anchor in relation.anchors:
                yield from _mentioned(anchor)
    for ranking in entity.rankings:
        if ranking.anchor is not None:
            yield from _mentioned(ranking.anchor)


def _related(entity: Entity) -> Iterator[Entity]:
    if entity.number == 0:
        return
    for relation in entity.relations:
        bare = tuple(replace(a, relations=(), rankings=(), exclude=()) for a in relation.anchors)
        yield replace(entity, relations=(replace(relation, anchors=bare),))
        for anchor in relation.anchors:
            yield from _related(anchor)
    if len(entity.relations) > 1 or (entity.rankings and not entity.relations):
        yield entity


def _same(entity: Entity) -> object:
    """Equal for claims that say the same: "a mug" and "the mug" do."""
    relations = tuple((r.predicate, r.negated, tuple(_same(a) for a in r.anchors)) for r in entity.relations)
    return entity.phrase, entity.attributes, entity.number, relations, entity.rankings, entity.exclude


def _left_over(sentence: str, claims: list[Entity]) -> str:
    """Words of a sentence that no claim was made of."""
    used: set[str] = set()

    def use(entity: Entity) -> None:
        used.update(_words(entity.text), _words(entity.phrase), _words(entity.noun))
        for attribute in entity.attributes:
            used.update(_words(attribute.value))
        for relation in entity.relations:
            used.update(_words(relation.text), relation.predicate.split("_"))
            for anchor in relation.anchors:
                use(anchor)
        for ranking in entity.rankings:
            used.update(_words(ranking.text))
            if ranking.anchor is not None:
                use(ranking.anchor)
        for other in entity.exclude:
            use(other)

    for claim in claims:
        use(claim)
    left = [m.group() for m in _WORD.finditer(sentence) if is_content(m.group().lower())]
    return " ".join(word for word in left if word.lower() not in used)


def _words(text: str) -> list[str]:
    return [m.group().lower() for m in _WORD.finditer(text)]
