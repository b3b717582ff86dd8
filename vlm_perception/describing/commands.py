"""What a spoken command asks of a model that speaks: a caption, an answer, the writing on a thing."""

from __future__ import annotations

import re
from typing import Final

from vlm_perception import language
from vlm_perception.describing.requests import DescribeRequest, DescribeTask
from vlm_perception.models.base import GroundingModel
from vlm_perception.spatial.candidates import GENERIC
from vlm_perception.types import CommandError, Query, Task

_POLITE: Final = r"(?:(?:please|kindly|just|now|robot|(?:can|could|would|will) you)\b[, ]*)*"
_READ: Final = re.compile(
    rf"{_POLITE}read\b(?: (?:out|aloud|me|us|to me))*(?P<rest>.*?)(?:[, ]+(?:please|aloud|out loud|(?:to|for) (?:me|us)))*[.!?]*",
    re.IGNORECASE,
)
_DESCRIBE: Final = re.compile(rf"{_POLITE}describe\b(?: (?:to )?(?:me|us))?(?P<rest>.*)", re.IGNORECASE)
_WRITING: Final = r"(?:texts?|writing|labels?|words?|letters|lettering|inscriptions?|print|numbers?|digits)"
_THE: Final = r"(?:(?:all(?: of)?|any|every|some) )?(?:(?:the|this|that|these|those) )?"
_IN_IMAGE: Final = r"(?: (?:in|on|of|from) (?:the|this) (?:image|picture|photo|scene|view|frame))?"
_ALL: Final = re.compile(
    rf"(?:(?:it|this|that|them|all|everything|anything|{_THE}(?:{_WRITING}|signs?))(?: (?:that )?you (?:can )?see)?{_IN_IMAGE})?",
    re.IGNORECASE,
)
_ON: Final = re.compile(
    rf"(?:{_THE}{_WRITING}|what(?: is|'s))(?: (?:that is )?(?:written|printed))? (?:on|of|from|in|at) (?P<thing>.+)", re.IGNORECASE
)
_SIGN: Final = re.compile(r"(?P<thing>(?:(?:the|this|that|all|both) )*(?:\w+ )?signs? .+)", re.IGNORECASE)


def request_of(query: Query, model: GroundingModel) -> DescribeRequest | None:
    """What a command asks of a model that speaks; None for what is located and resolved.

    "read the text" reads all of the image; "read the label on the can" locates the can and reads in its box, as
    "describe the can" describes what is there. Where a model cannot, it is a question, if it answers any.

    Raises:
        CommandError: words of it would be lost on this model.
    """
    if query.task is Task.DESCRIBE:
        return _describing(query, model)
    if query.task is not Task.ASK:
        return None
    read = _READ.fullmatch(query.text)
    return DescribeRequest(DescribeTask.ASK, query.text) if read is None else _reading(query, read["rest"].strip(), model)


def _describing(query: Query, model: GroundingModel) -> DescribeRequest:
    said, can = _DESCRIBE.fullmatch(query.text), model.capabilities
    if said is None or not query.items:
        return DescribeRequest(DescribeTask.CAPTION)
    words = said["rest"].strip(" ,")
    if can.answers and not (_names_thing(words) and can.describes_regions and _locates(model)):
        return DescribeRequest(DescribeTask.ASK, query.text)
    return DescribeRequest(DescribeTask.REGION, words) if _names_thing(words) else DescribeRequest(DescribeTask.CAPTION)


def _reading(query: Query, words: str, model: GroundingModel) -> DescribeRequest:
    can = model.capabilities
    if _ALL.fullmatch(words):
        asks = can.answers and not can.reads_text
        return DescribeRequest(DescribeTask.ASK, query.text) if asks else DescribeRequest(DescribeTask.READ)
    match = _ON.fullmatch(words) or _SIGN.fullmatch(words)
    on = match["thing"] if match is not None and _names_thing(match["thing"]) else ""
    reads = can.reads_text and _locates(model)
    if reads and on:
        return DescribeRequest(DescribeTask.READ, on)
    if can.answers:
        return DescribeRequest(DescribeTask.ASK, query.text)
    if reads and _names_thing(words):
        return DescribeRequest(DescribeTask.READ, words)
    if can.reads_text:
        raise CommandError(
            f"'{model.name}' reads all of the image ('read the text'), or a region that is given (describe: task 'read' with "
            f"a region; in the command line --region), but cannot look for '{words[:80]}'"
        )
    return DescribeRequest(DescribeTask.READ, on or words)


def _names_thing(words: str) -> bool:
    try:
        query = language.parse(words)
    except CommandError:
        return False
    return query.task is Task.LOCATE and bool(query.items) and all(i.entity.noun not in GENERIC for i in query.items)


def _locates(model: GroundingModel) -> bool:
    return model.capabilities.detects or model.capabilities.points
