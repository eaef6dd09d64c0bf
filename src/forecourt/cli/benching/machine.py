"""Cores and CPU time, from ``/proc``. Linux only, as the product is.

CPU time of a process tree is what its processes have used (nanoseconds, ``schedstat``) and what those of its children
used that are gone (``stat``, in clock ticks). It moves much less than the clock when something else uses the machine.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")


def two_cores() -> tuple[int, int]:
    """Two cores to measure on. Raises ClickException where there is one only."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise click.ClickException(
            "The benchmark needs two cores: server and load would take turns on one, and no ratio would mean anything."
        )
    return cores[0], cores[1]


def stat(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` that follow the program's name: state, parent …; [] where it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def parent(pid: int) -> int:
    """The parent's process id, 0 where there is none."""
    fields = stat(pid)
    return int(fields[1]) if fields else 0


def tree(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            children.setdefault(parent(int(entry.name)), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def cpu_time(root: int) -> float:
    """Microseconds of CPU that a process tree has used so far."""
    fields = stat(root)
    gone = (int(fields[13]) + int(fields[14])) * _TICK if fields else 0.0
    return gone + sum(map(_own, tree(root)))


def _own(pid: int) -> float:
    total = 0.0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1000
    except (OSError, IndexError, ValueError):
        fields = stat(pid)
        total = (int(fields[11]) + int(fields[12])) * _TICK if fields else 0.0
    return total


def pin(root: int, core: int) -> None:
    """Keeps a process tree, with all threads, on one core; what it starts from now on stays there too."""
    for pid in tree(root):
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(task.name), {core})


def describe() -> dict[str, Any]:
    """What the numbers depend on."""
    model = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """The most that this process holds in memory meanwhile, in MB, once it is over; its peak so far where the kernel
    does not let it be counted anew."""
    found = [0.0]
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    yield found
    lines = Path("/proc/self/status").read_text().splitlines()
    found[0] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
