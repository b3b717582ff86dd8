"""Checking claims: "the bowl is on the plate" -> true or false, with the boxes that prove it.

In the manner of Visual Spatial Reasoning (Liu et al., 2023): a claim is true when the things it mentions are there
and its relations hold between some of them. A caption is a list of claims.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vlm_perception.spatial import wording
from vlm_perception.spatial.choice import choose
from vlm_perception.spatial.evidence import anchors_of, grounding
from vlm_perception.spatial.scene import Scene
from vlm_perception.types import Entity, Grounding, Query, Resolution, Role, Status


def verify(query: Query, scene: Scene) -> Resolution:
    """Check every claim of a query.

    Returns:
        SUCCEEDED with ``verdict`` true when all claims hold, the evidence as targets and anchors, and an answer that
        names what does not hold and why.
    """
    evidence: dict[tuple[int, Role], Grounding] = {}
    told = []
    verdict = True
    for claim in query.statement:
        holds, subjects, reason = _check(claim, scene)
        verdict &= holds
        told.append(reason)
        for index in subjects:
            evidence.setdefault((index, Role.TARGET), grounding(scene, claim, index, Role.TARGET))
            for anchor, other in anchors_of(scene, claim, [index]):
                evidence.setdefault((other, Role.ANCHOR), grounding(scene, anchor, other, Role.ANCHOR))
    answer = f"{'Yes' if verdict else 'No'}: {'; '.join(told)}."
    ordered = sorted(evidence.items(), key=lambda entry: entry[0][1] is Role.ANCHOR)
    return Resolution(Status.SUCCEEDED, answer, tuple(g for _, g in ordered), answer=answer, verdict=verdict)


def _check(claim: Entity, scene: Scene) -> tuple[bool, list[int], str]:
    """Whether a claim holds, the objects that show it (or that should have), and why."""
    if claim.subject is not None:
        return _check_of(claim, claim.subject, scene)
    reading = scene.read(claim)
    candidates = _several(reading.detection, scene)
    name = wording.described(claim)
    least, most = claim.bounds or (1, None)
    if not candidates:
        if claim.number == 0:
            return True, [], f"there is no {name}"
        if least == 0:
            return True, [], f"I see {wording.counted(claim, 0)}"
        bare = replace(claim, phrase=claim.noun, attributes=(), relations=(), rankings=(), exclude=())
        others = _several(scene.read(bare).detection, scene)
        seen = (
            f", only {wording.counted(bare, len(others))} that {'is' if len(others) == 1 else 'are'} not"
            if others
            else ""
        )
        return False, others, f"I see no {wording.name_of(claim)}{seen}"
    if reading.missing is not None:
        return claim.number == 0, candidates, f"I see no {wording.name_of(reading.missing)}"
    holding = [i for i in candidates if reading.relation[i] >= scene.settings.holds]
    n = len(holding)
    if claim.number == 0:
        return n == 0, holding, f"there is no {name}" if n == 0 else f"I see {wording.counted(claim, n)}"
    if claim.bounds is not None:
        return n >= least and (most is None or n <= most), holding or candidates, f"I see {wording.counted(claim, n)}"
    if claim.number is None:
        # "the bowls are on the plate" means all of them, "there are bowls" some.
        everyone = bool(n) and (n == len(candidates) or not claim.definite or not claim.relations)
        return (
            everyone,
            holding or candidates,
            f"{n} of {wording.counted(claim, len(candidates))} {'is' if n == 1 else 'are'} so",
        )
    if claim.number > 1:
        return n == claim.number, holding or candidates, f"I see {wording.counted(claim, n)}"
    if n:
        best = max(holding, key=lambda i: float(reading.relation[i] * reading.detection[i]))
        return True, [best], f"the {name} is there"
    blame = reading.failed or next(iter(claim.relations), None)
    what = wording.relation_words(blame) if blame is not None else "as described"
    return False, candidates[:1], f"the {wording.name_of(claim)} is there, but not {what}".replace("not not ", "")


def _check_of(claim: Entity, subject: Entity, scene: Scene) -> tuple[bool, list[int], str]:
    """Whether what is claimed of all of several, or of the one that an order picks, holds for each of them."""
    choice = choose(subject, scene)
    chosen = [*choice.indices] or ([*choice.rivals] if choice.status is Status.AMBIGUOUS else [])
    if not chosen:
        return False, [], choice.message.rstrip(".")
    reading = scene.read(claim)
    if reading.missing is not None:
        return False, chosen, f"I see no {wording.name_of(reading.missing)}"
    named = set(_several(reading.detection, scene))
    holding = [i for i in chosen if i in named and reading.relation[i] >= scene.settings.holds]
    n = len(holding)
    told = f"{n} of {wording.counted(subject, len(chosen))} {'is' if n == 1 else 'are'} so"
    if subject.number == 1 and len(chosen) == 1:
        told = f"the {wording.described(subject)} is {'' if n else 'not '}so"
    return n == len(chosen), holding or chosen, told


def _several(detection: np.ndarray[tuple[int, ...], np.dtype[np.float64]], scene: Scene) -> list[int]:
    """Objects detected about as well as the best one."""
    live = scene.alike(detection)
    return [int(i) for i in np.argsort(-detection, kind="stable") if live[i]]
