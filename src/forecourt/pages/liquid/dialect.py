"""The language: its tags, filters and limits, and how errors are gathered instead of ending a page.

Differences from plain Liquid: ``startswith`` and ``endswith`` in conditions, arguments of tags with or without commas,
names of templates in any case. A wrong tag, expression or filter leaves its place empty and is told;
a limit ends the text. Values are escaped where they are put out; what a maker wrote (:class:`SiteText`) is markup.
Source: pages-and-dataverse A4.2; limits are ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, ClassVar, cast

from liquid import BoundTemplate, DictLoader, Environment, Mode, RenderContext, Token
from liquid.ast import Node
from liquid.builtin.tags.for_tag import ForLoop
from liquid.builtin.tags.tablerow_tag import TableRow
from liquid.exceptions import LiquidError, TemplateNotFoundError
from liquid.extra.tags import ExtendsTag
from liquid.parser import get_parser
from liquid.undefined import UNDEFINED
from markupsafe import Markup

from forecourt.pages.liquid.built_in import BUILT_IN
from forecourt.pages.liquid.conditions import AffixIfTag, AffixUnlessTag, PlainOutput, Tokens
from forecourt.pages.liquid.faults import LIMITS, MISSING_OBJECTS, Stop, no_object
from forecourt.pages.liquid.inheritance import SuperTag

#: Seconds that the texts of one page may take, waiting for rows included.
MAX_SECONDS = 10.0
MAX_SOURCE = 256 * 1024
MAX_OUTPUT = 2_000_000
MAX_VARIABLES = 4_000_000
MAX_LOOP = 10_000
MAX_DEPTH = 48
MAX_NUMBER = 10**28

#: Parsed texts that are kept.
MAX_PARSED = 2_048

#: Seconds after which a text lets others of the server have their turn.
TURN = 0.02

#: Where the objects of a page are kept from its text: no name of Liquid begins so.
PAGE = "@page"

#: Name and id of the form that the page shows, for the tags that say where it stands.
FORM = "@form"

#: Stands for the form in a rendered text. Values are escaped, so none can hold it.
PLACE = "<!--@form-->"


class SiteText(Markup):
    """Markup that a maker wrote, as it stands in the site. What is made of it is markup, but no longer this: only the
    text itself may be rendered as Liquid again, so that no value of a row or a request ever is."""

    def __new__(cls, text: object = "", *, site: bool = False) -> Markup:  # type: ignore[misc]
        return super().__new__(cls, text) if site else Markup(text)  # noqa: S704 - markup was made of markup


def site_text(text: str) -> Markup:
    return SiteText(text, site=True)


class Clock:
    """The time that is left. Raises Stop when there is none."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._end = time.monotonic() + seconds
        self._turn = time.monotonic() + TURN
        self.seconds = seconds

    def check(self) -> bool:
        """True where others should have their turn."""
        now = time.monotonic()
        if now > self._end:
            raise Stop(f"a limit is reached: the texts of a page take at most {self.seconds:g} seconds", token=None)
        return now > self._turn

    async def turn(self) -> None:
        if self.check():
            await asyncio.sleep(0)
            self._turn = time.monotonic() + TURN


#: Where errors go while a text is parsed or rendered.
gathering: ContextVar[list[LiquidError]] = ContextVar("gathering")


class Context(RenderContext):
    """A context that looks at the clock and keeps filters in bounds."""

    def _clock(self) -> Clock | None:
        found = self.globals.get(PAGE)
        return getattr(found, "clock", None)

    async def get_async(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        clock = self._clock()
        if clock is not None:
            await clock.turn()
        if path[0] in MISSING_OBJECTS and path[0] not in self.scope:
            gathering.get().append(no_object(str(path[0]), token))
        return await super().get_async(path, token=token, default=default)

    def assign(self, key: str, val: Any) -> None:
        clock = self._clock()
        if clock is not None:
            clock.check()
        super().assign(key, val)

    def loop(self, namespace: Mapping[str, object], forloop: ForLoop | TableRow) -> Any:
        clock = self._clock()
        if clock is not None:
            forloop.it = _timed(forloop.it, clock)
        return super().loop(namespace, forloop)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        return _Bounded(super().filter(name, token))


def _timed(items: Iterator[Any], clock: Clock) -> Iterator[Any]:
    for item in items:
        clock.check()
        yield item


class _Bounded:
    """A filter whose input and output are of a bearable size."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        if hasattr(function, "filter_async"):
            self.filter_async = function.filter_async

    def __call__(self, left: object, *arguments: object, **named: object) -> object:
        if isinstance(left, range) and len(left) > MAX_LOOP:
            raise Stop("a limit is reached: the range is too long", token=None)
        if getattr(self._function, "__name__", "").startswith("replace") and len(arguments) == 2:
            _check_replace(str(left), str(arguments[0]), str(arguments[1]))
        if getattr(self._function, "__name__", "") == "join" and isinstance(left, list | tuple | range):
            check_size(len(left) * len(str(arguments[0] if arguments else " ")))
        found = self._function(left, *arguments, **named)
        if isinstance(found, str):
            check_size(len(found))
        elif isinstance(found, int | Decimal) and not -MAX_NUMBER < found < MAX_NUMBER:
            raise Stop("a limit is reached: the number is too large", token=None)
        return found


def _check_replace(text: str, old: str, new: str) -> None:
    times = text.count(old) if old else len(text) + 1
    check_size(len(text) + times * len(new))


def check_size(size: int) -> None:
    """Raises Stop for a text of ``size`` characters that is too long."""
    if size > MAX_OUTPUT:
        raise Stop("a limit is reached: the text is too long", token=None)


def _loose(name: str) -> str:
    """A template's name as far as blanks and underscores are one."""
    return " ".join(name.lower().replace("_", " ").split())


class Template(BoundTemplate):
    """A parsed text. ``errors``: what was wrong with it."""

    context_class = Context
    errors: tuple[LiquidError, ...] = ()


class Dialect(Environment):
    """The language with the web templates of a site, sources by name."""

    context_depth_limit: ClassVar[int] = MAX_DEPTH
    loop_iteration_limit: ClassVar[int | None] = MAX_LOOP
    local_namespace_limit: ClassVar[int | None] = MAX_VARIABLES
    output_stream_limit: ClassVar[int | None] = MAX_OUTPUT
    template_class = Template
    keyword_assignment = True

    def __init__(self, templates: Mapping[str, str], filters: Mapping[str, Callable[..., Any]], tags: Any) -> None:
        super().__init__(autoescape=True, loader=DictLoader({}), tolerance=Mode.LAX)
        own = {name.lower(): (name, source) for name, source in templates.items()}
        built_in = {name: (name, source) for name, source in BUILT_IN.items()}
        self._sources = built_in | own
        self._loose = {_loose(name): found for name, found in (built_in | own).items()}
        self._parsed: dict[str, Template] = {}
        for tag in (ExtendsTag, SuperTag, PlainOutput, AffixIfTag, AffixUnlessTag, *tags):
            self.add_tag(tag)
        del self.filters["safe"]
        for name, function in filters.items():
            self.add_filter(name, function)

    def error(self, exc: Any, msg: str | None = None, token: Token | None = None) -> None:
        """Notes an error; a limit is raised."""
        found: LiquidError = exc if isinstance(exc, LiquidError) else exc(msg, token=token)
        if found.token is None:
            found.token = token
        if isinstance(found, LIMITS):
            raise found
        gathering.get().append(found)

    def _parse(self, source: str) -> list[Node]:
        return get_parser(self).parse(Tokens(self.tokenizer()(source)))

    def parsed(self, source: str, name: str) -> Template:
        """The text, parsed once. Raises LiquidError where nothing of it can be read."""
        found = self._parsed.get(source)
        if found is None:
            if len(source) > MAX_SOURCE:
                raise Stop(f"a limit is reached: the text is longer than {MAX_SOURCE // 1024} KB", token=None)
            errors: list[LiquidError] = []
            before = gathering.set(errors)
            try:
                found = cast("Template", self.from_string(source, name))
            finally:
                gathering.reset(before)
            found.errors = tuple(errors)
            if len(self._parsed) >= MAX_PARSED:
                self._parsed.clear()
            self._parsed[source] = found
        return found

    def template(self, name: str) -> Template:
        """A web template, its name in any case, with blanks or underscores. Raises TemplateNotFoundError."""
        known = self._known(name)
        if known is None:
            raise TemplateNotFoundError(name, token=None)
        return self.parsed(known[1], known[0])

    def has(self, name: str) -> bool:
        """Whether there is a web template of that name."""
        return self._known(name) is not None

    def _known(self, name: str) -> tuple[str, str] | None:
        wanted = name.strip().lower()
        return self._sources.get(wanted) or self._loose.get(_loose(wanted))

    @property
    def names(self) -> dict[str, str]:
        """Names of web templates by their sources."""
        return {source: name for name, source in self._sources.values()}

    def get_template(self, name: str, **_: Any) -> BoundTemplate:
        return self._used(name)

    async def get_template_async(self, name: str, **_: Any) -> BoundTemplate:
        return self._used(name)

    def _used(self, name: str) -> Template:
        found = self.template(name)
        for error in found.errors:
            self.error(error)
        return found
