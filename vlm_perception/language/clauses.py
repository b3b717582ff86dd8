"""Imperative clauses: verbs with their targets and destinations, chained by "and" and "then"."""

from __future__ import annotations

from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.attributes import kind_of
from vlm_perception.language.destinations import DestinationReader
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.motions import Motion, find_motion, find_tool
from vlm_perception.language.plans import Plan
from vlm_perception.language.prepositions import ANCHORED
from vlm_perception.language.spots import ADVERBS
from vlm_perception.language.tokens import Cursor
from vlm_perception.language.verbs import PARTICLES, find_verb
from vlm_perception.types import CommandError, Entity, Role, Task

_JOINTS: Final = frozenset("and then , ; . ! : & before after while to".split())


class ClauseReader(DestinationReader):
    """Reads a whole imperative command into a ``Plan``."""

    def read(self) -> Plan | None:
        """Read every clause; None when the command does not start with a verb."""
        cursor = self.cursor
        first = True
        while not cursor.done:
            mark = cursor.pos
            while cursor.take_any(_JOINTS | ADVERBS):
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

    def _clause(self, frame: str, base: str) -> None:
        plan = self.plan
        if not plan.action and frame in {"move", "act"}:
            plan.action = base
        plan.task = {"point": Task.POINT, "describe": Task.DESCRIBE, "count": Task.COUNT}.get(frame, plan.task)
        self.cursor.take(":")
        self.cursor.take_any(ADVERBS - {"next"})
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
        if (
            frame in {"move", "act"}
            and len(targets) > 1
            and any(t.word == "or" for t in self.cursor.tokens[opens:closes])
        ):
            said = self.cursor.text(opens, closes)
            raise CommandError(f'"or" leaves open which is meant in "{said}"; say one of them')
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
