"""A fetch as a plan: its columns, links, order, groups, page.

What the text decides and what it leaves to the moment: a :class:`Wish` is read from each text (its page, its cookie);
:func:`plan` turns its shape into a plan once. Names of the answer::

    attribute of the entity            its field: name, _primarycontactid_value
    attribute of a link                <alias>.<logical name>
    with alias="x"                     x

A link without an alias gets one: its table's name, and a number where that is taken or the link leads to many rows. An
entity without attributes shows all of them, a link none. Orders count from the outside in. Left out (FC1004):
``matchfirstrowusingcrossapply``, ``rowaggregate``, fiscal groups, ``aggregatelimit``, ``datasource``, ``options``.
Source: pages-and-dataverse B1.8.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from forecourt.kernel import predicate as p
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.plan import Link, OrderBy, ReadPlan, Shape, ShapeColumn
from forecourt.kernel.relation import AggregateFunction, DateUnit
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml import cookie
from forecourt.odata.fetchxml.filters import EXISTING, Filters, attribute, joined, logical, table
from forecourt.odata.fetchxml.markup import Fetch, Node, entity_of, read, wrong
from forecourt.odata.fetchxml.values import Asker, Bindings, Bound
from forecourt.odata.lexer import Literal, LiteralKind
from forecourt.odata.paging import Position, fingerprint, read_token
from forecourt.odata.shapes import completed, is_unique, result_entity
from forecourt.odata.slots import position_slot

MAX_PAGE = 5_000

#: Rows that may be reached by the number of a page, without a cookie.
MAX_SIMPLE = 50_000

MAX_COLUMNS = 500
MAX_ORDER = 32

_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_FUNCTIONS: Mapping[str, AggregateFunction] = {
    "count": "count",
    "countcolumn": "countcolumn",
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
}
_UNITS = ("day", "week", "month", "quarter", "year")

#: Attributes of ``fetch`` that are not part of its shape: they say which rows of the answer.
_OF_PAGE = frozenset({"page", "paging-cookie", "top", "count"})


@dataclass(frozen=True)
class Wish:
    """A fetch as one request has it. ``fetch``: its shape and texts, without its page; ``size``: rows of a page at
    most, None with ``top``; ``position``: of a cookie."""

    fetch: Fetch
    size: int | None
    top: int | None = None
    page: int = 1
    position: Position | None = None
    query: bytes = b""

    @property
    def offset(self) -> int:
        """Rows to skip, where no cookie says where to go on."""
        return 0 if self.position is not None or self.size is None else (self.page - 1) * self.size

    @property
    def shape(self) -> Hashable:
        """What decides the plan."""
        position = self.position.shape if self.position is not None else None
        return (self.fetch.root, self.size, bool(self.offset), position)

    def place_of_positions(self) -> int:
        """Where in all texts the position's begin."""
        return len(self.fetch.texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of conditions, then those of the position."""
        if self.position is None:
            return self.fetch.texts
        return (*self.fetch.texts, *(literal.text for literal in self.position.literals))


@dataclass(frozen=True)
class ParsedFetch:
    """``result``: the answer's columns as an entity; ``asked``: the entity whose set it is."""

    plan: ReadPlan
    bounds: tuple[Bound, ...]
    asked: Entity
    result: Entity

    def bind(self, texts: Sequence[str], asker: Asker) -> tuple[object, ...]:
        """The values of the slots. Raises Refusal FC1003."""
        return tuple(bound(texts, asker) for bound in self.bounds)


def wish(text: str, page_size: int | None = None) -> Wish:
    """Reads a FetchXML. ``page_size``: what the client prefers where the text says nothing.

    Raises Refusal FC1001, FC1004, FC1005, FC1007.
    """
    fetch = read(text)
    root = fetch.root
    top, count, page = (_number(root, name) for name in ("top", "count", "page"))
    bare = Fetch(replace(root, attributes=_shaped(root)), fetch.texts)
    literals = [Literal(LiteralKind.STRING, value) for value in fetch.texts]
    query = fingerprint(_words(bare.root), literals)
    if top is not None:
        if count is not None or page is not None or root.get("paging-cookie"):
            raise wrong("The top attribute can't be specified with paging attribute page.", "Leave one of them out.")
        return Wish(bare, None, min(top, MAX_PAGE), query=query)
    size = min(count or page_size or MAX_PAGE, MAX_PAGE)
    position = read_token(cookie.read(root.get("paging-cookie")), query) if root.get("paging-cookie") else None
    found = Wish(bare, size, None, max(page or 1, 1), position, query)
    if found.offset >= MAX_SIMPLE:
        raise wrong(f"Without a paging cookie pages end at {MAX_SIMPLE} rows.", "Use the cookie.", "FC1004")
    return found


def _number(root: Node, name: str) -> int | None:
    text = root.get(name)
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise wrong(f"'{name}' of <fetch> is a whole number.")
    return int(text)


def _shaped(root: Node) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in root.attributes if pair[0] not in _OF_PAGE)


def _words(node: Node) -> Hashable:
    """A node as plain values, the same in every process."""
    return (node.tag, node.attributes, node.first, node.count, tuple(_words(child) for child in node.children))


def plan(wish: Wish, asked: Entity, model: Model) -> ParsedFetch:
    """The plan of a fetch for rows of the entity set. Raises Refusal FC1001-FC1005, FC1007."""
    root = wish.fetch.root
    node = entity_of(wish.fetch)
    if node.get("name") != asked.name:
        raise wrong(f"The FetchXML asks for '{node.get('name')[:100]}', the URL for '{asked.name}'.", code="FC1002")
    bindings = Bindings(model)
    reading = _Reading(model, asked, Filters(model, bindings), root.flag("aggregate"), root.flag("distinct"))
    read = reading.read(node, asked)
    orders = tuple(reading.orders())
    shape = Shape(tuple(reading.columns), read.links, reading.aggregate, reading.distinct and not reading.aggregate)
    found = completed(
        ReadPlan(
            asked.name,
            filter=None if read.filter == p.TRUE else read.filter,
            order=orders,
            skip=p.Slot(0, Kind.INT32) if wish.offset else None,
            want="rows+count" if root.flag("returntotalrecordcount") else "rows",
            cross_company=True,
            page_size=wish.size,
            shape=shape,
        ),
        model,
    )
    result = result_entity(found, model)
    found = replace(found, after=_after(wish, found, result, bindings))
    return ParsedFetch(found, tuple(bindings.bounds), asked, result)


def _after(wish: Wish, found: ReadPlan, result: Entity, bindings: Bindings) -> tuple[p.Slot | None, ...] | None:
    if wish.position is None:
        return None
    kinds = wish.position.shape.split(" ")
    if len(kinds) != len(found.order):
        raise Refusal("FC1007", "The paging cookie was not issued for this query.", source="paging-cookie")
    slots: list[p.Slot | None] = []
    place = wish.place_of_positions()
    for item, kind in zip(found.order, kinds, strict=True):
        if kind == "null":
            slots.append(None)
            continue
        spec = position_slot(result.fields[item.path[0]], LiteralKind(kind[1]))
        if spec is None:
            raise Refusal("FC1007", "The paging cookie was not issued for this query.", source="paging-cookie")
        slots.append(bindings.slot(spec.kind, _text_at(place, spec.convert)))
        place += 1
    return tuple(slots)


def _text_at(place: int, convert: object) -> Bound:
    assert callable(convert)
    return lambda texts, asker: convert(texts[place])


@dataclass(frozen=True, slots=True)
class _Rows:
    links: tuple[Link, ...]
    filter: p.Predicate


@dataclass
class _Reading:
    """Reads elements; columns and orders gather as they are met."""

    model: Model
    root: Entity
    filters: Filters
    aggregate: bool
    distinct: bool
    columns: list[ShapeColumn] = field(default_factory=list)
    linked: dict[str, Entity] = field(default_factory=dict)
    #: Orders by the depth that they stand at: (alias of the entity, element).
    sorts: list[tuple[int, str, Node]] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)

    def read(self, node: Node, entity: Entity, alias: str = "", depth: int = 0) -> _Rows:
        """An ``entity`` or ``link-entity``: what is linked to it, and its condition."""
        self._columns(node, entity, alias)
        self.sorts.extend((depth, alias, item) for item in node.all("order"))
        links, existing = [], []
        for child in node.all("link-entity"):
            if child.get("link-type", "inner") in EXISTING:
                existing.append(self._exists(child, entity))
            else:
                links.append(self._link(child, entity, depth + 1))
        if not alias:
            self.filters.links = self.linked
        condition = self.filters.of(node, entity)
        return _Rows(tuple(links), p.all_of(condition, *existing))

    def _exists(self, node: Node, entity: Entity) -> p.Predicate:
        kind = node.get("link-type")
        if kind not in ("exists", "in"):
            raise wrong(f"A link-entity of type '{kind}' stands in a filter.", code="FC1004")
        return self.filters.existing(node, entity)

    def _link(self, node: Node, above: Entity, depth: int) -> Link:
        kind = node.get("link-type", "inner")
        if kind not in ("inner", "natural", "outer"):
            raise wrong(f"The link-type '{kind[:40]}' is not supported.", "Write inner or outer.", "FC1004")
        self.filters.link()
        target = table(self.model, node.get("name"))
        on = (joined(node, above, target),)
        alias = self._alias(node, target, frozenset(theirs for _, theirs in on))
        self.linked[alias] = target
        rows = self.read(node, target, alias, depth)
        condition = None if rows.filter == p.TRUE else rows.filter
        return Link(alias, target.name, on, kind != "outer", condition, rows.links)

    def _alias(self, node: Node, target: Entity, fields: frozenset[str]) -> str:
        self.tables[target.name] = self.tables.get(target.name, 0) + 1
        alias = node.get("alias")
        if not alias:
            alias = target.name
            if alias in self.linked or not is_unique(target, fields):
                alias = f"{target.name}{self.tables[target.name]}"
        if not _ALIAS.fullmatch(alias):
            raise wrong(f"'{alias[:60]}' is not an alias.", "Write letters, digits and _.")
        if alias in self.linked:
            raise wrong(f"The alias '{alias}' is given twice.")
        return alias

    # -- columns -------------------------------------------------------------------------------------------------

    def _columns(self, node: Node, entity: Entity, alias: str) -> None:
        items = node.all("attribute")
        if self.aggregate:
            if node.all("all-attributes"):
                raise wrong("all-attributes has no use in an aggregate.", code="FC1004")
            for item in items:
                self._add(self._computed(item, entity, alias))
            return
        if any(item.get(name) for item in items for name in ("aggregate", "groupby", "dategrouping")):
            raise wrong('Aggregates need <fetch aggregate="true">.')
        if node.all("all-attributes") or not (items or alias):
            for found in entity.fields.values():
                name = f"{alias}.{logical(found)}" if alias else found.name
                self._add(ShapeColumn(name, alias, found.name))
        for item in items:
            found = attribute(entity, item.get("name"))
            name = item.get("alias") or (f"{alias}.{logical(found)}" if alias else found.name)
            if item.get("alias"):
                _check_alias(name)
            column = ShapeColumn(name, alias, found.name)
            if column not in self.columns:
                self._add(column)
        if not alias and not self.distinct:
            for key in entity.key:
                if all((column.alias, column.field, column.name) != ("", key, key) for column in self.columns):
                    self._add(ShapeColumn(key, "", key))

    def _computed(self, item: Node, entity: Entity, alias: str) -> ShapeColumn:
        name = item.get("alias")
        _check_alias(name)
        found = attribute(entity, item.get("name"))
        if item.flag("groupby"):
            part = item.get("dategrouping")
            if part and part not in _UNITS:
                raise wrong(f"'{part[:40]}' is no dategrouping here.", f"Known are: {', '.join(_UNITS)}.", "FC1004")
            return ShapeColumn(name, alias, found.name, None, cast(DateUnit, part) if part else None)
        function = _FUNCTIONS.get(item.get("aggregate"))
        if function is None:
            hint = suggest(item.get("aggregate")[:60], _FUNCTIONS)
            raise wrong(f"The attribute '{name}' is grouped by or has an aggregate.", hint, "FC1004")
        if item.flag("distinct"):
            if function != "countcolumn":
                raise wrong("distinct goes with countcolumn.", code="FC1004")
            function = "countdistinct"
        return ShapeColumn(name, alias, found.name, function)

    def _add(self, column: ShapeColumn) -> None:
        if any(column.name == other.name for other in self.columns):
            raise wrong(f"Two columns of the answer are called '{column.name}'.", "Give one an alias.")
        self.columns.append(column)
        if len(self.columns) > MAX_COLUMNS:
            raise wrong(f"An answer has at most {MAX_COLUMNS} columns.", code="FC1005")

    # -- order ---------------------------------------------------------------------------------------------------

    def orders(self) -> list[OrderBy]:
        """The orders, those of outer entities first."""
        found: list[OrderBy] = []
        for _, alias, node in sorted(self.sorts, key=lambda item: item[0]):
            name = self._sorted_by(alias, node)
            if all(name != item.path[0] for item in found):
                found.append(OrderBy((name,), node.flag("descending")))
        if len(found) > MAX_ORDER:
            raise wrong(f"Rows are sorted by at most {MAX_ORDER} columns.", code="FC1004")
        return found

    def _sorted_by(self, alias: str, node: Node) -> str:
        named = node.get("alias")
        if named:
            if all(column.name != named for column in self.columns):
                known = suggest(named[:60], [column.name for column in self.columns])
                raise wrong(f"No column of the answer is called '{named[:60]}'.", known, "FC1002")
            return named
        if self.aggregate:
            raise wrong("An aggregate is sorted by an alias.", 'Write <order alias="…"/>.')
        alias = node.get("entityname") or alias
        if alias and alias not in self.linked:
            raise wrong(f"No link-entity has the alias '{alias[:60]}'.", suggest(alias[:60], self.linked), "FC1002")
        if not node.get("attribute"):
            raise wrong("An order names an attribute.")
        found = attribute(self.linked[alias] if alias else self.root, node.get("attribute"))
        for column in self.columns:
            if (column.alias, column.field) == (alias, found.name):
                return column.name
        if self.distinct:
            raise wrong(f"Distinct rows cannot be sorted by '{logical(found)}'.", "Show that column.", "FC1004")
        column = ShapeColumn(f"@sort.{alias}.{found.name}", alias, found.name)
        self.columns.append(column)
        return column.name


def _check_alias(name: str) -> None:
    if not name:
        raise wrong("Each column of an aggregate has an alias.")
    if not _ALIAS.fullmatch(name):
        raise wrong(f"'{name[:60]}' is not an alias.", "Write letters, digits and _.")
