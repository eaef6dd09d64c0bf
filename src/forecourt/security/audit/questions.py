"""Questions to the database: for which people does one predicate admit rows that another does not, how many, which?

One question covers all people whose rules have one shape. How it is asked depends on the predicates::

    contained    the narrow predicate demands nothing that the wide one does not: there is no such row
    once         neither looks at the person: the answer holds for everybody
    joined       equations lead from people to rows: pairs of them, by joining
    complement   the wide predicate does not look at the person: all its rows, less the pairs that both admit
    each         anything else: a pass over the rows for each person
    apart        the two predicates are about two databases: pairs of one, in chunks, are looked up in the other

``nullable`` holds whatever a request's predicate takes for nullable, and every column of the entity: exactness before
speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import TRUE, Column, Predicate, all_of, negate
from forecourt.kernel.relation import Output, Select, Source, aliases_of
from forecourt.security.audit.algebra import Flat, alternatives, joined, mentions, remainder
from forecourt.security.gate import Gate, Plane
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation
from forecourt.store.cohort.attributes import COHORT, NUMBER, PERSON, Attributes
from forecourt.store.cohort.session import Count, Session
from forecourt.store.cohort.statements import compile_each, compile_pairs, compile_rows

Way = Literal["contained", "once", "joined", "complement", "each", "apart"]


@dataclass(frozen=True)
class Question:
    """``selects``: what is asked. Of a complement: all rows, then branches of pairs; ``missing``: one row for each
    person, without the cohort among its sources."""

    entity: Entity
    way: Way
    selects: tuple[Select, ...] = ()
    missing: Select | None = None


@dataclass(frozen=True)
class Apart:
    """A question to two databases: ``pairs`` of the first, person, key and what leads to the second; ``missing``: those
    of them, as rows of ROWS, that the second lacks. ``gate`` and ``entity``: of the second."""

    first: Plane
    gate: Gate
    entity: Entity
    pairs: Select
    missing: Select
    types: tuple[str, ...]


def question(lowering: Lowering, entity: Entity, wide: Predicate, narrow: Predicate) -> Question:
    """How to find the rows of ``entity`` that ``wide`` admits and ``narrow`` does not. ``lowering``: of the scope that
    the outer joins of the entity belong to."""
    here, rest = remainder(wide, narrow)
    if rest == TRUE:
        return Question(entity, "contained")
    shape = Shape(lowering, entity)
    where = all_of(here, negate(rest))
    found = shape.rows(where)
    personal = "" in mentions(where) or any("" in mentions(source.on) for source in found.sources)
    if not personal:
        return Question(entity, "once", (found,))
    branches = [shape.pairs(branch) for branch in alternatives(here, rest)]
    root = entity.root.alias
    if all(joined(branch, PERSON, root) for branch in branches):
        return Question(entity, "joined", tuple(branches))
    everything = shape.rows(here)
    free = "" not in mentions(here) and all("" not in mentions(source.on) for source in everything.sources)
    both = [shape.pairs(branch) for branch in alternatives(all_of(here, rest), TRUE)]
    if free and all(joined(branch, PERSON, root) for branch in both):
        return Question(entity, "complement", (everything, *both), found)
    return Question(entity, "each", (), found)


@dataclass(frozen=True)
class Shape:
    """The selects of one entity."""

    lowering: Lowering
    entity: Entity

    def rows(self, where: Predicate) -> Select:
        """The rows of the entity under a condition: their keys."""
        entity, lowering = self.entity, self.lowering
        keys = tuple(Output(name, lowering.column(entity, "", name), entity.fields[name].kind) for name in entity.key)
        used = aliases_of(where) | {entity.fields[name].source for name in entity.key}
        sources = lowering.sources(entity, "", Operation.READ, used)
        nullable = lowering.nullable(entity, "") | {(f.source, f.column) for f in entity.fields.values()}
        return Flat().nested(Select(sources, where, keys, nullable=nullable))

    def pairs(self, where: Predicate) -> Select:
        """The same, for each person."""
        rows = self.rows(where)
        first, *others = rows.sources
        return Flat().select(
            replace(
                rows,
                sources=(Source(PERSON, COHORT), replace(first, join="inner"), *others),
                outputs=(Output("@number", Column(PERSON, NUMBER), None), *rows.outputs),
            )
        )


async def ask(
    session: Session, asked: Question, attributes: Attributes, people: int, shown: int
) -> Mapping[int, Count]:
    """The answer by the numbers of the people. ``shown``: for how many a row is looked up where that costs a pass over
    the rows. The selects of ``asked`` have been lifted. Raises Unanswered."""
    catalog = attributes.table()
    match asked.way:
        case "contained":
            return {}
        case "once":
            found = await session.total(compile_rows(asked.selects[0], catalog))
            return {number: found._replace(person=number) for number in range(people)} if found.rows else {}
        case "joined":
            counts = await session.counts(compile_pairs(asked.selects, catalog))
            return {count.person: count for count in counts}
        case "complement":
            everything, *both = asked.selects
            total = (await session.total(compile_rows(everything, catalog))).rows
            pairs = await session.counts(compile_pairs(both, catalog)) if total else []
            seen = {count.person: count.rows for count in pairs}
            left = {number: total - seen.get(number, 0) for number in range(people)}
            left = {number: rows for number, rows in left.items() if rows}
            keys = await _keys(session, asked, attributes, list(left)[:shown])
            return {number: Count(number, rows, keys.get(number, ())) for number, rows in left.items()}
        case "apart":
            raise ValueError("A question to two databases is put to both.")
        case "each":
            assert asked.missing is not None
            counts = await session.counts(compile_each(asked.missing, catalog, first=False), list(range(people)))
            return {count.person: count for count in counts}


async def _keys(
    session: Session, asked: Question, attributes: Attributes, numbers: Sequence[int]
) -> dict[int, tuple[str | None, ...]]:
    assert asked.missing is not None
    if not numbers:
        return {}
    found = await session.counts(compile_each(asked.missing, attributes.table(), first=True), numbers)
    return {count.person: count.key for count in found}


def lifted(asked: Question, attributes: Attributes) -> Question:
    """The question with columns of the cohort in the place of the person's values. Raises Refusal FC1003."""
    missing = None if asked.missing is None else attributes.lifted(asked.missing)
    return replace(asked, selects=tuple(attributes.lifted(select) for select in asked.selects), missing=missing)
