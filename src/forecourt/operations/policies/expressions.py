"""Expressions of constrained tables: comparisons joined by ``and`` (operations-and-integration 4.2).

::

    expression  = comparison { ("and" | "&&") comparison }      each may stand in parentheses
    comparison  = operand ("=" | "==" | "<>" | "!=" | "<" | "<=" | ">" | ">=") operand
    operand     = Alias.column | 'text' | number

Decides what is written; what the names mean is the policy's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from forecourt.kernel.predicate import Column, Compare, CompareOp, Const, Operand

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_$]*\.[A-Za-z_][A-Za-z0-9_$]*)|(?P<word>and\b|&&)"
    r"|(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<op><=|>=|<>|!=|==|=|<|>)|(?P<paren>[()]))",
    re.IGNORECASE,
)
_OPERATORS: dict[str, CompareOp] = {
    "=": "eq",
    "==": "eq",
    "<>": "ne",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_expression(text: str) -> tuple[Compare, ...]:
    """The comparisons of an expression, over Columns by alias. Raises ValueError, saying what is expected where."""
    tokens = _tokens(text)
    found: list[Compare] = []
    place = 0

    def take(fits: Callable[[_Token], bool], expected: str) -> _Token:
        nonlocal place
        if place >= len(tokens):
            raise ValueError(f"{expected} is missing at the end")
        token = tokens[place]
        if not fits(token):
            raise ValueError(f"{expected} is expected, not {token.text}")
        place += 1
        return token

    def operand() -> Operand:
        token = take(lambda each: each.kind in ("name", "text", "number"), "Alias.column, a text or a number")
        if token.kind == "name":
            alias, _, name = token.text.partition(".")
            return Column(alias, name)
        if token.kind == "text":
            return Const(token.text[1:-1].replace("''", "'"))
        return Const(Decimal(token.text) if "." in token.text else int(token.text))

    def comparison() -> None:
        nonlocal place
        if place < len(tokens) and tokens[place].text == "(":
            place += 1
            conjunction()
            take(lambda each: each.text == ")", "a closing parenthesis")
            return
        left = operand()
        op = _OPERATORS[take(lambda each: each.kind == "op", "a comparison").text]
        found.append(Compare(op, left, operand()))

    def conjunction() -> None:
        nonlocal place
        comparison()
        while place < len(tokens) and tokens[place].kind == "word":
            place += 1
            comparison()

    conjunction()
    if place < len(tokens):
        raise ValueError(f"'and' is expected, not {tokens[place].text}")
    return tuple(found)


#: Longest expression, in characters; parentheses nest no deeper than that allows.
LONGEST = 1_000
DEEPEST = 20


def _tokens(text: str) -> list[_Token]:
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    found: list[_Token] = []
    place = 0
    depth = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"'{text[place:].strip()[:20]}' is not understood")
        kind = str(match.lastgroup)
        token = match.group(kind)
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth > DEEPEST:
            raise ValueError(f"parentheses nest deeper than {DEEPEST}")
        found.append(_Token(kind, token))
        place = match.end()
    return found
