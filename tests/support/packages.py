"""Data packages for tests: made by hand, so that they may be what no program writes."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from forecourt.operations.packages import archive
from forecourt.operations.packages.archive import Manifest, Part
from forecourt.operations.packages.jobs import Wanted
from forecourt.operations.packages.records import Job, Options, Owner
from support.server import Installation

#: A user who may exchange data of every entity, and no administrator.
STAFF = Owner("integration")


def csv_text(rows: Sequence[Mapping[str, object]]) -> bytes:
    """A CSV file with the columns of the first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def package(*files: tuple[str, str, bytes], project: str = "test", extra: Mapping[str, bytes] | None = None) -> bytes:
    """A package. ``files``: (entity, file name, contents); ``extra``: files beside what the manifest names."""
    manifest = Manifest(project, tuple(Part(entity, name, name.rpartition(".")[2]) for entity, name, _ in files))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(archive.MANIFEST, archive.manifest_text(manifest, {}))
        target.writestr(archive.HEADER, archive.header_text(project))
        for _, name, contents in files:
            target.writestr(name, contents)
        for name, contents in (extra or {}).items():
            target.writestr(name, contents)
    return data.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """The files of a package."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return {name: source.read(name) for name in source.namelist()}


def csv_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a CSV file, as they are written."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 70_000):
        yield data[start : start + 70_000]


async def imported(
    site: Installation, data: bytes, owner: Owner = STAFF, company: str = "", options: Options | None = None
) -> Job:
    """Imports a package as its own project, and gives the job as it ended."""
    jobs = site.forecourt.packages
    blob = await jobs.blobs.new(owner.user, "test.zip")
    await jobs.blobs.fill(blob, chunks(data))
    wanted = Wanted(owner, f"test-{blob}", company=company, options=options or Options(open=True))
    job = await jobs.run(await jobs.ask_import(wanted, blob, claimed=True))
    for fault in site.faults:
        raise fault.error
    return job


async def exported(site: Installation, wanted: Wanted) -> bytes:
    """The package of an export that has to succeed."""
    jobs = site.forecourt.packages
    job = await jobs.run(await jobs.ask_export(wanted, claimed=True))
    assert job.status == "Succeeded", job.message
    assert job.result is not None
    return b"".join([chunk async for chunk in jobs.blobs.chunks(job.result)])
