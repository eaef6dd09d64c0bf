"""The filter of a view: OData text over the table's columns, parsed as every ``$filter`` is."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.predicate import TRUE, Predicate
from forecourt.odata import query, request
from forecourt.odata.dialect import DATAVERSE
from forecourt.pages.ports import ViewFilter


def view_filters(tables: Tables) -> ViewFilter:
    """Parses filters of views of ``tables``, each once. Raises Refusal FC1001-FC1003 for what is no filter."""

    @lru_cache(maxsize=1024)
    def parse(collection: str, text: str) -> tuple[Predicate, tuple[object, ...]]:
        asked = request.analyse(collection, f"$filter={quote(text, safe='')}", DATAVERSE)
        parsed = query.plan(asked, tables.model, DATAVERSE)
        return parsed.plan.filter or TRUE, parsed.bind(asked.literals)

    def view_filter(table: Table, text: str) -> tuple[Predicate, tuple[object, ...]]:
        return parse(table.entity.collection, text.strip()) if text.strip() else (TRUE, ())

    return view_filter
