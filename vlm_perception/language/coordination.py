"""Coordinated phrases that share a noun: "the red and the blue mug", "the left and right bowls"."""

from __future__ import annotations

from dataclasses import replace

from vlm_perception.language import lexicon as lx
from vlm_perception.language.draft import THING
from vlm_perception.types import Entity, Ranking


def share_noun(found: list[Entity]) -> list[Entity]:
    """Give a phrase that lacks its noun the noun of the next one: "the red and the blue mug"."""
    for i in range(len(found) - 2, -1, -1):
        this, following = found[i], found[i + 1]
        elliptic = this.noun == THING and not any(w in lx.GENERIC_NOUNS for w in this.text.lower().split())
        if elliptic and not this.relations and following.noun != THING:
            phrase = " ".join([*this.phrase.split()[:-1], following.noun])
            found[i] = replace(this, noun=following.noun, phrase=phrase)
            if following.number is None and (following.rankings or following.attributes or following.relations):
                found[i + 1] = _singled(following)
    return found


def _singled(entity: Entity) -> Entity:
    """ "the left and right mugs" speaks of one mug each."""
    by_place = {"left_of": "left", "right_of": "right", "at_front_of": "front", "at_back_of": "back", "at_center_of": "middle",
                "above": "high", "below": "low"}  # fmt: skip
    rankings = [*entity.rankings]
    relations = []
    for relation in entity.relations:
        if relation.anchors:
            relations.append(relation)
        else:
            rankings.append(Ranking(by_place[relation.predicate], 1))
    return replace(entity, number=1, relations=tuple(relations), rankings=tuple(rankings))
