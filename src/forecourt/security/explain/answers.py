"""What explain answers, as data: verdicts of rules and layers, failed conditions, changes, who sees a row.

The records are the JSON that ``forecourt explain --json`` prints.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failed:
    """A condition that a row does not meet, as a sentence with the values that it compared."""

    text: str


@dataclass(frozen=True)
class Verdict:
    """What one rule says. ``admits``: yes, no, or None where it does not apply. ``where``: ``file:line``, '' where no
    file says it. ``rows``: without a key, how many rows the rule admits."""

    layer: str
    rule: str
    admits: bool | None
    detail: str = ""
    where: str = ""
    rows: int | None = None
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True)
class LayerVerdict:
    """What a layer says: of alternatives (``any``) one rule is enough, otherwise every rule counts."""

    layer: str
    admits: bool
    any: bool
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Change:
    """One step that would turn a verdict. ``kind``: ``assign`` (to a person), ``data`` (a row), ``rule`` (a file)."""

    kind: str
    text: str
    where: str = ""


@dataclass(frozen=True)
class Answer:
    """The verdict of one door. ``rows``: without a key, how many rows the door admits. ``changes``: what would turn a
    no, the smallest first; each has all the steps that are needed."""

    door: str
    address: str
    admits: bool
    layers: tuple[LayerVerdict, ...]
    rows: int | None = None
    changes: tuple[tuple[Change, ...], ...] = ()


@dataclass(frozen=True)
class Explanation:
    """``found``: whether the row exists, None without a key; ``rows``: without a key, how many rows there are."""

    identity: str
    table: str
    key: str | None
    operation: str
    column: str | None
    found: bool | None
    answers: tuple[Answer, ...]
    rows: int | None = None


@dataclass(frozen=True)
class Seen:
    """Somebody who can see (or change) a row. ``rules``: what admits, as names with ``file:line``."""

    door: str
    identity: str
    kind: str
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Sighting:
    """Who reaches a row: at every door, of all ``asked`` identities."""

    table: str
    key: str
    operation: str
    found: bool
    asked: int
    seen: tuple[Seen, ...]
