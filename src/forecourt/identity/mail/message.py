"""A message to one address, what it is about, and which texts are addresses."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Literal

#: An address without quotes, comments or routes: what people have.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{1,190}\Z)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one address, as plain text and as HTML. Both may hold a code that lets whoever reads it in."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


#: What a letter is about. ``nobody``: it is not sent.
Kind = Literal["registration", "has account", "known", "recovery", "password changed", "invitation", "nobody"]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with what it is about, and how long it is of use."""

    kind: Kind
    message: Message
    lifetime: dt.timedelta


def is_address(text: str) -> bool:
    """Whether a text is an e-mail address that mail can be sent to.

    >>> is_address("ann@example.com"), is_address("ann@example.com\\nBcc: all@example.com"), is_address("ann")
    (True, False, False)
    """
    return _ADDRESS.fullmatch(text) is not None and ".." not in text
