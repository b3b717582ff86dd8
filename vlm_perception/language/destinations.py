"""Destinations: where a thing is to be put, with the relation, and what narrows the spot further."""

from __future__ import annotations

from dataclasses import replace

from vlm_perception.language import lexicon as lx
from vlm_perception.language.coordination import share_noun
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.prepositions import ANCHORED, KEY_PREDICATE, UNANCHORED, in_the_back, own_side
from vlm_perception.language.spots import GOALS, SpotFinder
from vlm_perception.types import CommandError, Entity, Relation, Role, RoleEntity


class DestinationReader(SpotFinder):
    """Reads the phrase that says where to put something into the plan."""

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
        elif cursor.take_any(GOALS):
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
                or cursor.word() in GOALS - {"to"}
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
