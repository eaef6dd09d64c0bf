"""``$filter`` over the metadata's items.

eq, ne, gt, ge, lt, le, and, or, not, contains, startswith, endswith and ``Microsoft.Dynamics.CRM.In``, over values,
also of managed properties (``CanCreateAttributes/Value``). Text compares without regard to case; a property that an
item lacks is null. Parsed to a function: the items are few, and in memory.
Sources: pages-and-dataverse B3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from forecourt.dataverse.metadata_items import NAMESPACE, Item
from forecourt.kernel.errors import Refusal

Test = Callable[[Item], bool]

#: Deepest nesting of a condition.
_DEEPEST: Final = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<enum>[A-Za-z][\w.]*)(?=')(?P<member>'(?:[^']|'')*')"
    r"|(?P<text>'(?:[^']|'')*')|(?P<guid>[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w./]*)|(?P<mark>[(),=\[\]])|(?P<quote>\"[^\"]*\"))"
)
_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left is not None and right is not None and left > right,
    "ge": lambda left, right: left is not None and right is not None and left >= right,
    "lt": lambda left, right: left is not None and right is not None and left < right,
    "le": lambda left, right: left is not None and right is not None and left <= right,
}
_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}
_IN: Final = f"{NAMESPACE}.In"


def parse_filter(text: str) -> Test:
    """The condition of a ``$filter``. Raises Refusal FC1001."""
    return _Parser(text).parse()


def text_of(literal: str) -> str:
    """The text of a quoted literal; another one as it is."""
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else literal


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._fault()
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()
        self._at = 0
        self._depth = 0

    def parse(self) -> Test:
        """The condition. Raises Refusal FC1001."""
        test = self._any()
        if self._at < len(self._tokens):
            raise self._fault()
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._word("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _all(self) -> Test:
        tests = [self._not()]
        while self._word("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _not(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._fault()
        found = self._one()
        self._depth -= 1
        return found

    def _one(self) -> Test:
        if self._word("not"):
            inner = self._not()
            return lambda item: not inner(item)
        if self._mark("("):
            found = self._any()
            self._need(")")
            return found
        kind, name = self._next()
        if kind != "name":
            raise self._fault()
        if name in _TEXTS:
            return self._function(_TEXTS[name])
        if name == _IN:
            return self._in()
        _, comparison = self._next()
        if comparison not in _TESTS:
            raise self._fault()
        compare, value = _TESTS[comparison], self._value()

        def test(item: Item) -> bool:
            found = _at(item, name)
            if type(found) is not type(value) and found is not None and value is not None:
                found, other = str(found).casefold(), str(value).casefold()
                return compare(found, other) if comparison in ("eq", "ne") else False
            return compare(found, value)

        return test

    def _function(self, test: Callable[[str, str], bool]) -> Test:
        self._need("(")
        _, name = self._next()
        self._need(",")
        part = str(self._value() or "")
        self._need(")")
        return lambda item: isinstance(_at(item, name), str) and test(_at(item, name), part)

    def _in(self) -> Test:
        """``In(PropertyName='x',PropertyValues=['a','b'])``."""
        self._need("(")
        found: dict[str, list[Any]] = {}
        while True:
            _, parameter = self._next()
            self._need("=")
            values = []
            if self._mark("["):
                while not self._mark("]"):
                    values.append(self._value())
                    self._mark(",")
            else:
                values.append(self._value())
            found[parameter] = values
            if not self._mark(","):
                break
        self._need(")")
        if set(found) != {"PropertyName", "PropertyValues"} or not isinstance(found["PropertyName"][0], str):
            raise self._fault()
        names = found["PropertyName"][0]
        return lambda item: _folded_name(item, names) in found["PropertyValues"]

    def _value(self) -> Any:
        kind, text = self._next()
        match kind:
            case "text" | "member":
                return text_of(text).casefold()
            case "quote":
                return text[1:-1].casefold()
            case "guid":
                return text.casefold()
            case "number":
                return float(text) if "." in text else int(text[:20])
            case "name" if text in ("true", "false"):
                return text == "true"
            case "name" if text == "null":
                return None
        raise self._fault()

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._fault()
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, word: str) -> bool:
        return self._take("name", word)

    def _mark(self, mark: str) -> bool:
        return self._take("mark", mark)

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._mark(mark):
            raise self._fault()

    @staticmethod
    def _fault() -> Refusal:
        return Refusal("FC1001", "$filter cannot be read.", hint="Write LogicalName eq 'account'.", source="$filter")


def _at(item: Item, path: str) -> Any:
    """A value by its path; text without its case. A name that the item lacks is null."""
    found: Any = item.values
    for step in path.split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found.casefold() if isinstance(found, str) else found


def _folded_name(item: Item, name: str) -> Any:
    """The value of a property whose name has lost its case."""
    return next((_at(item, known) for known in item.values if known.casefold() == name), None)
