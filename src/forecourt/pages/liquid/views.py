"""``entityview`` and ``entitylist``: rows of a table by one of its views, with search, order and pages.

The tag's arguments say what is asked for: ``id``, or ``logical_name`` and ``name``; ``page``, ``page_size`` (10),
``order`` (``name ASC, createdon DESC``), ``search`` (from the beginning of the view's texts; ``*`` in front: anywhere).
Within ``entitylist`` the list's first view and page size count where the tag says nothing. Columns and filter are the
view's; rows and columns are those that the person may read. ``metafilter`` chooses of the panel of the list around it,
``filter`` whose rows it has; without a list they are refused: passed over, they would show more than was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forecourt.dataverse.definitions import View
from forecourt.dataverse.rows import Query
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Field, Match, MatchOp, Slot, all_of, any_of
from forecourt.kernel.types import Kind
from forecourt.pages.filtering import PARAMETER, Filtering, Panel, gathered, persons
from forecourt.pages.liquid.faults import DataError, Unsupported
from forecourt.pages.liquid.objects import PageScope
from forecourt.pages.liquid.records import logical
from forecourt.pages.liquid.values import Lookup
from forecourt.pages.lists import view_columns, view_order
from forecourt.pages.lists.asked import Narrowing
from forecourt.pages.searching.reader import MAX_SIZE as SEARCH_MOST
from forecourt.pages.searching.reader import PAGE_SIZE as SEARCH_SIZE
from forecourt.pages.site import ListDefinition
from forecourt.pages.site.list_filters import Choosing

PAGE_SIZE = 10
MAX_PAGE_SIZE = 250
MAX_SEARCH = 100
MAX_ROWS = 50_000

#: Where a view keeps the groups of its list's filter panel.
METAFILTERS = "metafilters"

#: Arguments that would narrow the rows in ways that are not there.
_NARROWING = ("filter", "metafilter", "metafilters")


class EntityList(Lookup):
    """A list. ``definition``, ``views``: what an ``entityview`` within it takes from it."""

    def __init__(self, definition: ListDefinition, table: Table, views: Sequence[tuple[View, str]]) -> None:
        self.definition = definition
        self.table = table
        self.views = tuple(views)
        super().__init__(
            {
                "id": str(definition.id),
                "name": definition.name,
                "adx_name": definition.name,
                "entity_logical_name": table.name,
                "entity_name": table.name,
                "primary_key_name": table.primary_id,
                "views": [
                    Lookup({"id": view.id, "name": label, "display_name": label}, label) for view, label in views
                ],
                "page_size": definition.page_size,
                "search_enabled": definition.search,
                "search_placeholder": definition.search_placeholder,
                "empty_list_text": definition.empty_text,
                "detail_id_parameter": definition.id_parameter,
                "id_query_string_parameter_name": definition.id_parameter,
                "filter_enabled": bool(definition.filters),
                "filter_definition": definition.columns.get("adx_filter_definition", ""),
                "filter_apply_label": definition.apply_label,
                "filter_account_attribute_name": definition.account_column or None,
                "filter_portal_user_attribute_name": definition.person_column or None,
                "enable_entity_permissions": True,
            },
            definition.name,
        )


def entity_list(scope: PageScope, given: Mapping[str, Any]) -> EntityList:
    """The list that ``id``, ``name`` or ``key`` (either) names. Raises DataError where there is none."""
    wanted = str(given.get("id") or given.get("key") or given.get("name") or "").lower()
    for definition in scope.site.lists.values():
        if wanted and wanted in (str(definition.id).lower(), definition.name.lower()):
            table = scope.data.tables.by_name.get(definition.table)
            if table is None:
                break
            return EntityList(definition, table, scope.lists.views(definition))
    raise DataError(f"the list '{wanted[:100]}' does not exist", token=None)


async def entity_view(scope: PageScope, given: Mapping[str, Any], around: EntityList | None) -> Lookup:
    """The rows of a view. Raises DataError, Unsupported, Refusal."""
    table, view = _view(scope, given, around)
    for name in _NARROWING if around is None or around.table.name != table.name else ():
        if given.get(name):
            hint = "Put the list of the table around it, or filter with 'fetchxml'."
            raise Unsupported(f"'{name}' of 'entityview' is not supported here. {hint}", token=None)
    readable = await scope.data.readable(table.name)
    columns = view_columns(table, view, readable)
    order, sorts = _order(table, view, str(given.get("order") or ""), readable)
    size = _number(given.get("page_size"), around.definition.page_size if around else PAGE_SIZE, MAX_PAGE_SIZE)
    page = _number(given.get("page"), 1, max(1, MAX_ROWS // size))
    where, slots = scope.data.view_filter(table, view.filter)
    search = " ".join(str(given.get("search") or "").split())[:MAX_SEARCH]
    texts = [column for column, _ in columns if column.kind is Kind.STRING and column.enum is None]
    if search.strip("*") and texts:
        kind: MatchOp = "contains" if search.startswith("*") else "startswith"
        slot = Slot(len(slots), Kind.STRING)
        found = [Match(kind, Field((column.name,)), slot) for column in texts]
        where, slots = all_of(where, any_of(*found)), (*slots, search.strip("*"))
    panel: Panel | None = None
    left = Narrowing(where, slots)
    owners: tuple[str, ...] = ()
    owner = ""
    if around is not None and table.name == around.table.name:
        definition = around.definition
        owners = persons.ways(definition.person_column, definition.account_column)
        owner = str(given.get("filter") or "").lower()
        owner = owner if owner in owners else (owners[0] if owners else "")
        own = definition.person_column if owner == persons.PERSON else definition.account_column
        left.add(*persons.own_rows(table, scope.visit.principal, owner, own, readable))
        if definition.filters:
            scope.data.spend()
            panels = Filtering(scope.data.tables, scope.data.rows, scope.data.view_filter)
            asked = gathered([(PARAMETER, str(given.get("metafilter") or ""))])
            narrowed = await panels.read(scope.visit.principal, definition, table, asked, scope.visit.locales)
            panel = narrowed.panel
            for condition in narrowed.where:
                left.add(*condition)
    spoken = scope.visit.locales.label
    where, slots = left.where, left.slots
    names = dict.fromkeys([*(column.name for column, _ in columns), table.primary_name])
    if table.primary_name not in readable:
        del names[table.primary_name]
    query = Query(table.name, tuple(names), where, slots, order, size=size, skip=(page - 1) * size)
    read = await scope.data.page(query)
    rows, total = read if read is not None else ([], 0)
    pages = -(-total // size)
    return Lookup(
        {
            "id": view.id,
            "name": spoken(view.name),
            "display_name": spoken(view.name),
            "logical_name": table.name,
            "entity_logical_name": table.name,
            "primary_key_logical_name": table.primary_id,
            "columns": [_column(column, spoken(label), sorts) for column, label in columns],
            "records": rows,
            "total_records": total,
            "total_pages": pages,
            "page": page,
            "page_size": size,
            "pages": list(range(1, min(pages, 1_000) + 1)),
            "first_page": 1 if pages else None,
            "last_page": pages or None,
            "next_page": page + 1 if page < pages else None,
            "previous_page": page - 1 if page > 1 else None,
            "search": search,
            "filter": owner or None,
            "filters": list(owners),
            "metafilter": panel.chosen if panel is not None else "",
            METAFILTERS: _groups(panel, spoken) if panel is not None else [],
            "order": str(given.get("order") or ""),
            "entity_permission_denied": read is None,
        },
        spoken(view.name),
    )


def _groups(panel: Panel, spoken: Callable[[str], str]) -> list[Lookup]:
    """The groups of a filter panel, as the filter ``metafilters`` gives them."""
    found = []
    for group in panel.groups:
        options = [
            Lookup(
                {
                    "id": item.value,
                    "type": None,
                    "label": spoken(item.label),
                    "checked": item.checked,
                    "text": spoken(item.label),
                }
            )
            for item in group.choices
        ] or [
            Lookup(
                {"id": str(place), "type": "text", "label": spoken(item.label), "checked": False, "text": item.value}
            )
            for place, item in enumerate(group.inputs)
        ]
        mode = "Single" if group.choosing is Choosing.ONE else group.choosing.value.title()
        name = group.name.removeprefix(f"{PARAMETER}.")
        about = {"id": name, "label": spoken(group.label), "selection_mode": mode, "options": options}
        found.append(Lookup(about, spoken(group.label)))
    return found


async def search_index(scope: PageScope, given: Mapping[str, Any]) -> Lookup:
    """What a search finds: ``results``, ``approximate_total_hits``, ``page``, ``page_size``."""
    scope.data.spend()
    label = str(given.get("filter") or "").lower()
    names = next((names for name, names in scope.searching.filters if name.lower() == label), ())
    listed = [name.strip() for name in str(given.get("logical_names") or "").split(",") if name.strip()]
    size = _number(given.get("page_size"), SEARCH_SIZE, SEARCH_MOST)
    number = _number(given.get("page"), 1, MAX_ROWS)
    found = await scope.searching.search(scope.visit, str(given.get("query") or ""), (*listed, *names), number, size)
    first = (found.number - 1) * found.size
    return Lookup(
        {
            "approximate_total_hits": found.total,
            "page": found.number,
            "page_number": found.number,
            "page_size": found.size,
            "results": [
                Lookup(
                    {
                        "entity_id": hit.id,
                        "id": hit.id,
                        "entity_logical_name": hit.table,
                        "logical_name": hit.table,
                        "fragment": hit.fragment,
                        "number": first + place,
                        "score": hit.score,
                        "title": hit.title,
                        "url": hit.url,
                    },
                    hit.title,
                )
                for place, hit in enumerate(found.hits, 1)
            ],
        }
    )


def _view(scope: PageScope, given: Mapping[str, Any], around: EntityList | None) -> tuple[Table, View]:
    wanted = str(given.get("id") or "").strip("{}")
    if wanted:
        for table in scope.data.tables.by_name.values():
            view = next((view for view in table.views if view.id.lower() == wanted.lower()), None)
            if view is not None:
                return table, view
        raise DataError(f"the view '{wanted[:100]}' does not exist", token=None)
    named = given.get("logical_name")
    if named is None:
        if around is None or not around.views:
            raise DataError("'entityview' names a view: by id, or by logical_name and name", token=None)
        return around.table, around.views[0][0]
    found = scope.data.tables.by_name.get(str(named).lower())
    name = str(given.get("name") or "")
    view = next((view for view in found.views if view.name.lower() == name.lower()), None) if found else None
    if found is None or view is None:
        raise DataError(f"the table '{str(named)[:100]}' has no view '{name[:100]}'", token=None)
    return found, view


def _order(
    table: Table, view: View, asked: str, readable: frozenset[str]
) -> tuple[tuple[OrderBy, ...], Mapping[str, bool]]:
    """The order to read in, and by which columns (descending)."""
    found: list[OrderBy] = []
    for part in asked.split(",")[:8]:
        words = part.split()
        field = _field(table, words[0]) if words else None
        if field is not None and field.name in readable and all(item.path != (field.name,) for item in found):
            found.append(OrderBy((field.name,), len(words) > 1 and words[1].upper().startswith("DESC")))
    order = tuple(found) or view_order(view, readable)
    return order, {item.path[0]: item.descending for item in order}


def _field(table: Table, name: str) -> EntityField | None:
    lowered = name.lower()
    return next(
        (
            field
            for field in table.entity.fields.values()
            if lowered in (field.name.lower(), logical(field.name).lower())
        ),
        None,
    )


def _column(column: EntityField, label: str, sorts: Mapping[str, bool]) -> Lookup:
    name = logical(column.name)
    ascending, descending = f"{name} ASC", f"{name} DESC"
    return Lookup(
        {
            "logical_name": name,
            "name": label,
            "display_name": label,
            "attribute_type": "Lookup" if column.targets else column.kind.value.capitalize(),
            "sort_ascending": ascending,
            "sort_descending": descending,
            "sort_enabled": True,
            "current_sort": (descending if sorts[column.name] else ascending) if column.name in sorts else None,
            "width": None,
        },
        label,
    )


def _number(value: object, default: int, most: int) -> int:
    try:
        found = int(str(value))
    except ValueError:
        return min(default, most)
    return min(max(found, 1), most)
