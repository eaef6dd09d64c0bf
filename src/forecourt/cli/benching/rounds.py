"""The interleaved run: every contender once per round, in an order that rotates, each under the same conditions.

    core A    the server, or pgbench
    core B    PostgreSQL, and the load generator

One thing at a time does work. What a round is compared with is the same round of the others, so that a machine that is
slow for a while slows all of them down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from forecourt.cli.benching import generator, pgbench
from forecourt.cli.benching.machine import cpu_time, pin
from forecourt.cli.benching.questions import HAND, SENT, Question, name_of
from forecourt.cli.benching.subject import HOST, Subject, served


@dataclass(frozen=True)
class Load:
    """``seconds`` per contender and round; ``warm_up`` seconds before each, for HTTP."""

    rounds: int = 5
    seconds: int = 4
    warm_up: float = 1.0
    connections: int = 8


@dataclass(frozen=True)
class Sample:
    """One contender in one round. ``rate`` per second; ``p50``, ``p95``, ``p99`` in ms (``p50`` of pgbench is its mean,
    its ``p99`` None).

    CPU in microseconds per request: of the server, of PostgreSQL, and of what makes the load.
    """

    rate: float
    p50: float
    p99: float | None
    server: float
    postgres: float
    load: float
    p95: float = 0.0

    @property
    def cost(self) -> float:
        """CPU of server and PostgreSQL together."""
        return self.server + self.postgres

    @property
    def busiest(self) -> float:
        """CPU on the core that has more to do: what bounds the rate when nothing else uses the machine."""
        return max(self.server or self.load, self.postgres)


#: Scenario -> contender -> a sample per round.
Samples = dict[str, dict[str, list[Sample]]]


def order(names: Sequence[str], number: int) -> tuple[str, ...]:
    """The contenders in the order of that round: each is first once, and last once.

    >>> order("abc", 1)
    ('b', 'c', 'a')
    """
    at = number % len(names)
    return (*names[at:], *names[:at])


def measure(subject: Subject, load: Load, cores: tuple[int, int], tell: Callable[[str], None]) -> Samples:
    """All rounds. ``tell`` hears what is measured next."""
    first, second = cores
    pin(subject.postmaster, second)
    found: Samples = {question.name: {name: [] for name in question.contenders} for question in subject.questions}
    with served(subject, first) as server:
        for number in range(load.rounds):
            for question in subject.questions:
                for name in order(question.contenders, number):
                    tell(f"round {number + 1} of {load.rounds}: {question.name}, {name}")
                    sample = _one(subject, question, name, load, cores, server)
                    found[question.name][name].append(sample)
    return found


def _one(subject: Subject, question: Question, name: str, load: Load, cores: tuple[int, int], server: int) -> Sample:
    if name in (SENT, HAND):
        work = question.sent if name == SENT else question.hand
        done = pgbench.run(work, subject.url, subject.postmaster, cores[0], load.connections, load.seconds)
        return Sample(done.rate, done.latency, None, 0.0, done.cpu, done.client, done.p95)
    requests = next(texts for key, texts in question.requests.items() if name_of(*key) == name)
    with _generator(subject.port, requests, load, cores[1]) as process:
        before = cpu_time(server), cpu_time(subject.postmaster)
        result = _tell(process, "go")
        after = cpu_time(server), cpu_time(subject.postmaster)
    count = result["requests"]
    return Sample(
        rate=count / result["seconds"],
        p50=result["p50"],
        p99=result["p99"],
        server=(after[0] - before[0]) / count,
        postgres=(after[1] - before[1]) / count,
        load=result["cpu"] / count,
        p95=result["p95"],
    )


@contextmanager
def _generator(port: int, requests: Sequence[str], load: Load, core: int) -> Iterator[subprocess.Popen[str]]:
    """The load generator, warm and waiting."""
    process = subprocess.Popen(
        [sys.executable, "-I", str(Path(generator.__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        os.sched_setaffinity(process.pid, {core})
        wanted = {"host": HOST, "port": port, "requests": requests}
        limits = {"connections": load.connections, "seconds": load.seconds, "warm_up": load.warm_up}
        _tell(process, json.dumps(wanted | limits))
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _tell(process: subprocess.Popen[str], text: str) -> dict[str, Any]:
    """Says a line, and gives what is answered: counts, or nothing for ``ready``. Raises ClickException."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if line == "ready\n":
        return {}
    result: dict[str, Any] = json.loads(line) if line else {"error": "the load generator ended"}
    if "error" in result:
        raise click.ClickException(f"A request failed under load: {result['error']}")
    return result


def as_record(samples: Samples) -> dict[str, Any]:
    """The samples for JSON."""
    return {
        scenario: {name: [asdict(sample) for sample in taken] for name, taken in each.items()}
        for scenario, each in samples.items()
    }
