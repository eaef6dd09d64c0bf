"""The operators of FetchXML's conditions, as predicates over one operand.

::

    eq ne neq lt le gt ge           as $filter's: text with its case; ne holds of null
    contain-values not-…            choices: one of the values at least, none of them
    like not-like                   % for any run of characters, _ for any one; passing over case
    begins-with ends-with …         passing over case
    in not-in between not-between null not-null
    on on-or-before on-or-after     of a day
    today this-week last-x-days …   ``clock``
    eq-userid ne-userid             the asking person
    eq-businessid ne-businessid     the asking user's business unit

What the values are for is said to a :class:`Values`: a request binds them when it runs, a rule has them as they are.
Left out (FC1004): the hierarchy, teams, the fiscal calendar, classes of characters in ``like``.
Sources: pages-and-dataverse B1.8, B1.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from forecourt.kernel import predicate as p
from forecourt.kernel.document import suggest
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import MOMENTS, Kind
from forecourt.odata.comparison import check_order, check_several, check_text, includes_any
from forecourt.odata.fetchxml.clock import Edge
from forecourt.odata.fetchxml.markup import Node, wrong
from forecourt.odata.slots import single

Person = Literal["user", "business"]


class Values(Protocol):
    """What becomes of the values of conditions. Each may raise Refusal FC1003 for a value that does not fit."""

    def value(self, field: EntityField, place: int) -> p.Operand:
        """The text at ``place`` as a value of the field."""
        ...

    def pattern(self, field: EntityField, place: int) -> p.Operand:
        """The text at ``place`` as a pattern of ``like``."""
        ...

    def day(self, field: EntityField, place: int, plus: int) -> p.Operand:
        """The start of the day that the text at ``place`` names, ``plus`` days later."""
        ...

    def moment(self, field: EntityField, edge: Edge, place: int | None) -> p.Operand:
        """A moment relative to now; the text at ``place`` is its number."""
        ...

    def person(self, field: EntityField, what: Person) -> p.Operand:
        """An id of the asking person, null where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` (included; None: no matter when) to ``end``, which is included where ``closed``. ``number``: the
    condition says how many."""

    start: Edge | None
    end: Edge | None
    number: bool = False
    closed: bool = False


_NOW = Edge()


def _unit(floor: Literal["week", "month", "year"], plus: int) -> Span:
    unit = cast(Literal["weeks", "months", "years"], f"{floor}s")
    return Span(Edge(floor=floor, plus=plus, plus_unit=unit), Edge(floor=floor, plus=plus + 1, plus_unit=unit))


def _day(plus: int) -> Span:
    return Span(Edge(floor="day", plus=plus), Edge(floor="day", plus=plus + 1))


SPANS: Mapping[str, Span] = {
    "today": _day(0),
    "yesterday": _day(-1),
    "tomorrow": _day(1),
    **{f"{word}-{unit}": _unit(unit, plus)
       for word, plus in (("last", -1), ("this", 0), ("next", 1)) for unit in ("week", "month", "year")},
    "last-seven-days": Span(Edge(floor="day", plus=-7), _NOW, closed=True),
    "next-seven-days": Span(_NOW, Edge(floor="day", plus=8)),
    "last-x-hours": Span(Edge("hours", -1), _NOW, number=True, closed=True),
    "next-x-hours": Span(_NOW, Edge("hours", 1), number=True, closed=True),
    **{f"last-x-{unit}": Span(Edge(unit, -1, "day"), _NOW, number=True, closed=True)
       for unit in ("days", "weeks", "months", "years")},
    **{f"next-x-{unit}": Span(_NOW, Edge(unit, 1, "day", 1), number=True)
       for unit in ("days", "weeks", "months", "years")},
    **{f"olderthan-x-{unit}": Span(None, Edge(unit, -1), number=True)
       for unit in ("minutes", "hours", "days", "weeks", "months", "years")},
}  # fmt: skip

COMPARISONS: Mapping[str, p.CompareOp] = {
    "eq": "eq", "ne": "ne", "neq": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge",
}  # fmt: skip

_MATCHES: Mapping[str, tuple[p.MatchOp, bool]] = {
    "like": ("like", False),
    "not-like": ("like", True),
    "begins-with": ("startswith", False),
    "not-begin-with": ("startswith", True),
    "ends-with": ("endswith", False),
    "not-end-with": ("endswith", True),
}

Condition = Callable[[Node, EntityField, p.Operand, Values], p.Predicate]


def condition(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    """The predicate of a condition over the operand, which is of the field. Raises Refusal FC1001, FC1003, FC1004."""
    operator = node.get("operator")
    make = OPERATORS.get(operator)
    if make is None:
        known = suggest(operator[:60], OPERATORS) if operator else 'Write operator="eq".'
        raise wrong(f"The operator '{operator[:60]}' of a condition is not supported.", known, "FC1004")
    return make(node, field, operand, values)


def _takes(node: Node, least: int, most: int | None) -> None:
    if node.count < least or (most is not None and node.count > most):
        words = {0: "no value", 1: "one value", 2: "two values"}
        wanted = words[least] if least == most else "values"
        raise wrong(f"The operator '{node.get('operator')}' takes {wanted}; {node.count} are given.")


def _compare(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 1, 1)
    op = COMPARISONS[node.get("operator")]
    check_order(op, field)
    return p.Compare(op, operand, values.value(field, node.first))


def _match(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 1, 1)
    op, negated = _MATCHES[node.get("operator")]
    check_text(f"'{node.get('operator')}'", field)
    found = p.Match(op, operand, (values.pattern if op == "like" else values.value)(field, node.first))
    return p.Not(found) if negated else found


def _includes(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 1, None)
    check_several(f"'{node.get('operator')}'", field)
    found = includes_any(operand, [values.value(single(field), node.first + place) for place in range(node.count)])
    return found if node.get("operator") == "contain-values" else p.Not(found)


def _null(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 0, 0)
    found = p.IsNull(operand)
    return found if node.get("operator") == "null" else p.Not(found)


def _in(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 1, None)
    found = p.In(operand, tuple(values.value(field, node.first + place) for place in range(node.count)))
    return found if node.get("operator") == "in" else p.Not(found)


def _between(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 2, 2)
    check_order("le", field)
    low, high = (values.value(field, node.first + place) for place in range(2))
    found = p.all_of(p.Compare("ge", operand, low), p.Compare("le", operand, high))
    return found if node.get("operator") == "between" else p.Not(found)


def _on(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 1, 1)
    _dated(node, field)
    conditions = []
    if node.get("operator") != "on-or-before":
        conditions.append(p.Compare("ge", operand, values.day(field, node.first, 0)))
    if node.get("operator") != "on-or-after":
        conditions.append(p.Compare("lt", operand, values.day(field, node.first, 1)))
    return p.all_of(*conditions)


def _span(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    span = SPANS[node.get("operator")]
    _takes(node, int(span.number), int(span.number))
    _dated(node, field)
    place = node.first if span.number else None
    conditions = []
    if span.start is not None:
        conditions.append(p.Compare("ge", operand, values.moment(field, span.start, place)))
    if span.end is not None:
        conditions.append(p.Compare("le" if span.closed else "lt", operand, values.moment(field, span.end, place)))
    return p.all_of(*conditions)


def _person(node: Node, field: EntityField, operand: p.Operand, values: Values) -> p.Predicate:
    _takes(node, 0, 0)
    operator, _, _ = node.get("operator").partition("-")
    what: Person = "user" if node.get("operator").endswith("userid") else "business"
    if field.kind is not Kind.GUID or field.record_of is not None:
        raise wrong(
            f"'{node.get('operator')}' compares with an id; '{field.name}' holds none of that kind.", code="FC1003"
        )
    found = p.Compare("eq", operand, values.person(field, what))
    return found if operator == "eq" else p.Not(found)


def _dated(node: Node, field: EntityField) -> None:
    if field.kind not in MOMENTS:
        message = f"'{node.get('operator')}' looks at dates; '{field.name}' is of type {field.kind}."
        raise wrong(message, code="FC1003")


#: Every operator that is known.
OPERATORS: Mapping[str, Condition] = {
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(_MATCHES, _match),
    **dict.fromkeys(("contain-values", "not-contain-values"), _includes),
    **dict.fromkeys(("null", "not-null"), _null),
    **dict.fromkeys(("in", "not-in"), _in),
    **dict.fromkeys(("between", "not-between"), _between),
    **dict.fromkeys(("on", "on-or-before", "on-or-after"), _on),
    **dict.fromkeys(SPANS, _span),
    **dict.fromkeys(("eq-userid", "ne-userid", "eq-businessid", "ne-businessid"), _person),
}
