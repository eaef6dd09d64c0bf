"""Data packages as a door: an entity's rows leave in a package, as the person who asks for it.

The job is entered as ``forecourt package export`` enters one, run by this process's worker, and its package fetched by
the data-management actions of ``/data`` and the address that they give. Rows are compared as the texts of a CSV file.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from itertools import count
from typing import Any

from forecourt.cli.fuzzing.client import ORIGIN, Answered, Asked
from forecourt.cli.fuzzing.doors import Door, parsed
from forecourt.cli.fuzzing.questions import Question
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField
from forecourt.operations.packages.actions import SET
from forecourt.operations.packages.files import CODECS
from forecourt.operations.packages.formats import Format, Table
from forecourt.operations.packages.jobs import Wanted
from forecourt.operations.packages.projects import project_entity
from forecourt.operations.packages.records import Options, Owner, Status
from forecourt.operations.packages.values import text_of

_ACTION = f"/data/{SET}/Microsoft.Dynamics.DataEntities."
_JSON = (("content-type", "application/json"),)
_NUMBERS = count(1)


@dataclass(frozen=True)
class PackageDoor(Door):
    """Exports of single entities, across legal entities."""

    def heard(self, question: Question) -> Question | None:
        """An entity and some of its columns."""
        return Question(question.entity, "list", select=question.select) if question.form == "list" else None

    def asked(self, question: Question) -> Asked | None:
        """The request as it is reported: it is a job, not an address."""
        entity = self.entity(question.entity)
        if entity is None or any(self.field(entity, name) is None for name in question.select):
            return None
        columns = f" --columns {','.join(question.select)}" if question.select else ""
        return Asked("EXPORT", f"--entity {entity.collection}{columns} --cross-company")

    def more(self, answer: Answered) -> bool:
        return False

    def written(self, field: EntityField, value: Any) -> Any:
        return text_of(value, field, self.model)

    async def answers(self, world: World, person: Person, question: Question) -> list[Answered] | None:
        """One answer: the rows of the package as JSON, or the refusal of the job."""
        if self.asked(question) is None:
            return None
        entity = self.model.entities[question.entity]
        jobs = world.forecourt.packages
        part = project_entity(entity, Format.CSV, question.select)
        name = f"fuzz-{next(_NUMBERS)}"
        try:
            user = (await world.principal(person, "packages")).operations_user
            owner = Owner(user.id if user is not None else person.user or "", person.contact)
            wanted = Wanted(owner, "fuzz", name, entities=(part,), options=Options(cross_company=True))
            job = await jobs.run(await jobs.ask_export(wanted, claimed=True))
        except Refusal as refusal:
            return [_refused(refusal.text, refusal.status)]
        if job.status is not Status.SUCCEEDED:
            return [_refused(job.message, 500 if "unexpected error" in job.message else 403)]
        body = json.dumps({"executionId": name}).encode()
        address = await world.ask(person, Asked("POST", f"{_ACTION}GetExportedPackageUrl", _JSON, body))
        link = parsed(address).get("value")
        if address.status != 200 or link is None:
            return [address]
        found = await world.ask(person, Asked("GET", str(link).removeprefix(ORIGIN)))
        return [found if found.status != 200 else Answered(200, (), self._rows(entity, part.file, found.body))]

    def _rows(self, entity: Entity, file: str, package: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(package)) as archive, archive.open(file) as stream:
            rows = [dict(row.texts) for row in CODECS[Format.CSV].read(stream, Table(entity, self.model, file))]
        return json.dumps({"value": rows}).encode()


def _refused(message: str, status: int) -> Answered:
    return Answered(status, (), message.encode())
