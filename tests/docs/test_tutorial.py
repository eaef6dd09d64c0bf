"""The tutorial is played: its commands are run in order by one shell, and print what it says.

A block is run where ``<!-- run -->`` stands above it. A line that begins with ``$`` is a command; what follows is its
output, in which ``...`` stands for anything. The address of the tutorial is replaced by that of the server under test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"<!-- run -->\n```console\n(?P<text>.*?)^```$", re.M | re.S)
END = "=== end of step ==="

#: How long a start with an empty data folder, or the whole tutorial, may take on a busy machine, in seconds.
PATIENCE = 240


@dataclass(frozen=True)
class Step:
    command: str
    expected: str


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.finditer(text):
        for part in re.split(r"^\$ ", block.group("text"), flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            found.append(Step(command, expected))
    return found


def fits(expected: str, shown: str) -> bool:
    """Whether ``shown`` is ``expected``, in which ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, shown.strip(), re.S) is not None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder like the one a reader is in. Short, for the database's socket is in it."""
    place = Path(tempfile.mkdtemp(prefix="fc-tutorial-"))
    (place / "examples").symlink_to(ROOT / "examples")
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORECOURT_")}
    return clean | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def address(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The sample company, served as the tutorial says, on a port that is free. It says so once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", "from forecourt.cli import main; main()", "demo", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        limit = threading.Timer(PATIENCE, server.kill)
        limit.start()
        try:
            assert server.stdout is not None
            announced = any(f"on {url} " in line for line in server.stdout)
            assert announced, (folder / "server.log").read_text("utf-8")
            yield url
        finally:
            limit.cancel()
            server.send_signal(signal.SIGINT)
            try:
                server.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.communicate()


def test_there_is_something_to_run() -> None:
    found = steps(TUTORIAL.read_text("utf-8"))
    assert len(found) > 15
    assert fits("a ... c", "a b c") and not fits("a ... c", "a b d")


@pytest.mark.slow
def test_the_tutorial_prints_what_it_says(folder: Path, environment: dict[str, str], address: str) -> None:
    played = steps(TUTORIAL.read_text("utf-8").replace(ADDRESS, address))
    script = "exec 2>&1\n" + "".join(f"{step.command}\nprintf '\\n%s\\n' '{END}'\n" for step in played)
    done = subprocess.run(
        ["bash"], input=script, capture_output=True, text=True, cwd=folder, env=environment, timeout=PATIENCE
    )
    shown = done.stdout.split(END)
    assert len(shown) == len(played) + 1, done.stdout
    for step, output in zip(played, shown, strict=False):
        assert fits(step.expected, output), f"$ {step.command}\n--- says\n{step.expected}\n--- prints\n{output}"
