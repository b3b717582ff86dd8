"""``<think>`` ... ``</think>``: what a reasoning model writes before its answer."""

from __future__ import annotations

import re

_CLOSED = re.compile(r"<think>(?:(?!<think>|</think>).)*</think>", re.DOTALL)


def without_thoughts(text: str) -> tuple[str, str]:
    """Drafts are no answers: boxes and words of a thought are what the model went on to weigh, or to reject.

    Templates that begin the thought in the prompt leave only its end in the answer; an answer that was cut off while
    the model thought has only its beginning.

    Returns:
        The answer, and a problem where there is none because the thought never ended ("" else).

    >>> without_thoughts("<think>[5, 6, 7, 8]? no</think>[1, 2, 3, 4]")
    ('[1, 2, 3, 4]', '')
    """
    answer = _CLOSED.sub("", text).rpartition("</think>")[2]
    before, opened, _ = answer.partition("<think>")
    if not opened:
        return answer, ""
    return before, "the answer ended while the model was still thinking; raise max_new_tokens"
