"""Where in a clause the words begin that say where to put a thing, among those that describe the thing itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.noun_phrases import NounPhraseReader
from vlm_perception.language.plans import Plan
from vlm_perception.language.prepositions import ANCHORED, UNANCHORED
from vlm_perception.language.tokens import Cursor
from vlm_perception.language.verbs import find_verb
from vlm_perception.types import Entity

_STRONG: Final = frozenset({"on", "in"})
_SOURCES: Final = frozenset("from off out".split())
GOALS: Final = frozenset("to onto into toward".split())
ADVERBS: Final = frozenset(
    "carefully gently slowly quickly only now please just also finally next first afterwards there again".split()
)


class SpotFinder(NounPhraseReader):
    """Knows where a clause ends and where its destination starts."""

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        self.plan = Plan()
        self.last_targets: list[Entity] = []
        self.last_destination: Entity | None = None
        self.last_mention: Entity | None = None  # what the clause before this one opened or turned on

    def starts_clause(self) -> bool:
        """Whether a verb stands here, mid-sentence."""
        cursor = self.cursor
        start = cursor.pos
        cursor.take_any({"then", "please", "also", "finally"})
        cursor.take_any(ADVERBS)
        found = find_verb(cursor, initial=False) is not None
        cursor.pos = start
        return found

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
                word in GOALS
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
        goals = [s for s in spots if cursor.tokens[s[0]].word in GOALS]
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
