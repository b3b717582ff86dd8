"""What the clauses of one command add up to: targets, destinations, steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlm_perception.types import Entity, Role, RoleEntity, Task


@dataclass
class Plan:
    """What the clauses of one command add up to."""

    targets: list[Entity] = field(default_factory=list)
    destinations: list[RoleEntity] = field(default_factory=list)
    steps: list[tuple[str, Role, int]] = field(default_factory=list)
    action: str = ""
    task: Task = Task.LOCATE

    def target_index(self, entity: Entity) -> int:
        """Index of the target, added if it is new."""
        for i, known in enumerate(self.targets):
            if known is entity or known == entity:
                return i
        self.targets.append(entity)
        return len(self.targets) - 1

    def items(self) -> tuple[RoleEntity, ...]:
        """Targets in the order spoken, then destinations."""
        return (*(RoleEntity(Role.TARGET, e) for e in self.targets), *self.destinations)

    def numbered_steps(self) -> tuple[tuple[str, int], ...]:
        """Steps as (action, index into items); a destination follows the targets it is for."""
        return tuple((a, i if role is Role.TARGET else i + len(self.targets)) for a, role, i in self.steps)
