"""A question, ready to be asked: the same work as HTTP requests and as SQL, and who contends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forecourt.cli.benching.pgbench import Work

SENT, HAND = "pgbench, the SQL that /data sends", "pgbench, SQL by hand"


@dataclass(frozen=True)
class Question:
    """``name``: of its scenario. HTTP requests by (door, identity), and the same work for pgbench: what the product
    sends, () where that is not measured, and what somebody would write by hand."""

    name: str
    requests: Mapping[tuple[str, str], tuple[str, ...]]
    sent: Work
    hand: Work

    @property
    def contenders(self) -> tuple[str, ...]:
        return contenders(self.requests, sent=bool(self.sent))


def contenders(asked: Iterable[tuple[str, str]], *, sent: bool = True) -> tuple[str, ...]:
    """Their names. ``asked``: doors and identities; ``sent``: whether the SQL that the product sends is one."""
    return (*(name_of(door, identity) for door, identity in asked), *((SENT,) if sent else ()), HAND)


def name_of(door: str, identity: str) -> str:
    return f"{door}, {identity}"
