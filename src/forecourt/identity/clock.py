"""The clock that credentials, sessions and tokens go by: a constructor argument, so that tests own the time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

#: Gives the present moment, aware, in UTC.
Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The clock of production."""
    return dt.datetime.now(dt.UTC)
