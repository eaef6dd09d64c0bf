"""Conditions of multistep forms: an expression over the columns of one row, read once and evaluated for each answer.

::

    expression = alternative { ("|" | "||") alternative }
    alternative = factor { ("&" | "&&") factor }
    factor      = "!" factor | "(" expression ")" | column operator value
    operator    = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "=*" | "==*" | "~=" | "!=*"
    value       = 'text' | "text" | everything up to the next & | or ( )

``=*`` and its kin are Like: ``*`` and ``%`` stand for anything, letters compare without regard to case. ``null`` is no
value. A value is read as the column's own kind: a number, ``true`` and ``false``, a date, an id; text of another kind
equals nothing. A comparison with no value is false, but ``!=``. Source: pages-and-dataverse A4.4, the conditional step.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

#: Longest expression, and deepest nesting.
MAX_LENGTH: Final = 4000
MAX_DEPTH: Final = 50

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "not like"]

_SPELLED: Final[Mapping[str, Operator]] = {
    "=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
    "=*": "like", "==*": "like", "~=": "like", "!=*": "not like",
}  # fmt: skip
_TOKEN = re.compile(r"\s*(?:(?P<open>[(])|(?P<close>[)])|(?P<join>&&?|\|\|?)|(?P<not>!(?!=)))")
_TEST = re.compile(
    r"\s*(?P<column>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<operator>==\*|!=\*|=\*|~=|==|!=|<=|>=|=|<|>)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[^&|()]*)"
)


class Unreadable(ValueError):
    """The text is no expression; the message says from where on."""


@dataclass(frozen=True, slots=True)
class Test:
    """A column compared with a value; ``value`` None is no value."""

    column: str
    operator: Operator
    value: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """All of the parts hold, or with ``any`` one of them."""

    parts: tuple[Condition, ...]
    any: bool


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition = Test | Joined | Not


def read(text: str) -> Condition:
    """The condition that ``text`` says. Raises Unreadable.

    >>> read("amount > 100 & (kind = 2 | name =* Jane*)").parts[1].any
    True
    """
    if len(text) > MAX_LENGTH:
        raise Unreadable(f"it has more than {MAX_LENGTH} characters")
    reader = _Reader(text)
    found = reader.alternatives(0)
    reader.end()
    return found


def columns(condition: Condition) -> Iterator[str]:
    """The columns that a condition looks at."""
    match condition:
        case Test(column):
            yield column
        case Not(part):
            yield from columns(part)
        case Joined(parts):
            for item in parts:
                yield from columns(item)


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether the condition holds for a row's ``values``; a column that is not among them has no value."""
    match condition:
        case Test(column, operator, value):
            return _holds(values.get(column), operator, value)
        case Not(part):
            return not holds(part, values)
        case Joined(parts, any_of):
            return (any if any_of else all)(holds(item, values) for item in parts)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise Unreadable(f"'{self._rest()}' is left over")

    def alternatives(self, depth: int) -> Condition:
        return self._joined(depth, "|", lambda: self._joined(depth, "&", lambda: self._factor(depth)))

    def _joined(self, depth: int, sign: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while (token := self._peek()) is not None and token["join"] is not None and token["join"][0] == sign:
            self._at = token.end()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), sign == "|")

    def _factor(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
        token = self._peek()
        if token is not None and token["not"] is not None:
            self._at = token.end()
            return Not(self._factor(depth + 1))
        if token is not None and token["open"] is not None:
            self._at = token.end()
            found = self.alternatives(depth + 1)
            closing = self._peek()
            if closing is None or closing["close"] is None:
                raise Unreadable("a ')' is missing")
            self._at = closing.end()
            return found
        test = _TEST.match(self._text, self._at)
        if test is None:
            raise Unreadable(f"'{self._rest()}' is no comparison of a column with a value")
        self._at = test.end()
        text = test["value"].strip()
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        if not text:
            raise Unreadable(f"the value that '{test['column']}' is compared with is missing")
        value = text[1:-1] if quoted else None if text.lower() == "null" else text
        return Test(test["column"].lower(), _SPELLED[test["operator"]], value)

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _rest(self) -> str:
        return self._text[self._at :].strip()[:40]


def _holds(value: Any, operator: Operator, wanted: str | None) -> bool:
    empty = value is None or value == ""
    if wanted is None or empty:
        same = empty and wanted in (None, "")
        return not same if operator in ("!=", "not like") else same if operator in ("=", "like") else False
    if operator in ("like", "not like"):
        pattern = "".join(".*" if part in "*%" else re.escape(part) for part in re.split(r"([*%])", wanted) if part)
        return bool(re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL)) is (operator == "like")
    order = _order(value, wanted)
    match operator:
        case "=":
            return order == 0
        case "!=":
            return order != 0
        case "<":
            return order is not None and order < 0
        case "<=":
            return order is not None and order <= 0
        case ">":
            return order is not None and order > 0
        case _:
            return order is not None and order >= 0


def _order(value: Any, wanted: str) -> int | None:
    """How a row's value compares with the text of an expression; None where they are not of one kind."""
    left: Any
    right: Any
    match value:
        case bool():
            truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            left, right = value, truth.get(wanted.lower())
        case int() | float() | Decimal():
            left, right = Decimal(str(value)), _number(wanted)
        case dt.datetime():
            left, right = _aware(value), _moment(wanted)
        case dt.date():
            day = _moment(wanted)
            left, right = value, day.date() if day is not None else None
        case _:
            left, right = str(value).casefold(), wanted.casefold()
            if (number := _number(str(value))) is not None and (other := _number(wanted)) is not None:
                left, right = number, other
            elif (moment := _moment(str(value))) is not None and (then := _moment(wanted)) is not None:
                left, right = moment, then
    return None if right is None else (left > right) - (left < right)


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _moment(text: str) -> dt.datetime | None:
    try:
        return _aware(dt.datetime.fromisoformat(text))
    except ValueError:
        return None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
