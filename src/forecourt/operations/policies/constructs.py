"""Constructs from their files (operations-and-integration 4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from forecourt.kernel.errors import DefinitionError
from forecourt.operations.definitions import ConstructFile
from forecourt.operations.policies.queries import QueryBuilder
from forecourt.security.constructs import Construct, Refresh
from forecourt.store.catalog import Catalog
from forecourt.store.folder import Faults, Loaded


def build_constructs(
    loaded: Iterable[Loaded[ConstructFile]], catalog: Catalog | None, attributes: frozenset[str], faults: Faults
) -> dict[str, Construct]:
    """All constructs by name."""
    found: dict[str, Construct] = {}
    for item in loaded:
        try:
            construct = _construct(item, catalog, attributes)
        except DefinitionError as error:
            faults.add(error)
            continue
        if construct.name in found:
            message = f"construct {construct.name} is defined twice."
            faults.add(item.document.error(message, "name", code="FC6003"))
            continue
        found[construct.name] = construct
    return found


def _construct(item: Loaded[ConstructFile], catalog: Catalog | None, attributes: frozenset[str]) -> Construct:
    file, document = item.record, item.document
    builder = QueryBuilder(document, catalog, attributes, {})
    table = builder.table(file.table, "table")
    if not file.keys:
        raise document.error("a construct needs keys.", "keys", hint="Write name: Alias.column.")
    query = builder.build(table, file.alias or table.name, file.query)
    construct = Construct(
        name=file.name,
        sources=query.sources,
        filter=query.filter,
        keys=tuple((name, builder.reference(text, query.aliases, "keys", name)) for name, text in file.keys.items()),
        refresh=Refresh(file.refresh),
        label=file.label,
        where=document.where("name"),
    )
    if construct.timed and construct.refresh is Refresh.PER_SESSION:
        raise document.error(
            f"construct {construct.name} looks at the clock, so that its set cannot be kept.",
            "refresh" if "refresh" in document.data else "name",
            hint="Write refresh: PerInvocation.",
        )
    return construct
