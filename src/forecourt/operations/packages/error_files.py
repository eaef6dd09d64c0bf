"""Files of the rows that an import has left out: what they were, and why.

``<entity>-errors.csv``        row, message, field, and every column of the row; for both phases
``<entity>-error-keys.csv``    row, message and the key of each row that the target has turned down
Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.types import Kind
from forecourt.operations.packages.blobs import Blobs
from forecourt.operations.packages.records import Job, Part, RowState, WrongRow
from forecourt.operations.packages.register import Register
from forecourt.operations.packages.values import cell_of

_PAGE = 1_000
_WORDS = EntityField("", "", "", Kind.STRING)


async def write_errors(register: Register, job: Job, part: Part, entity: Entity, file: io.BufferedIOBase) -> int:
    """Writes all rows that were left out. Returns how many."""
    names: dict[str, None] = {}
    async for page in _pages(register, job, part, 0):
        names.update(dict.fromkeys(name for row in page for name in row.texts))
    columns = [entity.fields[name] for name in names if name in entity.fields]
    return await _write(register, job, part, 0, columns, file)


async def keep_file(register: Register, blobs: Blobs, job: Job, part: Part, entity: Entity, what: str) -> UUID | None:
    """Makes a blob: ``staging``, the rows that were wrong in the file; ``keys``, the keys of those turned down by the
    target. None: there are no such rows."""
    state = RowState.REFUSED if what == "keys" else RowState.WRONG
    names = entity.key
    if what != "keys":
        found: dict[str, None] = {}
        async for page in _pages(register, job, part, state):
            found.update(dict.fromkeys(name for row in page for name in row.texts))
        names = tuple(found)
    with tempfile.TemporaryFile() as file:
        count = await _write(register, job, part, state, [entity.fields[name] for name in names], file)
        if not count:
            return None
        file.seek(0)
        ending = "error-keys" if what == "keys" else "errors"
        async with register.database.transaction("keep a file of errors") as tx:
            return await blobs.keep(tx, job.owner.user, f"{entity.public_name}-{ending}.csv", file)


async def _write(
    register: Register, job: Job, part: Part, state: int, columns: Sequence[EntityField], file: io.BufferedIOBase
) -> int:
    count = 0
    _put(file, [["row", "message", "field", *(field.name for field in columns)]], "utf-8-sig")
    async for page in _pages(register, job, part, state):
        _put(file, [_cells(row, columns) for row in page])
        count += len(page)
    return count


def _cells(row: WrongRow, columns: Sequence[EntityField]) -> list[str]:
    return [str(row.n), cell_of(row.message, _WORDS), row.field, *(_cell(row, field) for field in columns)]


def _cell(row: WrongRow, field: EntityField) -> str:
    """A value that may be anything: in a number's column, too, it must not become a formula."""
    text = row.texts.get(field.name, "")
    return "" if text is None and field.kind is not Kind.STRING else cell_of(text, _WORDS)


def _put(file: io.BufferedIOBase, rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    file.write(text.getvalue().encode(encoding))


async def _pages(register: Register, job: Job, part: Part, state: int) -> AsyncIterator[list[WrongRow]]:
    after = 0
    while rows := await register.wrong(job, part.place, state, after, _PAGE):
        yield rows
        after = rows[-1].n
