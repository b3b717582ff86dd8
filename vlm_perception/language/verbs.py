"""Command verbs, their base forms and what they take."""

from __future__ import annotations

from typing import Final

from vlm_perception.language.lexicon import is_content
from vlm_perception.language.tokens import Cursor, Pattern, PatternTable

# A destination belongs to these ("put X on Y"); for the others a place describes the object.
_MOVE: Final = (
    "put|place|set|pop|move|lay|stack|insert|drop|transfer|position|slide|push|pull|drag|stick|throw|toss|return|pour|shift|"
    "relocate|store|dump|load|carry|deliver|arrange|put down|set down|lay down|put back|place back|put away|bring|"
    "screw|attach|fasten|lean|prop|rest|balance|hook|clip|plug|tuck|stuff|roll|dip|sprinkle|spread|drape|shove|nudge|deposit|"
    "plop|chuck|nestle|mount|dock|glue|tape|hide|bury|lower|sweep|keep|toss away|throw away|"
    "take and put|pick and place|pick up and place|pick up and put|pick and put|grab and put|drop off|hang"
)
_ACT: Final = (
    "pick up|pick|grab|grasp|take|get|fetch|hold|lift|lift up|raise|open|open up|close|shut|turn on|turn off|switch on|"
    "switch off|press|touch|wipe|clean|rotate|flip|turn|twist|squeeze|unplug|remove|retrieve|collect|give me|hand me|"
    "pass me|bring me|get me|fetch me|hand over|give|hand|pass|reach for|reach|approach|go to|drive to|navigate to|use|cut|"
    "wash|stir|mix|mash|scrub|dust|mop|hit|hammer|scoop|knead|crush|break|peel|slice|chop|unscrew|unlock|lock|plug in|swipe|uncover|shake|"
    "tap|poke|pick out|turn over|move to|grip|catch|take away|take out|clear|avoid|water|unfold|tilt|empty|fill|dry|cover"
)
_SEE: Final = (
    "find|find me|locate|detect|segment|show|show me|look for|look at|search for|identify|highlight|track|follow|watch|"
    "spot|recognize|mark|outline|select|choose|see|check for|get a view of|ground|focus on|keep track of|keep an eye on|"
    "tell me where|show me where|find out where|where is|where are|where can i find|where do you see|zoom in on|give me position of|"
    "give me location of|give me pose of|what is position of|what is location of|what is pose of|get position of|get pose of"
)
_POINT: Final = "point to|point at|point out|point toward|point me to|indicate"
_DESCRIBE: Final = (
    "describe|caption|describe to me|tell me about|give me a description of|give a description of|explain|tell me what is in|"
    "summarize"
)
_COUNT: Final = "count|count up|count how many|tell me how many|give me number of|what is number of|number of|how many"
_BASE: Final[dict[str, str]] = {
    "pick up": "pick", "pick and place": "pick", "pick up and place": "pick", "pick up and put": "pick", "take and put": "pick",
    "pick and put": "pick", "grab and put": "pick", "put down": "put", "set down": "set", "lay down": "lay", "put back": "put",
    "place back": "place", "put away": "put", "lift up": "lift", "open up": "open", "shut": "close", "switch on": "turn on",
    "switch off": "turn off", "give me": "give", "hand me": "hand", "pass me": "pass", "bring me": "bring", "get me": "get",
    "fetch me": "fetch", "hand over": "hand", "reach for": "reach", "pick out": "pick", "drop off": "drop",
    "take away": "take", "take out": "take",
}  # fmt: skip
# Nouns too: read as verbs only with an article, pronoun or preposition behind them.
_NOUN_VERBS: Final = frozenset(
    "place set stack drop position slide push pull drag stick store load hold lift press touch wipe turn twist use cut wash "
    "shake tap poke grip catch watch spot mark track outline pass hand return clear water show open clean close hang point "
    "caption count pour number focus shift squeeze flip get take ground grasp select see pick reach present fold box tilt empty fill dry cover screw lean rest "
    "mix mash dust mop hit hammer scoop crush break peel slice lock balance hook clip plug roll dip spread mount dock glue tape lower sweep "
    "shove half keep".split()
)


_NEVER_THINGS: Final = frozenset(
    "pick grab get take put open close grasp select see hold reach move lift push pull bring find go".split()
)


def _gerund(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    if first in {
        "put",
        "set",
        "get",
        "grab",
        "drop",
        "grip",
        "hit",
        "cut",
        "shut",
        "flip",
        "tap",
        "drag",
        "slip",
        "spot",
    }:
        first += first[-1]
    elif first.endswith("e") and not first.endswith("ee"):
        first = first[:-1]
    return f"{first}ing {rest}".strip()


def _table() -> PatternTable:
    entries: dict[Pattern, str] = {}
    for frame, verbs in (
        ("move", _MOVE),
        ("act", _ACT),
        ("see", _SEE),
        ("point", _POINT),
        ("describe", _DESCRIBE),
        ("count", _COUNT),
    ):
        for verb in verbs.split("|"):
            value = f"{frame}:{verb.split()[0] if frame == 'point' else _BASE.get(verb, verb)}"
            entries.setdefault(tuple(w for w in verb.split() if w != "a"), value)
            if frame in {"move", "act"} and " and " not in verb:
                entries.setdefault(tuple(_gerund(verb).split()), value)
    return PatternTable(entries)


_VERBS: Final = _table()
PARTICLES: Final = frozenset("up down away out over back".split())


def find_verb(cursor: Cursor, *, initial: bool) -> tuple[str, str, int] | None:
    """The verb at the cursor: its frame, base form and where it ends; None if the word is (rather) a noun.

    Args:
        cursor: not moved.
        initial: at the start of a command, where "place mat" is still a noun phrase but "open drawer" is not.
    """
    found = _VERBS.find(cursor)
    if found is None:
        return None
    value, stop = found
    frame, _, base = value.partition(":")
    words = [t.word for t in cursor.tokens[cursor.pos : stop]]
    following = cursor.tokens[stop].word if stop < cursor.end else ""
    if initial and not following and len(words) == 1 and words[0] in _NEVER_THINGS:
        return frame, base, stop
    if len(words) == 1 and words[0] in _NOUN_VERBS and not _verb_like(following, initial=initial):
        return None
    if words[0] in {"clean", "clear", "open", "close", "shut", "empty", "dry"} and initial and not following:
        return None
    if words[0] in {"empty", "dry", "clear", "lower"} and words[1:] == [] and is_content(following):
        return None  # "empty plate"
    return frame, base, stop


def _verb_like(following: str, *, initial: bool) -> bool:
    if following in {
        "the", "a", "an", "it", "them", "this", "that", "these", "those", "both", "all", "my", "your", "his", "her", "its", "one",
        "two", "three", "any", "some", "each", "every", "me", "another", "everything", "something", "in", "on", "into", "onto",
        "up", "down", "to", "out", "away", "back", "at", "inside", "under", "next", "beside", "between", "either", "what",
    }:  # fmt: skip
        return True
    return (
        initial
        and bool(following)
        and following not in {"of", "is", "are", "with", "and", "or", ",", ".", "?", "by", "near", "left", "behind"}
    )
