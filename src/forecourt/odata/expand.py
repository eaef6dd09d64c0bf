"""``$select``, ``$orderby`` and ``$expand``: lists of names over an entity.

::

    select   = "*" | field *( "," field )
    orderby  = path [ "asc" | "desc" ] *( "," ... )
    expand   = relation [ "(" option *( ";" option ) ")" ] *( "," ... )

Operations expand one level and take ``$select`` inside; Dataverse nests and takes ``$select $filter $orderby $top
$expand``. At most 15 relations are expanded per request, however nested. ``$top`` inside belongs to collections only.
Leaves out ``$levels``, ``Rel/$ref``, ``Rel/$count`` and ``*`` in ``$expand``.
Sources: operations-and-integration 5.3; pages-and-dataverse B1.1, B1.4.
"""

from __future__ import annotations

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import Expand, OrderBy
from forecourt.kernel.predicate import Predicate, Slot
from forecourt.kernel.types import Kind
from forecourt.odata.cursor import Cursor, Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.filter import parse_filter
from forecourt.odata.lexer import LiteralKind
from forecourt.odata.scope import Scope, field_at, target_of, unknown_name
from forecourt.odata.slots import SlotSpec, misfit, to_count

MAX_ORDER = 32


def parse_select(cursor: Cursor, entity: Entity, dialect: Dialect) -> tuple[str, ...] | None:
    """The selected fields, each once, or None for all."""
    if cursor.accept("*"):
        if cursor.accept(","):
            raise Refusal("FC1001", "* selects everything already.", source=cursor.source)
        return None
    names: dict[str, None] = {}
    while True:
        token = cursor.take()
        if token.type != "word":
            raise cursor.unexpected(token)
        if token.text not in entity.fields:
            if token.text in entity.relations:
                raise Refusal(
                    "FC1002", f"'{token.text}' is a relation.", hint=f"Use $expand={token.text}.", source=cursor.source
                )
            raise unknown_name(token.text, entity, cursor.source)
        names[token.text] = None
        if cursor.peek().type == "/":
            raise Refusal(
                "FC1004",
                f"'{token.text}' has no columns of its own.",
                hint="Use $expand=Relation($select=Column).",
                source=cursor.source,
            )
        if not cursor.accept(","):
            break
    if dialect.key_always:
        names.update(dict.fromkeys(entity.key))
    return tuple(names)


def parse_orderby(cursor: Cursor, scope: Scope) -> tuple[OrderBy, ...]:
    items: list[OrderBy] = []
    while True:
        token = cursor.take()
        if token.type != "word":
            raise cursor.unexpected(token)
        names = [token.text]
        while cursor.accept("/"):
            names.append(cursor.expect_word())
        _, path = field_at(names, scope, cursor.source)
        descending = cursor.at_word("desc")
        if descending or cursor.at_word("asc"):
            cursor.take()
        items.append(OrderBy(path, descending))
        if not cursor.accept(","):
            break
    if len(items) > MAX_ORDER:
        raise Refusal("FC1004", f"Rows are sorted by at most {MAX_ORDER} columns.", source=cursor.source)
    return tuple(items)


def parse_count_literal(cursor: Cursor, slots: Slots) -> Slot:
    """The number of ``$top`` and ``$skip``."""
    token = cursor.take()
    if token.type != "literal" or token.text != LiteralKind.INTEGER:
        raise misfit(cursor.source, "a whole number, as in 50,")
    spec = SlotSpec(Kind.INT64, LiteralKind.INTEGER, cursor.source, to_count(cursor.source))
    return slots.set(token.index, spec)


class ExpandParser:
    """Parses one ``$expand`` and all that is nested in it; counts the relations."""

    def __init__(self, cursor: Cursor, slots: Slots, dialect: Dialect) -> None:
        self.cursor = cursor
        self.slots = slots
        self.dialect = dialect
        self.found = 0

    def parse(self, scope: Scope) -> tuple[Expand, ...]:
        items: list[Expand] = []
        while True:
            item = self.item(scope)
            if any(item.relation == other.relation for other in items):
                raise Refusal("FC1001", f"'{item.relation}' is expanded twice.", source="$expand")
            items.append(item)
            if not self.cursor.accept(","):
                return tuple(items)

    def item(self, scope: Scope) -> Expand:
        cursor = self.cursor
        token = cursor.take()
        if token.type == "*":
            raise Refusal("FC1004", "$expand=* is not supported.", hint="Name the relations.", source="$expand")
        if token.type != "word":
            raise cursor.unexpected(token)
        relation = scope.entity.relations.get(token.text)
        if relation is None:
            if token.text in scope.entity.fields:
                raise Refusal("FC1002", f"'{token.text}' is a column; use $select.", source="$expand")
            raise unknown_name(token.text, scope.entity, "$expand")
        self.found += 1
        if self.found > self.dialect.max_expand:
            raise Refusal("FC1004", f"At most {self.dialect.max_expand} relations are expanded.", source="$expand")
        if cursor.peek().type == "/":
            raise Refusal(
                "FC1004",
                f"A path after '{relation.name}' is not supported in $expand.",
                hint=f"Write {relation.name}($expand=Other)." if self.dialect.nested_expand else "One level only.",
                source="$expand",
            )
        inner = Scope(scope.model, target_of(relation, scope.model))
        if not cursor.accept("("):
            return Expand(relation.name, select=None)
        return self.options(relation.name, relation.many, inner)

    def options(self, name: str, many: bool, scope: Scope) -> Expand:
        cursor = self.cursor
        select: tuple[str, ...] | None = None
        condition: Predicate | None = None
        order: tuple[OrderBy, ...] = ()
        top: Slot | None = None
        nested: tuple[Expand, ...] = ()
        seen: set[str] = set()
        while True:
            option = cursor.take()
            if option.type != "option":
                raise cursor.unexpected(option)
            if option.text not in self.dialect.expand_options:
                allowed = ", ".join(sorted(self.dialect.expand_options))
                raise Refusal(
                    "FC1004",
                    f"{option.text} is not supported inside $expand.",
                    hint=f"Supported are: {allowed}.",
                    source="$expand",
                )
            if option.text in seen:
                raise Refusal("FC1001", f"{option.text} is given twice inside $expand.", source="$expand")
            seen.add(option.text)
            cursor.expect("=")
            if option.text == "$select":
                select = parse_select(cursor, scope.entity, self.dialect)
            elif option.text == "$filter":
                condition = parse_filter(cursor, scope, self.slots, self.dialect)
            elif option.text == "$expand":
                nested = self.parse(scope)
            elif not many:
                raise Refusal("FC1004", f"'{name}' is a single row: {option.text} has no use.", source="$expand")
            elif option.text == "$orderby":
                order = parse_orderby(cursor, scope)
            else:
                top = parse_count_literal(cursor, self.slots)
            if not cursor.accept(";"):
                break
        cursor.expect(")")
        return Expand(name, select, condition, order, top, nested)
