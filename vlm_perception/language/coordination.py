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


def spread_colors(entity: Entity) -> list[Entity]:
    """ "the red, green and blue blocks" are blocks of one color each; "the black and white cats" are of two."""
    color = next((a for a in entity.attributes if a.kind == "color" and not a.negated), None)
    shades = color.value.split(" and ") if color is not None else []
    if entity.number is not None or color is None or len(shades) < 2 or shades == ["black", "white"]:
        return [entity]
    if any(a.kind == "other" for a in entity.attributes):  # striped, spotted ...
        return [entity]
    return [
        replace(
            entity,
            phrase=entity.phrase.replace(color.value, shade, 1),
            attributes=tuple(replace(a, value=shade) if a is color else a for a in entity.attributes),
        )
        for shade in shades
    ]


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
