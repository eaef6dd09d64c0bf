"""One question to the solver: a proof with the facts that it used, or a candidate for a counterexample.

A candidate is what the formula leaves open. It has as few rows as the solver can do with, and becomes a counterexample
only when its rows have been written and read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import z3

from forecourt.kernel.predicate import Predicate
from forecourt.kernel.relation import TableName
from forecourt.security.prove.encode import Universe
from forecourt.security.prove.facts import Row
from forecourt.security.prove.joins import Unfit
from forecourt.security.prove.terms import Value, scalar
from forecourt.store.catalog import Catalog
from forecourt.store.storage import Family

#: Milliseconds that one question may take.
PATIENCE = 5000


@dataclass(frozen=True)
class Assumption:
    """What is taken for true of the data. ``holds``: a closed predicate over parameters of the identity."""

    text: str
    holds: Predicate


@dataclass(frozen=True)
class Proof:
    """No database has such rows. ``facts``: what its constraints guarantee and the proof used, in words."""

    facts: tuple[str, ...]
    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True)
class Candidate:
    """Rows and values of parameters that may show the opposite. ``doubts``: what was not interpreted on the way."""

    rows: Mapping[TableName, tuple[Mapping[str, object], ...]]
    values: Mapping[str, object]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Open:
    """Neither. ``reason`` in words."""

    reason: str


class Problem:
    """Whether ``leak``, a closed predicate, can be true of any database. ``absent``: beginnings of the names of
    parameters that are null. Assumptions count where they are asked for. Raises Unfit."""

    def __init__(
        self, leak: Predicate, assumptions: Sequence[Assumption], catalog: Catalog, absent: tuple[str, ...] = ()
    ) -> None:
        universe = self._universe = Universe(catalog)
        solver = self._solver = z3.Solver()
        solver.set("timeout", PATIENCE)
        solver.set("core.minimize", True)
        formula = universe.say(leak)
        self._assumed = {item.text: z3.Bool(f"assumed {place}") for place, item in enumerate(assumptions)}
        said = [z3.Implies(self._assumed[item.text], universe.say(item.holds)) for item in assumptions]
        universe.saturate()
        solver.add(formula, *universe.conditions, *said)
        solver.add(*(null for name, null in universe.nulls.items() if absent and name.startswith(absent)))
        self._facts: dict[str, z3.BoolRef] = {}
        for fact in universe.facts:
            mark = self._facts.setdefault(fact.name, z3.Bool(f"fact {fact.name}"))
            solver.add(z3.Implies(mark, fact.formula))

    def proof(self, assumptions: Sequence[Assumption] = ()) -> Proof | None:
        """A proof under the assumptions, or None. Raises Unfit where the solver gives up."""
        marks = [self._assumed[item.text] for item in assumptions]
        answer = self._solver.check(*self._facts.values(), *marks)
        if answer == z3.unknown:
            raise Unfit(f"the solver gave up ({self._solver.reason_unknown()})")
        if answer == z3.sat:
            return None
        core = {str(mark) for mark in self._solver.unsat_core()}
        facts = tuple(sorted(name for name, mark in self._facts.items() if str(mark) in core))
        return Proof(facts, tuple(item for item in assumptions if str(self._assumed[item.text]) in core))

    def candidate(self, assumptions: Sequence[Assumption] = ()) -> Candidate:
        """What may show the opposite, under the assumptions, where there is no proof. Raises Unfit."""
        self._solver.add(*self._facts.values(), *(self._assumed[item.text] for item in assumptions))
        return _candidate(self._universe, self._solver)


def decide(
    leak: Predicate, assumptions: Sequence[Assumption], catalog: Catalog, absent: tuple[str, ...] = ()
) -> Proof | Candidate | Open:
    """The answer to one question, by as few assumptions as do."""
    try:
        problem = Problem(leak, assumptions, catalog, absent)
        return problem.proof() or problem.proof(assumptions) or problem.candidate(assumptions)
    except Unfit as error:
        return Open(f"{error}.")


def _candidate(universe: Universe, solver: z3.Solver) -> Candidate:
    """The model of few rows, as values."""
    wished = universe.wishes()
    if wished and solver.check(*wished) == z3.sat:
        solver.add(*wished)
    rows = [row for each in universe.rows.values() for row in each]
    for row in reversed(rows):
        if solver.check(z3.Not(row.there)) == z3.sat:
            solver.add(z3.Not(row.there))
    if solver.check() != z3.sat:
        raise Unfit("the solver gave up on a counterexample")
    model = solver.model()
    spare: dict[int, str] = {}

    def true(term: z3.BoolRef) -> bool:
        return bool(z3.is_true(model.evaluate(term, model_completion=True)))

    def read(value: Value) -> object:
        if true(value.null):
            return None
        if value.term is None or value.family is None:
            raise Unfit("the counterexample rests on values of a type that is not interpreted")
        return scalar(model.evaluate(value.term, model_completion=True), value.family, universe.texts, spare)

    found: dict[TableName, list[Mapping[str, object]]] = {}
    for row in rows:
        if true(row.there):
            mine = {name: read(value) for name, value in universe.used(row).items()}
            if mine not in found.setdefault(row.table, []) or not _keyed(universe, row, mine):
                found[row.table].append(mine)
    values: dict[str, object] = {}
    for name, each in universe.params.items():
        kinds = {read(value) for value in each.values()}
        if len(kinds) > 1:
            raise Unfit(f"the counterexample needs '{name}' as values of several types")
        values[name] = kinds.pop()
    values |= _lists(universe, model, spare)
    return Candidate({table: tuple(each) for table, each in found.items()}, values, tuple(sorted(universe.reasons)))


def _keyed(universe: Universe, row: Row, values: Mapping[str, object]) -> bool:
    """Whether the values hold a key, so that two such rows are one."""
    table = universe.catalog.tables[row.table]
    return any(key and all(values.get(name) is not None for name in key) for key in (table.primary, *table.unique))


def _lists(universe: Universe, model: z3.ModelRef, spare: dict[int, str]) -> Mapping[str, object]:
    """List-valued parameters: of the values that occur, those that the model puts in."""
    found: dict[str, list[object]] = {}
    for (name, family), function in universe.lists.items():
        listed = found.setdefault(name, [])
        for term in _terms(universe, family):
            number = model.evaluate(term, model_completion=True)
            if z3.is_true(model.evaluate(function(number), model_completion=True)):
                each = scalar(number, family, universe.texts, spare)
                if each not in listed:
                    listed.append(each)
    return found


def _terms(universe: Universe, family: Family) -> list[z3.ArithRef]:
    rows = [row for each in universe.rows.values() for row in each]
    values = [value for row in rows for value in universe.used(row).values()]
    return [value.term for value in values if value.family is family and value.term is not None]
