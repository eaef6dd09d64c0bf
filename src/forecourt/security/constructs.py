"""Constructs: sets of keys that are a user's own, which policy queries join (operations-and-integration 4.4).

The original's is a temporary table with a method that fills it; here it is a query. Decides what a construct is and
means in a query; leaves out when its set is read and bound (``xds/sets``, ``scopes``). Also the moment of a call, which
queries may compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from forecourt.kernel.model import NOWHERE, Where
from forecourt.kernel.predicate import Column, Compare, Const, Exists, Match, Param, Predicate, all_of, operands
from forecourt.kernel.relation import Select, Source, columns_of, renamed
from forecourt.odata.fetchxml.clock import PREFIX, Edge


def given(value: Param) -> Predicate:
    """The user has the value: nothing is unequal to what is not known."""
    return Match("startswith", value, Const(""))


class Refresh(StrEnum):
    """How long the set of a construct counts: as long as what it was made from is as it was, or for one statement."""

    PER_SESSION = "PerSession"
    PER_INVOCATION = "PerInvocation"


#: Params of the moment of a call, in UTC. They are bound call by call, and nothing that rests on them is kept.
NOW, TODAY = Param(Edge().name(0, day=False)), Param(Edge(floor="day").name(0, day=True))


def is_moment(name: str) -> bool:
    """Whether a parameter of this name tells the time."""
    return name.startswith(PREFIX)


def timed(item: Predicate) -> bool:
    """Whether a predicate looks at the clock; what stands in ``Exists`` is left out."""
    return any(isinstance(found, Param) and is_moment(found.name) for found in operands(item))


@dataclass(frozen=True)
class Construct:
    """A set of keys that is the user's own, "mine", which policy queries join (operations-and-integration 4.4).

    ``sources``/``filter``: the query, as of a policy; ``keys``: its columns by name.
    """

    name: str
    sources: tuple[Source, ...]
    filter: Predicate
    keys: tuple[tuple[str, Column], ...]
    refresh: Refresh = Refresh.PER_SESSION
    label: str = ""
    where: Where = NOWHERE

    @cached_property
    def timed(self) -> bool:
        """Whether it depends on the moment of the call."""
        return timed(self.filter)

    @cached_property
    def columns(self) -> frozenset[tuple[str, str]]:
        """The columns that its query compares."""
        return columns_of(all_of(self.filter, *(source.on for source in self.sources)))


@dataclass(frozen=True)
class ConstructJoin:
    """A construct in a policy query. ``on``: pairs (key of the construct, column of a source of the query)."""

    construct: Construct
    on: tuple[tuple[str, Column], ...]

    @cached_property
    def condition(self) -> Predicate:
        """The set has a row of these keys, read in place. The aliases of its sources are ``mine.<alias>``, which no
        source of a query has."""
        found = self.construct
        names = {source.alias: f"mine.{source.alias}" for source in found.sources}

        def own(item: Predicate) -> Predicate:
            return renamed(item, names, str)

        keys = dict(found.keys)
        links = (Compare("eq", Column(names[keys[name].alias], keys[name].name), column) for name, column in self.on)
        where = all_of(*links, own(found.filter))
        sources = tuple(Source(names[s.alias], s.table, s.join, own(s.on)) for s in found.sources)
        return Exists(Select(sources, where, nullable=columns_of(where)))
