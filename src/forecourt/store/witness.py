"""The fingerprint of the rows that a decision rests on, the same from Python and from SQL.

Distinct rows; of each its outputs as text (null: U+001D) joined by U+001F; rows sorted by code point and joined by
U+001E. No rows at all have the fingerprint U+001E, which no row has: an empty row and no row are two things.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from forecourt.store.storage import Expression

_NULL, _ROWS, _COLUMNS = "\x1d", "\x1e", "\x1f"


def fingerprint(rows: Iterable[Sequence[str | None]]) -> str:
    """The fingerprint of rows as text, in any order.

    >>> fingerprint([("V2", None), ("V1", "x"), ("V2", None)]) == "V1\\x1fx\\x1eV2\\x1f\\x1d"
    True
    """
    lines = {_COLUMNS.join(_NULL if value is None else value for value in row) for row in rows}
    return _ROWS.join(sorted(lines)) if lines else _ROWS


def fingerprint_of(rows: sa.Select[tuple[object, ...]]) -> sa.ScalarSelect[str]:
    """A subquery that gives the fingerprint of a select, all of whose columns are text."""
    inner = rows.subquery(sa.sql.quoted_name("@rows", True))
    line: Expression | None = None
    for column in inner.c:
        text = sa.func.coalesce(column, _control(_NULL))
        line = text if line is None else line.op("||")(_control(_COLUMNS)).op("||")(text)
    assert line is not None, "a witness has outputs"
    line = sa.collate(line, "C")
    joined = sa.func.string_agg(sa.distinct(line), aggregate_order_by(_control(_ROWS), line))
    return sa.select(sa.func.coalesce(joined, _control(_ROWS))).select_from(inner).scalar_subquery()


def _control(character: str) -> Expression:
    return sa.literal_column(f"chr({ord(character)})")
