"""Whether what a text says of a frame is so: claim by claim, with the objects that show it.

For captions this is a hallucination check, in the manner of Visual Spatial Reasoning (Liu et al., 2023): which of the
things and relations that a caption mentions are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vlm_perception import spatial
from vlm_perception.language.captions import Claims
from vlm_perception.reservations import asks_number, concerning, stands, unread_words
from vlm_perception.spatial import wording
from vlm_perception.spatial.candidates import GENERIC
from vlm_perception.spatial.scene import SURFACES
from vlm_perception.stages import Stages
from vlm_perception.types import CommandError, Entity, Grounding, Query, Role, SceneObject, Task


@dataclass(frozen=True)
class ClaimCheck:
    """One claim, judged.

    Attributes:
        text: the claim in plain words.
        holds: None: cannot be judged.
        reason: what was seen, or why it cannot be judged.
        instance_ids: the objects that show it.
        denies: it says that something is not there, so that not seeing it is no proof.
        unread: it cannot be judged because what the model said could not be read.
    """

    text: str
    holds: bool | None
    reason: str
    instance_ids: tuple[int, ...] = ()
    denies: bool = False
    unread: bool = False


@dataclass(frozen=True, eq=False)
class Check:
    """A whole text, judged.

    Attributes:
        verdict: true when at least one claim holds and none fails, None when none could be judged.
        evidence: every object that a claim was judged by, targets first.
    """

    claims: tuple[ClaimCheck, ...]
    evidence: tuple[Grounding, ...]
    objects: tuple[SceneObject, ...]

    @property
    def verdict(self) -> bool | None:
        """See the class."""
        judged = [claim.holds for claim in self.claims if claim.holds is not None]
        return all(judged) if judged else None

    @property
    def summary(self) -> str:
        """One sentence: how many hold, which do not, how many could not be judged."""
        failed = [claim for claim in self.claims if claim.holds is False]
        unknown = sum(claim.holds is None for claim in self.claims)
        judged = len(self.claims) - unknown
        if self.verdict is None:
            return f"None of {len(self.claims)} claims could be judged: {self.claims[0].reason}."
        text = f"{'Yes' if self.verdict else 'No'}: {judged - len(failed)} of {judged} claims hold"
        if failed:
            text += "; not so: " + ", ".join(claim.text for claim in failed)
        return text + (f"; {unknown} could not be judged." if unknown else ".")


def check(stages: Stages, text: str, claims: Claims, *, atoms: bool) -> Check:
    """Judge claims by what the model finds in the frame.

    Args:
        stages: the pass over the frame.
        text: what the claims were made of.
        claims: at least one.
        atoms: judge each thing and each relation by itself; else each claim as a whole.

    Raises:
        CommandError: no claim names a thing.
        ModelError: the model failed.
    """
    judged = claims.atoms if atoms else claims.whole
    query = Query(text, Task.VERIFY, statement=claims.whole)
    phrases = [phrase for phrase in query.phrases if phrase not in GENERIC]
    if not phrases:
        raise CommandError(f"'{text[:80]}' names no thing that could be looked for.")
    objects = stages.build(stages.find(phrases, counting=asks_number(query)))
    evidence: dict[tuple[int, Role], Grounding] = {}
    told = [_judge(stages, claim, objects, evidence) for claim in judged]
    told += [ClaimCheck(words, None, "it was not understood") for words in claims.rest]
    ordered = sorted(evidence.values(), key=lambda found: found.role is not Role.TARGET)
    return Check(tuple(told), tuple(ordered), objects)


def _judge(
    stages: Stages,
    claim: Entity,
    objects: Sequence[SceneObject],
    evidence: dict[tuple[int, Role], Grounding],
) -> ClaimCheck:
    text = _in_words(claim)
    unknown = _unknown(stages, Query("", Task.VERIFY, statement=(claim,)).entities)
    if unknown:
        words = ", ".join(f"'{word}'" for word in unknown)
        return ClaimCheck(text, None, f"{stages.model.name} does not know {words}")
    if any(
        anchor.text == claim.text and anchor.phrase == claim.phrase for r in claim.relations for anchor in r.anchors
    ):
        return ClaimCheck(text, None, "what 'it' stands for was not understood")
    query = Query(text, Task.VERIFY, statement=(claim,))
    can = stages.model.capabilities
    if asks_number(query) and not (can.counts or can.points):
        return ClaimCheck(text, None, f"{stages.model.name} cannot count: several things may be one to it")
    resolution = stages.resolve(query, objects)
    lost = concerning(stages.unread, query)
    if lost and not stands([claim], resolution.verdict):
        return ClaimCheck(text, None, unread_words(stages.model.name, lost), denies=claim.number == 0, unread=True)
    if not resolution.verdict and claim.noun in SURFACES and not claim.relations and claim.number != 0:
        return ClaimCheck(text, None, f"the {claim.noun} is not looked for by itself")
    for found in resolution.groundings:
        evidence.setdefault((found.object.instance_id, found.role), found)
    shown = dict.fromkeys(found.object.instance_id for found in resolution.groundings)
    reason = resolution.answer.partition(": ")[2].rstrip(".")
    return ClaimCheck(text, resolution.verdict, reason, tuple(shown), claim.number == 0)


def _unknown(stages: Stages, entities: Iterable[Entity]) -> tuple[str, ...]:
    vocabulary = stages.model.capabilities.vocabulary
    if vocabulary is None:
        return ()
    found: dict[str, None] = {}
    for entity in entities:
        if entity.phrase not in GENERIC and entity.noun not in SURFACES:
            found.update(dict.fromkeys(spatial.unknown_words(entity.phrase, vocabulary)))
    return tuple(found)


def _in_words(claim: Entity) -> str:
    if claim.bounds is not None:
        name = f"{wording.amount(claim.bounds)} {wording.name_of(claim, claim.bounds[1] or 2)}"
    elif claim.number == 1:
        name = wording.article(wording.name_of(claim))
    elif claim.number is None:
        name = wording.name_of(claim, 2)
    else:
        name = wording.counted(claim, claim.number)
    superlatives = [ranking.text or ranking.key for ranking in claim.rankings]
    return " ".join([name, *(wording.relation_words(r) for r in claim.relations), *superlatives])
