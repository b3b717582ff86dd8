"""A compact notation for queries, so that a corpus of expectations can be read and written by people.

``black bowl[color:black] between(plate, ramekin) #left:1 x2 ~`` reads: phrase, attributes, relations,
rankings, number (``x*`` all), ``~`` indefinite; ``!`` negates; ``-(...)`` excludes.
"""

from __future__ import annotations

from vlm_perception.types import Entity, Query, Role


def entity_notation(e: Entity) -> str:
    """One entity."""
    parts = [e.phrase]
    if not e.phrase.endswith(e.noun):
        parts.append(f"<{e.noun}>")
    if e.attributes:
        parts.append("[" + ", ".join(("!" if a.negated else "") + f"{a.kind}:{a.value}" for a in e.attributes) + "]")
    for r in e.relations:
        parts.append(("!" if r.negated else "") + f"{r.predicate}({', '.join(entity_notation(a) for a in r.anchors)})")
    for k in e.rankings:
        anchor = f"({entity_notation(k.anchor)})" if k.anchor is not None else ""
        among = f"/{k.among}" if k.among else ""
        parts.append(f"#{k.key}{anchor}:{k.rank}{among}")
    parts += [f"-({entity_notation(x)})" for x in e.exclude]
    if e.number != 1:
        parts.append("x*" if e.number is None else f"x{e.number}")
    if not e.definite:
        parts.append("~")
    return " ".join(parts)


def query_notation(q: Query) -> str:
    """A whole query: task, action, targets, destinations, claims."""
    head = q.task.value + (f" {q.action}" if q.action else "")
    parts = [head]
    for item in q.items:
        lead = "" if item.role is Role.TARGET else f"-> {item.predicate}: "
        parts.append(lead + entity_notation(item.entity))
    parts += ["claim " + entity_notation(c) for c in q.statement]
    return " | ".join(parts)
