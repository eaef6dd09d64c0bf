"""What stands in a tag of the portal's own: ``name:value`` or ``name=value``, with commas or without."""

from __future__ import annotations

from typing import Any

from liquid import RenderContext, TokenStream
from liquid.builtin.expressions import KeywordArgument, tokenize
from liquid.token import TOKEN_EXPRESSION
from liquid.undefined import Undefined

from forecourt.pages.liquid.conditions import separated


def inner(stream: TokenStream) -> TokenStream:
    """The tokens of a tag's expression, none where it has none; the stream stands on the last of the tag."""
    if stream.peek.kind != TOKEN_EXPRESSION:
        return TokenStream(iter(()))
    next(stream)
    token = stream.current
    return TokenStream(iter(separated(list(tokenize(token.value, parent_token=token)))))


async def arguments_of(context: RenderContext, items: list[KeywordArgument]) -> dict[str, Any]:
    """The arguments by lower-case name; None for one that has no value."""
    found = {}
    for item in items:
        name, value = await item.evaluate_async(context)
        found[name.lower()] = None if isinstance(value, Undefined) else value
    return found
