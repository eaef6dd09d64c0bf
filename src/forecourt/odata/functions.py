"""Dataverse's query functions in ``$filter``: ``Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=["1","2"])``.

::

    In, NotIn              PropertyValues: any number of values
    Between, NotBetween    PropertyValues: two values, both included
    ContainValues          PropertyValues: the choices have one of these at least
    DoesNotContainValues   PropertyValues: the choices have none of these, or there are none

Values stand in quotes whatever the column's type, or without. ``PropertyName`` is part of the shape; it may be a path
over single-valued relations. The functions that look at the clock, the fiscal calendar, the hierarchy or the asking
user are left out: FC1004. Source: pages-and-dataverse B1.3; clients.md.
"""

from __future__ import annotations

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.types import Kind
from forecourt.odata.comparison import check_several, includes_any
from forecourt.odata.cursor import Cursor, Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import LiteralKind
from forecourt.odata.scope import Scope, field_at
from forecourt.odata.slots import field_slot, single

NAMESPACE = "Microsoft.Dynamics.CRM."
KNOWN = ("In", "NotIn", "Between", "NotBetween", "ContainValues", "DoesNotContainValues")


def parse(name: str, cursor: Cursor, scope: Scope, slots: Slots, dialect: Dialect) -> p.Predicate:
    """The function ``name`` at the cursor, which stands before its parenthesis."""
    short = name.removeprefix(NAMESPACE)
    if short not in KNOWN:
        raise Refusal(
            "FC1004",
            f"The query function '{name[:100]}' is not supported.",
            hint="Supported are: " + ", ".join(NAMESPACE + item for item in KNOWN) + ".",
            source=cursor.source,
        )
    cursor.expect("(")
    names: list[str] = []
    values: list[p.Slot] = []
    pending: list[tuple[int, LiteralKind]] = []
    while True:
        parameter = cursor.expect_word()
        cursor.expect("=")
        if parameter == "PropertyName" and not names:
            names.append(cursor.expect_word())
            while cursor.accept("/"):
                names.append(cursor.expect_word())
        elif parameter == "PropertyValues" and not pending:
            pending = _values(cursor)
        else:
            raise Refusal("FC1001", f"{short} has no parameter '{parameter[:100]}'.", source=cursor.source)
        if not cursor.accept(","):
            break
    cursor.expect(")")
    if not names or not pending:
        raise Refusal(
            "FC1001",
            f"{short} needs PropertyName and PropertyValues.",
            source=cursor.source,
            hint=f'{name}(PropertyName=\'column\',PropertyValues=["1","2"])',
        )
    if scope.variable and len(names) > 1 and names[0] == scope.variable:
        names = names[1:]
    field, path = field_at(names, scope, cursor.source)
    among = short.endswith("ContainValues")
    if among:
        check_several(short, field)
    compared = single(field) if among else field
    for index, literal in pending:
        values.append(slots.set(index, field_slot(compared, literal, "", scope.model, dialect, quoted=True)))
    operand = p.Field(path)
    if among:
        found: p.Predicate = includes_any(operand, values)
        return found if short == "ContainValues" else p.Not(found)
    if short in ("In", "NotIn"):
        found = p.In(operand, tuple(values))
        return found if short == "In" else p.Not(found)
    if len(values) != 2:
        raise Refusal("FC1001", f"{short} needs two values.", source=cursor.source)
    if field.kind in (Kind.ENUM, Kind.BOOLEAN) or field.record_of is not None:
        raise Refusal("FC1004", f"'{field.name}' has no order.", hint="Use In.", source=field.name)
    found = p.all_of(p.Compare("ge", operand, values[0]), p.Compare("le", operand, values[1]))
    return found if short == "Between" else p.Not(found)


def _values(cursor: Cursor) -> list[tuple[int, LiteralKind]]:
    cursor.expect("[")
    found: list[tuple[int, LiteralKind]] = []
    while True:
        token = cursor.take()
        if token.type != "literal":
            raise cursor.unexpected(token)
        found.append((token.index, LiteralKind(token.text)))
        if not cursor.accept(","):
            break
    cursor.expect("]")
    return found
