"""A noun phrase while it is being read."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlm_perception.language import lexicon as lx
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import KEY_PREDICATE
from vlm_perception.types import Attribute, Entity, Ranking, Relation

THING = "thing"


@dataclass
class Draft:
    """The mutable counterpart of ``Entity``."""

    nouns: list[str] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    exclude: list[Entity] = field(default_factory=list)
    number: int | None = 1
    counted: bool = False  # a numeral or quantifier fixed the number
    chosen: bool = False  # "two of the five": the number is settled
    definite: bool = True
    ordinal: int | None = None
    among: int | None = None
    generic: bool = False
    sibling: list[str] = field(
        default_factory=list
    )  # noun of the first of two anchors: "the red book and the blue one"
    outer: Draft | None = None  # what it describes
    whatever: bool = False  # "something", "everything": of no kind that was mentioned before
    other: bool = False
    determined: bool = False
    open_ranking: bool = False  # a bare "nearest"/"farthest" still waits for "to X"
    feature: str = ""  # "with red cap"
    relative: bool = False  # a relative clause is open: "that is on the tray and is ..."
    bounds: tuple[int, int | None] | None = None
    step: int = 0  # "every third": 3
    plural_form: bool = False  # the noun keeps its plural though it is one thing: "a pair of glasses"

    @property
    def described(self) -> bool:
        """Whether anything at all was said of it."""
        return bool(
            self.nouns or self.generic or self.attributes or self.relations or self.rankings or self.places
            or self.ordinal or self.other or self.feature
        )  # fmt: skip

    def settle_number(self) -> str:
        """Bring the head noun to the singular and let a bare plural mean "all"; returns the noun."""
        if not self.nouns:
            return THING
        words = list(self.nouns)
        if self.plural_form:
            return " ".join(words)
        head = words.index("of") - 1 if "of" in words[1:] else len(words) - 1
        words[head], many = singular(words[head])
        if many and not self.counted:
            self.number = None
        if len(words) == 1 and words[0] in lx.GENERIC_NOUNS | {"nothing"}:
            return THING
        return " ".join(words)

    def settle_places(self) -> None:
        """Turn "left", "top", ... into an order for one thing, or into places in the scene for several."""
        places = list(dict.fromkeys(self.places))
        if self.ordinal is not None:
            part = any(relation.predicate == "part_of" for relation in self.relations) or (
                bool(self.nouns) and singular(self.nouns[-1])[0] in {"drawer", "shelf", "layer", "tier", "level"}
            )
            key = places.pop(0) if places else ("high" if part else "left")
            self.rankings.append(Ranking(key, self.ordinal, among=self.among, step=self.step))
            self.ordinal = None
        single = self.number is not None and self.definite and len(places) == 1 and not self.rankings
        for key in places:
            if single:
                self.rankings.append(Ranking(key, 1, among=self.among))
            else:
                self.relations.append(Relation(KEY_PREDICATE[key], text=key))
        self.places = []

    def freeze(self, text: str) -> Entity:
        """The finished entity."""
        noun = self.settle_number()
        self.settle_places()
        visible = [
            a.value for a in self.attributes if not a.negated and a.kind != "size" and not a.value.startswith("with ")
        ]
        phrase = " ".join([*visible, noun])
        if self.feature:
            self.attributes.append(Attribute("other", self.feature))
            phrase += f" {self.feature}"
        return Entity(
            noun=noun,
            phrase=phrase,
            attributes=tuple(self.attributes),
            relations=tuple(self.relations),
            rankings=tuple(self.rankings),
            number=self.number,
            exclude=tuple(self.exclude),
            definite=self.definite,
            text=text,
            bounds=self.bounds,
        )
