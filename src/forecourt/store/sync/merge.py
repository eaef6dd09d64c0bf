"""Wire rows into a target's tables, as a set: lookups resolved, new rows inserted, different ones updated.

::

    w         the wire rows: arrays, or a staged table
    found     with the target's own values and what is wrong with a row, the last of several with one key
    changed   rows that differ; those that don't are not touched, so that nothing follows from them
    fresh     rows whose key the target lacks, with the numbers that the database would give them
    inserted  those, written

An entity's joined tables are written too where it may write them. Whether a joined row is inserted before the root's
(the root refers to it by a number that the database gives: a customer and its party) or after it (an extension of the
same row) makes no difference here: numbers are drawn beforehand, and references are checked at a statement's end.

A row in error is left out, the others are written. What only the database can tell (a check of its own, a trigger)
fails the statement; the rows are then tried in halves, so that one bad row among n costs log n statements. A row that
names another one of the same batch, of the same table, is tried again once that one is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.sync import Merged, RowError, Unit, WireRow
from forecourt.store.catalog import TableColumn
from forecourt.store.days import written
from forecourt.store.storage import Family, family_of_type
from forecourt.store.sync.capture import literal, qualified, quoted
from forecourt.store.sync.parts import Part, parts_of
from forecourt.store.sync.wire import Wire

#: Refusals of the database that one row is to blame for.
OF_A_ROW = frozenset({"FC1003", "FC4091", "FC4092"})

_RANGES = {"int2": 2**15, "int4": 2**31}

#: Says that a statement is the integration's (see ``capture``): evaluated before the triggers of the statement are.
SYNC = "set_config('forecourt.origin', 'sync', true)"

#: The start of the ids that one statement gives. A random UUID a row costs more than the row, so the rows of a
#: statement share sixty random bits and are numbered; which also keeps them together in the index.
_IDS = "ids as materialized (select left(gen_random_uuid()::text, 24) as start)"
_ID = "((select start from ids) || lpad(to_hex(f.n), 12, '0'))::uuid"

_TAKEN = "another row of the target has a value that must be unique"


def arrays(wire: Wire, rows: Sequence[WireRow], places: Sequence[int] | None = None) -> tuple[str, list[object]]:
    """Rows as arrays: ``(select …) w`` with columns c0…, n (from 0), and the arguments, numbered from $1."""
    chosen = range(len(wire.types)) if places is None else places
    arguments: list[object] = [[row[at] for row in rows] for at in range(len(chosen))]
    types = ", ".join(f"${at}::{wire.types[place]}[]" for at, place in enumerate(chosen, 1))
    names = ", ".join(f"c{place}" for place in chosen)
    return f"(select {names}, n - 1 as n from unnest({types}) with ordinality as given({names}, n)) as w", arguments


class Merge:
    """The statements of one leg's merge. ``defer``: target fields that are left out, to be set by a later merge
    without: lookups to rows that are not there yet. Raises Refusal FC6004 for a target that no set can be written to.
    """

    def __init__(self, wire: Wire, defer: frozenset[str] = frozenset()) -> None:
        self.wire = wire
        leg = wire.leg
        self._keys = [place for place, column in enumerate(leg.columns) if column.key]
        self._set = [p for p, c in enumerate(leg.columns) if not c.key and c.target not in defer]
        self._deferred = {p for p, c in enumerate(leg.columns) if c.target in defer}
        self.parts = parts_of(wire)
        self.root = self.parts[0]
        self._made: dict[tuple[str, bool, bool], str] = {}
        fixed = [p for p in self._deferred if p in self._keys or not self._physical(p).nullable]
        if fixed:
            raise Refusal("FC6004", f"{leg.map}: {leg.columns[fixed[0]].target} can't be left out: it needs a value.")

    def _field(self, place: int) -> EntityField:
        return self.wire.leg.target.fields[self.wire.leg.columns[place].target]

    def _part(self, place: int) -> Part:
        alias = self._field(place).source
        return next(part for part in self.parts if part.source.alias == alias)

    def _name(self, place: int) -> str:
        return self._field(place).column

    def _column(self, place: int) -> str:
        return quoted(self._name(place))

    def _physical(self, place: int) -> TableColumn:
        return self._part(place).table.columns[self._name(place)]

    # -- what there is --------------------------------------------------------------------------------------------

    def _target(self) -> str:
        """The target's tables, joined."""
        aliases = {part.source.alias: part.alias for part in self.parts}
        found = f"{qualified(self.root.source.table)} as {self.root.alias}"
        for part in self.parts[1:]:
            on = " and ".join(
                f"{aliases[above]}.{quoted(theirs)} = {part.alias}.{quoted(own)}"
                for (above, theirs), own in part.source.on
            )
            found += f" left join {qualified(part.source.table)} as {part.alias} on {on}"
        return found if len(self.parts) == 1 else f"({found})"

    def _matching(self) -> str:
        return " and ".join(
            f"{self._part(place).alias}.{self._column(place)} = {self.wire.resolved(place)}" for place in self._keys
        )

    def found(self, rows: str, staged: bool = False, sure: bool = False) -> str:
        """The common table expression ``found`` over the wire rows."""
        places = [place for place in range(len(self.wire.types)) if place not in self._deferred]
        columns = [f"{self.wire.resolved(place)} as v{place}" for place in places]
        for part in self.parts:
            columns += [
                f"{part.alias}.{quoted(column)} as {name}" for column, name in zip(part.identity, part.ids, strict=True)
            ]
            columns.append(f"{self._differs(part)} as d{part.at}")
        owner = self.wire.owner()
        if owner is not None:
            columns.append(f"{owner[1]} as owner")
        keys = ", ".join(f"w.c{place}" for place in self._keys)
        # A number first, since texts are slow to sort.
        last = f"row_number() over (partition by hashtextextended(row({keys})::text, 0), {keys} order by w.n desc) = 1"
        if sure and self.wire.distinct:
            last = "true"
        return (
            f"found as materialized (select w.n, {', '.join(columns)}, {self._wrong(staged)} as wrong, {last} as last "
            f"from {rows} {self.wire.resolving()} left join {self._target()} on {self._matching()})"
        )

    def _written(self, part: Part) -> list[int]:
        return [place for place in self._set if self._part(place) is part]

    def _differs(self, part: Part) -> str:
        places = self._written(part)
        if not places:
            return "false"
        ours, theirs = [], []
        for place in places:
            # What has no equality of its own is compared as text.
            as_text = "::text" if family_of_type(self._physical(place).type) is Family.OTHER else ""
            own = written(f"{part.alias}.{self._column(place)}", self._field(place))
            ours.append(f"{own}{as_text}")
            theirs.append(f"{self.wire.resolved(place)}{as_text}")
        there = " and ".join(f"{part.alias}.{quoted(column)} is not null" for column in part.identity)
        return f"({there} and ({', '.join(ours)}) is distinct from ({', '.join(theirs)}))"

    def _wrong(self, staged: bool) -> str:
        """What is wrong with a row: ``field: reason``, null where nothing is."""
        cases = ["when w.unmapped is not null then w.unmapped"] if staged else []
        for place, column in enumerate(self.wire.leg.columns):
            if place not in self._deferred:
                cases += self._faults(place, literal(f"{column.target}: "))
        for part in self.parts[1:]:
            if part.written and part.first:
                there, here = f"{part.alias}.{quoted(part.identity[0])}", f"t0.{quoted(self.root.identity[0])}"
                said = f"'the row of {part.source.table} that this one refers to does not exist'"
                cases.append(f"when {here} is not null and {there} is null then {said}")
        if not self._unique():
            cases.append("when count(*) over (partition by w.n) > 1 then 'several rows of the target have this key'")
        return f"case {' '.join(cases)} end" if cases else "null::text"

    def _faults(self, place: int, said: str) -> list[str]:
        column, physical, cases = self.wire.leg.columns[place], self._physical(place), []
        value = self.wire.resolved(place)
        if column.target_reference is not None:
            reason = literal(f"no row of {column.target_reference.entity.name} has this key: ")
            cases.append(f"when w.c{place} is not null and {value} is null then {said} || {reason} || w.c{place}::text")
        if column.key:
            cases.append(f"when w.c{place} is null then {said} || 'the integration key has no value'")
        elif not physical.nullable and column.null_out is None:
            cases.append(f"when {value} is null then {said} || 'a value is needed'")
        if column.target_reference is not None:
            return cases
        length = min(
            (n for n in (physical.length, self.wire.leg.target.fields[column.target].length) if n is not None),
            default=None,
        )
        if length is not None and self.wire.types[place] == "text":
            cases.append(f"when char_length({value}) > {length} then {said} || 'longer than {length} characters'")
        bound: object = _RANGES.get(physical.type)
        if bound is None and physical.type == "numeric" and physical.digits is not None:
            bound = f"1e{physical.digits - (physical.scale or 0)}"
        if bound is not None:
            cases.append(
                f"when w.c{place} >= {bound} or w.c{place} < -{bound} then {said} || 'the number is too large'"
            )
        return cases

    def _unique(self) -> bool:
        """Whether the databases see to it that a key has one row, and each lookup leads to one."""
        leg, target = self.wire.leg, self.wire.target
        if not self.root.table.names_one({self._name(p) for p in self._keys if self._part(p) is self.root}):
            return False
        for column in leg.columns:
            reference = column.target_reference
            if reference is not None:
                names = [reference.natural] + ([reference.company] if reference.company is not None else [])
                columns = {reference.entity.fields[name].column for name in names}
                if not target.tables[reference.entity.root.table].names_one(columns):
                    return False
        return True

    # -- statements -----------------------------------------------------------------------------------------------

    def statement(self, rows: str, sure: bool = False) -> str:
        """The merge of wire rows ``w``: n and outcome of each. Outcomes: +i, +u, +s (nothing to do), or a fault.

        ``sure``: that nobody else inserts rows with the same keys meanwhile; where somebody does, the statement fails.
        That is twice as fast.
        """
        return f"{self._merging(rows, sure=sure)} select n, outcome, {SYNC} from outcomes"

    def counting(self, rows: str, sure: bool = False) -> str:
        """The merge of staged rows: outcome, how many, and the places of rows in error. ``sure``: as above."""
        return (
            f"{self._merging(rows, staged=True, sure=sure)} select outcome, count(*), "
            f"array_agg(n) filter (where not starts_with(outcome, '+')), {SYNC} from outcomes group by outcome"
        )

    def _merging(self, rows: str, staged: bool = False, sure: bool = False) -> str:
        """The common table expressions of a merge, made once for each form of ``rows``."""
        known = self._made.get((rows, staged, sure))
        if known is None:
            known = self._made[rows, staged, sure] = self._make(rows, staged, sure)
        return known

    def _make(self, rows: str, staged: bool, sure: bool) -> str:
        good = "f.wrong is null and f.last"
        ctes, updates = [_IDS, self.found(rows, staged, sure)], []
        for part in self.parts:
            places = self._written(part)
            if places:
                sets = ", ".join(f"{self._column(place)} = f.v{place}" for place in places)
                ctes.append(
                    f"u{part.at} as (update {qualified(part.source.table)} t set {sets} from found f "
                    f"where {good} and f.d{part.at} and {part.same('f')} returning f.n)"
                )
                updates.append(f"select n from u{part.at}")
        absent = f"f.{self.root.ids[0]} is null"
        drawn = "".join(
            f", nextval(pg_get_serial_sequence({literal(qualified(part.source.table))}, {literal(name)})) as g{part.at}"
            for part in self.parts
            for name in part.drawn
            if part.written
        )
        kept = "materialized " if drawn else ""
        ctes.append(f"fresh as {kept}(select f.*{drawn} from found f where {good} and {absent})")
        for part in self.parts:
            if part.written and part is not self.root:
                ctes.append(f"i{part.at} as ({self._insertion(part, 'fresh')})")
                if not part.first:
                    missing = f"(select * from found f where {good} and not {absent} and f.{part.ids[0]} is null)"
                    ctes.append(f"m{part.at} as ({self._insertion(part, missing, extension=True)} returning 1)")
        alone = sum(part.written for part in self.parts) == 1
        conflict, outcome = "", "'+i'"
        if alone and not sure:
            keys = ", ".join(f"t.{self._column(place)} as k{place}" for place in self._keys)
            conflict = f" on conflict do nothing returning {keys}"
            there = f"exists (select from i0 i where {self._returned()})"
            outcome = f"case when {there} then '+i' else {literal(_TAKEN)} end"
        ctes.append(f"i0 as ({self._insertion(self.root, 'fresh')}{conflict})")
        before = "'+s'" if not staged else "'another row of the source has the same key'"
        changed = f"when f.n in ({' union all '.join(updates)}) then '+u' " if updates else ""
        ctes.append(
            f"outcomes as (select f.n, case when f.wrong is not null then f.wrong when not f.last then {before} "
            f"{changed}when not {absent} then '+s' else {outcome} end as outcome "
            "from found f)"
        )
        return f"with {', '.join(ctes)}"

    def _returned(self) -> str:
        return " and ".join(f"i.k{place} = f.v{place}" for place in self._keys)

    def _insertion(self, part: Part, rows: str, extension: bool = False) -> str:
        """Inserts a table's rows. ``extension``: to rows above that are there already."""
        values = {self._name(p): f"f.v{p}" for p in (*self._keys, *self._set) if self._part(p) is part}
        owner = self.wire.owner()
        if owner is not None and part is self.root:
            values[owner[0]] = "f.owner"
        for name in part.drawn:
            values[name] = f"f.g{part.at}"
        values.update({name: _ID for name in part.identity if name not in values and part.table.columns[name].random})
        above = {other.source.alias: other for other in self.parts}
        if part is not self.root and not part.first:
            for (alias, theirs), own in part.source.on:
                values[own] = self._known(above[alias], theirs, extension)
        for other in self.parts[1:]:
            if other.written and other.first:
                for (alias, theirs), own in other.source.on:
                    if alias == part.source.alias and own in other.drawn:
                        values[theirs] = f"f.g{other.at}"
        computed = any(part.table.columns[name].generated == "identity" for name in values)
        return (
            f"insert into {qualified(part.source.table)} as t ({', '.join(map(quoted, values))})"
            f"{' overriding system value' if computed else ''} select {', '.join(values.values())} from {rows} f"
        )

    def _known(self, part: Part, name: str, there: bool) -> str:
        """A value of the row above an extension."""
        for place in (*self._keys, *self._set):
            if self._part(place) is part and self._name(place) == name:
                return f"f.v{place}"
        if there and name in part.identity:
            return f"f.{part.ids[part.identity.index(name)]}"
        if name in part.drawn:
            return f"f.g{part.at}"
        raise Refusal("FC6004", f"{self.wire.leg.map}: {part.source.table}.{name} is not known when rows are inserted.")

    def deletion(self, rows: str) -> str:
        """Deletes the target's rows with the keys of the wire rows ``w``, which hold nothing else, and their
        extensions; a row that others may share (a party) stays. Returns n of each."""
        ids = ", ".join(
            f"{part.alias}.{quoted(column)} as {name}"
            for part in self.parts
            for column, name in zip(part.identity, part.ids, strict=True)
        )
        ctes = [
            f"gone as materialized (select w.n, {ids} from {rows} {self.wire.resolving(self._keys)} "
            f"join {self._target()} on {self._matching()})"
        ]
        for part in self.parts[1:]:
            if part.source.writable and not part.first:
                ctes.append(
                    f"e{part.at} as (delete from {qualified(part.source.table)} t using gone g where {part.same('g')})"
                )
        root = qualified(self.root.source.table)
        where = self.root.same("g")
        return f"with {', '.join(ctes)} delete from {root} t using gone g where {where} returning g.n, {SYNC}"

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self, unit: Unit, rows: Sequence[WireRow], apart: bool = True) -> Merged:
        """Merges rows. Raises what is no fault of a row; not ``apart``, also what the database refuses of one."""
        outcome: dict[int, str] = {}
        waiting = list(enumerate(rows))
        while waiting:
            if apart:
                await self._tried(unit, waiting, outcome)
            else:
                await self._merged(unit, waiting, outcome)
            told = {outcome[at] for at, _ in waiting}
            again = {text for text in told if self._in_batch(text)} if "+i" in told else set()
            waiting = [(at, row) for at, row in waiting if outcome[at] in again] if again else []
        errors = tuple(
            RowError(at, text, text.partition(":")[0] if ": " in text else "")
            for at, text in sorted(outcome.items())
            if not text.startswith("+")
        )

        def places(mark: str) -> tuple[int, ...]:
            return tuple(at for at, text in sorted(outcome.items()) if text == mark)

        return Merged(places("+i"), places("+u"), places("+s"), errors)

    def _in_batch(self, outcome: str) -> bool:
        """Whether what a row lacks may have been another row of the batch."""
        root = self.root.source.table
        return any(
            column.target_reference is not None
            and column.target_reference.entity.root.table == root
            and outcome.startswith(f"{column.target}: no row of ")
            for column in self.wire.leg.columns
        )

    async def _merged(
        self, unit: Unit, rows: list[tuple[int, WireRow]], outcome: dict[int, str], sure: bool = False
    ) -> None:
        source, arguments = arrays(self.wire, [row for _, row in rows])
        plan = SystemPlan(f"merge into {self.wire.leg.target.name}", self.statement(source, sure), tuple(arguments))
        for at, text, _ in await unit.system(plan):
            outcome[rows[at][0]] = text

    async def _tried(
        self, unit: Unit, rows: list[tuple[int, WireRow]], outcome: dict[int, str], sure: bool = True
    ) -> None:
        if not rows:
            return
        try:
            async with unit.savepoint():
                await self._merged(unit, rows, outcome, sure)
        except Refusal as refusal:
            if refusal.code not in OF_A_ROW:
                raise
            if sure:
                await self._tried(unit, rows, outcome, sure=False)
                return
            if len(rows) == 1:
                outcome[rows[0][0]] = refusal.message
                return
            middle = len(rows) // 2
            await self._tried(unit, rows[:middle], outcome, sure=False)
            await self._tried(unit, rows[middle:], outcome, sure=False)
