"""A compact notation for queries, so that a corpus of expectations can be read and written by people.

``black bowl[color:black] between(plate, ramekin) #left:1 x2 ~`` reads: phrase, attributes, relations,
rankings, number (``x*`` all, ``x2..`` at least two, ``x0..3`` at most three), ``~`` indefinite; ``!`` negates;
``-(...)`` excludes; ``#left:1+2`` takes every other one; ``&`` joins further relations of a destination; in claims,
``#large:1 of(...)`` says what the largest is the largest of, ``of all(...)`` of what all it is claimed.
"""

from __future__ import annotations

from vlm_perception.types import Entity, Query, Relation, Role


def entity_notation(e: Entity) -> str:
    """One entity."""
    parts = [e.phrase]
    if not e.phrase.endswith(e.noun):
        parts.append(f"<{e.noun}>")
    if e.attributes:
        parts.append("[" + ", ".join(("!" if a.negated else "") + f"{a.kind}:{a.value}" for a in e.attributes) + "]")
    parts += map(_relation, e.relations)
    for k in e.rankings:
        anchor = f"({entity_notation(k.anchor)})" if k.anchor is not None else ""
        among = f"/{k.among}" if k.among else ""
        of = f" of({entity_notation(k.of)})" if k.of is not None else ""
        parts.append(f"#{k.key}{anchor}:{k.rank}{among}{f'+{k.step}' if k.step else ''}{of}")
    parts += [f"-({entity_notation(x)})" for x in e.exclude]
    if e.bounds is not None:
        least, most = e.bounds
        parts.append(f"x{least}..{'' if most is None else most}")
    elif e.number != 1:
        parts.append("x*" if e.number is None else f"x{e.number}")
    if not e.definite:
        parts.append("~")
    if e.subject is not None:
        parts.append(f"of all({entity_notation(e.subject)})")
    return " ".join(parts)


def _relation(r: Relation) -> str:
    return ("!" if r.negated else "") + f"{r.predicate}({', '.join(entity_notation(a) for a in r.anchors)})"


def query_notation(q: Query) -> str:
    """A whole query: task, action, targets, destinations, claims."""
    head = q.task.value + (f" {q.action}" if q.action else "")
    parts = [head]
    for item in q.items:
        lead = "" if item.role is Role.TARGET else f"-> {item.predicate}: "
        parts.append(" & ".join([lead + entity_notation(item.entity), *map(_relation, item.also)]))
    parts += ["claim " + entity_notation(c) for c in q.statement]
    return " | ".join(parts)
