"""Large amounts: rows of a source staged beside the target by COPY, then merged as a set. No row passes through Python.

    async with … as (source, target):
        staged = await bulk.stage(source, target, leg, Range(after, 50_000))
        merged = await bulk.merge(target, leg)

A stage is a temporary table of the target's transaction and gone with it. In one database it is filled by INSERT …
SELECT; between two, binary COPY chunks pass through a queue of a few, so that memory stays flat. A :class:`Range`
counts rows of the root table, before the filter, so that every batch costs the same however few rows travel.

Cycles of lookups take two passes: the first merge leaves the lookups of ``defer`` out, the second, of the same rows or
of those that have such a lookup (``having``), sets them.
"""

from __future__ import annotations

from collections.abc import Sequence

from forecourt.kernel.bulk import BulkMerged, Range, Roots, Selection, Staged, StagedError, WholeTable
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Leg, Unit, WireRow
from forecourt.store.sync.capture import qualified, quoted
from forecourt.store.sync.ends import Ends
from forecourt.store.sync.merge import OF_A_ROW, Merge
from forecourt.store.sync.wire import Wire

#: The stage of a transaction.
STAGE = "forecourt_stage"

#: Memory that one step of a large statement may take before it spills to disk.
WORK_MEM = "32MB"


class Bulk:
    """Stages and merges rows of legs. Implements :class:`~forecourt.kernel.bulk.Bulk`."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._merges: dict[tuple[int, frozenset[str]], Merge] = {}

    # -- staging --------------------------------------------------------------------------------------------------

    async def stage(
        self, source: Unit, target: Unit, leg: Leg, selection: Selection, having: frozenset[str] = frozenset()
    ) -> Staged:
        """Puts wire rows of the source into a stage in the target's transaction, in place of an earlier one.

        ``having``: target fields; only rows in which one of them has a value. Raises what the databases raise.
        """
        wire = self._ends.wire(leg)
        await target.script(
            f"make a stage for {leg.map}",
            f"set local work_mem = '{WORK_MEM}'; drop table if exists pg_temp.{STAGE}; "
            f"create temporary table {STAGE} ({', '.join(_columns(wire))}) on commit drop",
        )
        last: WireRow | None = None
        if isinstance(selection, Range):
            last = await self._end(source, wire, selection)
            if last is None:
                return Staged(0)
        types, arguments = _arguments(wire, selection, last)
        if source is target:
            marks = [f"${at}::{kind}" for at, kind in enumerate(types, 1)]
            sql = self._query(wire, selection, having, marks)
            inserted = f"with staged as (insert into {STAGE} {sql} returning 1) select count(*) from staged"
            rows = (await target.system(SystemPlan(f"stage {leg.source.name}", inserted, arguments)))[0][0]
        else:
            sql = self._query(wire, selection, having, await _literals(source, types, arguments))
            names = [column.partition(" ")[0] for column in _columns(wire)]
            rows = await target.copy_in(TableName("", STAGE), names, source.copy_out(sql))
        return Staged(rows, last)

    async def _end(self, source: Unit, wire: Wire, wanted: Range) -> WireRow | None:
        """The root key at which a range ends; None where nothing is left."""
        names = ", ".join(quoted(name) for name, _ in wire.root)
        types, arguments = _arguments(wire, Range(wanted.after, 0), None)
        given = ", ".join(f"${at}::{kind}" for at, kind in enumerate(types, 1))
        where = f"({names}) > ({given})" if given else "true"
        table = qualified(wire.leg.source.root.table)
        downwards = ", ".join(f"{quoted(name)} desc" for name, _ in wire.root)
        sql = (
            f"select {names} from (select {names} from {table} where {where} order by {names} "
            f"limit ${len(arguments) + 1}) as range order by {downwards} limit 1"
        )
        plan = SystemPlan(f"find the end of a batch of {wire.leg.source.name}", sql, (*arguments, wanted.limit))
        found = await source.system(plan, writes=False)
        return tuple(found[0]) if found else None

    @staticmethod
    def _query(wire: Wire, selection: Selection, having: frozenset[str], given: Sequence[str]) -> str:
        """The rows of a stage: n, root key, wire values, what the value map lacks. ``given``: the arguments as SQL."""
        alias = quoted(wire.leg.source.root.alias)
        keys = [f"{alias}.{quoted(name)}" for name, _ in wire.root]
        order, joined, where = ", ".join(keys), "", [wire.filter]
        match selection:
            case Range(after, _):
                end = given[-len(keys) :]
                where.append(f"({order}) <= ({', '.join(end)})")
                if after is not None:
                    where.append(f"({order}) > ({', '.join(given[: len(keys)])})")
            case Roots():
                names = ", ".join(f"k{at}" for at in range(len(keys)))
                same = " and ".join(f"{key} = given.k{at}" for at, key in enumerate(keys))
                joined = f" join unnest({', '.join(given)}) with ordinality as given({names}, n) on {same}"
                order = "given.n"
            case WholeTable():
                pass
        if having:
            found = [wire.sent[place] for place, c in enumerate(wire.leg.columns) if c.target in having]
            where.append("(" + " or ".join(f"{value} is not null" for value in found) + ")")
        values = [f"{key}::{kind}" for key, (_, kind) in zip(keys, wire.root, strict=True)]
        values += [f"({value})::{kind}" for value, kind in zip(wire.sent, wire.types, strict=True)]
        return (
            f"select row_number() over (order by {order}) - 1, {', '.join(values)}, {wire.unmapped} "
            f"{wire.reading()}{joined} where {' and '.join(where)}"
        )

    # -- merging --------------------------------------------------------------------------------------------------

    async def merge(self, target: Unit, leg: Leg, defer: frozenset[str] = frozenset()) -> BulkMerged:
        """Merges what is staged. ``defer``: target fields, lookups, that are left out for now.

        Raises Refusal FC6004 where no set can be written to the target, and what is no fault of a row.
        """
        merging = self._merging(leg, defer)
        rows = (await target.system(SystemPlan("count the stage", f"select count(*) from {STAGE}"), writes=False))[0][0]
        counts = {"+i": 0, "+u": 0, "+s": 0}
        errors: dict[int, str] = {}
        await self._tried(target, merging, 0, rows, counts, errors)
        return BulkMerged(counts["+i"], counts["+u"], counts["+s"], await self._told(target, leg, errors))

    async def _tried(
        self,
        unit: Unit,
        merging: Merge,
        start: int,
        end: int,
        counts: dict[str, int],
        errors: dict[int, str],
        sure: bool = True,
    ) -> None:
        if start >= end:
            return
        rows = f"(select * from {STAGE} where n >= $1 and n < $2) as w"
        plan = SystemPlan(f"merge into {merging.wire.leg.target.name}", merging.counting(rows, sure), (start, end))
        try:
            async with unit.savepoint():
                for outcome, count, places, _ in await unit.system(plan):
                    if outcome in counts:
                        counts[outcome] += count
                    else:
                        errors.update(dict.fromkeys(places, outcome))
        except Refusal as refusal:
            if refusal.code not in OF_A_ROW:
                raise
            if sure:
                await self._tried(unit, merging, start, end, counts, errors, sure=False)
                return
            if end - start == 1:
                errors[start] = refusal.message
                return
            middle = (start + end) // 2
            await self._tried(unit, merging, start, middle, counts, errors, sure=False)
            await self._tried(unit, merging, middle, end, counts, errors, sure=False)

    def _merging(self, leg: Leg, defer: frozenset[str]) -> Merge:
        known = self._merges.get((id(leg), defer))
        if known is None or known.wire.leg is not leg:
            known = self._merges[id(leg), defer] = Merge(self._ends.wire(leg), defer)
        return known

    async def _told(self, unit: Unit, leg: Leg, errors: dict[int, str]) -> tuple[StagedError, ...]:
        """The errors, with the root keys of their rows."""
        if not errors:
            return ()
        width = len(self._ends.wire(leg).root)
        keys = ", ".join(f"k{at}" for at in range(width))
        sql = f"select n, {keys} from {STAGE} where n = any($1::bigint[]) order by n"
        found = await unit.system(SystemPlan("keys of rows in error", sql, (list(errors),)), writes=False)
        targets = {column.target for column in leg.columns}
        return tuple(_error(tuple(row)[1:], errors[row[0]], targets) for row in found)


def _error(root: WireRow, message: str, targets: set[str]) -> StagedError:
    field = message.partition(":")[0]
    return StagedError(root, message, field if field in targets else "")


def _columns(wire: Wire) -> list[str]:
    """The stage's columns with their types."""
    return [
        "n bigint",
        *(f"k{at} {kind}" for at, (_, kind) in enumerate(wire.root)),
        *(f"c{at} {kind}" for at, kind in enumerate(wire.types)),
        "unmapped text",
    ]


def _arguments(wire: Wire, selection: Selection, last: WireRow | None) -> tuple[list[str], tuple[object, ...]]:
    """Types and values of a selection's arguments."""
    kinds = [kind for _, kind in wire.root]
    match selection:
        case Range(after, _):
            bounds = [bound for bound in (after, last) if bound is not None]
            return kinds * len(bounds), tuple(value for bound in bounds for value in bound)
        case Roots(keys):
            return [f"{kind}[]" for kind in kinds], tuple([row[at] for row in keys] for at in range(len(kinds)))
        case WholeTable():
            return [], ()


async def _literals(unit: Unit, types: Sequence[str], arguments: Sequence[object]) -> list[str]:
    """Arguments as literals, which the database itself makes: COPY takes no parameters."""
    if not types:
        return []
    made = ", ".join(f"quote_literal(${at}::{kind}::text)" for at, kind in enumerate(types, 1))
    (row,) = await unit.system(SystemPlan("quote keys", f"select {made}", tuple(arguments)), writes=False)
    return [f"{text}::{kind}" for text, kind in zip(row, types, strict=True)]
