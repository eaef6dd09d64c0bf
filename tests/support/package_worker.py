"""A worker of data packages as a process of its own, which dies at a step.

``package_worker OPERATIONS_URL DATAVERSE_URL JOB LABEL COUNT``; both addresses may be one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from forecourt.app import Databases, build
from forecourt.store.database import Database
from support.contoso import ROOT
from support.server import SETTINGS


async def work(operations: str, dataverse: str, job_id: str, label: str, count: int) -> None:
    passed = 0

    async def step(name: str) -> None:
        nonlocal passed
        passed += name == label
        if passed >= count and name == label:
            os.kill(os.getpid(), signal.SIGKILL)

    first = await Database.open(operations, lane_size=2)
    second = first if dataverse == operations else await Database.open(dataverse, lane_size=2)
    databases = Databases(first, second, None)
    forecourt = await build(ROOT, databases, SETTINGS, step=step)
    job = await forecourt.packages.register.claim(job_id)
    assert job is not None
    await forecourt.packages.run(job)
    await databases.close()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:5], int(sys.argv[5])))
