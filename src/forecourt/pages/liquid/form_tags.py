"""``{% entityform %}`` and ``{% webform %}``: where the form of a page stands in its text.

A page shows one form. Where the page itself names none, the first of these tags in its text does
(:mod:`~forecourt.pages.site.inserted`); here the tag only says the place, and the page fills it in. What a form does is
the same either way: its rows, its permissions, its answers.
"""

from __future__ import annotations

from typing import TextIO

from liquid import RenderContext, Token, TokenStream
from liquid.ast import Node
from liquid.builtin.expressions import KeywordArgument
from liquid.tag import Tag

from forecourt.pages.liquid.arguments import arguments_of, inner
from forecourt.pages.liquid.dialect import FORM, PLACE
from forecourt.pages.liquid.faults import DataError


class FormNode(Node):
    """The place of a form, by its ``name`` or ``id``."""

    def __init__(self, token: Token, arguments: list[KeywordArgument]) -> None:
        super().__init__(token)
        self.arguments = arguments
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        raise DataError(f"'{self.token.value}' has no place here", token=self.token)

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        given = await arguments_of(context, self.arguments)
        here = context.globals.get(FORM)
        wanted = {str(given[key]).lower() for key in ("id", "name", "key") if given.get(key)}
        if not isinstance(here, frozenset) or not (wanted & here):
            raise DataError(
                "a page shows one form: the one that it names, else the first of its text", token=self.token
            )
        return buffer.write(PLACE)


class EntityFormTag(Tag):
    """A basic form."""

    name = "entityform"
    block = False

    def parse(self, stream: TokenStream) -> Node:
        token = stream.current
        return FormNode(token, KeywordArgument.parse(self.env, inner(stream)))


class WebFormTag(EntityFormTag):
    """A multistep form."""

    name = "webform"
