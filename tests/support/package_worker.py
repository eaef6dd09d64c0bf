"""A worker of data packages as a process of its own, which dies at a step: ``package_worker URL JOB LABEL COUNT``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from forecourt.app import Databases, build
from forecourt.store.database import Database
from support.contoso import ROOT
from support.server import SETTINGS


async def work(url: str, job_id: str, label: str, count: int) -> None:
    passed = 0

    async def step(name: str) -> None:
        nonlocal passed
        passed += name == label
        if passed >= count and name == label:
            os.kill(os.getpid(), signal.SIGKILL)

    database = await Database.open(url, lane_size=2)
    forecourt = await build(ROOT, Databases(database, database, None), SETTINGS, step=step)
    job = await forecourt.packages.register.claim(job_id)
    assert job is not None
    await forecourt.packages.run(job)
    await database.close()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
