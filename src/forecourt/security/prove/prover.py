"""The prover over a solution: every question, its verdict, and the assumptions checked on the data.

An assumption is put to the database once for all people of a kind, as a set. A proof under one that holds for all of
them is a proof; for those whose data breaks it, the question is asked of the rows that are there now: a row that leaks
refutes it, none leaves it unknown. Proofs are tried without assumptions first; each names those that it used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from forecourt.kernel.predicate import Column, Operand, all_of, negate
from forecourt.kernel.relation import Output, Select, Source
from forecourt.security.audit.identities import Identity
from forecourt.security.prove.decide import Assumption, Candidate, Open, Problem, Proof
from forecourt.security.prove.joins import Unfit, params_as, typed_params
from forecourt.security.prove.questions import Containment, Kind, Question
from forecourt.security.prove.witness import Absent, Counterexample, reproduce
from forecourt.security.rules import Operation
from forecourt.store.catalog import Catalog
from forecourt.store.database import Database
from forecourt.store.scratch import Rejected, scratch
from forecourt.store.storage import Family

Status = Literal["proved", "refuted", "unknown"]

#: People who break an assumption whose rows are looked at.
LOOKED_AT = 20

_TYPES: Mapping[Family, str] = {
    Family.INTEGER: "int8",
    Family.DECIMAL: "numeric",
    Family.FLOAT: "float8",
    Family.TEXT: "text",
    Family.PADDED: "bpchar",
    Family.BOOLEAN: "bool",
    Family.DATE: "date",
    Family.LOCAL: "timestamp",
    Family.INSTANT: "timestamptz",
    Family.UUID: "uuid",
}


@dataclass(frozen=True)
class Checked:
    """An assumption and who keeps it. ``reason``: why it could not be checked, '' where it was."""

    text: str
    people: int
    broken: tuple[str, ...] = ()
    reason: str = ""

    @property
    def holds(self) -> bool:
        return not self.broken and not self.reason


@dataclass(frozen=True)
class Verdict:
    """The answer to one question. ``kinds``: of people, all of whom it is given for."""

    status: Status
    containment: Containment
    entity: str
    operation: Operation
    text: str
    kinds: tuple[str, ...]
    facts: tuple[str, ...] = ()
    assumptions: tuple[Checked, ...] = ()
    counterexample: Counterexample | None = None
    reason: str = ""
    where: str = ""


@dataclass(frozen=True)
class Report:
    """``seconds``: in the solver, and in all."""

    verdicts: tuple[Verdict, ...]
    questions: int
    solved: float
    seconds: float

    def count(self, status: Status) -> int:
        """How many verdicts are so."""
        return sum(verdict.status == status for verdict in self.verdicts)


@dataclass(frozen=True)
class _Answer:
    """A verdict without what it is about."""

    status: Status
    facts: tuple[str, ...] = ()
    assumptions: tuple[Checked, ...] = ()
    counterexample: Counterexample | None = None
    reason: str = ""


class Prover:
    """Answers questions over one database."""

    def __init__(self, database: Database, catalog: Catalog, progress: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._catalog = catalog
        self._progress = progress
        self._checked: dict[tuple[int, str], Checked] = {}
        self._answers: dict[object, _Answer] = {}
        self._solved = 0.0

    async def run(self, questions: Iterable[Question]) -> Report:
        """Every verdict, refuted first. Questions that differ in the kind alone are one where the answer is."""
        started = time.perf_counter()
        found: dict[str, tuple[Question, _Answer, list[str]]] = {}
        asked = 0
        for question in questions:
            asked += 1
            answer = await self._answered(question)
            key = (question.text, question.where, answer)
            found.setdefault(repr(key), (question, answer, []))[2].append(question.kind.label)
            self._progress()
        verdicts = [
            Verdict(
                answer.status,
                question.containment,
                question.entity,
                question.operation,
                question.text,
                tuple(labels),
                answer.facts,
                answer.assumptions,
                answer.counterexample,
                answer.reason,
                question.where,
            )
            for question, answer, labels in found.values()
        ]
        order = ("refuted", "unknown", "proved")
        verdicts.sort(key=lambda verdict: order.index(verdict.status))
        return Report(tuple(verdicts), asked, self._solved, time.perf_counter() - started)

    async def _answered(self, question: Question) -> _Answer:
        checked = [(item, await self._check(question.kind, item)) for item in question.assumptions]
        held = tuple(item for item, state in checked if state.holds)
        broken = tuple(item for item, state in checked if not state.holds)
        key = (question.leak, question.kind.absent, held, broken, id(question.kind) if broken else None)
        if key not in self._answers:
            self._answers[key] = await self._decided(question, held, broken)
        return self._answers[key]

    async def _decided(
        self, question: Question, held: tuple[Assumption, ...], broken: tuple[Assumption, ...]
    ) -> _Answer:
        started = time.perf_counter()
        result = self._solve(question, held, broken)
        self._solved += time.perf_counter() - started
        match result:
            case Proof():
                return await self._proved(question, result)
            case Candidate():
                return await self._refuted(question, result, held)
            case Open(reason):
                return _Answer("unknown", reason=reason)

    def _solve(
        self, question: Question, held: tuple[Assumption, ...], broken: tuple[Assumption, ...]
    ) -> Proof | Candidate | Open:
        """By as few assumptions as do: none, those that hold, then those that do not."""
        try:
            problem = Problem(question.leak, (*held, *broken), self._catalog, question.kind.absent)
            proof = problem.proof() or (problem.proof(held) if held else None)
            if proof is None and broken:
                proof = problem.proof((*held, *broken))
            return proof or problem.candidate(held)
        except Unfit as error:
            return Open(f"{error}.")

    async def _refuted(self, question: Question, candidate: Candidate, held: tuple[Assumption, ...]) -> _Answer:
        labels = tuple(output.name for output in question.keys)
        checked = tuple([await self._check(question.kind, item) for item in held])
        try:
            shown = await reproduce(
                self._database,
                self._catalog,
                question.rows(question.wide),
                question.rows(question.narrow),
                candidate,
                labels,
            )
        except Unfit as error:
            return _Answer("unknown", assumptions=checked, reason=f"{error}.")
        return _Answer("refuted", assumptions=checked, counterexample=shown)

    async def _proved(self, question: Question, proof: Proof) -> _Answer:
        checked = tuple([await self._check(question.kind, item) for item in proof.assumptions])
        if all(state.holds for state in checked):
            return _Answer("proved", proof.facts, checked)
        unchecked = [state.reason for state in checked if state.reason]
        if unchecked:
            reason = f"an assumption could not be checked: {unchecked[0]}."
            return _Answer("unknown", proof.facts, checked, reason=reason)
        names = {label for state in checked for label in state.broken}
        people = [person for person in question.kind.people if person.label in names]
        leaking = await self._leaking(question, people[:LOOKED_AT])
        if leaking is not None:
            return _Answer("refuted", proof.facts, checked, leaking)
        reason = f"what the proof assumes is not so for {len(people)} of {len(question.kind.people)} people"
        return _Answer("unknown", proof.facts, checked, reason=f"{reason}; no row of theirs leaks now.")

    async def _leaking(self, question: Question, people: Sequence[Identity]) -> Counterexample | None:
        """A row that is there now and leaks to one of these people."""
        select = question.rows(all_of(question.wide, negate(question.narrow)))
        async with scratch(self._database, self._catalog, "look for rows that an assumption leaves open") as trial:
            for person in people:
                rows = await trial.read(select, Absent(person.values))
                if rows:
                    labels = [output.name for output in question.keys]
                    row = ",".join(f"{name}={value}" for name, value in zip(labels, rows[0], strict=True))
                    return Counterexample(row, {}, {"person": person.label})
        return None

    # -- assumptions -----------------------------------------------------------------------------------------------

    async def _check(self, kind: Kind, assumption: Assumption) -> Checked:
        key = (id(kind), assumption.text)
        if key not in self._checked:
            try:
                self._checked[key] = await self._asked(kind, assumption)
            except (Unfit, Rejected) as error:
                self._checked[key] = Checked(assumption.text, len(kind.people), reason=str(error))
        return self._checked[key]

    async def _asked(self, kind: Kind, assumption: Assumption) -> Checked:
        """Who of the kind breaks the assumption, by one statement. Raises Unfit and Rejected."""
        columns = {"@label": "text"}
        for name, families in typed_params(assumption.holds, self._catalog).items():
            family = next(iter(families), Family.TEXT)
            if len(families) > 1 or family not in _TYPES:
                raise Unfit(f"{name} is compared with columns of several types")
            columns[name] = _TYPES[family]
        names = list(columns)[1:]
        rows = [(person.label, *(person.values.get(name) for name in names)) for person in kind.people]

        def value(name: str) -> Operand:
            return Column("@people", name)

        async with scratch(self._database, self._catalog, "check what proofs assume") as trial:
            people = await trial.table(columns, rows)
            select = Select(
                (Source("@people", people),),
                negate(params_as(assumption.holds, value)),
                (Output("label", Column("@people", "@label"), None),),
                nullable=frozenset(("@people", name) for name in names),
            )
            broken = await trial.read(select, {})
        return Checked(assumption.text, len(rows), tuple(sorted(str(row[0]) for row in broken)))
