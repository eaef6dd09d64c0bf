"""The command line as somebody types it, in the test's process: the exit code, and what it said."""

from __future__ import annotations

import asyncio
import contextlib
import io
from dataclasses import dataclass

from forecourt.cli import main


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


def called(*arguments: object) -> Said:
    """Runs a command line."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            return Said(int(ended.code or 0), _text(out), _text(err))
    raise AssertionError("the command did not end")


def _text(stream: io.TextIOWrapper) -> str:
    """What has been written, as text or as bytes."""
    stream.seek(0)
    return stream.read()


async def run(*arguments: object) -> Said:
    """The same in a thread, for tests that have an event loop."""
    return await asyncio.to_thread(called, *arguments)
