"""Which rows somebody has changed that is not dealt with yet: by integration key, among all notes that wait.

Asked in the transaction that has just written to these rows, and so holds them, the answer is final: who changed one
before has committed and left a note, who comes later waits. The transaction's own notes are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.sync import Position, Unit, WireRow
from forecourt.store.sync.capture import quoted, relation_of
from forecourt.store.sync.merge import arrays
from forecourt.store.sync.wire import Wire

#: The rows of a note as objects, whichever way they were kept.
_OBJECTS = """case when o.images then o.rows else (
    select jsonb_agg((select jsonb_object_agg(c.name, r.value -> (c.n::int - 1))
                      from unnest(o.columns) with ordinality as c(name, n)))
    from jsonb_array_elements(o.rows) as r(value)) end"""


async def touched(unit: Unit, wire: Wire, position: Position, keys: Sequence[WireRow]) -> list[dt.datetime | None]:
    """When notes behind ``position`` last touched the root table's rows with these integration keys, by place; None
    where none does. Notes that the leg's map has taken do not count."""
    leg, places = wire.leg, [place for place, column in enumerate(wire.leg.columns) if column.key]
    rows, args = arrays(wire, keys, places)
    since, until, after, relation, name = (f"${len(args) + at}" for at in range(1, 6))
    waiting = (
        f"o.xid >= pg_snapshot_xmin({since}::text::pg_snapshot) "
        f"and not pg_visible_in_snapshot(o.xid, {since}::text::pg_snapshot) "
        f"and not ({until}::text <> '' and o.id <= {after}::bigint "
        f"and pg_visible_in_snapshot(o.xid, nullif({until}::text, '')::pg_snapshot)) "
        f"and o.xid is distinct from pg_current_xact_id_if_assigned() "
        f"and o.relation = {relation}::text and not o.taken @> array[{name}::text]"
    )
    root = (
        f'(select o.at as "@at", noted.* from forecourt.outbox o '
        f"cross join lateral jsonb_to_recordset({_OBJECTS}) as noted({wire.noted()}) where {waiting})"
    )
    same = " and ".join(f"{wire.bare(wire.sent[place])} = w.c{place}" for place in places)
    sql = (
        f'select w.n, max({quoted(leg.source.root.alias)}."@at") {wire.reading(root)} '
        f"join {rows} on {same} group by w.n"
    )
    args += [position.since, position.until, position.after, relation_of(leg.source.root.table), leg.map]
    plan = SystemPlan(f"changes of {leg.source.name} that wait", sql, tuple(args))
    found = {row[0]: row[1] for row in await unit.system(plan, writes=False)}
    return [found.get(at) for at in range(len(keys))]
