"""How a thing is to move or end ("push it left", "pull the drawer open"), and what with ("wipe ... with the sponge")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.tokens import Cursor, PatternTable

_SHIFTS: Final = frozenset("push pull drag slide move shift bring keep nudge scoot position".split())
_TURNS: Final = frozenset("turn rotate twist tilt flip spin".split())
_TO_STATES: Final = frozenset("push pull swing slide leave keep hold lay prop turn put place set".split())
_WITH_TOOL: Final = frozenset(
    "wipe clean cut cover stir sweep scoop fill hit hammer mop scrub dust brush wash dry slice tighten unlock align swap exchange replace compare match".split()
)
_ASIDE: Final = PatternTable(
    {
        tuple(text.split()): value
        for value, texts in {
            "left_of": "left|leftward|leftwards", "right_of": "right|rightward|rightwards", "at_back_of": "forward|forwards|away",
            "at_front_of": "backward|backwards", "": "closer|nearer|up|down|sideways|out|in|around",
        }.items()
        for text in texts.split("|")
    }
)  # fmt: skip
_TURNED: Final = PatternTable(
    {
        tuple(text.split()): ""
        for text in (
            "to left|to right|left|right|clockwise|counterclockwise|anticlockwise|upside down|around|sideways|over|upward|downward|"
            "all way|half way|all way to left|all way to right|upright"
        ).split("|")
    }
)
_NEARER: Final = PatternTable(
    {
        tuple(text.split()): value
        for value, texts in {
            "near": "closer to|nearer to|nearer|toward", "far_from": "farther from|further from|farther away from|further away from|away from",
        }.items()
        for text in texts.split("|")
    }
)  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """Words behind the object of a verb that tell how it moves.

    Attributes:
        start: index of their first token.
        stop: index after the last.
        place: predicate to where the thing is now ("left"), or "".
        predicate: predicate to the thing named next ("closer to"), or "".
    """

    start: int
    stop: int
    place: str = ""
    predicate: str = ""


def find_motion(cursor: Cursor, base: str, end: int) -> Motion | None:
    """The words of motion in the clause from the cursor to ``end``, if it has any."""
    verb = base.split(maxsplit=1)[0]
    for i in range(cursor.pos + 1, end):
        last = cursor.tokens[i].word
        before = cursor.tokens[i - 1].word
        if not (is_content(before) or before in {"it", "them", "one", "this", "that"}):
            continue
        if verb in _SHIFTS:
            found = _ASIDE.find(cursor, i)
            if found and found[1] == end:
                return Motion(i, end, place=found[0])
            found = _NEARER.find(cursor, i)
            if found and last != "toward" and before not in lx.BE:
                return Motion(i, found[1], predicate=found[0])
        if verb in _TURNS:
            found = _TURNED.find(cursor, i)
            if found and found[1] == end:
                return Motion(i, end)
        if verb in _TO_STATES and i + 1 == end and last in {"open", "shut", "closed", "upright", "flat", "empty"}:
            return Motion(i, end)
    return None


def find_tool(cursor: Cursor, base: str, end: int) -> int:
    """Where "with" opens the tool in the clause from the cursor to ``end``; -1 when there is none."""
    if base.split(maxsplit=1)[0] not in _WITH_TOOL:
        return -1
    return next((i for i in range(cursor.pos + 1, end) if cursor.tokens[i].word == "with"), -1)
