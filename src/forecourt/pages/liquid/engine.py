"""A text to markup: what comes out, and all that is wrong with it.

A text that cannot be read at all, or that reaches a limit, shows what it had put out so far; every other error leaves
its own place empty. Whoever shows a :class:`Fragment` decides who sees its faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from liquid import BoundTemplate, Token
from liquid.ast import Node
from liquid.builtin.expressions import Literal
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.exceptions import LiquidError, StopRender, TemplateNotFoundError, UnknownFilterError
from liquid.extra.tags.extends_tag import ExtendsNode
from liquid.output import LimitedStringIO
from markupsafe import Markup

from forecourt.pages.liquid.dialect import MAX_OUTPUT, PAGE, PLACE, Clock, Context, Dialect, gathering
from forecourt.pages.liquid.faults import MISSING_OBJECTS, Fault, fault_of, no_object
from forecourt.pages.liquid.filters import FILTERS
from forecourt.pages.liquid.tags import TAGS

#: Faults of a text that are told.
MAX_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Fragment:
    """Rendered markup, and what is wrong with its text: by its faults, or only that something is."""

    markup: Markup = field(default_factory=Markup)
    faults: tuple[Fault, ...] = ()
    incomplete: bool = False

    def __bool__(self) -> bool:
        return self.incomplete or bool(self.faults) or bool(self.markup.strip())

    @property
    def parts(self) -> tuple[Markup, ...]:
        """What stands before and behind the page's form, () where the text does not say where the form stands."""
        before, place, after = self.markup.partition(PLACE)
        return (before, after) if place else ()

    def for_visitors(self) -> Fragment:
        """The same without its faults; ``incomplete`` where one of them left something out that should be there."""
        return Fragment(self.markup, (), any(not fault.silent for fault in self.faults))


class Engine:
    """Renders the texts of a site. ``templates``: sources of web templates by name."""

    def __init__(self, templates: Mapping[str, str] | None = None) -> None:
        self.dialect = Dialect(templates or {}, FILTERS, TAGS)
        self._names = self.dialect.names

    def check(self, source: str, name: str) -> tuple[Fault, ...]:
        """What is wrong with a text, as far as reading it tells."""
        try:
            found = self.dialect.parsed(source, name)
        except LiquidError as error:
            return (fault_of(error, name, {source: name}),)
        errors = [*found.errors, *missing(found, source)]
        return tuple(fault_of(error, name, {source: name}) for error in errors)

    async def render(self, source: str, name: str, objects: Mapping[str, object]) -> Fragment:
        """The markup of a text. ``name`` says which text it is, for the maker; ``objects``: what it may speak of, with
        the page under ``@page``."""
        if not source.strip():
            return Fragment()
        errors: list[LiquidError] = []
        before = gathering.set(errors)
        buffer = LimitedStringIO(limit=MAX_OUTPUT)
        try:
            template = self.dialect.parsed(source, name)
            errors.extend(template.errors)
            known = {PAGE: Bare(), **objects}
            context = Context(template, globals=known)
            await template.render_with_context_async(context, buffer)
        except StopRender:
            pass
        except LiquidError as error:
            errors.append(error)
        except (ArithmeticError, ValueError, TypeError, RecursionError, KeyError, AttributeError):
            errors.append(LiquidError("a value does not fit its use", token=None))
        finally:
            gathering.reset(before)
        names = {**self._names, source: name}
        faults = dict.fromkeys(fault_of(error, name, names) for error in errors)
        return Fragment(Markup(buffer.getvalue()), tuple(faults)[:MAX_FAULTS])  # noqa: S704 - values were escaped


def missing(template: BoundTemplate, source: str) -> Iterator[LiquidError]:
    """Uses of filters, templates and objects that are not there, as far as reading a text tells."""
    try:
        found = template.analyze(include_partials=False)
    except LiquidError:
        return
    for name, uses in found.filters.items():
        if name not in template.env.filters:
            for use in uses:
                yield UnknownFilterError(f"unknown filter '{name}'", token=Token("word", name, use.index, source))
    for node in _nodes(template):
        named = node.name if isinstance(node, IncludeNode | ExtendsNode) else None
        wanted = named.value if isinstance(named, Literal) else named
        if isinstance(wanted, str) and not cast("Dialect", template.env).has(wanted):
            yield TemplateNotFoundError(wanted, token=node.token)
    for name in MISSING_OBJECTS.keys() & found.globals.keys():
        for variable in found.globals[name]:
            yield no_object(name, Token("word", name, variable.span.index, source))


def _nodes(template: BoundTemplate) -> Iterator[Node]:
    """All nodes of a text, those of templates that it includes left out."""
    context, pending = Context(template), list(template.nodes)
    while pending:
        node = pending.pop(0)
        yield node
        pending.extend(node.children(context, include_partials=False))


class Bare:
    """What a text has where there is no page: its time alone."""

    def __init__(self) -> None:
        self.clock = Clock()
