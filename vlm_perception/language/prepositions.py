"""Which words say which relation: the phrase tables of the grammar.

Patterns are written without articles; the cursor passes over articles inside them.
"""

from __future__ import annotations

from typing import Final

from vlm_perception.language.lexicon import (
    COMPARATIVES,
    INTENSIFIERS,
    POSITIONS,
    POSTURES,
    SIDED_NOUNS,
    SUPERLATIVES,
    VAGUE_TAILS,
    is_content,
)
from vlm_perception.language.tokens import Cursor, Pattern, PatternTable
from vlm_perception.types import Entity

_ANCHORED: Final[dict[str, str]] = {
    "in_front_of": "in front of|front of|ahead of|before|to front of",
    "behind": "behind|in back of|behind of|beyond|in behind",
    "above": "above|over|higher up than",
    "below": "below",
    "under": "under|underneath|beneath|underneath of",
    "on": "covering|on top of|on|onto|on to|upon|atop|on top|top of|atop of|supported by|up on|over onto|on surface of|at top of|off|off of|"
    "from on top of|from top of",
    "in": "in|inside|inside of|into|within|in inside of|in to|contained in|contained by|out of|from inside|from inside of|from within|"
    "at bottom of|on bottom of|in bottom of",
    "contains": "containing|that contains|which contains|filled with|full of",
    "supports": "supporting|carrying|covered by|covered with|covered in",
    "holds": "holding",
    "next_to": "next to|beside|by|adjacent to|alongside|at side of|to side of|by side of|next|besides of|side by side with|neighboring|on side of",
    "near": "as close as possible to|as near as possible to|near|near to|close to|close by|in vicinity of|nearby|not far from|nearby to|around near",
    "far_from": "as far as possible from|as far away as possible from|far from|far away from|away from|distant from",
    "between": "between|in between|in middle between|amid|among|amongst|from between|midway between",
    "around": "around|surrounded by|surrounded with|surrounding|all around|round about",
    "against": "against|leaning against|leaning on|leaned against|leaned on|leant against|leant on|propped against|resting against",
    "touching": "touching|in contact with|touched by|attached to|fixed to|fastened to|connected to|joined to|glued to|stuck to|taped to",
    "facing": "facing|facing toward|facing to|pointing at|pointing toward|pointing to|turned toward|directed at|looking at",
    "at": "at|from",
    "larger_than": "larger than|bigger than|greater than",
    "smaller_than": "smaller than",
    "taller_than": "taller than|higher than",
    "shorter_than": "shorter than|lower than",
}  # fmt: skip
_PLACES: Final[dict[str, str]] = {
    "edge": "at_edge_of", "edges": "at_edge_of", "border": "at_edge_of", "rim": "at_edge_of", "center": "at_center_of",
    "middle": "at_center_of", "corner": "at_corner_of", "front": "at_front_of", "back": "at_back_of",
    "rear": "at_back_of", "front edge": "at_front_of", "back edge": "at_back_of", "far end": "at_back_of",
    "near end": "at_front_of", "front side": "at_front_of", "back side": "at_back_of",
}  # fmt: skip
_PLACE_PREPOSITIONS: Final = (
    "at",
    "on",
    "in",
    "near",
    "by",
    "from",
    "to",
    "along",
    "around",
    "close to",
    "toward",
    "into",
)
_SIDE_PREPOSITIONS: Final = ("", "to", "on", "at", "in", "from", "toward")


def _pattern(text: str) -> Pattern:
    return tuple(text.split())


def _anchored() -> dict[Pattern, str]:
    entries = {_pattern(p): name for name, texts in _ANCHORED.items() for p in texts.split("|")}
    for prefix in _PLACE_PREPOSITIONS:
        for place, name in _PLACES.items():
            entries[_pattern(f"{prefix} {place} of")] = name
    for side in ("left", "right"):
        for prefix in _SIDE_PREPOSITIONS:
            for form in (
                "{} of",
                "{} side of",
                "{} hand side of",
                "{} hand of",
                "{} from",
                "side {} of",
                "far {} of",
                "{} half of",
                "{} part of",
                "{} edge of",
            ):
                if (form == "{} from" and prefix in {"from", "in"}) or (
                    form in {"{} half of", "{} part of"} and not prefix
                ):
                    continue
                entries[_pattern(f"{prefix} {form.format(side)}")] = f"{side}_of"
        entries[(side, "to")] = f"{side}_of"
        entries[("to", side, "to")] = f"{side}_of"
    entries[("in", "front", "of")] = "in_front_of"
    entries[("in", "back", "of")] = "behind"
    entries.pop(("next",))
    return entries


def _unanchored() -> dict[Pattern, str]:
    """Places in the whole scene: patterns to the ranking keys they order by, joined by ``+``."""
    entries: dict[Pattern, str] = {}
    single = {"left", "right", "middle", "center", "front", "back", "rear", "top", "bottom"}
    for prefix in ("on", "at", "in", "to", "toward", "near", "from"):
        for word in single:
            key = POSITIONS[word]
            for form in (
                "{}",
                "{} side",
                "{} hand side",
                "{} hand",
                "far {}",
                "far {} side",
                "very {}",
                "{} part",
                "{} end",
            ):
                entries[_pattern(f"{prefix} {form.format(word)}")] = key
    for vertical in ("top", "bottom", "upper", "lower", "front", "back", "rear", "far", "near"):
        rank = {"far": "back", "near": "front"}.get(vertical) or POSITIONS[vertical]
        for side in ("left", "right"):
            for words in (f"{vertical} {side}", f"{side} {vertical}"):
                for prefix in ("on", "at", "in", "to", "near"):
                    for tail in ("corner", "side", "corner side", "hand corner"):
                        entries[_pattern(f"{prefix} {words} {tail}")] = f"{rank}+{side}"
                    if vertical not in {"far", "near"}:
                        entries[_pattern(f"{prefix} {words}")] = f"{rank}+{side}"
    for row in ("front", "back", "top", "bottom", "middle", "left", "right"):
        for form in ("{} row", "{} column", "row at {}"):
            entries[_pattern(f"in {form.format(row)}")] = f"row {POSITIONS[row]}"
    for side in ("left", "right"):
        entries[_pattern(f"to my {side}")] = side
        for who in ("my", "your", "our"):
            for prefix in ("on", "to", "at"):
                for form in ("{}", "{} side", "{} hand side"):
                    entries[_pattern(f"{prefix} {who} {form.format(side)}")] = side
    for text, key in {
        "in background": "back", "in front": "front", "in back": "back", "in foreground": "front", "in distance": "back", "up front": "front",
        "in far back": "back", "all way back": "back", "up high": "high", "in very middle": "middle",
        "in dead center": "middle", "farther away": "far", "further away": "far", "further back": "back",
        "far away": "far", "up top": "high", "on outside left": "left",
    }.items():  # fmt: skip
        entries[_pattern(text)] = key
    for text in ("on top", "at top of", "from top", "near middle of"):
        entries.pop(_pattern(text), None)
    entries[("on", "top")] = "high"
    return entries


class _PlaceTable(PatternTable):
    """Places in the scene; "on the right" is none when a noun follows ("on the right plate")."""

    def find(self, cursor: Cursor, start: int | None = None) -> tuple[str, int] | None:
        found = super().find(cursor, start)
        if found is None or found[1] >= cursor.end:
            return found
        following = cursor.tokens[found[1]].word
        opens_more = following in VAGUE_TAILS | POSTURES | INTENSIFIERS | SUPERLATIVES.keys() | COMPARATIVES.keys()
        opens_more = opens_more or following in PARTICIPLES or following == "wearing"
        return None if is_content(following) and not opens_more else found


ANCHORED: Final = PatternTable(_anchored())
UNANCHORED: Final = _PlaceTable(_unanchored())

KEY_PREDICATE: Final[dict[str, str]] = {
    "left": "left_of", "right": "right_of", "front": "at_front_of", "back": "at_back_of", "near": "at_front_of",
    "far": "at_back_of", "middle": "at_center_of", "high": "above", "low": "below",
}  # fmt: skip
"""What a place in the whole scene is called as a predicate without anchors."""

OF_DIRECTION: Final[dict[str, str]] = {
    "left": "left", "right": "right", "front": "front", "back": "back", "rear": "back", "top": "high", "bottom": "low",
    "middle": "middle", "center": "middle", "camera": "near", "me": "near", "above": "high", "below": "low", "near": "near",
    "far": "far", "robot": "near", "viewer": "near",
}  # fmt: skip
"""What "second from the ..." counts from."""

PARTICIPLES: Final = frozenset(
    "containing covering touching facing surrounding supporting carrying pointing leaning propped".split()
)


def in_the_back(cursor: Cursor, start: int, stop: int) -> bool:
    """Whether "in the back of" stands there, a region of the thing, and not "in back of", which is behind it."""
    words = [t.word for t in cursor.tokens[start:stop]]
    return words[:3] == ["in", "the", "back"] or words[:3] == ["into", "the", "back"]


def own_side(cursor: Cursor, start: int, stop: int, predicate: str, anchor: Entity) -> str:
    """ "On the left side of the tray" is a part of the tray; "on the left side of the cup" is beside it."""
    words = [t.word for t in cursor.tokens[start:stop]]
    inner = words[:1] in (["on"], ["in"], ["at"]) and {"side", "half", "part"} & set(words)
    if predicate in {"left_of", "right_of"} and inner and anchor.noun.split()[-1:][0] in SIDED_NOUNS:
        return f"at_{predicate}"
    return predicate


def only_strengthens(cursor: Cursor) -> bool:
    """Whether "right" only strengthens what follows ("right behind the mug", "right next to it")."""
    following = cursor.word(1)
    return (
        following not in {"of", "to", "from", "side", "hand", "edge"}
        and ANCHORED.find(cursor, cursor.pos + 1) is not None
    )
