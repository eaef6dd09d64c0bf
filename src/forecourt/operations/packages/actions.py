"""The data-management actions of ``/data``, which start jobs and say what became of them.

``POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.<Function>`` with a JSON object; the answer
is ``{"value": …}``. A job belongs to the identity that started it: to others it is Unknown. A definition group is a
project of the solution; with ``overwrite`` the package's own list of entities takes its place for the run.
Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.operations.packages.error_files import keep_file
from forecourt.operations.packages.jobs import Jobs, Wanted
from forecourt.operations.packages.queues import Queues
from forecourt.operations.packages.records import OPEN, Job, Options, Owner, RowState, Status
from forecourt.security.services import Answer, Call, Service, base_url, json_answer

SET = "DataManagementDefinitionGroups"

#: Errors that one answer lists.
MOST_ERRORS = 1_000

Function = Callable[["_Asked"], Awaitable[object]]


def package_services(jobs: Jobs, queues: Queues) -> dict[str, Service]:
    """The actions, as services of ``/data``."""
    actions = _Actions(jobs, queues)
    exporting = ("definitionGroupId", "packageName", "executionId", "reExecute", "legalEntityId")
    importing = ("packageUrl", "definitionGroupId", "executionId", "execute", "overwrite", "legalEntityId")
    functions: dict[str, tuple[Function, tuple[str, ...]]] = {
        "GetAzureWriteUrl": (actions.write_url, ("uniqueFileName",)),
        "ImportFromPackage": (actions.import_package, importing),
        "ImportFromPackageAsync": (actions.import_package, importing),
        "ExportToPackage": (actions.export_package, exporting),
        "ExportToPackageAsync": (actions.export_package, exporting),
        "ExportToPackagePreview": (actions.export_package, (*exporting, "exportPreviewCount")),
        "GetExecutionSummaryStatus": (actions.status, ("executionId",)),
        "GetExportedPackageUrl": (actions.package_url, ("executionId",)),
        "GetExecutionErrors": (actions.errors, ("executionId",)),
        "GetImportStagingErrorFileUrl": (actions.staging_errors, ("executionId", "entityName")),
        "GenerateImportTargetErrorKeysFile": (actions.make_keys, ("executionId", "entityName")),
        "GetImportTargetErrorKeysFileUrl": (actions.keys_url, ("executionId", "entityName")),
        "GetMessageStatus": (actions.message_status, ("messageId",)),
    }
    return {f"{SET}/{name}": _Action(function, names) for name, (function, names) in functions.items()}


@dataclass(frozen=True)
class _Asked:
    """The parameters of a call, and who makes it."""

    principal: Principal
    owner: Owner
    base: str
    given: Mapping[str, object]

    def text(self, name: str, needed: bool = True) -> str:
        """A text. Raises Refusal FC1003."""
        value = self.given.get(name)
        if value in (None, "") and not needed:
            return ""
        if not isinstance(value, str) or not value:
            raise Refusal("FC1003", f"'{name}' is a text, and needed.", source=name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false. Raises Refusal FC1003."""
        value = self.given.get(name, default)
        if not isinstance(value, bool):
            raise Refusal("FC1003", f"'{name}' is true or false.", source=name)
        return value

    def count(self, name: str) -> int:
        """A number of rows, 0 where none is given; texts are taken too. Raises Refusal FC1003."""
        value = self.given.get(name, 0)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise Refusal("FC1003", f"'{name}' is a number of rows.", source=name)
        return value


@dataclass(frozen=True)
class _Action:
    """One action. ``names``: of its parameters."""

    function: Function
    names: tuple[str, ...]

    async def __call__(self, call: Call) -> Answer:
        if call.method != "POST":
            raise Refusal("FC1008", f"{call.method} is not supported on this resource.", hint="Use POST.")
        if call.work is not None:
            raise Refusal("FC1004", "The action cannot be part of a change set.", hint="Call it by itself.")
        for name in call.parameters:
            if name not in self.names:
                hint = suggest(name[:100], self.names)
                raise Refusal("FC1002", f"The parameter '{name[:100]}' is not known.", hint=hint, source="body")
        user, contact = call.principal.operations_user, call.principal.contact
        if user is None:
            raise Refusal("FC3002", "Data packages need an operations user.")
        owner = Owner(user.id, contact.id if contact is not None else None)
        value = await self.function(_Asked(call.principal, owner, base_url(call.headers), call.parameters))
        kind = "Edm.Boolean" if isinstance(value, bool) else "Edm.String"
        return json_answer({"@odata.context": f"{call.base}/$metadata#{kind}", "value": value})


class _Actions:
    def __init__(self, jobs: Jobs, queues: Queues) -> None:
        self._jobs = jobs
        self._queues = queues

    async def write_url(self, asked: _Asked) -> object:
        self._jobs.any_right(asked.principal)
        blob = await self._jobs.blobs.new(asked.owner.user, asked.text("uniqueFileName"))
        return json.dumps({"BlobId": str(blob), "BlobUrl": await self._jobs.blobs.address(asked.base, blob, "w")})

    async def import_package(self, asked: _Asked) -> object:
        name, job_id = asked.text("definitionGroupId"), asked.text("executionId", needed=False)
        execute = asked.flag("execute", True)
        known = await self._jobs.find(job_id, asked.owner) if job_id else None
        if known is not None and known.direction == "import" and execute and not known.options.execute:
            await self._jobs.again(known)  # it was staged before
            return known.id
        blob = await self._jobs.blobs.of_address(asked.text("packageUrl"), asked.owner.user)
        options = Options(execute=execute, open=asked.flag("overwrite", False))
        wanted = Wanted(asked.owner, name, job_id, asked.text("legalEntityId", needed=False), (), options)
        return (await self._jobs.ask_import(wanted, blob.id)).id

    async def export_package(self, asked: _Asked) -> object:
        name, job_id = asked.text("definitionGroupId"), asked.text("executionId", needed=False)
        asked.text("packageName", needed=False)
        known = await self._jobs.find(job_id, asked.owner) if job_id else None
        if known is not None and asked.flag("reExecute", False) and known.direction == "export":
            await self._jobs.again(known)
            return known.id
        company = asked.text("legalEntityId", needed=False)
        preview = asked.count("exportPreviewCount") if "exportPreviewCount" in asked.given else 0
        wanted = Wanted(asked.owner, name, job_id, company, (), Options(preview=preview))
        return (await self._jobs.ask_export(wanted)).id

    async def status(self, asked: _Asked) -> object:
        job = await self._jobs.find(asked.text("executionId"), asked.owner)
        return (Status.UNKNOWN if job is None else job.status).value

    async def package_url(self, asked: _Asked) -> object:
        job = await self._ended(asked)
        if job.result is None:
            raise Refusal("FC4802", "The job has no package.", hint=job.message, source="executionId")
        return await self._jobs.blobs.address(asked.base, job.result, "r")

    async def errors(self, asked: _Asked) -> object:
        job = await self._own(asked)
        found = [{"RecordId": "", "Field": "", "ErrorMessage": job.message}] if job.message else []
        for part in await self._jobs.register.parts(job):
            for row in await self._jobs.register.wrong(job, part.place, 0, 0, MOST_ERRORS - len(found)):
                message = f"{part.file}: row {row.n}: {row.message}"
                found.append({"RecordId": str(row.n), "Field": row.field, "ErrorMessage": message})
            if len(found) >= MOST_ERRORS:
                break
        return json.dumps(found)

    async def staging_errors(self, asked: _Asked) -> object:
        job = await self._ended(asked)
        part, entity = await self._jobs.part(job, asked.text("entityName"))
        blob = await keep_file(self._jobs.register, self._jobs.blobs, job, part, entity, "staging")
        return "" if blob is None else await self._jobs.blobs.address(asked.base, blob, "r")

    async def make_keys(self, asked: _Asked) -> object:
        job = await self._ended(asked)
        part, entity = await self._jobs.part(job, asked.text("entityName"))
        if not await self._jobs.register.wrong(job, part.place, RowState.REFUSED, 0, 1):
            return False
        blob = await keep_file(self._jobs.register, self._jobs.blobs, job, part, entity, "keys")
        assert blob is not None
        await self._jobs.register.keys_file(job, part.place, blob)
        return True

    async def keys_url(self, asked: _Asked) -> object:
        job = await self._ended(asked)
        part, _ = await self._jobs.part(job, asked.text("entityName"))
        return "" if part.keys_file is None else await self._jobs.blobs.address(asked.base, part.keys_file, "r")

    async def message_status(self, asked: _Asked) -> object:
        try:
            message = UUID(asked.text("messageId"))
        except ValueError:
            raise Refusal("FC1003", "'messageId' is a GUID.", source="messageId") from None
        return await self._queues.status(asked.principal, message)

    async def _own(self, asked: _Asked) -> Job:
        job = await self._jobs.find(asked.text("executionId"), asked.owner)
        if job is None:
            raise Refusal("FC4042", "There is no execution of this id.", source="executionId")
        return job

    async def _ended(self, asked: _Asked) -> Job:
        job = await self._own(asked)
        if job.status in OPEN:
            raise Refusal("FC4802", "The execution is not done yet.", hint="Ask GetExecutionSummaryStatus.")
        return job
