"""Exports: the rows that the owner may read, page by page, into a package.

Every page is read through the gate as the owner is then: a right that is taken away meanwhile ends the export. Rows
that change between two pages are taken as they are when their page is read. The package is written to a temporary
file and becomes a blob in the transaction that ends the job; an export that was cut off starts anew.
Source: operations-and-integration 5.8, 5.10.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import BinaryIO
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Exported, Observer
from forecourt.kernel.principal import Door, Principal
from forecourt.operations.packages import archive
from forecourt.operations.packages.archive import PackageWriter
from forecourt.operations.packages.blobs import Blobs
from forecourt.operations.packages.files import CODECS
from forecourt.operations.packages.formats import Format, Table, Writer
from forecourt.operations.packages.imports import Progress, Resolve
from forecourt.operations.packages.records import Job, Part, Status
from forecourt.operations.packages.register import Register
from forecourt.operations.packages.rows import Page, may, pages
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation


class Exporter:
    """Runs exports."""

    def __init__(self, gate: Gate, register: Register, blobs: Blobs, resolve: Resolve, observer: Observer) -> None:
        self._observer = observer
        self._gate = gate
        self._register = register
        self._blobs = blobs
        self._resolve = resolve

    async def run(self, job: Job, progress: Progress) -> None:
        """Runs a claimed job and ends it. Raises Refusal where it cannot be done, LeaseLost, Unavailable."""
        with tempfile.TemporaryFile() as file:
            writer = PackageWriter(file, job.project)
            try:
                for part in await self._register.parts(job):
                    principal = await self._resolve(job.owner)
                    await self._part(job, part, principal, writer, progress)
            except BaseException:
                writer.discard()
                raise
            await asyncio.to_thread(writer.close)
            file.seek(0)
            await self._keep(job, file)

    async def _keep(self, job: Job, file: BinaryIO) -> UUID:
        async with self._register.database.transaction("keep an exported package") as tx:
            blob = await self._blobs.keep(tx, job.owner.user, f"{job.id}.zip", file)
            await self._register.finish(tx, job, Status.SUCCEEDED, result=blob)
        return blob

    async def _part(
        self, job: Job, part: Part, principal: Principal, package: PackageWriter, progress: Progress
    ) -> None:
        gate, entity = self._gate, self._gate.model.entities[part.entity]
        if not may(gate, principal, entity, Operation.READ):
            message = f"{job.owner.user} has no right to export {entity.public_name}."
            raise Refusal("FC3001", message, source=entity.collection)
        user = principal.operations_user
        company = job.company or (user.company if user is not None else "")
        company = "" if job.options.cross_company else company
        reading = pages(gate, principal, entity, part.columns, company, job.options.preview)
        page = await anext(reading)
        kind = Format(part.format)
        described = archive.Part(entity.public_name, part.file, kind.value)
        with package.add(described, page.names) as stream:
            fields = tuple(entity.fields[name] for name in page.names)
            table = Table(entity, gate.model, part.file)
            writer: Writer = await asyncio.to_thread(CODECS[kind].write, stream, table, fields)
            try:
                count = await self._rows(job, part, writer, page, reading, progress)
            except BaseException:
                writer.discard()
                raise
            await asyncio.to_thread(writer.close)
        self._observer(Exported(Door.PACKAGES.value, principal.label, entity.name, count))

    async def _rows(
        self, job: Job, part: Part, writer: Writer, first: Page, reading: AsyncIterator[Page], progress: Progress
    ) -> int:
        """Writes the rows; says how many."""
        page: Page | None = first
        count = 0
        while page is not None:
            await asyncio.to_thread(writer.write, page.rows)
            count += len(page.rows)
            await self._register.hold(job)
            await self._register.progress(job, part.place, count)
            progress("exporting", part, count, 0)
            page = await anext(reading, None)
        return count
