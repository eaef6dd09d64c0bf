"""Expressions of the dialect: arguments without commas; names that are words of another tag (``required``, ``limit``);
``startswith`` and ``endswith`` in conditions, which are read as ``contains`` and then put right.

Texts are compared with regard to case, as the original does.
"""

from __future__ import annotations

from liquid import RenderContext, Token, TokenStream
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, tokenize
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    ContainsExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
)
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.if_tag import IfNode, IfTag
from liquid.builtin.tags.unless_tag import UnlessNode, UnlessTag
from liquid.expression import Expression
from liquid.token import (
    TOKEN_AS,
    TOKEN_ASSIGN,
    TOKEN_COLON,
    TOKEN_COLS,
    TOKEN_COMMA,
    TOKEN_CONTAINS,
    TOKEN_CONTINUE,
    TOKEN_EXPRESSION,
    TOKEN_FOR,
    TOKEN_IDENTINDEX,
    TOKEN_IDENTSTRING,
    TOKEN_LIMIT,
    TOKEN_OFFSET,
    TOKEN_OUTPUT,
    TOKEN_RBRACKET,
    TOKEN_REQUIRED,
    TOKEN_REVERSED,
    TOKEN_WITH,
    TOKEN_WORD,
)

OPERATORS = ("startswith", "endswith")

#: What follows the name of an argument.
_NAMES = frozenset({TOKEN_COLON, TOKEN_ASSIGN})


#: Words that a tag gives a meaning, and the tags that do. In others they are names like any other.
_LOOPS = frozenset({"for", "tablerow"})
_PARTS = frozenset({"include", "render"})
_WORDS = {
    **dict.fromkeys((TOKEN_LIMIT, TOKEN_OFFSET, TOKEN_REVERSED, TOKEN_COLS, TOKEN_CONTINUE), _LOOPS),
    **dict.fromkeys((TOKEN_WITH, TOKEN_FOR, TOKEN_AS), _PARTS),
    TOKEN_REQUIRED: frozenset({"block"}),
}

#: Where a path ends if a named argument follows.
_ENDS = frozenset({TOKEN_IDENTSTRING, TOKEN_IDENTINDEX, TOKEN_RBRACKET})


def _named(tokens: list[Token], tag: str) -> list[Token]:
    """The tokens, with names that only elsewhere are words as names: an argument's, a value's."""

    def is_name(index: int, kind: str) -> bool:
        if tag not in _WORDS[kind]:
            return True
        before, after = tokens[max(index - 1, 0)].kind, tokens[min(index + 1, len(tokens) - 1)].kind
        return (before in _NAMES and kind != TOKEN_CONTINUE) if tag in _LOOPS else after in _NAMES

    return [
        token._replace(kind=TOKEN_WORD) if token.kind in _WORDS and is_name(index, token.kind) else token
        for index, token in enumerate(tokens)
    ]


def separated(tokens: list[Token], tag: str = "") -> list[Token]:
    """The tokens of ``tag`` with a comma between a path that ends with a bracket and the argument after it."""
    found: list[Token] = []
    tokens = _named(tokens, tag)
    for index, token in enumerate(tokens):
        named = token.kind == TOKEN_WORD and tokens[index + 1 : index + 2] and tokens[index + 1].kind in _NAMES
        if named and found and found[-1].kind in _ENDS:
            found.append(token._replace(kind=TOKEN_COMMA, value=","))
        found.append(token)
    return found


class Tokens(TokenStream):
    """A stream whose expressions know the operators."""

    def into_inner(self, *, tag: Token | None = None, eat: bool = True) -> TokenStream:
        found = super().into_inner(tag=tag, eat=eat)
        found.tokens = separated(found.tokens, tag.value if tag else "")
        found.tokens = [
            token._replace(kind=TOKEN_CONTAINS)
            if index and token.kind == TOKEN_WORD and token.value in OPERATORS
            else token
            for index, token in enumerate(found.tokens)
        ]
        return found


class PlainOutput(Output):
    """What is put out, whatever it is called."""

    def parse(self, stream: TokenStream) -> OutputNode:
        token = stream.eat(TOKEN_OUTPUT)
        inner = stream.expect(TOKEN_EXPRESSION)
        tokens = TokenStream(iter(_named(list(tokenize(inner.value, inner)), "")))
        return self.node_class(token, FilteredExpression.parse(self.env, tokens))


class AffixExpression(Expression):
    """``left startswith right``, ``left endswith right``."""

    __slots__ = ("left", "right")

    def __init__(self, token: Token, left: Expression, right: Expression) -> None:
        super().__init__(token)
        self.left = left
        self.right = right

    def __str__(self) -> str:
        return f"{self.left} {self.token.value} {self.right}"

    def evaluate(self, context: RenderContext) -> object:
        return self._holds(self.left.evaluate(context), self.right.evaluate(context))

    async def evaluate_async(self, context: RenderContext) -> object:
        return self._holds(await self.left.evaluate_async(context), await self.right.evaluate_async(context))

    def children(self) -> list[Expression]:
        return [self.left, self.right]

    def _holds(self, left: object, right: object) -> bool:
        if not isinstance(left, str) or right is None:
            return False
        text, part = str(left), str(right)
        return text.startswith(part) if self.token.value == "startswith" else text.endswith(part)


def put_right(item: Expression) -> Expression:
    """The expression with the operators that were read as ``contains``."""
    match item:
        case ContainsExpression() if item.token.value in OPERATORS:
            return AffixExpression(item.token, item.left, item.right)
        case LogicalAndExpression() | LogicalOrExpression():
            item.left, item.right = put_right(item.left), put_right(item.right)
        case LogicalNotExpression():
            item.right = put_right(item.right)
        case BooleanExpression():
            item.expression = put_right(item.expression)
    return item


def _put_right(node: Node) -> Node:
    if isinstance(node, IfNode | UnlessNode):
        put_right(node.condition)
        for branch in node.alternatives:
            put_right(branch.expression)
    return node


class AffixIfTag(IfTag):
    """``if`` with the operators."""

    def parse(self, stream: TokenStream) -> Node:
        return _put_right(super().parse(stream))


class AffixUnlessTag(UnlessTag):
    """``unless`` with the operators."""

    def parse(self, stream: TokenStream) -> Node:
        return _put_right(super().parse(stream))
