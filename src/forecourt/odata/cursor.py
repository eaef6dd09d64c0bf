"""What parsers of all options share: a cursor over tokens, and the slots of a request's literals as they are found."""

from __future__ import annotations

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Model
from forecourt.kernel.predicate import Slot
from forecourt.odata.lexer import END, Literal, Token, printable, tokenise
from forecourt.odata.slots import SlotSpec, unused


class Cursor:
    """A position in the tokens of one option. ``source``: the option's name, for messages."""

    def __init__(self, shape: str, first: int, source: str) -> None:
        self.source = source
        self._tokens = tokenise(shape, first, source)
        self._at = 0

    def peek(self) -> Token:
        return self._tokens[self._at]

    def take(self) -> Token:
        """The token at the cursor, which moves on; at the end it stays."""
        token = self._tokens[self._at]
        if token is not END:
            self._at += 1
        return token

    def at_word(self, text: str) -> bool:
        token = self._tokens[self._at]
        return token.type == "word" and token.text == text

    def accept(self, mark: str) -> bool:
        """Takes the token if it is that mark."""
        if self._tokens[self._at].type != mark:
            return False
        self._at += 1
        return True

    def expect(self, mark: str) -> None:
        token = self._tokens[self._at]
        if token.type != mark:
            raise self.unexpected(token, mark)
        self._at += 1

    def expect_word(self) -> str:
        token = self.take()
        if token.type != "word":
            raise self.unexpected(token)
        return token.text

    def expect_end(self) -> None:
        if self.peek() is not END:
            raise self.unexpected(self.peek())

    def unexpected(self, token: Token, wanted: str = "") -> Refusal:
        shown = "a value" if token.type in ("literal", "enum") else f"'{printable(token.text[:60])}'"
        if token is END:
            shown = "the end"
        expected = f"; '{wanted}' is expected" if wanted else ""
        return Refusal("FC1001", f"{shown} is not expected here in {self.source}{expected}.", source=self.source)


class Slots:
    """The slots of a request, filled in as parsers meet its literals."""

    def __init__(self, literals: tuple[Literal, ...], model: Model) -> None:
        self.model = model
        self._literals = literals
        self._specs: list[SlotSpec | None] = [None] * len(literals)

    def set(self, index: int, spec: SlotSpec) -> Slot:
        """Says what literal ``index`` is for."""
        self._specs[index] = spec
        return Slot(index, spec.kind)

    def done(self) -> tuple[SlotSpec, ...]:
        """One slot per literal; those that nobody asked for convert to their text."""
        return tuple(spec or unused(literal.kind) for spec, literal in zip(self._specs, self._literals, strict=True))
