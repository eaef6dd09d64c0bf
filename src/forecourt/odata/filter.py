"""``$filter``: tokens of a shape to a predicate, names resolved and types checked.

Grammar, loosest first (OData 4.0 Part 2, 5.1.1; ``not`` takes the whole comparison that follows)::

    or | and | not | eq ne gt ge lt le | add sub | mul div mod | primary
    primary   = "(" ... ")" | literal | null | true | false | path | function | path "/" any|all "(" ... ")"
    function  = contains | startswith | endswith  "(" path "," text ")"

Dataverse adds ``Microsoft.Dynamics.CRM.In`` and its like (``functions``); operations add arithmetic and ``eq '*x*'``.
Nesting is limited to 100 levels, and a chain of ``and``/``or`` is one flat predicate, so no consumer recurses deeply.
What a comparison means and which types it takes: ``comparison``. Leaves out ``in``, ``has``, date and text functions,
``$it``: refused with FC1004. Sources: operations-and-integration 5.3, 2.7; pages-and-dataverse B1.3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.types import Kind
from forecourt.odata import functions
from forecourt.odata.comparison import COMPARE, Comparer, Node, Term, check_text
from forecourt.odata.cursor import Cursor, Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import LiteralKind, Token
from forecourt.odata.scope import Scope, field_at, follow, target_of, unknown_name
from forecourt.odata.slots import SlotSpec, misfit, to_string

MAX_DEPTH = 100
MAX_CONDITIONS = 1000
MAX_LINKS = 15

_BINDING = {
    "or": 1, "and": 2, "eq": 4, "ne": 4, "gt": 4, "ge": 4, "lt": 4, "le": 4, "in": 4, "has": 4,
    "add": 5, "sub": 5, "mul": 6, "div": 6, "mod": 6,
}  # fmt: skip
_MATCH = frozenset({"contains", "startswith", "endswith"})


def parse_filter(cursor: Cursor, scope: Scope, slots: Slots, dialect: Dialect) -> p.Predicate:
    """The predicate at the cursor, up to the end or to a mark that can't belong to it."""
    parser = _Parser(cursor, slots, dialect)
    return parser.predicate(parser.expression(scope, 0, 0))


class _Parser:
    """Precedence climbing over the tokens of one filter: two calls per level of nesting."""

    def __init__(self, cursor: Cursor, slots: Slots, dialect: Dialect) -> None:
        self.cursor = cursor
        self.slots = slots
        self.dialect = dialect
        self.source = cursor.source
        self.comparer = Comparer(slots, dialect, cursor.source)
        self.conditions = 0
        self.links = 0

    # -------------------------------------------------------------------------------------- structure

    def expression(self, scope: Scope, binding: int, depth: int) -> Node:
        """What binds tighter than ``binding``."""
        if depth > MAX_DEPTH:
            raise Refusal("FC1001", f"{self.source} is nested deeper than {MAX_DEPTH} levels.", source=self.source)
        left = self.unary(scope, depth)
        while True:
            token = self.cursor.peek()
            strength = _BINDING.get(token.text, 0) if token.type == "word" else 0
            if strength <= binding:
                return left
            operator = self.cursor.take().text
            if operator in ("and", "or"):
                left = self.chain(operator, strength, left, scope, depth)
            elif operator in COMPARE:
                self.count()
                left = self.comparer.compare(operator, left, self.expression(scope, strength, depth + 1))
            elif operator == "in":
                raise self.no_in()
            elif operator == "has":
                raise Refusal("FC1004", "The operator has is not supported.", hint="Use eq.", source=self.source)
            else:
                left = self.comparer.arithmetic(operator, left, self.expression(scope, strength, depth + 1))

    def chain(self, operator: str, strength: int, left: Node, scope: Scope, depth: int) -> p.Predicate:
        items = [self.predicate(left)]
        while True:
            items.append(self.predicate(self.expression(scope, strength, depth + 1)))
            token = self.cursor.peek()
            if token.type != "word" or token.text != operator:
                break
            self.cursor.take()
        return p.all_of(*items) if operator == "and" else p.any_of(*items)

    def unary(self, scope: Scope, depth: int) -> Node:
        negations = 0
        while self.cursor.at_word("not"):
            self.cursor.take()
            negations += 1
            if depth + negations > MAX_DEPTH:
                raise Refusal("FC1001", f"{self.source} is nested deeper than {MAX_DEPTH} levels.", source=self.source)
        if negations:
            item = self.predicate(self.expression(scope, 3, depth + negations))
            return p.negate(item) if negations % 2 else item
        token = self.cursor.take()
        if token.type == "(":
            node = self.expression(scope, 0, depth + 1)
            self.cursor.expect(")")
            return node
        if token.type in ("literal", "enum"):
            return Term(token=token)
        if token.type != "word":
            raise self.cursor.unexpected(token)
        if token.text == "null":
            return Term()
        if token.text in ("true", "false"):
            return Term(operand=p.Const(token.text == "true"), kind=Kind.BOOLEAN)
        if self.cursor.peek().type == "(":
            return self.function(token.text, scope)
        return self.path(token, scope, depth)

    def predicate(self, node: Node) -> p.Predicate:
        """A node where a condition is wanted: a Boolean column stands for itself."""
        if not isinstance(node, Term):
            return node
        if isinstance(node.operand, p.Const):
            return p.TRUE if node.operand.value else p.FALSE
        if node.field is not None and node.kind is Kind.BOOLEAN and node.operand is not None:
            return p.Compare("eq", node.operand, p.Const(True))
        name = f"'{node.field.name}'" if node.field else "A value"
        raise Refusal(
            "FC1001", f"{name} is not a condition in {self.source}.", hint="Write Column eq value.", source=self.source
        )

    # ------------------------------------------------------------------------------------------ paths

    def path(self, token: Token, scope: Scope, depth: int) -> Node:
        names = [token.text]
        while self.cursor.peek().type == "/":
            self.cursor.take()
            step = self.cursor.take()
            if step.type == "option":
                raise Refusal(
                    "FC1004", f"{step.text} in a path is not supported.", hint="Use any().", source=self.source
                )
            if step.type != "word":
                raise self.cursor.unexpected(step)
            names.append(step.text)
        quantified = len(names) > 1 and names[-1] in ("any", "all") and self.cursor.peek().type == "("
        if scope.variable:
            if names[0] != scope.variable or len(names) == 1:
                raise Refusal(
                    "FC1004",
                    f"'{names[0][:100]}' cannot be used here.",
                    source=self.source,
                    hint=f"Inside any and all, columns begin with the innermost variable: {scope.variable}/Column.",
                )
            names = names[1:]
        if quantified and len(names) > 1:
            return self.quantified(names[:-1], names[-1], scope, depth)
        field, path = field_at(names, scope, self.source)
        self.note_links(len(path) - 1)
        return Term(operand=p.Field(path), kind=field.kind, field=field)

    def quantified(self, names: list[str], word: str, scope: Scope, depth: int) -> p.Predicate:
        owner, path = follow(names[:-1], scope, self.source)
        relation = owner.relations.get(names[-1])
        if relation is None:
            raise unknown_name(names[-1], owner, self.source)
        if not relation.many:
            raise Refusal(
                "FC1004",
                f"'{relation.name}' leads to a single row.",
                hint=f"Write {relation.name}/Column.",
                source=self.source,
            )
        self.note_links(len(names))
        full = (*path, relation.name)
        self.cursor.expect("(")
        if self.cursor.peek().type == ")":
            self.cursor.take()
            if word == "all":
                raise Refusal("FC1001", "all() needs a condition.", source=self.source)
            return p.Any(full, p.TRUE)
        variable = self.cursor.take()
        if variable.type != "word" or "." in variable.text:
            raise self.cursor.unexpected(variable)
        self.cursor.expect(":")
        inner = replace(scope, entity=target_of(relation, scope.model), variable=variable.text)
        body = self.predicate(self.expression(inner, 0, depth + 1))
        self.cursor.expect(")")
        return p.Any(full, body) if word == "any" else p.Not(p.Any(full, p.negate(body)))

    def note_links(self, count: int) -> None:
        self.links += count
        if self.links > MAX_LINKS:
            raise Refusal("FC1004", f"A filter crosses at most {MAX_LINKS} relations.", source=self.source)

    # -------------------------------------------------------------------------------------- functions

    def function(self, name: str, scope: Scope) -> p.Predicate:
        self.count()
        if name in _MATCH:
            return self.match(cast(p.MatchOp, name), scope)
        if self.dialect.crm_functions and name.startswith(functions.NAMESPACE):
            return functions.parse(name, self.cursor, scope, self.slots, self.dialect)
        known = "contains, startswith, endswith"
        if self.dialect.crm_functions:
            known += ", " + ", ".join(functions.NAMESPACE + item for item in functions.KNOWN)
        raise Refusal(
            "FC1004",
            f"The function '{name[:100]}' is not supported.",
            hint=f"Supported are: {known}.",
            source=self.source,
        )

    def match(self, operator: p.MatchOp, scope: Scope) -> p.Predicate:
        self.cursor.expect("(")
        head = self.cursor.take()
        if head.type != "word" or head.text in ("null", "true", "false") or self.cursor.peek().type == "(":
            raise Refusal(
                "FC1004",
                f"The first argument of {operator} is a column.",
                source=self.source,
                hint=f"Write {operator}(Column,'text').",
            )
        term = self.path(head, scope, 0)
        self.cursor.expect(",")
        token = self.cursor.take()
        self.cursor.expect(")")
        if not isinstance(term, Term) or term.operand is None or term.field is None:
            raise Refusal("FC1004", f"The first argument of {operator} is a column.", source=self.source)
        check_text(operator, term.field)
        if token.type != "literal" or LiteralKind(token.text) not in (LiteralKind.STRING, LiteralKind.WILDCARD):
            raise misfit(term.field.name, "text in single quotes, as in 'abc',")
        spec = SlotSpec(Kind.STRING, LiteralKind(token.text), term.field.name, to_string(term.field.name))
        return p.Match(operator, term.operand, self.slots.set(token.index, spec))

    def no_in(self) -> Refusal:
        hint = "Write A eq 1 or A eq 2."
        if self.dialect.crm_functions:
            hint = 'Write Microsoft.Dynamics.CRM.In(PropertyName=\'a\',PropertyValues=["1","2"]).'
        return Refusal("FC1004", "The operator in is not supported.", hint=hint, source=self.source)

    def count(self) -> None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise Refusal(
                "FC1005", f"{self.source} has more than {MAX_CONDITIONS} conditions.", status=400, source=self.source
            )
