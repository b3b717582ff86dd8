"""Noun phrases: determiners, numbers, adjectives, the noun run and, through ``modifiers``, what follows it."""

from __future__ import annotations

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.coordination import share_noun, spread_colors
from vlm_perception.language.determiners import read_determiners
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.modifiers import read_modifiers, read_partitive_or_part
from vlm_perception.language.morphology import singular
from vlm_perception.language.noun_runs import NounReader
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, UNANCHORED
from vlm_perception.language.superlatives import read_ordinal_direction
from vlm_perception.language.tokens import Cursor
from vlm_perception.types import CommandError, Entity, Relation

_MAX_DEPTH = 10


class NounPhraseReader(NounReader):
    """Reads noun phrases from one command, remembering what was mentioned for "it" and "the other one"."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.mentions: list[Entity] = []
        self._subject_only = False
        self.reciprocal: Entity | None = None  # whom "each other" speaks of in a claim
        self.anchor: Entity | None = None  # the last thing that the phrase now read was described by
        self.others: list[Entity] = []  # what "the other one" may be set against, before all that was mentioned
        self.head: Draft | None = None  # the phrase whose modifiers are being read
        self.to_is_goal = False  # in "move X to Y", "to" opens the destination, not "closest to"

    def entity(self, depth: int = 0) -> Entity | None:
        """Read one noun phrase; None (cursor unmoved) where there is none.

        Raises:
            CommandError: phrases are nested too deeply.
        """
        if depth > _MAX_DEPTH:
            raise CommandError(f"more than {_MAX_DEPTH} things are described by one another; say it in simpler words")
        cursor = self.cursor
        start = cursor.pos
        draft = Draft()
        if cursor.word() == "not" and cursor.word(1) in lx.ARTICLES:  # "not the red one"
            draft.generic = True
        its = cursor.word() in {"its", "their"} and depth > 0
        read_determiners(cursor, draft)
        if (
            draft.chosen
            and cursor.word() in {"them", "these", "those"}
            and not is_content(cursor.word(1))
            and self.mentions
        ):
            cursor.pos += 1  # "one of them"
            draft.nouns = self.mentions[-1].noun.split()
            draft.attributes += self.mentions[-1].attributes
            draft.determined = True
        pronoun = None if draft.determined or draft.other else self._pronoun(depth)
        if pronoun is not None:
            return pronoun
        self._premodifiers(draft)
        self._nouns(draft)
        if its and self.anchor is not None and draft.nouns and singular(draft.nouns[-1])[0] in lx.PARTS:
            draft.relations.append(Relation("part_of", (self.anchor,), text="its"))  # "nor in its drawer"
        owner_stop = cursor.pos
        while draft.nouns and cursor.word() == "'s" and self._owns_part():
            cursor.pos += 1
            owner = draft.freeze(cursor.text(start, owner_stop))
            draft = Draft(relations=[Relation("part_of", (owner,), text="'s")], determined=True)
            self._premodifiers(draft)
            self._nouns(draft)
        if draft.nouns == ["row"] and draft.places:  # "middle row, second from left"
            draft.relations += [Relation(KEY_PREDICATE[place], text="row") for place in draft.places]
            draft.nouns, draft.places, draft.generic, draft.whatever = [], [], True, True
        if self._subject_only and depth == 0 and draft.ordinal is not None:
            read_ordinal_direction(cursor, draft)
        outer = self.head
        self._inherit_head(draft, outer)
        if not (self._subject_only and depth == 0):
            draft.outer, self.head = outer, draft
            try:
                read_modifiers(self, draft, depth)
            finally:
                self.head = outer
        elif cursor.word() == "of":
            self._subject_only = False
            read_partitive_or_part(self, draft)
        if not draft.described:
            cursor.pos = start
            return None
        self._inherit(draft)
        entity = draft.freeze(cursor.text(start))
        if depth == 0:
            self.mentions.append(entity)
            self.anchor = None
        else:
            self.anchor = entity
        return entity

    def entity_bare(self) -> Entity | None:
        """Read a noun phrase without the relations that follow it, as the subject of "is the bowl on the plate"."""
        self._subject_only = True
        try:
            return self.entity()
        finally:
            self._subject_only = False

    def entities(self, depth: int = 0) -> list[Entity]:
        """Read coordinated noun phrases: "the soup and the sauce", "the left and the right mug"."""
        cursor = self.cursor
        found: list[Entity] = []
        if cursor.word() in {"both", "either", "all"} and self._coordinates_ahead():
            cursor.pos += 1
        while True:
            start = cursor.pos
            entity = self.entity(depth)
            if entity is None:
                break
            found.append(entity)
            mark = cursor.pos
            _ = cursor.take(",") or cursor.take(";")
            either = cursor.word() == "or"
            joined = cursor.take("and") or cursor.take("or") or cursor.take("as", "well", "as") or cursor.take("plus")
            cursor.take("also")
            if joined and cursor.word() == "then" and not self.starts_clause():
                cursor.pos += 1
            if not joined and not (cursor.pos > mark and self._lists_on()):
                cursor.pos = mark
                break
            if self.starts_clause() or not self._starts_noun_phrase():
                cursor.pos = mark
                break
            if either and self._ends_with_anchor(entity, mark):
                raise CommandError(
                    f'"or" leaves open which is meant in "{cursor.text(start, cursor.end)}"; say one of them'
                )
            if cursor.pos == start:
                break
        return [each for entity in share_noun(found) for each in spread_colors(entity)]

    def _ends_with_anchor(self, entity: Entity, stop: int) -> bool:
        """Whether the words before ``stop`` name what the entity is described by ("behind the plate or the bowl")."""
        last = entity.relations[-1] if entity.relations else None
        if last is None or not last.anchors or not last.anchors[-1].text:
            return False
        return self.cursor.text(0, stop).endswith(last.anchors[-1].text)

    def starts_clause(self) -> bool:
        """Whether the cursor stands at a verb; the clause grammar replaces this."""
        return False

    def _pronoun(self, depth: int) -> Entity | None:
        cursor = self.cursor
        word = cursor.word()
        bare = (
            word in {"this", "that", "these", "those"}
            and not is_content(cursor.word(1))
            and cursor.word(1) not in lx.BE
        )
        if (word in lx.OBJECT_PRONOUNS or bare) and self.mentions:
            cursor.pos += 1
            return self.mentions[-1]
        if word == "it" and depth > 0 and self.anchor is not None:  # "nearest to the plate but not on it"
            cursor.pos += 1
            return self.anchor
        return None

    def _coordinates_ahead(self) -> bool:
        """Whether "both" introduces "X and Y" and not a plural ("both mugs")."""
        cursor = self.cursor
        i = cursor.pos + 1
        if i < cursor.end and cursor.tokens[i].word == "of":
            return False
        while i < cursor.end and (is_content(cursor.tokens[i].word) or cursor.tokens[i].word in lx.ARTICLES):
            i += 1
        if i >= cursor.end or cursor.tokens[i].word != "and":
            return False
        return not singular(cursor.tokens[i - 1].word)[1]

    def _lists_on(self) -> bool:
        """After a comma without "and": another item, when an "and" closes the list, or nothing but items follows."""
        cursor = self.cursor
        if not self._starts_noun_phrase():
            return False
        rest = [t.word for t in cursor.tokens[cursor.pos : cursor.end]]
        items = [part.split() for part in " ".join(rest).replace(";", ",").split(" , ")]
        plain = all(
            item
            and all(is_content(w) or w in lx.ARTICLES for w in item)
            and not kind_of(item[-1])
            and item[-1] not in lx.POSITIONS.keys() | lx.SUPERLATIVES.keys() | lx.COMPARATIVES.keys() | {"one", "ones"}
            for item in items
        )
        return "and" in rest or "or" in rest or plain

    def _starts_noun_phrase(self) -> bool:
        word = self.cursor.word()
        if word in lx.ARTICLES | lx.DEMONSTRATIVES | lx.POSSESSIVES | {"both", "another", "any", "some", "either"}:
            return True
        if word in lx.BOUNDING:
            return True
        return is_content(word) and not ANCHORED.find(self.cursor) and not UNANCHORED.find(self.cursor)

    @staticmethod
    def _inherit_head(d: Draft, outer: Draft | None) -> None:
        """ "the drawer below the top one", "the block between the two others": the noun of what is described by it."""
        if outer is not None and outer.nouns and (d.generic or d.other) and not (d.nouns or d.whatever):
            noun = outer.sibling or outer.nouns
            d.nouns = [*noun[:-1], singular(noun[-1])[0]]
            d.counted = True
            d.other = False

    def _inherit(self, d: Draft) -> None:
        """ "the other one", "the blue one": take the noun of what was mentioned before."""
        known = self.others or self.mentions
        if d.step and d.ordinal == 1 and d.nouns and any(m.noun == singular(d.nouns[-1])[0] for m in known):
            d.step, d.ordinal, d.other = 0, None, True  # "the red can ... and every other can"
        if d.other and not known and not d.nouns and d.generic:
            raise CommandError('what is "the other one" other than? name the thing, for example "the other mug"')
        if d.other and known:
            last = known[-1]
            if d.nouns:
                noun = singular(d.nouns[-1])[0]
                same = [m for m in self.mentions if m.noun.split()[-1:] == [noun]]
                last = same[-1] if same else last
            d.exclude.append(last)
        if not d.nouns and not d.whatever and (d.generic or d.other) and known and known[-1].noun != THING:
            d.nouns = known[-1].noun.split()
            if d.number is not None or not d.other:
                d.counted = True
            if d.other and known[-1].number is None:
                d.number, d.counted = None, True
