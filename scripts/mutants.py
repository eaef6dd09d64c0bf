"""Removes or weakens every rule of the examples in turn and looks whether ``audit`` names what opened.

    python scripts/mutants.py [contoso] [adventureworks] [--only TEXT] [--every N] [--part K/N]

Prints what became of each mutant, then how many were caught of how many, and why each survivor is one. Ends with 1
where a mutant survives that is not equivalent, which is to say: ``audit --diff`` finds somebody who gains something,
and audit is silent. The databases are made once; of rules, only what a mutant changes is asked anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from forecourt.store.embedded import EmbeddedServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import adventureworks
from support.mutant_ranges import adventureworks_range, contoso_range
from support.mutants import Fate, as_line
from support.postgres import VARIABLE, start_server

RANGES = {"contoso": contoso_range, "adventureworks": adventureworks_range}


async def run(server: EmbeddedServer, folder: Path, name: str, only: str, steps: slice) -> list[Fate]:
    """The fates of a solution's mutants, told as they come."""
    async with RANGES[name](server, folder) as (found, mutants):
        clean = len(found.report.findings)
        print(f"{name}: {len(mutants)} mutants, {len(found.people)} identities, {clean} findings as it is")
        for finding in found.report.findings:
            print(f"  {finding.code} {finding.message} [{finding.identity}]")
        fates = []
        for mutant in [mutant for mutant in mutants if only.lower() in str(mutant).lower()][steps]:
            fates.append(await found.fate(mutant))
            print(as_line(fates[-1]), flush=True)
        return fates


def summary(name: str, fates: Sequence[Fate]) -> bool:
    """Prints the count and the survivors. Whether nothing survived that is not equivalent."""
    kinds = Counter(fate.mutant.kind for fate in fates)
    caught = Counter(fate.mutant.kind for fate in fates if fate.caught)
    print(f"\n{name}")
    for kind, count in sorted(kinds.items()):
        print(f"  {kind:34} {caught[kind]:3}/{count}")
    silent = [fate for fate in fates if not fate.caught]
    named = sum(fate.audit is not None and bool(fate.audit.identity) and bool(fate.audit.rows) for fate in fates)
    differ = sum(fate.diff is not None for fate in fates)
    print(f"  audit caught {len(fates) - len(silent)}/{len(fates)}; {named} with identity, rows and a row")
    print(f"  audit --diff saw {differ}/{len(fates)}, of data by how people stood before and after")
    equal = [fate for fate in silent if fate.equivalent]
    lost = [fate for fate in silent if not fate.equivalent]
    for fate in equal:
        what = f", some lose: {fate.diff.message}" if fate.diff else " or loses anything"
        print(f"  opens nothing, nobody gains{what}: {fate.mutant}")
    for fate in lost:
        print(f"  SURVIVED: {fate.mutant}; {fate.diff.message if fate.diff else 'of data'}")
    return not lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("solutions", nargs="*", choices=[[], *RANGES], default=[])
    parser.add_argument("--only", default="", help="only mutants whose description has this text")
    parser.add_argument("--every", type=int, default=1, help="only every n-th of them")
    parser.add_argument("--part", default="1/1", help="of N processes, what the K-th of them does")
    given = parser.parse_args()
    part, parts = (int(number) for number in given.part.split("/"))
    steps = slice((part - 1) * given.every, None, parts * given.every)
    names = given.solutions or [name for name in RANGES if name != "adventureworks" or adventureworks.DUMP.is_file()]
    fine = True
    for name in names:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="forecourt-mutants-") as folder:
            os.environ[VARIABLE] = folder
            server = start_server()
            try:
                fates = asyncio.run(run(server, Path(folder), name, given.only, steps))
            finally:
                server.stop()
        fine = summary(name, fates) and fine
        print(f"  {time.monotonic() - started:.0f} seconds")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
