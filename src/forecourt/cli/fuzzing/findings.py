"""What rounds of two worlds have found: pairs of answers that differ, and how much was tried."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from forecourt.store.cells import Change


@dataclass(frozen=True)
class Interference:
    """Two answers that differ though nothing differs that the person may read."""

    person: str
    door: str
    request: str
    changes: tuple[Change, ...]
    before: str
    after: str

    def __str__(self) -> str:
        cells = "\n".join(f"    {_described(change)}" for change in self.changes)
        return (
            f"{self.person} at {self.door}: {self.request}\n  differs after\n{cells}\n"
            f"  before: {self.before}\n  after:  {self.after}"
        )


@dataclass
class Findings:
    """``changed``: changes by what they were to the person; ``declared``: collisions with rules of the database."""

    rounds: int = 0
    requests: int = 0
    declared: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    doors: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    found: list[Interference] = field(default_factory=list)


def _described(change: Change) -> str:
    row = change.before or change.after or {}
    key = ", ".join(f"{name}={value}" for name, value in list(row.items())[:3])
    if change.kind != "update" or change.before is None or change.after is None:
        return f"{change.kind} {change.table} ({key})"
    was, now = change.before.get(change.column), change.after.get(change.column)
    return f"{change.table}.{change.column} of ({key}): {str(was)[:60]!r} -> {str(now)[:60]!r}"
