"""One sentence for each field of each definition file, by shape: for JSON Schemas and the reference pages."""

from __future__ import annotations

from typing import Final

from forecourt.cli.words import dataverse, maps, operations, solution
from forecourt.kernel.solution import Record

#: What each field says, by shape. A test holds it against the shapes: nothing missing, nothing left over.
FIELDS: Final[dict[type[Record], dict[str, str]]] = {
    **solution.FIELDS,
    **operations.FIELDS,
    **dataverse.FIELDS,
    **maps.FIELDS,
}
