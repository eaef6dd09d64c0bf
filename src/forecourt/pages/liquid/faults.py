"""What is wrong with a Liquid text, by template, line and column.

A fault speaks to the maker: it may name what the text says (a tag, a filter, a table), never a value of a row and
nothing of the server.
"""

from __future__ import annotations

from dataclasses import dataclass

from liquid import Token
from liquid.exceptions import (
    ContextDepthError,
    FilterError,
    LiquidError,
    LiquidSyntaxError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    TemplateInheritanceError,
    TemplateNotFoundError,
    UnknownFilterError,
)

from forecourt.kernel.errors import Refusal


class Stop(LiquidError):
    """A limit is reached: the text ends here."""


class Unsupported(LiquidError):
    """Something of the original that is not there."""


class DataError(LiquidError):
    """A query that is refused."""


class Denied(LiquidError):
    """A query that is right, of rows or columns that are not open to the person: it has no rows."""


#: Objects and filters of the original that are not there, and what to do instead.
MISSING_OBJECTS = {
    "ads": "",
    "blogs": "",
    "events": "",
    "forums": "",
    "knowledge": "",
    "log": "",
    "polls": "",
}
MISSING_FILTERS = {
    "category_number": "There are no articles of a knowledge base.",
    "popular": "There are no articles of a knowledge base.",
    "recent": "There are no articles of a knowledge base.",
    "top_level": "There are no articles of a knowledge base.",
}

#: Errors of which visitors are not told: nothing that should be there is missing.
SILENT = (Unsupported, Denied)

#: Errors after which nothing more of a text is rendered.
LIMITS = (ContextDepthError, LocalNamespaceLimitError, LoopIterationLimitError, OutputStreamLimitError, Stop)

_LIMITS = {
    ContextDepthError: "templates include one another too deeply",
    LocalNamespaceLimitError: "its variables hold too much",
    LoopIterationLimitError: "its loops run too often",
    OutputStreamLimitError: "its output is too long",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """``line``, ``column``: from 1, 0 where unknown. ``silent``: nothing that visitors should see is missing."""

    template: str
    line: int
    column: int
    text: str
    silent: bool = False

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.template}{place}: {self.text}"


def fault_of(error: LiquidError, template: str, name_of: dict[str, str]) -> Fault:
    """The fault behind an error. ``name_of``: names of templates by their sources."""
    token = error.token
    line, column = position(token)
    if token is not None and token.source in name_of:
        template = name_of[token.source]
    silent = isinstance(error, SILENT) or (isinstance(error, UnknownFilterError) and _filter(error) in MISSING_FILTERS)
    return Fault(template, line, column, _text(error), silent)


def position(token: Token | None) -> tuple[int, int]:
    """Line and column of a token, from 1; (0, 0) where it stands nowhere."""
    if token is None or token.start_index < 0:
        return 0, 0
    before = token.source[: token.start_index]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def no_object(name: str, token: Token | None) -> Unsupported:
    """The use of an object that is not there."""
    return Unsupported(f"the object '{name}' is not supported. {MISSING_OBJECTS[name]}".strip(), token=token)


def refused(refusal: Refusal, token: Token | None) -> DataError:
    """A refusal of a query as an error of the text."""
    return DataError(f"{refusal.message} {refusal.hint}".strip(), token=token)


def _text(error: LiquidError) -> str:
    for kind, text in _LIMITS.items():
        if isinstance(error, kind):
            return f"a limit is reached: {text}"
    said = str(error.message or "")
    if isinstance(error, Stop | Unsupported | DataError | Denied):
        return said
    if isinstance(error, UnknownFilterError):
        name = _filter(error)
        if name in MISSING_FILTERS:
            return f"the filter '{name}' is not supported. {MISSING_FILTERS[name]}".strip()
        return f"a filter is not known: '{name}'"
    if isinstance(error, TemplateNotFoundError):
        return f"the web template {said[:100]!r} does not exist"
    if said.startswith("unexpected tag "):
        return f"the tag {said.removeprefix('unexpected tag ')} is not known, or has no place here"
    if isinstance(error, LiquidSyntaxError | TemplateInheritanceError):
        return f"it is not written right: {said[:200]}"
    if isinstance(error, FilterError):
        return "a value does not fit its filter"
    return "a value does not fit its use"


def _filter(error: UnknownFilterError) -> str:
    return str(error.message or "").removeprefix("unknown filter ").strip("'")
