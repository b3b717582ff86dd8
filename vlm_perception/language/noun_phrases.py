"""Noun phrases: determiners, numbers, adjectives, the noun run and, through ``modifiers``, what follows it."""

from __future__ import annotations

from dataclasses import replace

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of, take_attribute
from vlm_perception.language.coordination import share_noun, spread_colors
from vlm_perception.language.determiners import is_numeral, read_determiners, to_number
from vlm_perception.language.draft import THING, Draft
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.modifiers import read_modifiers, read_partitive_or_part
from vlm_perception.language.morphology import singular
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, PARTICIPLES, UNANCHORED
from vlm_perception.language.selections import EXCEPTIONS
from vlm_perception.language.superlatives import read_ordinal_direction
from vlm_perception.language.tokens import Cursor
from vlm_perception.types import CommandError, Entity, Ranking, Relation

_MAX_DEPTH = 10
_VERBAL = frozenset("contains contain touches touch faces surrounds".split())
_INDEFINITE_PRONOUNS = frozenset("something anything everything nothing".split())
_HELPERS = frozenset("can could will would do does did".split())
_TO_VERBS = frozenset("place put drop stack".split())


class NounPhraseReader:
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

    # ------------------------------------------------------------------ public

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

    # ------------------------------------------------------------------ parts

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

    def _premodifiers(self, d: Draft) -> None:
        cursor = self.cursor
        previous_kind = ""
        while not cursor.done:
            word, following = cursor.word(), cursor.word(1)
            if word in {"very", "really", "quite", "most", "extreme", "far"} and (
                kind_of(following) or following in lx.SUPERLATIVES or following in lx.POSITIONS
            ):
                cursor.pos += 1
                continue
            if word in {",", "and"} and previous_kind:
                ahead = cursor.pos + 1 + (word == "," and following == "and")
                next_kind = kind_of(cursor.tokens[ahead].word) if ahead < cursor.end else ""
                if next_kind and next_kind != previous_kind:
                    cursor.pos = ahead
                    previous_kind = ""
                    continue
                break
            if word == "not" and kind_of(following):
                cursor.pos += 1
                attribute = take_attribute(cursor)
                if attribute is None:
                    cursor.pos -= 1
                    break
                d.attributes.append(replace(attribute, negated=True))
                continue
            if word in lx.UNSEEN:
                raise CommandError(f'how things compare as "{word}" cannot be seen; say what the thing looks like')
            if word in lx.ORDINALS and self._ordinal(d):
                continue
            if word in lx.SUPERLATIVES or (word in lx.COMPARATIVES and following != "than"):
                self._superlative(d)
                continue
            if word in lx.POSITIONS and self._positional(d):
                continue
            if d.rankings and is_numeral(word) and word != "one" and is_content(following):
                cursor.pos += 1
                d.number, d.counted = to_number(word), True
                continue
            attribute = take_attribute(cursor)
            if attribute is None:
                break
            d.attributes.append(attribute)
            previous_kind = attribute.kind

    def _ordinal(self, d: Draft) -> bool:
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        cursor.pos += 1
        rank = lx.ORDINALS[word]
        if cursor.take("to", "last") or (following == "last" and cursor.take("last")):
            rank = -abs(rank)
        d.ordinal = rank
        if cursor.word() in lx.NUMBERS and cursor.word() not in {"one", "no"}:
            d.number, d.counted = lx.NUMBERS[cursor.word()], True
            cursor.pos += 1
        return True

    def _superlative(self, d: Draft) -> None:
        cursor = self.cursor
        word = cursor.word()
        cursor.pos += 1
        key = lx.SUPERLATIVES.get(word) or lx.COMPARATIVES[word]
        if word in {"furthest", "farthest", "further", "farther"} and cursor.word() in {
            "left",
            "right",
            "back",
            "front",
        }:
            key = lx.POSITIONS[cursor.word()]
            cursor.pos += 1
        rank, d.ordinal = d.ordinal or 1, None
        d.rankings.append(Ranking(key, rank, among=2 if word in lx.COMPARATIVES and d.number == 1 else None, text=word))
        d.open_ranking = key in {"near", "far"}

    def _positional(self, d: Draft) -> bool:
        """ "left", "top", "middle" ... before a noun, or in place of one ("the left and the right mug")."""
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        if following == "of":
            if not d.determined or not self._partitive_after(cursor.pos + 2):
                return False
        elif ANCHORED.find(cursor) or UNANCHORED.find(cursor):
            return False
        elif (
            not is_content(following)
            and following not in {"one", "ones"}
            and not (
                (d.determined or self._alone())
                and word in {"left", "right", "middle", "front", "back", "top", "bottom"}
            )
        ):
            return False
        cursor.pos += 1
        cursor.take("most")
        if cursor.word() in {"hand", "side"} and is_content(cursor.word(1)):
            cursor.pos += 1
        d.places.append(lx.POSITIONS[word])
        return True

    def _alone(self) -> bool:
        """Whether place words are all there is: "left", "top left"."""
        return self.cursor.pos == self.cursor.end - 1 and self.cursor.tokens[0].word in lx.POSITIONS

    def _partitive_after(self, start: int) -> bool:
        """Whether what stands at ``start`` is a group to choose from: "the two", "the mugs", "them"."""
        cursor = self.cursor
        i = start
        while i < cursor.end and cursor.tokens[i].word in lx.ARTICLES | lx.DEMONSTRATIVES | lx.POSSESSIVES | {"all"}:
            i += 1
        if i >= cursor.end:
            return False
        word = cursor.tokens[i].word
        if word in {"them", "these", "those"} or is_numeral(word):
            return True
        j = i
        while j < cursor.end and is_content(cursor.tokens[j].word) and not ANCHORED.find(cursor, j):
            j += 1
        return j > i and singular(cursor.tokens[j - 1].word)[1]

    def _nouns(self, d: Draft) -> None:
        cursor = self.cursor
        while not cursor.done:
            word, following = cursor.word(), cursor.word(1)
            if word in {"one", "ones", "others"} and not d.nouns:
                cursor.pos += 1
                d.generic = True
                if word != "one" and not d.counted:
                    d.number = None
                return
            if word in _INDEFINITE_PRONOUNS and not d.nouns:
                cursor.pos += 1
                d.generic, d.whatever, d.definite = True, True, word == "everything"
                if word == "nothing":
                    d.number, d.counted = 0, True
                if word == "everything":
                    d.number, d.counted = None, True
                attribute = take_attribute(cursor, predicative=True)
                if attribute is not None:
                    d.attributes.append(attribute)
                if cursor.word() == "to" and is_content(cursor.word(1)) and cursor.word(1) not in lx.POSITIONS:
                    said = " ".join(t.raw for t in cursor.tokens[cursor.pos : cursor.end])
                    raise CommandError(f'did not understand "{said}" in "{word} {said}"; say what thing is meant')
                return
            if word == "'s" and d.nouns and not self._owns_part() and is_content(following):
                cursor.pos += 1
                d.nouns[-1] += "'s"
                continue
            if not is_content(word) or self._ends_nouns(d):
                break
            if d.nouns and is_numeral(word) and following == "from":  # "box #2 from the left"
                cursor.pos += 1
                d.ordinal = to_number(word)
                break
            cursor.pos += 1
            d.nouns.append(word)
            if cursor.word() == "and" and (word, cursor.word(1)) in lx.BINOMIALS:
                d.nouns += ["and", cursor.word(1)]
                cursor.pos += 2
            elif following == "number" and is_numeral(cursor.word(1)):
                d.ordinal = to_number(cursor.word(1))
                cursor.pos += 2
        if d.nouns and cursor.word() == "of" and self._is_filling():
            cursor.pos += 1
            d.nouns.append("of")
            while (
                is_content(cursor.word())
                and not ANCHORED.find(cursor)
                and cursor.word() not in lx.POSTURES | lx.SUPERLATIVES.keys() | lx.COMPARATIVES.keys()
            ):
                d.nouns.append(cursor.word())
                cursor.pos += 1
                if cursor.word() == "'s" and is_content(cursor.word(1)):  # "can of Campbell's soup"
                    d.nouns[-1] += "'s"
                    cursor.pos += 1
                if cursor.word() == "and" and (d.nouns[-1], cursor.word(1)) in lx.BINOMIALS:
                    d.nouns += ["and", cursor.word(1)]
                    cursor.pos += 2

    def _owns_part(self) -> bool:
        """Whether a possessive names a part ("the cabinet's top drawer") and not a kind ("rubik's cube")."""
        cursor = self.cursor
        i = cursor.pos + 1
        while i < cursor.end and (
            cursor.tokens[i].word in lx.POSITIONS.keys() | lx.SUPERLATIVES.keys() | lx.ORDINALS.keys()
            or kind_of(cursor.tokens[i].word)
        ):
            i += 1
        if i > cursor.pos + 1 and (i >= cursor.end or not is_content(cursor.tokens[i].word)):
            i -= 1  # "the table's center"
            if cursor.tokens[i].word in lx.POSITIONS:  # "the plate's left"
                return True
        return i < cursor.end and singular(cursor.tokens[i].word)[0] in lx.PARTS

    def _is_filling(self) -> bool:
        """Whether "of" joins a container and its content ("box of cookies"), not a part and its whole."""
        cursor = self.cursor
        head, following = singular(cursor.word(-1))[0], cursor.word(1)
        if head in lx.PARTS or not is_content(following) or is_numeral(following):
            return False
        return following not in lx.GENERIC_NOUNS and not self._is_viewer(following)

    @staticmethod
    def _is_viewer(word: str) -> bool:
        return word in lx.VIEWER

    def _ends_nouns(self, d: Draft) -> bool:
        """Whether the word at the cursor, a noun by its form, opens what follows the noun phrase."""
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        if not d.nouns:
            if word in {"facing", "containing", "touching"} or ANCHORED.find(cursor):
                return True
            if word in lx.POSTURES and (not is_content(following) or ANCHORED.find(cursor, cursor.pos + 1) is not None):
                return True
            return word in lx.VAGUE_TAILS and not is_content(following) and not d.determined
        if (
            word in lx.SUPERLATIVES
            or word in lx.COMPARATIVES
            or word in PARTICIPLES
            or (word == "wearing" and bool(following))
            or word in lx.ORDINALS
            or word == "upside"
        ):
            return True
        if kind_of(word) in {"color", "state"} and word not in lx.NOUN_TOO - {"open"} and not is_content(following):
            return True
        if word in {"made", "colored"} and following in lx.PREPOSITIONS | lx.COLORS | lx.COLOR_MODIFIERS:
            return True
        if word == "most" and following in lx.POSITIONS.keys() | {"to", "on", "at", "toward"}:
            return True
        if word in _HELPERS and following in {"you", "we", "i", "be"}:  # "how many mugs can you see"
            return True
        if word in _TO_VERBS and following in {"it", "them", "on", "in", "into", "onto", "inside"}:
            return True  # "pick cup place in basket"
        if word in {"called", "named"} and (following in lx.STOPS or not following):
            return True
        if word in {"counting", "counted", "starting"} and following in {"from", "at"}:
            return True
        if word == "cut" and following == "off":
            return True
        if self._places_end_it():
            return True
        if any(cursor.reach(pattern) >= 0 for pattern in EXCEPTIONS):
            return True
        if ANCHORED.find(cursor) or UNANCHORED.find(cursor):
            return True
        if word in _VERBAL:
            return True
        if word in lx.INTENSIFIERS and following in lx.POSTURES:
            return True
        if word in lx.POSTURES | lx.STANDS | lx.INTENSIFIERS | lx.VAGUE_TAILS | {"left", "right"}:
            return not is_content(following) or bool(ANCHORED.find(cursor, cursor.pos + 1))
        return False

    def _places_end_it(self) -> bool:
        """Whether place words stand here and end the phrase: "person far left", "donut top left"."""
        cursor = self.cursor
        i = cursor.pos
        while i < cursor.end and (cursor.tokens[i].word in lx.POSITIONS or cursor.tokens[i].word in {"far", "most"}):
            i += 1
        words = [t.word for t in cursor.tokens[cursor.pos : i]]
        ended = i >= cursor.end or cursor.tokens[i].word in {",", ".", "and"}
        return ended and len(words) > 1 and words[-1] in lx.POSITIONS and bool({"left", "right"} & set(words))

    # ------------------------------------------------------------------ coordination and reference

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
