"""Moments on the command line: in the local time zone, unless they name one."""

from __future__ import annotations

from datetime import datetime

import click

#: The type of an option.
MOMENT = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))


def zoned(moment: datetime | None) -> datetime | None:
    """The moment with its time zone."""
    return moment.astimezone() if moment is not None else None
