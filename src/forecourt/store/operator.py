"""Who runs this process: whose doing what a command changes is, where no request says it."""

from __future__ import annotations

import getpass
import socket


def operator() -> str:
    """``user@host``."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
