"""The portal's own tags: ``fetchxml``, ``entityview``, ``entitylist``, ``searchindex``, ``chart``, ``editable``,
``substitution``; and those that are not there, each named where it is used (pages-and-dataverse A4.2).

Arguments are ``name:value`` or ``name=value``, with commas or without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TextIO, cast

from liquid import RenderContext, Token, TokenStream
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import KeywordArgument, parse_identifier, parse_primitive
from liquid.exceptions import LiquidSyntaxError
from liquid.expression import Expression
from liquid.parser import get_parser
from liquid.tag import Tag
from liquid.token import TOKEN_ASSIGN, TOKEN_STRING, TOKEN_TAG, TOKEN_WORD
from liquid.undefined import Undefined
from markupsafe import Markup

from forecourt.kernel.errors import Refusal
from forecourt.pages.charts import Charts, markup
from forecourt.pages.liquid import views
from forecourt.pages.liquid.arguments import arguments_of, inner
from forecourt.pages.liquid.dialect import PAGE, SiteText
from forecourt.pages.liquid.faults import DataError, Unsupported, refused
from forecourt.pages.liquid.form_tags import EntityFormTag, WebFormTag
from forecourt.pages.liquid.objects import PageScope
from forecourt.pages.liquid.texts import rendered
from forecourt.pages.liquid.values import Lookup

#: Where the list around a view is kept: no name of Liquid begins so.
LIST = "@list"


def scope_of(context: RenderContext, token: Token) -> PageScope:
    """The page behind a text. Raises DataError where there is none."""
    found = context.globals.get(PAGE)
    if not isinstance(found, PageScope):
        raise DataError("rows are not at hand here", token=token)
    return found


class DataNode(Node):
    """A tag that reads rows: it is rendered asynchronously, and nowhere else."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        raise DataError(f"'{self.token.value}' has no place here", token=self.token)


# ------------------------------------------------------------------------------------------ fetchxml


class FetchNode(DataNode):
    """``{% fetchxml name %} … {% endfetchxml %}``."""

    def __init__(self, token: Token, name: str, block: BlockNode) -> None:
        super().__init__(token)
        self.name = name
        self.block = block

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        scope = scope_of(context, self.token)
        written = context.get_buffer()
        for node in self.block.nodes:
            await node.render_async(context, written)
        text = written.getvalue().strip()
        try:
            results = await scope.data.fetch(text, self.token)
        except Refusal as refusal:
            raise refused(refusal, self.token) from refusal
        context.assign(self.name, Lookup({"results": results, "xml": text}))
        return 0

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> list[Node]:
        return [self.block]


class FetchTag(Tag):
    name = "fetchxml"
    end = "endfetchxml"

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        tokens = stream.into_inner(tag=token)
        name = parse_identifier(self.env, tokens)
        block = get_parser(self.env).parse_block(stream, (self.end,))
        stream.expect(TOKEN_TAG, value=self.end)
        return FetchNode(token, str(name), block)


# ------------------------------------------------------------------------------------------ views and lists


class ViewNode(DataNode):
    """``{% entityview … %} … {% endentityview %}`` and ``entitylist``: a block with an object of that name, or of
    another: ``{% entityview mine = … %}``."""

    def __init__(self, token: Token, name: str, arguments: list[KeywordArgument], block: BlockNode) -> None:
        super().__init__(token)
        self.name = name
        self.arguments = arguments
        self.block = block
        self.blank = False

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        scope = scope_of(context, self.token)
        given = await arguments_of(context, self.arguments)
        around = context.resolve(LIST, default=None)
        try:
            if self.token.value == "searchindex":
                found: object = await views.search_index(scope, given)
            elif self.token.value == "entitylist":
                found = views.entity_list(scope, given)
            else:
                found = await views.entity_view(scope, given, around if isinstance(around, views.EntityList) else None)
        except Refusal as refusal:
            raise refused(refusal, self.token) from refusal
        except DataError as error:
            error.token = error.token or self.token
            raise
        with context.extend({self.name: found, LIST: found if self.token.value == "entitylist" else around}):
            return await self.block.render_async(context, buffer)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> list[Node]:
        return [self.block]


class ViewTag(Tag):
    name = "entityview"
    end = "endentityview"

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        tokens, name = inner(stream), self.name
        if tokens.current.kind == TOKEN_WORD and tokens.peek.kind == TOKEN_ASSIGN:
            name = next(tokens).value
            next(tokens)
        arguments = KeywordArgument.parse(self.env, tokens)
        next(stream)
        block = get_parser(self.env).parse_block(stream, (self.end,))
        stream.expect(TOKEN_TAG, value=self.end)
        return ViewNode(token, name, arguments, block)


class SearchTag(ViewTag):
    """``{% searchindex query:'text', page:1, logical_names:'a,b', filter:'Label' %} … {% endsearchindex %}``"""

    name = "searchindex"
    end = "endsearchindex"


class ListTag(ViewTag):
    name = "entitylist"
    end = "endentitylist"


# ------------------------------------------------------------------------------------------ editable, substitution


class EditableNode(Node):
    """``{% editable snippets 'Name' type:'html' default:… liquid:… %}``: the text; it is not edited in the page."""

    def __init__(
        self, token: Token, thing: Expression, name: Expression | None, arguments: list[KeywordArgument]
    ) -> None:
        super().__init__(token)
        self.thing, self.name, self.arguments = thing, name, arguments
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        raise Unsupported("'editable' has no place here", token=self.token)

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        value = await self.thing.evaluate_async(context)
        given = await arguments_of(context, self.arguments)
        if self.name is not None:
            key = await self.name.evaluate_async(context)
            try:
                value = await context.get_item_async(value, str(key))
            except (KeyError, TypeError, IndexError):
                value = None
        if value is None or isinstance(value, Undefined) or not str(value).strip():
            value = given.get("default")
        if value is None or isinstance(value, Mapping):
            return 0
        if type(value) is SiteText and given.get("liquid") is not False:
            return buffer.write(await rendered(context, str.__str__(value)))
        plain = given.get("escape") is True or given.get("type") == "text"
        return buffer.write(Markup.escape(str(value) if plain and not isinstance(value, Markup) else value))


class EditableTag(Tag):
    name = "editable"
    block = False

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        tokens = inner(stream)
        thing = parse_primitive(self.env, tokens)
        name = None
        if tokens.current.kind == TOKEN_STRING or (
            tokens.current.kind == TOKEN_WORD and tokens.peek.kind not in ("colon", "assign")
        ):
            name = parse_primitive(self.env, tokens)
        return EditableNode(token, thing, name, KeywordArgument.parse(self.env, tokens))


class SubstitutionNode(Node):
    """``{% substitution %} … {% endsubstitution %}``: nothing is cached, so it is its block."""

    def __init__(self, token: Token, block: BlockNode) -> None:
        super().__init__(token)
        self.inside = block
        self.blank = block.blank

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.inside.render(context, buffer)

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        return await self.inside.render_async(context, buffer)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> list[Node]:
        return [self.inside]


class SubstitutionTag(Tag):
    name = "substitution"
    end = "endsubstitution"

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        inner(stream)
        next(stream)
        block = get_parser(self.env).parse_block(stream, (self.end,))
        stream.expect(TOKEN_TAG, value=self.end)
        return SubstitutionNode(token, block)


# ------------------------------------------------------------------------------------------ charts


class ChartNode(DataNode):
    """``{% chart id:"…" viewid:"…" %}``: the chart of a table over the rows of one of its views."""

    def __init__(self, token: Token, arguments: list[KeywordArgument]) -> None:
        super().__init__(token)
        self.arguments = arguments
        self.blank = False

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        scope = scope_of(context, self.token)
        given = await arguments_of(context, self.arguments)
        charts = Charts(scope.data.tables, scope.data.rows, scope.data.view_filter)
        found = charts.find(str(given.get("id") or ""), str(given.get("viewid") or ""))
        if found is None:
            raise DataError("the table has no such chart, or no such view", token=self.token)
        scope.data.spend()
        try:
            figures = await charts.figures(scope.visit.principal, *found, scope.visit.locales)
        except Refusal as refusal:
            raise refused(refusal, self.token) from refusal
        return buffer.write(markup(figures, scope.data.fresh("chart"), scope.visit.locales.language))


class ChartTag(Tag):
    name = "chart"
    block = False

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        return ChartNode(token, KeywordArgument.parse(self.env, inner(stream)))


# ------------------------------------------------------------------------------------------ what is not there


class UnsupportedNode(Node):
    """Nothing."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return 0


class UnsupportedTag(Tag):
    """A tag of the original that is not there: it shows nothing, its block neither, and is told where it stands."""

    block = False
    #: Why, or what to do instead.
    hint: ClassVar[str] = ""

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        inner(stream)
        if self.end:
            depth = 1
            while depth and stream.peek.kind != "end of expression":
                next(stream)
                if stream.current.kind == TOKEN_TAG:
                    depth += {self.name: 1, self.end: -1}.get(stream.current.value, 0)
            if depth:
                raise LiquidSyntaxError(f"'{self.name}' has no '{self.end}'", token=token)
        self.env.error(Unsupported(f"the tag '{self.name}' is not supported. {self.hint}".strip(), token=token))
        return UnsupportedNode(token)


#: Tags that are not there: name -> (the end of their block, what to do instead).
UNSUPPORTED: Mapping[str, tuple[str, str]] = {
    "codecomponent": ("", "Code components are not run."),
    "log": ("", ""),
    "powerbi": ("", "Reports are not embedded."),
    "rating": ("endrating", ""),
}


def _unsupported(name: str, end: str, hint: str) -> type[Tag]:
    members = {"name": name, "end": end, "hint": hint, "__doc__": UnsupportedTag.__doc__}
    return cast("type[Tag]", type(f"{name.title()}Tag", (UnsupportedTag,), members))


TAGS: tuple[type[Tag], ...] = (
    FetchTag,
    ViewTag,
    ListTag,
    SearchTag,
    ChartTag,
    EditableTag,
    EntityFormTag,
    SubstitutionTag,
    WebFormTag,
    *(_unsupported(name, end, hint) for name, (end, hint) in UNSUPPORTED.items()),
)
