"""Findings: what audit says, in a form that people, programs and a later run can use.

A finding has a *fingerprint* of what it is about (code, identity, entity, door, subject) and not of how many rows it
counts or on which line a rule stands, so that a baseline holds while data and files move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from forecourt.kernel.errors import CODES


class Severity(IntEnum):
    """How bad. ``NOTE``: nothing is open, but a rule does not do what it seems to; ``UNKNOWN``: not compared."""

    NOTE = 1
    WARNING = 2
    UNKNOWN = 3
    ERROR = 4

    @property
    def word(self) -> str:
        return self.name.lower()


#: How bad the findings of each code are.
SEVERITIES: Mapping[str, Severity] = {
    "FC7000": Severity.UNKNOWN,
    "FC7001": Severity.ERROR,
    "FC7002": Severity.ERROR,
    "FC7003": Severity.ERROR,
    "FC7004": Severity.ERROR,
    "FC7005": Severity.ERROR,
    "FC7006": Severity.WARNING,
    "FC7007": Severity.ERROR,
    "FC7008": Severity.WARNING,
    "FC7009": Severity.ERROR,
    "FC7010": Severity.ERROR,
    "FC7011": Severity.ERROR,
    "FC7012": Severity.NOTE,
    "FC7013": Severity.ERROR,
    "FC7014": Severity.ERROR,
    "FC7015": Severity.WARNING,
    "FC7016": Severity.WARNING,
    "FC7017": Severity.NOTE,
    "FC7018": Severity.WARNING,
    "FC7019": Severity.WARNING,
    "FC7020": Severity.ERROR,
    "FC7021": Severity.ERROR,
}


@dataclass(frozen=True)
class Finding:
    """``rows``: how many, None where rows are not the matter; ``example``: the key of one. ``rule``: what is missing or
    wrong. ``where``: ``file:line`` of it. ``subject``: the rule, column or door that tells it from others of its code.
    ``others``: identities beside this one of which the same is true, where not each has a finding of its own."""

    code: str
    message: str
    rule: str
    entity: str = ""
    identity: str = ""
    rows: int | None = None
    example: str = ""
    where: str = ""
    subject: str = ""
    others: int = 0

    @property
    def severity(self) -> Severity:
        return SEVERITIES[self.code]

    @property
    def title(self) -> str:
        """What the code means."""
        return CODES[self.code][1]

    @cached_property
    def fingerprint(self) -> str:
        parts = (self.code, self.entity, self.identity, self.subject)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]

    @property
    def written(self) -> str:
        """``where``, '' for what stands in no file."""
        return "" if self.where.startswith("(built in)") else self.where

    @property
    def place(self) -> tuple[str, int]:
        """File and line of ``where``; ('', 0) for none."""
        file, _, line = self.written.rpartition(":")
        return (file, int(line)) if line.isdigit() else ("", 0)


@dataclass(frozen=True)
class RightHeld:
    """``people``: the roles that say who has it."""

    people: str
    door: str
    table: str
    operation: str

    @cached_property
    def fingerprint(self) -> str:
        parts = ("right", self.people, self.door, self.table, self.operation)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Report:
    """``known``: findings that a baseline has; ``gone``: those that only the baseline has, as (fingerprint, text)."""

    findings: tuple[Finding, ...]
    identities: int
    comparisons: int
    classes: int = 0
    rights: tuple[RightHeld, ...] = ()
    known: tuple[Finding, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()


def in_order(finding: Finding) -> tuple[object, ...]:
    """Worst first, the largest first, then by name."""
    return (
        -finding.severity,
        finding.code,
        finding.entity,
        -(finding.rows or 0),
        finding.identity,
        finding.subject,
    )
