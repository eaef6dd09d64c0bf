"""``$apply``: rows filtered, grouped, summed up; a :class:`~forecourt.kernel.plan.Shape`, as FetchXML's aggregates are.

::

    apply      = *( "filter(" condition ")" "/" ) last
    last       = "groupby((" path *( "," path ) ")" [ "," aggregate ] ")"  |  aggregate
    aggregate  = "aggregate(" item *( "," item ) ")"
    item       = path "with" sum|min|max|average|countdistinct "as" name  |  "$count" "as" name

A path crosses single-valued relations; a column that is grouped by is called by its path with ``_`` between its parts.
A row whose related row does not exist, or not for the asker, is grouped under null. ``$orderby`` and ``$top`` come
after it and name columns of the answer. Left out (FC1004): steps after the grouping, ``concat``, ``compute``,
``rollup``. Source: pages-and-dataverse B1.5.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel import predicate as p
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy, Shape, ShapeColumn
from forecourt.kernel.relation import AggregateFunction
from forecourt.odata.cursor import Cursor, Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.expand import MAX_ORDER
from forecourt.odata.filter import parse_filter
from forecourt.odata.links import Links
from forecourt.odata.scope import Scope, field_at

MAX_COLUMNS = 100

_FUNCTIONS: Mapping[str, AggregateFunction] = {
    "sum": "sum",
    "min": "min",
    "max": "max",
    "average": "avg",
    "countdistinct": "countdistinct",
}


def parse_apply(cursor: Cursor, scope: Scope, slots: Slots, dialect: Dialect) -> tuple[Shape, p.Predicate]:
    """The shape of the answer, and which rows it is made of. Raises Refusal FC1001-FC1004."""
    return _Parser(cursor, scope, slots, dialect).parse()


def parse_order(cursor: Cursor, shape: Shape) -> tuple[OrderBy, ...]:
    """``$orderby`` over the columns of a shape."""
    known = [column.name for column in shape.columns]
    found: list[OrderBy] = []
    while True:
        names = [cursor.expect_word()]
        while cursor.accept("/"):
            names.append(cursor.expect_word())
        name = "_".join(names)
        if name not in known:
            message = f"The answer of $apply has no column '{name[:100]}'."
            raise Refusal("FC1002", message, hint=suggest(name[:100], known), source=cursor.source)
        descending = cursor.at_word("desc")
        if descending or cursor.at_word("asc"):
            cursor.take()
        if all(item.path != (name,) for item in found):
            found.append(OrderBy((name,), descending))
        if not cursor.accept(","):
            break
    if len(found) > MAX_ORDER:
        raise Refusal("FC1004", f"Rows are sorted by at most {MAX_ORDER} columns.", source=cursor.source)
    return tuple(found)


class _Parser:
    def __init__(self, cursor: Cursor, scope: Scope, slots: Slots, dialect: Dialect) -> None:
        self.cursor = cursor
        self.scope = scope
        self.slots = slots
        self.dialect = dialect
        self.links = Links(scope.model, scope.entity, cursor.source)
        self.columns: list[ShapeColumn] = []

    def parse(self) -> tuple[Shape, p.Predicate]:
        conditions = []
        while True:
            word = self.cursor.expect_word()
            self.cursor.expect("(")
            if word == "filter":
                conditions.append(parse_filter(self.cursor, self.scope, self.slots, self.dialect))
                self.cursor.expect(")")
                if not self.cursor.accept("/"):
                    hint = "Use $filter, or go on with /groupby((...))."
                    raise Refusal("FC1004", "$apply ends with groupby or aggregate.", hint=hint, source="$apply")
                continue
            if word == "groupby":
                self.groupby()
            elif word == "aggregate":
                self.aggregate()
            else:
                hint = "Supported are: aggregate, filter, groupby."
                raise Refusal("FC1004", f"'{word[:60]}' is not supported in $apply.", hint=hint, source="$apply")
            self.cursor.expect(")")
            break
        if self.cursor.peek().type == "/":
            raise Refusal(
                "FC1004", "Nothing follows a grouping in $apply.", hint="Use $orderby, $top.", source="$apply"
            )
        return Shape(tuple(self.columns), self.links.tree(), grouped=True), p.all_of(*conditions)

    def groupby(self) -> None:
        self.cursor.expect("(")
        while True:
            names, alias, name = self.path()
            self.add(ShapeColumn("_".join(names), alias, name))
            if not self.cursor.accept(","):
                break
        self.cursor.expect(")")
        if self.cursor.accept(","):
            word = self.cursor.expect_word()
            if word != "aggregate":
                raise Refusal("FC1004", f"'{word[:60]}' is not supported in groupby.", source="$apply")
            self.cursor.expect("(")
            self.aggregate()
            self.cursor.expect(")")

    def aggregate(self) -> None:
        while True:
            token = self.cursor.peek()
            if token.type == "option" and token.text == "$count":
                self.cursor.take()
                self.add(ShapeColumn(self.named(), "", "", "count"))
            else:
                _, alias, name = self.path()
                if not self.cursor.at_word("with"):
                    raise self.cursor.unexpected(self.cursor.peek(), "with")
                self.cursor.take()
                word = self.cursor.expect_word()
                function = _FUNCTIONS.get(word)
                if function is None:
                    hint = suggest(word[:60], _FUNCTIONS) or "Known are: " + ", ".join(_FUNCTIONS) + "."
                    raise Refusal(
                        "FC1004", f"The aggregate '{word[:60]}' is not supported.", hint=hint, source="$apply"
                    )
                self.add(ShapeColumn(self.named(), alias, name, function))
            if not self.cursor.accept(","):
                return

    def path(self) -> tuple[list[str], str, str]:
        """A path to a column: its parts, the alias of what it leads through, the column."""
        names = [self.cursor.expect_word()]
        while self.cursor.accept("/"):
            names.append(self.cursor.expect_word())
        found, path = field_at(names, self.scope, self.cursor.source)
        return names, self.links.along(path[:-1]), found.name

    def named(self) -> str:
        if not self.cursor.at_word("as"):
            raise self.cursor.unexpected(self.cursor.peek(), "as")
        self.cursor.take()
        name = self.cursor.expect_word()
        if "." in name or len(name) > 100:
            raise Refusal("FC1001", f"'{name[:100]}' is not a name.", hint="Write letters, digits, _.", source="$apply")
        return name

    def add(self, column: ShapeColumn) -> None:
        if any(column.name == other.name for other in self.columns):
            raise Refusal("FC1001", f"Two columns of the answer are called '{column.name}'.", source="$apply")
        self.columns.append(column)
        if len(self.columns) > MAX_COLUMNS:
            raise Refusal("FC1005", f"An answer has at most {MAX_COLUMNS} columns.", status=400, source="$apply")
