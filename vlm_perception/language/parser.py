"""Free text to a typed ``Query``: screening, politeness, then questions, commands or a plain description."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from vlm_perception.language import lexicon as lx
from vlm_perception.language.claims import read_statement
from vlm_perception.language.clauses import ClauseReader
from vlm_perception.language.lexicon import is_content
from vlm_perception.language.questions import read_question
from vlm_perception.language.rewrites import plainer
from vlm_perception.language.screening import screen
from vlm_perception.language.tokens import Cursor, Phrases, Token, tokenize
from vlm_perception.language.verbs import find_verb
from vlm_perception.types import CommandError, Entity, Query, Role, RoleEntity, Task

_OPENERS: Final = Phrases(
    (
        "please|kindly|hey|hi|hello|ok|okay|now|alright|so|well|robot|hey robot|hi robot|dear robot|um|uh|yes|could you|can you|would you|will you|"
        "could you please|would you please|can i have|could i have|may i have|would you mind|do you mind|i want you to|i would like you to|"
        "i want to|i would like to|i need you to|i need to|i want|i need|i would like|i like|i am looking for|we need|we want|you should|"
        "you must|you have to|you need to|help me|help me to|go and|go ahead and|try to|let us|your task is to|the task is to|be so kind to|"
        "be so kind and|if you can|if possible|just|next|then|first|finally|task|command|i am after|the goal is to|make sure to|it would be great if you could|"
        "be careful and|carefully|gently|slowly|quickly|thank you|thanks|sorry|excuse me|you can|you could|the robot should|robot should|"
        "do me favor and|quick|actually|maybe|perhaps|also|can you see if you can|i wonder if you could|are you able to|are you able|"
        "do not forget to|please do not forget to|remember to|be so kind as to|be so nice as to|be so good as to|would you be so nice to|"
        "would you be so kind to|would you be so good to|"
        "would you be so nice as to|would you be so good as to|"
        "be kind enough to|would you be so kind as to|would you be able to|would you be kind enough to|would it be possible to|"
        "it would be nice if you could|it would be nice to|i was wondering if you could|i wonder if you can|can we|can i get|could i get|may i get|"
        "i lost|i have lost|i can not find|i could not find|i can not see|do you know|have you seen|did you see|hi there|hey there|"
        "hello there|good morning|good afternoon|good evening|no|yes|sure|great|tell me|"
        "let me know|in image|in picture|in scene|in this image|in this picture|if you do not mind|when you can|alright then|"
        "do you think you could|do you think you can|any chance you could|go|come|your job is to|i would be happy if you could|i would love"
    ).split("|")
)  # fmt: skip
_CLOSERS: Final = tuple(
    tuple(phrase.split())
    for phrase in (
        "please|thanks|thank you|thank you very much|thanks lot|now|right now|for me|if you can|if possible|if you please|if you would|if you do not mind|"
        "will you|would you|could you|can you|ok|okay|robot|asap|immediately|quickly|carefully|gently|slowly|so much|sir|mate|buddy|again|thanks so much|"
        "thanks in advance|thank you in advance|thank you so much|many thanks|cheers|ta|if you would not mind|when you can|if that is ok|dear|friend|"
        "right|is not it|are not they|is it not|correct|at once|as soon as possible|would you kindly|kindly"
    ).split("|")
)  # fmt: skip
_GREETINGS: Final = frozenset(
    "hello hi hey thanks thank yes no ok okay stop help bye goodbye please sorry test robot wait go come quit exit cancel never mind forget abort pause "
    "good morning afternoon evening night there everyone cheers sure great nice none nothing".split()
)
_PUNCTUATION: Final = frozenset(",.;:?!&+'s")
_AFTER_DEGREE: Final = lx.PREPOSITIONS | lx.COMPARATIVES.keys() | {"left", "right"}
_NEEDS_MORE: Final = frozenset(
    "between behind beside under above below near next against inside into onto without than".split()
)
_HINT: Final = 'say what to find, for example "the red mug left of the plate"'


@lru_cache(maxsize=64)  # a node reads a command before it waits for images and again with them, and a tracked one always
def parse(text: str) -> Query:
    """Understand a command.

    Args:
        text: free English, at most 2000 characters.

    Returns:
        The query; equal commands up to politeness, articles and case give equal queries (up to ``text``).

    Raises:
        CommandError: nothing to do or to find is said, or it is not English; the message names what and a way out.
    """
    clean, tokens = _prepare(text)
    _refuse_forbidding(tokens, clean)
    question = read_question(ClauseReader(Cursor(list(tokens))), clean)
    if question is not None and _meaningful(question):
        return question
    query = _instruction(tokens, clean)
    if query is None:
        raise CommandError(f'nothing to find in "{_short(clean)}"; {_HINT}')
    return query


def parse_statement(text: str) -> Query:
    """Understand a statement or a caption as claims to check.

    Args:
        text: "the bowl is on the plate", "a red mug next to two plates. A bowl stands behind them."

    Returns:
        A query whose task is VERIFY, with one claim an entity in ``statement``.

    Raises:
        CommandError: it mentions nothing, or it is not English. What follows the last claim understood is passed over;
            ``parse_claims`` reports it.
    """
    clean, tokens = _prepare(text)
    cursor = Cursor(list(tokens))
    query = read_question(ClauseReader(Cursor(list(tokens))), clean)
    if query is not None and query.task is Task.VERIFY:
        return query
    query = read_statement(ClauseReader(cursor), clean)
    if query is None:
        raise CommandError(f'no claim to check in "{_short(clean)}"; say for example "the bowl is on the plate"')
    return query


def _prepare(text: str) -> tuple[str, list[Token]]:
    clean = screen(text)
    tokens = plainer(_strip_politeness(_without_number(tokenize(clean))))
    words = [t.word for t in tokens if t.word not in _PUNCTUATION]
    if not any(any(c.isalpha() for c in word) for word in words):
        raise CommandError(f'nothing to find in "{_short(clean)}"; {_HINT}')
    if all(word in _GREETINGS for word in words):
        raise CommandError(f'"{_short(clean)}" names nothing to find; {_HINT}')
    return clean, tokens


def _strip_politeness(tokens: list[Token]) -> list[Token]:
    cursor = Cursor(tokens)
    changed = True
    while changed and not cursor.done:
        changed = False
        while cursor.take_any(_PUNCTUATION - {"'s"}):
            changed = True
        stops = [stop for pattern, stop in _OPENERS.standing(cursor) if _safe_opener(cursor, pattern, stop)]
        if stops:
            cursor.pos, changed = max(stops), True
    rest = _without_number(tokens[cursor.pos :])
    changed = True
    while changed and rest:
        changed = False
        while rest and rest[-1].word in _PUNCTUATION - {"'s"}:
            rest = rest[:-1]
            changed = True
        for pattern in _CLOSERS:
            n = len(pattern)
            if (
                len(rest) > n
                and rest[-1].word == pattern[-1]
                and tuple(t.word for t in rest[-n:]) == pattern
                and rest[-n - 1].word not in lx.ARTICLES | {"my", "your"}
                and (pattern != ("right",) or (rest[-2].word == "," and len(rest) > 4))
            ):
                rest, changed = rest[:-n], True
    return _without_degrees([t for t in rest if t.word != "please"])


def _without_number(tokens: list[Token]) -> list[Token]:
    """Drop the number of a list: "1. find the mug"."""
    if len(tokens) > 2 and tokens[0].raw.isdigit() and tokens[1].word in {".", ":"}:
        return tokens[2:]
    return tokens


def _without_degrees(tokens: list[Token]) -> list[Token]:
    """Drop "a bit" and "a little" before places and comparatives: "a bit to the left"."""
    kept: list[Token] = []
    i = 0
    while i < len(tokens):
        words = [t.word for t in tokens[i : i + 3]]
        if len(words) == 3 and words[0] == "a" and words[1] in {"bit", "little"} and words[2] in _AFTER_DEGREE:
            i += 2
            continue
        kept.append(tokens[i])
        i += 1
    return kept


def _safe_opener(cursor: Cursor, pattern: tuple[str, ...], stop: int) -> bool:
    """Keep openers that belong to what follows: "first mug", "can you see a mug", "robot arm"."""
    following = cursor.tokens[stop].word if stop < cursor.end else ""
    if pattern in {("can", "you"), ("could", "you"), ("do", "you")} and following == "see":
        return False
    if pattern in {("no",), ("yes",), ("sure",), ("great",), ("go",), ("come",)}:
        return following == "," or (
            pattern[0] in {"go", "come"} and following in {"find", "get", "pick", "fetch", "grab"}
        )
    if pattern == ("do", "you", "know"):
        return following in {"where", "what", "which", "how"}
    if pattern == ("tell", "me"):
        further = cursor.tokens[stop + 1].word if stop + 1 < cursor.end else ""
        return following in {"what", "which", "who", "how"} and further != "many"
    if pattern in {("did", "you", "see"), ("have", "you", "seen")}:
        return following in lx.ARTICLES | lx.POSSESSIVES
    if pattern in {("first",), ("next",), ("just",)}:
        return following in {",", "pick", "take", "put", "open", "find", "grab", "close", "turn", "move", "place", "go"}
    if pattern in {("robot",), ("task",), ("command",), ("test",), ("well",), ("quick",)}:
        return following in {",", ":", "!", "please", ""} or following in {
            "pick",
            "find",
            "put",
            "take",
            "bring",
            "can",
            "could",
            "would",
        }
    return bool(following) or len(cursor.tokens) > stop


def _meaningful(query: Query) -> bool:
    return bool(query.items or query.statement or query.task in {Task.DESCRIBE, Task.ASK})


def _instruction(tokens: list[Token], clean: str) -> Query | None:
    """A command or a description; or else a caption of several sentences, taken as claims."""
    try:
        return _command(Cursor(list(tokens)), clean) or _description(Cursor(list(tokens)), clean)
    except CommandError:
        ordered = find_verb(Cursor(list(tokens)), initial=True) is not None
        if ordered or not any(t.word in lx.BE | lx.STANDS for t in tokens):
            raise
        cursor = Cursor(list(tokens))
        claims = read_statement(ClauseReader(cursor), clean)
        if claims is None or not cursor.done:
            raise
        return claims


def _command(cursor: Cursor, clean: str) -> Query | None:
    reader = ClauseReader(cursor)
    plan = reader.read()
    if plan is None or not (plan.targets or plan.destinations):
        return None
    _check_rest(cursor, clean)
    _refuse_none([*plan.targets, *(d.entity for d in plan.destinations)], clean)
    return Query(clean, plan.task, plan.action, plan.items(), (), plan.numbered_steps())


def _description(cursor: Cursor, clean: str) -> Query | None:
    reader = ClauseReader(cursor)
    entities = reader.entities()
    if not entities:
        return None
    _check_rest(cursor, clean)
    _refuse_none(entities, clean)
    return Query(clean, Task.LOCATE, "", tuple(RoleEntity(Role.TARGET, e) for e in entities))


def _refuse_forbidding(tokens: list[Token], clean: str) -> None:
    words = [t.word for t in tokens[:2]]
    start = 2 if words == ["do", "not"] else 1 if words[:1] == ["never"] else 0
    if start and find_verb(Cursor(tokens, start), initial=True) is not None:
        raise CommandError(
            f'"{_short(clean)}" says what not to do; say what to do instead, for example "pick the blue mug"'
        )


def _refuse_none(entities: list[Entity], clean: str) -> None:
    if any(entity.number == 0 or (entity.bounds or (0, None))[1] == 0 for entity in entities):
        raise CommandError(f'"{_short(clean)}" asks for nothing; say a thing to find, or ask "are there no mugs?"')


def _check_rest(cursor: Cursor, clean: str) -> None:
    """Refuse a command of which a part with content was not understood, rather than act on the rest."""
    while cursor.take_any(_PUNCTUATION | lx.VAGUE_TAILS | {"and", "then"}):
        pass
    rest = [t for t in cursor.tokens[cursor.pos : cursor.end] if is_content(t.word)]
    for token in cursor.tokens[cursor.pos : cursor.end]:
        if token.word in lx.OBJECT_PRONOUNS:
            raise CommandError(f'what is "{token.raw}" in "{_short(clean)}"? name the thing')
    for token in cursor.tokens[cursor.pos : cursor.end]:
        if token.word in _NEEDS_MORE:
            raise CommandError(f'"{token.raw}" what? something is missing in "{_short(clean)}"; say the thing')
    if rest:
        said = " ".join(t.raw for t in cursor.tokens[cursor.pos : cursor.end] if t.raw)
        if cursor.pos == 1 and cursor.word() in lx.ARTICLES:  # "juggle the mugs": the word before is the riddle
            said = cursor.tokens[0].raw
        raise CommandError(f'did not understand "{_short(said)}" in "{_short(clean)}"; say it in simpler words')


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["parse", "parse_statement"]
