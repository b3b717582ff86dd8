"""Imperative clauses: verbs with their targets and destinations, chained by "and" and "then"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.coordination import share_noun
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.motions import Motion, find_motion, find_tool
from vlm_perception.language.noun_phrases import NounPhraseReader
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, UNANCHORED, in_the_back, own_side
from vlm_perception.language.tokens import Cursor
from vlm_perception.language.verbs import PARTICLES, find_verb
from vlm_perception.types import CommandError, Entity, Relation, Role, RoleEntity, Task

_STRONG: Final = frozenset({"on", "in"})
_SOURCES: Final = frozenset("from off out".split())
_GOALS: Final = frozenset("to onto into toward".split())
_JOINTS: Final = frozenset("and then , ; . ! : & before after while to".split())
_ADVERBS: Final = frozenset(
    "carefully gently slowly quickly only now please just also finally next first afterwards there again".split()
)


@dataclass
class Plan:
    """What the clauses of one command add up to."""

    targets: list[Entity] = field(default_factory=list)
    destinations: list[RoleEntity] = field(default_factory=list)
    steps: list[tuple[str, Role, int]] = field(default_factory=list)
    action: str = ""
    task: Task = Task.LOCATE

    def target_index(self, entity: Entity) -> int:
        """Index of the target, added if it is new."""
        for i, known in enumerate(self.targets):
            if known is entity or known == entity:
                return i
        self.targets.append(entity)
        return len(self.targets) - 1

    def items(self) -> tuple[RoleEntity, ...]:
        """Targets in the order spoken, then destinations."""
        return (*(RoleEntity(Role.TARGET, e) for e in self.targets), *self.destinations)

    def numbered_steps(self) -> tuple[tuple[str, int], ...]:
        """Steps as (action, index into items); a destination follows the targets it is for."""
        return tuple((a, i if role is Role.TARGET else i + len(self.targets)) for a, role, i in self.steps)


class ClauseReader(NounPhraseReader):
    """Reads a whole imperative command into a ``Plan``."""

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        self.plan = Plan()
        self.last_targets: list[Entity] = []
        self.last_destination: Entity | None = None
        self.last_mention: Entity | None = (
            None  # of the clauses before this one: where it put something, else what it acted on
        )

    def starts_clause(self) -> bool:
        """Whether a verb stands here, mid-sentence."""
        cursor = self.cursor
        start = cursor.pos
        cursor.take_any({"then", "please", "also", "finally"})
        cursor.take_any(_ADVERBS)
        found = find_verb(cursor, initial=False) is not None
        cursor.pos = start
        return found

    def read(self) -> Plan | None:
        """Read every clause; None when the command does not start with a verb."""
        cursor = self.cursor
        first = True
        while not cursor.done:
            mark = cursor.pos
            while cursor.take_any(_JOINTS | _ADVERBS):
                pass
            if cursor.done:
                break
            verb = find_verb(cursor, initial=first) or (self._unknown_verb() if first else None)
            if verb is None:
                if first:
                    cursor.pos = mark
                    return None
                if not self._elided_clause(then=mark):
                    cursor.pos = mark
                    break
                continue
            frame, base, cursor.pos = verb
            self._clause(frame, base)
            self._remember()
            first = False
        return self.plan

    def _remember(self) -> None:
        action, role, i = self.plan.steps[-1] if self.plan.steps else ("", Role.TARGET, -1)
        if role is Role.TARGET and action in {"open", "turn on", "pull"} and 0 <= i < len(self.plan.targets):
            self.last_mention = self.plan.targets[i]  # "open the drawer and put the bowl in it"
        else:
            self.last_mention = None

    def _unknown_verb(self) -> tuple[str, str, int] | None:
        """A word that opens the command and stands before an article is a verb, whatever it means ("wipe", "juggle")."""
        cursor = self.cursor
        word, following = cursor.word(), cursor.word(1)
        plain = (
            is_content(word)
            and word.isalpha()
            and word != "half"
            and word not in lx.NUMBERS
            and word not in lx.POSITIONS
        )
        closed = word in lx.SUPERLATIVES or word in lx.ORDINALS or word in lx.COMPARATIVES or word in lx.INTENSIFIERS
        if (
            plain
            and not closed
            and not kind_of(word)
            and following in lx.ARTICLES | {"both", "my", "your", "these", "those"}
        ):
            return "act", word, cursor.pos + 1
        return None

    # ------------------------------------------------------------------ one clause

    def _clause(self, frame: str, base: str) -> None:
        plan = self.plan
        if not plan.action and frame in {"move", "act"}:
            plan.action = base
        plan.task = {"point": Task.POINT, "describe": Task.DESCRIBE, "count": Task.COUNT}.get(frame, plan.task)
        self.cursor.take(":")
        self.cursor.take_any(_ADVERBS - {"next"})
        if self.cursor.word() in PARTICLES and not ANCHORED.find(self.cursor):
            self.cursor.take_any(PARTICLES)
        if frame in {"move", "act"} and self.cursor.word() in {"me", "us"} and is_start(self.cursor, 1):
            self.cursor.pos += 1
        if self.cursor.word(2) != "" and self.cursor.word() == "for" and self.cursor.word(1) in {"me", "us"}:
            self.cursor.pos += 2
        split = self._destination_start(frame)
        motion = find_motion(self.cursor, base, self._clause_end()) if frame in {"move", "act"} else None
        if motion is not None and (split is None or split >= motion.start):
            targets = self._moved(base, motion)
            self.last_targets = targets or self.last_targets
            return
        tool = find_tool(self.cursor, base, self._clause_end()) if frame in {"move", "act"} else -1
        if tool >= 0:
            self._with_tool(base, tool, split)
            return
        opens, closes = self.cursor.pos, self._clause_end()
        targets = self._targets(base, split)
        if frame == "move" and split is None and any(t.word == "where" for t in self.cursor.tokens[opens:closes]):
            raise CommandError(f'"{base} ..." where? that names no thing; say what it is to be on, in or next to')
        if frame == "move" and not targets and not self.last_targets and split is not None:
            raise CommandError(f'"{base}" what? say the thing, for example "{base} the red mug"')
        self.cursor.take("upside")
        if not ANCHORED.find(self.cursor):
            self.cursor.take_any(PARTICLES)
        if base in {"turn", "switch"} and self.cursor.word() in {"on", "off"} and not is_start(self.cursor, 1):
            base = f"turn {self.cursor.word()}"
            self.cursor.pos += 1
            if self.plan.action in {"turn", "switch"}:
                self.plan.action = base
        for entity in targets:
            where = self._destination_of(entity)
            if where is not None:
                plan.steps.append((base, Role.DESTINATION, where))
                continue
            plan.steps.append((base, Role.TARGET, plan.target_index(entity)))
        self.last_targets = targets or self.last_targets
        if split is not None or self.cursor.word() in {"in", "inside", "on", "there", "next", "under"}:
            self._destination(base, targets or self.last_targets)
        self._recipient()

    def _moved(self, base: str, motion: Motion) -> list[Entity]:
        """ "push the block left", "turn the knob to the left", "pull the drawer open": how the thing is to move or end."""
        cursor = self.cursor
        end, cursor.end = cursor.end, motion.start
        try:
            targets = self._antecedents(base) or self.entities()
            cursor.take(",")
            understood = cursor.pos == motion.start
        finally:
            cursor.end = end
        if not targets or not understood:
            raise CommandError(f'"{base}" what? say the thing, for example "{base} the red mug"')
        for entity in targets:
            self.plan.steps.append((base, Role.TARGET, self.plan.target_index(entity)))
        cursor.pos = motion.stop
        if motion.place:
            self._add_destination(base, targets[0], motion.place, mention=False)
        elif motion.predicate and cursor.take_any(lx.VIEWER) == "":
            for entity in self._where(motion.predicate, targets):
                self._add_destination(base, entity, motion.predicate)
        return targets

    def _with_tool(self, base: str, tool: int, split: int | None) -> None:
        """ "wipe the table with the sponge": both are needed; "cover the pot with the lid" puts the lid on the pot."""
        cursor = self.cursor
        end, cursor.end = cursor.end, tool
        try:
            if split is not None and split < tool:  # "sweep the crumbs into the pan with the brush"
                patients = self._targets(base, split)
                self._destination(base, patients)
            else:
                patients = self._antecedents(base) or self.entities()
        finally:
            cursor.end = end
        cursor.pos = tool + 1
        tools = self.entities()
        if not patients or not tools:
            raise CommandError(f'"{base}" what with what? say for example "{base} the red mug with the cloth"')
        if base == "cover":
            for entity in tools:
                self.plan.steps.append((base, Role.TARGET, self.plan.target_index(entity)))
            for entity in patients:
                self._add_destination(base, entity, "on")
            self.last_targets = tools
            return
        for entity in (*patients, *tools):
            self.plan.steps.append((base, Role.TARGET, self.plan.target_index(entity)))
        self.last_targets = patients

    def _destination_of(self, entity: Entity) -> int | None:
        """The index among destinations when the clause acts on one ("... in the drawer and close it")."""
        if any(entity is t for t in self.plan.targets):
            return None
        return next((i for i, d in enumerate(self.plan.destinations) if d.entity is entity), None)

    def _targets(self, base: str, split: int | None) -> list[Entity]:
        cursor = self.cursor
        end = cursor.end
        if split is not None:
            cursor.end = split
        self.to_is_goal = base not in {"find", "locate", "detect", "segment"}
        self.others = list(self.plan.targets)
        try:
            pronoun = self._antecedents(base)
            targets = pronoun if pronoun is not None else self.entities()
            if split is not None and not cursor.done:
                cursor.take("upside")
                cursor.take_any(PARTICLES)
                cursor.take_any({"somewhere"})
                if cursor.word() in lx.ARTICLES and cursor.word(1) in {"little", "bit"}:
                    cursor.pos += 2
                if not cursor.done and not cursor.take(","):
                    targets = [*targets, *self.entities()]
        finally:
            cursor.end = end
        if targets:
            return targets
        if split is not None or cursor.word() in {"in", "on", "inside", "there"}:
            if self.last_targets:  # "pick up the can and place in the basket"
                return self.last_targets
        said = any(is_content(t.word) for t in cursor.tokens[cursor.pos : cursor.end])
        if cursor.done or cursor.word() in _JOINTS or not (said or self.plan.targets):
            if self.plan.targets and base != "find":
                return self.last_targets
            raise CommandError(f'"{base}" what? say the thing, for example "{base} the red mug"')
        return []

    def _antecedents(self, base: str) -> list[Entity] | None:
        """What "it" or "them" stands for as the object of a verb."""
        cursor = self.cursor
        word = cursor.word()
        if word not in {"it", "them", "this", "that", "these", "those"}:
            return None
        if word in {"this", "that", "these", "those"} and is_content(cursor.word(1)):
            return None
        if not self.plan.targets and not self.mentions:
            if word in {"it", "them"}:
                raise CommandError(f'what is "{word}"? name the thing, for example "{base} the red mug"')
            return None
        cursor.pos += 1
        cursor.take_any({"both", "all"})
        if base in {"turn", "switch"} and cursor.word() in {"on", "off"}:
            base = f"turn {cursor.word()}"
        if word in {"it", "this", "that"}:
            if base in {"close", "open", "turn on", "turn off", "press"} and self.last_destination is not None:
                return [self.last_destination]
            return self.last_targets[-1:] or self.mentions[-1:]
        if len(self.last_targets) > 1 or any(t.number != 1 for t in self.last_targets) or self.last_destination is None:
            return (
                self.last_targets
                if len(self.last_targets) > 1 or len(self.plan.targets) < 2
                else list(self.plan.targets)
            )
        # "stack the left bowl on the right bowl and place them in the tray"
        return [*self.last_targets, self.last_destination]

    # ------------------------------------------------------------------ destinations

    def _clause_end(self) -> int:
        """Where this clause ends: before "and VERB", "then" or a full stop."""
        cursor = self.cursor
        start = cursor.pos
        i = start
        while i < cursor.end:
            word = cursor.tokens[i].word
            if word in {"then", ";", "."}:
                break
            if word in {"place", "put", "drop", "stack"} and i > start and self._bare_clause(i):
                break
            if word in {"and", ",", "to"} and (word != "to" or i > start):
                cursor.pos = i + 1
                cursor.take("and")
                cursor.take("then")
                verb = self.starts_clause()
                cursor.pos = start
                if verb:
                    break
            i += 1
        return i

    def _bare_clause(self, i: int) -> bool:
        """Whether a verb stands at ``i`` without "and": "pick red block place on blue block"."""
        following = self.cursor.tokens[i + 1].word if i + 1 < self.cursor.end else ""
        before = self.cursor.tokens[i - 1].word
        return is_content(before) and following in {"it", "them", "on", "in", "into", "onto", "inside"}

    def _destination_start(self, frame: str) -> int | None:
        """Choose the phrase that says where to put it among those that may describe the thing itself."""
        cursor = self.cursor
        if frame not in {"move", "act"}:
            return None
        end = self._clause_end()
        start = cursor.pos
        spots: list[tuple[int, int, str, bool]] = []  # start, stop, predicate, has an anchor
        i = start
        while i < end:
            word = cursor.tokens[i].word
            before = cursor.tokens[i - 1].word if i else ""
            anchored, place = ANCHORED.find(cursor, i), UNANCHORED.find(cursor, i)
            if self._beside_the_last(i) and i > start:
                if spots and spots[-1][3] and self._new_item(spots[-1][1], i):
                    break
                spots.append((i, i + 3, "left_of", True))
                i += 3
                continue
            if (
                word in _GOALS
                and before not in lx.SUPERLATIVES.keys() | {"than"}
                and before not in lx.COMPARATIVES
                and (anchored is None or word != "to")
            ):
                goal = anchored[0] if anchored else "at"
                stop = anchored[1] if anchored else i + 1
                if not (place and place[1] > stop):
                    if stop < end and cursor.tokens[stop].word in {"me", "us"}:
                        i = stop + 1
                        continue
                    spots.append((i, stop, goal, True))
                    i = stop
                    continue
            found = max((f for f in (anchored, place) if f), key=lambda f: f[1], default=None)
            if found is None or (i == start and anchored is None):
                i += 1
                continue
            real = found is anchored
            described = (
                before in lx.POSTURES | lx.BE | {"that", "which", "not", "except", "but"} or before in lx.SUPERLATIVES
            )
            if before in lx.INTENSIFIERS and before != "right":
                described = described or (i > 1 and cursor.tokens[i - 2].word in lx.BE)
            if before == "right" and real and cursor.tokens[i].word != "of":
                spots_at = i - 1
            else:
                spots_at = i
            joined = before == "and"
            if frame == "move" and not real and word == "on" and self.plan.steps == [] and self._pushing(start):
                described = True  # "push the button on the left": which one, not whither
            if word not in _SOURCES and not described and not joined:
                if spots and spots[-1][3] and spots[-1][2] != "between" and self._new_item(spots[-1][1], i):
                    break  # "... on the green block and the blue block on the red block"
                spots.append((spots_at, found[1], found[0] if real else "place", real))
            i = found[1]
        return self._pick_spot(frame, spots, start)

    def _beside_the_last(self, i: int) -> bool:
        """ "to its left" stands at ``i``."""
        words = [t.word for t in self.cursor.tokens[i : i + 3]]
        return (
            len(words) == 3
            and words[0] in {"to", "on", "at"}
            and words[1] in {"its", "their"}
            and words[2] in {"left", "right"}
        )

    def _pushing(self, start: int) -> bool:
        return start > 0 and self.cursor.tokens[start - 1].word in {"push", "pull", "drag", "slide", "load", "carry"}

    def _new_item(self, start: int, stop: int) -> bool:
        """Whether "and the ..." between two places opens another thing with a destination of its own."""
        words = [t.word for t in self.cursor.tokens[start:stop]]
        return any(a == "and" and (b in lx.ARTICLES or is_content(b)) for a, b in pairwise(words))

    def _pick_spot(self, frame: str, spots: list[tuple[int, int, str, bool]], start: int) -> int | None:
        cursor = self.cursor
        goals = [s for s in spots if cursor.tokens[s[0]].word in _GOALS]
        if frame == "act":
            bare = [s for s in goals if s[2] == "at" or cursor.tokens[s[0]].word in {"onto", "into"}]
            return bare[-1][0] if bare else None
        if not spots:
            return None
        bare_goals = [s for s in goals if cursor.tokens[s[0]].word in {"onto", "into"} or s[2] == "at"]
        if bare_goals:
            return bare_goals[0][0]
        chosen = 0
        pronoun = cursor.tokens[start].word in {"it", "them", "this", "that"} and not is_content(cursor.word(1))
        if pronoun or spots[0][0] == start:
            return spots[0][0]
        if not spots[0][3] and len(spots) > 1 and not self._surface_goal(spots[0]):
            chosen = 1
        for k in range(chosen + 1, len(spots)):
            strong = spots[k][3] and spots[k][2] in _STRONG and not self._on_scene(spots[k])
            strong = strong or (
                spots[k][3]
                and k >= 1
                and spots[chosen][2] in _STRONG
                and cursor.tokens[spots[k][0]].word == "to"
                and cursor.tokens[max(start - 1, 0)].word not in {"put", "place", "set", "lay"}
            )
            if strong:
                chosen = k
        return spots[chosen][0]

    def _surface_goal(self, spot: tuple[int, int, str, bool]) -> bool:
        return self.cursor.tokens[spot[0]].word == "to"

    def _on_scene(self, spot: tuple[int, int, str, bool]) -> bool:
        cursor = self.cursor
        i = spot[1]
        while i < cursor.end and cursor.tokens[i].word in lx.ARTICLES:
            i += 1
        return i < cursor.end and cursor.tokens[i].word in lx.SURFACE_NOUNS | lx.SCENE_NOUNS

    def _destination(self, base: str, targets: list[Entity]) -> None:
        cursor = self.cursor
        start = cursor.pos
        cursor.take(",")
        while cursor.word() in lx.INTENSIFIERS - {"right"} or (
            cursor.word() == "right" and ANCHORED.find(cursor, cursor.pos + 1) and not ANCHORED.find(cursor)
        ):
            cursor.pos += 1
        place, anchored = UNANCHORED.find(cursor), ANCHORED.find(cursor)
        if (
            cursor.word(1) in {"its", "their"}
            and cursor.word(2) in {"left", "right"}
            and cursor.word() in {"to", "on", "at"}
        ):
            predicate = f"{cursor.word(2)}_of"
            cursor.pos += 3
            cursor.take("side")
            if self._known(targets):
                self._add_destination(base, self._referent(targets), predicate)
            return
        if place and (anchored is None or place[1] > anchored[1]) and not self._of_after(place[1]):
            cursor.pos = place[1]
            keys = place[0].split("+")
            if targets:
                self._add_destination(base, targets[0], KEY_PREDICATE[keys[-1]], mention=False)
            return
        predicate = ""
        if anchored:
            opens = cursor.pos
            predicate, cursor.pos = anchored
            if (
                predicate == "above"
                and cursor.tokens[opens].word == "over"
                and base in {"hang", "drape", "lay", "throw"}
            ):
                predicate = "on"
            if predicate == "behind" and in_the_back(cursor, opens, cursor.pos):
                predicate = "at_back_of"
            if predicate == "at_front_of" and cursor.tokens[start].word == "to":
                predicate = "in_front_of"
        elif cursor.take_any(_GOALS):
            predicate = "at"
        elif cursor.take("there"):
            predicate = "on"
        if not predicate:
            cursor.pos = start
            return
        halves = self._halves()
        if halves is not None:  # "behind and to the left of the box"
            second, entity = halves
            self._add_destination(base, entity, predicate)
            narrowed = self.plan.destinations[-1]
            self.plan.destinations[-1] = replace(narrowed, also=(*narrowed.also, Relation(second, (entity,))))
            return
        places = self._where(predicate, targets)
        if anchored and not places and not self._said_where(cursor.tokens[cursor.pos - 1].word):
            said = cursor.text(start, cursor.pos)
            raise CommandError(f'"{base} ... {said}" what? say the thing, for example "{said} the plate"')
        for entity in places:
            sided = own_side(cursor, start, start + 4, predicate, entity) if anchored else predicate
            self._add_destination(base, entity, sided)
        if len(places) == 1:
            self._narrow(predicate)

    def _halves(self) -> tuple[str, Entity] | None:
        """The second of two relations to one thing, and the thing, where "and" stands at once after the first."""
        cursor = self.cursor
        start = cursor.pos
        found = ANCHORED.find(cursor, start + 1) if cursor.word() in {"and", ","} else None
        if found is None:
            return None
        cursor.pos = found[1]
        entity = self.entity(depth=1)
        if entity is None:
            cursor.pos = start
            return None
        return found[0], entity

    def _said_where(self, last: str) -> bool:
        """Whether the place is the one who speaks, or where things are already."""
        return last in lx.VIEWER | {"there", "here"} or self.cursor.word() in lx.VIEWER

    def _narrow(self, predicate: str) -> None:
        """Further relations of the spot: "on the tray, left of the plate", "on the table between the bowls"."""
        cursor, plan = self.cursor, self.plan
        narrowed = plan.destinations[-1]
        entity, also = narrowed.entity, list(narrowed.also)
        if predicate == "on" and entity.noun in lx.SURFACE_NOUNS:
            # There is one table: what is said of it is said of the spot.
            said = [r for r in entity.relations if r.anchors and not r.negated and r.predicate != "part_of"]
            also += said
            entity = replace(entity, relations=tuple(r for r in entity.relations if r not in said))
        while not cursor.done:
            start = cursor.pos
            _ = (cursor.take(",") and cursor.take("and")) or cursor.take("and") or cursor.take("but")
            cursor.take_any(lx.INTENSIFIERS - {"right"})
            opens = cursor.pos
            found = ANCHORED.find(cursor)
            if (
                found is None
                or cursor.word() in _GOALS - {"to"}
                or found[0] in {"at", "in", "on"}
                or (self.starts_clause() and found[1] == cursor.pos + 1)
            ):
                cursor.pos = start
                break
            cursor.pos = found[1]
            halves = self._halves()
            if halves is not None:  # "behind and to the right of the plate"
                also += [Relation(found[0], (halves[1],)), Relation(halves[0], (halves[1],))]
                continue
            mentions = list(self.mentions)
            anchors = self.entities(depth=1) if found[0] == "between" else [self.entity(depth=1)]
            self.mentions = mentions
            known = tuple(a for a in anchors if a is not None)
            if not known:
                cursor.pos = start
                break
            also.append(Relation(found[0], known, text=cursor.text(opens, found[1])))
        plan.destinations[-1] = replace(narrowed, entity=entity, also=tuple(also))
        if self.last_destination is narrowed.entity:
            self.last_destination = entity

    def _of_after(self, i: int) -> bool:
        return i < self.cursor.end and self.cursor.tokens[i].word == "of"

    def _where(self, predicate: str, targets: list[Entity]) -> list[Entity]:
        """The entity a destination phrase names; "inside", "on top" and "on it" refer back."""
        cursor = self.cursor
        if cursor.word() in {"it", "them", "that", "this"} and not is_content(cursor.word(1)):
            cursor.pos += 1
            return [self._referent(targets)] if self._known(targets) else []
        mentions = list(self.mentions)
        self.others = [d.entity for d in self.plan.destinations]
        first = self.entity(depth=1)
        self.others = []
        if first is None:
            if cursor.word() in {"me", "us", "you"}:
                cursor.pos += 1
                return []
            return [self._referent(targets)] if self._known(targets) else []
        self.mentions = [*mentions, first]
        places = [first]
        if predicate == "between" and first.number == 1 and cursor.take("and"):
            second = self.entity(depth=1)
            if second is not None:
                places = share_noun([first, second])
                self.mentions.append(second)
        return places

    def _known(self, targets: list[Entity]) -> bool:
        return self.last_destination is not None or any(all(t is not now for now in targets) for t in self.plan.targets)

    def _referent(self, targets: list[Entity]) -> Entity:
        if self.last_mention is not None and all(self.last_mention is not now for now in targets):
            return self.last_mention
        earlier = [t for t in self.plan.targets if all(t is not now for now in targets)]
        if self.last_destination is not None and all(self.last_destination is not now for now in targets):
            return self.last_destination
        return earlier[-1]

    def _add_destination(self, base: str, entity: Entity, predicate: str, *, mention: bool = True) -> None:
        plan = self.plan
        role = RoleEntity(Role.DESTINATION, entity, predicate)
        if role not in plan.destinations:
            plan.destinations.append(role)
        plan.steps.append((base, Role.DESTINATION, plan.destinations.index(role)))
        if mention:
            self.last_destination = entity

    def _recipient(self) -> None:
        """Pass over "to me", "for me", "over here"."""
        cursor = self.cursor
        for pattern in (
            ("to", "me"),
            ("for", "me"),
            ("to", "us"),
            ("over", "here"),
            ("here",),
            ("back",),
            ("down",),
            ("up",),
            ("again",),
        ):
            stop = cursor.reach(pattern)
            if stop >= 0:
                cursor.pos = stop

    def _elided_clause(self, then: int) -> bool:
        """ "put the soup in the basket and the milk on the table", "pick an apple, then a banana": the verb is said once."""
        cursor = self.cursor
        if not self.plan.steps:
            return False
        before = cursor.pos
        verb = self.plan.steps[-1][0]
        listed = any(t.word == "then" for t in cursor.tokens[then:before])
        if not self._starts_noun_phrase() or not (self.plan.destinations or listed):
            return False
        self._clause("move" if self.plan.destinations else "act", verb)
        return cursor.pos > before


def is_start(cursor: Cursor, ahead: int) -> bool:
    """Whether a noun phrase may start ``ahead`` words on."""
    word = cursor.word(ahead)
    return bool(word) and (
        is_content(word)
        or word in lx.ARTICLES | lx.DEMONSTRATIVES | lx.POSSESSIVES | lx.BOUNDING | {"both", "it", "them"}
    )
