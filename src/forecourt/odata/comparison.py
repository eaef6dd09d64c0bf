"""What stands on the two sides of an operator of ``$filter``, and what the comparison means.

Decides which comparisons have a type (``kernel.types.comparable``), what their literals are for (``slots``) and their
predicate. Two-valued throughout (``kernel.predicate``); beyond plain comparisons::

    x eq null, x ne null         IsNull and its negation; other operators with null are false
    x eq '*a*'                   a text match, in dialects with wildcards; ``ne`` negates it
    enum, row id, Boolean        eq and ne only: they have no order of their own
    condition eq true            the condition

That the day 1900-01-01 means null in some columns is seen to where fields become columns. Two columns are compared
where their types are; arithmetic takes numbers. Two literals are not compared.
Sources: operations-and-integration 2.5, 2.7, 5.3; pages-and-dataverse B1.3; OData 4.0 Part 2, 5.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import INTEGERS, NUMBERS, Kind, comparable
from forecourt.odata.cursor import Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import LiteralKind, Token
from forecourt.odata.slots import expected_form, field_slot, misfit, number_slot

COMPARE = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
MAX_ARITHMETIC = 32

_FLIP = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


@dataclass(frozen=True, slots=True)
class Term:
    """An operand before its slot is known. A literal has ``token``, null neither operand nor token."""

    operand: p.Operand | None = None
    kind: Kind | None = None
    field: EntityField | None = None
    token: Token | None = None
    depth: int = 0

    @property
    def null(self) -> bool:
        return self.operand is None and self.token is None

    @property
    def keyword(self) -> bool:
        """``true`` or ``false``."""
        return isinstance(self.operand, p.Const)


Node = p.Predicate | Term


def literal_of(token: Token) -> tuple[LiteralKind, str]:
    """The kind of a literal token, and the type name of an enum literal."""
    return (LiteralKind.ENUM, token.text) if token.type == "enum" else (LiteralKind(token.text), "")


class Comparer:
    """Builds comparisons and computations of one option."""

    def __init__(self, slots: Slots, dialect: Dialect, source: str) -> None:
        self.slots = slots
        self.dialect = dialect
        self.source = source

    def compare(self, operator: str, left: Node, right: Node) -> p.Predicate:
        """``left operator right``."""
        if not isinstance(left, Term) or not isinstance(right, Term):
            return self._truth(operator, left, right)
        if left.operand is None or left.keyword:
            left, right, operator = right, left, _FLIP[operator]
        if left.operand is None or left.keyword:
            raise Refusal(
                "FC1004", "One side of a comparison is a column.", hint="Write Column eq value.", source=self.source
            )
        op = cast(p.CompareOp, operator)
        if right.null:
            return self._null(op, left.operand)
        if right.token is not None:
            return self._literal(op, left, left.operand, right.token)
        return self._operands(op, left, right)

    def _truth(self, operator: str, left: Node, right: Node) -> p.Predicate:
        """``contains(...) eq true`` and the like."""
        if isinstance(left, Term):
            left, right = right, left
        if (
            operator in ("eq", "ne")
            and not isinstance(left, Term)
            and isinstance(right, Term)
            and isinstance(right.operand, p.Const)
        ):
            return left if (operator == "eq") == bool(right.operand.value) else p.negate(left)
        raise Refusal(
            "FC1001",
            "A condition can only be compared with true or false.",
            hint="Join conditions by and, or.",
            source=self.source,
        )

    def _null(self, op: p.CompareOp, operand: p.Operand) -> p.Predicate:
        if op not in ("eq", "ne"):
            return p.FALSE
        item = p.IsNull(operand)
        return item if op == "eq" else p.Not(item)

    def _literal(self, op: p.CompareOp, left: Term, operand: p.Operand, token: Token) -> p.Predicate:
        literal, enum_type = literal_of(token)
        field = left.field
        if field is None:
            return p.Compare(op, operand, self.slots.set(token.index, number_slot(literal, self.source)))
        slot = self.slots.set(token.index, field_slot(field, literal, enum_type, self.slots.model, self.dialect))
        check_order(op, field)
        if literal is LiteralKind.WILDCARD and field.kind is Kind.STRING and op in ("eq", "ne"):
            found = p.Match("wildcard", operand, slot)
            return found if op == "eq" else p.Not(found)
        return p.Compare(op, operand, slot)

    def _operands(self, op: p.CompareOp, left: Term, right: Term) -> p.Predicate:
        assert left.operand is not None and right.operand is not None
        for term in (left, right):
            if term.field is not None:
                check_order(op, term.field)
        if _alike(left, right):
            return p.Compare(op, left.operand, right.operand)
        if right.keyword and left.field is not None:
            raise misfit(left.field.name, expected_form(left.field, self.slots.model, self.dialect))
        field = left.field or right.field
        name = field.name if field else "A value"
        raise Refusal(
            "FC1003",
            f"'{name}' cannot be compared with that: the types {left.kind} and {right.kind} differ.",
            source=name,
        )

    def arithmetic(self, operator: str, left: Node, right: Node) -> Term:
        """``left operator right`` as a number: double, else decimal, unless both sides are integers."""
        if not self.dialect.arithmetic:
            raise Refusal("FC1004", f"The operator {operator} is not supported.", source=self.source)
        first, second = self._number(operator, left), self._number(operator, right)
        depth = max(first.depth, second.depth) + 1
        if depth > MAX_ARITHMETIC:
            raise Refusal("FC1001", f"More than {MAX_ARITHMETIC} nested computations.", source=self.source)
        assert first.operand is not None and second.operand is not None
        kinds = {first.kind, second.kind}
        kind = Kind.DOUBLE if Kind.DOUBLE in kinds else Kind.INT64 if kinds <= INTEGERS else Kind.DECIMAL
        return Term(p.Arith(cast(p.ArithOp, operator), first.operand, second.operand), kind, depth=depth)

    def _number(self, operator: str, node: Node) -> Term:
        if isinstance(node, Term):
            if node.token is not None:
                spec = number_slot(literal_of(node.token)[0], self.source)
                return Term(self.slots.set(node.token.index, spec), spec.kind)
            if node.kind in NUMBERS:
                return node
        name = node.field.name if isinstance(node, Term) and node.field else self.source
        raise Refusal("FC1003", f"{operator} computes with numbers only.", source=name)


def check_order(op: str, field: EntityField) -> None:
    """Refuses (FC1004) an order of values that have none."""
    if op in ("eq", "ne"):
        return
    if field.kind in (Kind.ENUM, Kind.BOOLEAN) or field.several or field.record_of is not None:
        raise Refusal(
            "FC1004",
            f"'{field.name}' can only be compared by eq and ne.",
            source=field.name,
            hint="Join several values by or.",
        )


def check_several(name: str, field: EntityField) -> None:
    """Refuses (FC1003) what looks for choices in a field that holds none, or one."""
    if not field.several:
        hint = "Compare it with eq, or with In." if field.kind is Kind.ENUM else ""
        raise Refusal(
            "FC1003", f"{name} looks for choices; '{field.name}' does not hold several.", hint=hint, source=field.name
        )


def check_text(name: str, field: EntityField) -> None:
    """Refuses (FC1003) a search for text in a field that holds none."""
    if field.several:
        hint = "Ask for choices by ContainValues, or contain-values in FetchXML."
        raise Refusal("FC1003", f"{name} looks into text; '{field.name}' holds choices.", hint=hint, source=field.name)
    if field.kind is not Kind.STRING:
        raise Refusal("FC1003", f"{name} looks into text; '{field.name}' is of type {field.kind}.", source=field.name)


def includes_any(operand: p.Operand, values: Sequence[p.Operand]) -> p.Predicate:
    """Choices have one of the values at least."""
    return p.any_of(*(p.Match("includes", operand, value) for value in values))


def _alike(left: Term, right: Term) -> bool:
    if left.kind is None or right.kind is None or not comparable(left.kind, right.kind):
        return False
    if left.kind is Kind.ENUM:
        return left.field is not None and right.field is not None and left.field.enum == right.field.enum
    return len({term.field.record_of for term in (left, right) if term.field is not None}) <= 1
