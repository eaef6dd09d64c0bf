"""The command line as somebody types it, in a thread of the test's process: the exit code, and what it said."""

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


async def run(*arguments: object) -> Said:
    """Runs a command line."""

    def call() -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main([str(argument) for argument in arguments])
            except SystemExit as ended:
                return Said(int(ended.code or 0), out.getvalue(), err.getvalue())
        raise AssertionError("the command did not end")

    return await asyncio.to_thread(call)
