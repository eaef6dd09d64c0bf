"""Table maps over ``/data``: what the command line can do, for programs and for people who administer them.

::

    GET  DualWriteProjectConfigurations[('<map>')]                        maps, how they stand
    GET  DualWriteProjectConfigurations('<map>')/FieldConfigurations      its columns      /Versions /ActivityLog
                                                                          /Errors /Executions
    POST DualWriteProjectConfigurations[('<map>')]/Microsoft.Dynamics.DataEntities.<Action>
    GET  DualWriteExecutions(<number>)                                    a job and its result

Start Pause Resume Stop SetVersion Verify Repair Retry Dismiss Resolve. Without a key an action concerns the maps that
its ``Names`` list, all by default. Work that takes long is answered with 202 at once and goes on in the server.
Only for operations users who are system administrators; for everybody else the set is one without a privilege. Names
are those of the original's entities where it has them (operations-and-integration 1.2).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from forecourt.integration.dual_write.decide import decide
from forecourt.integration.dual_write.jobs import Copies
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.overview import Status
from forecourt.kernel.errors import Refusal
from forecourt.kernel.journal import Job, JobKind
from forecourt.kernel.principal import SYSTEM_ADMINISTRATOR
from forecourt.kernel.sync import Side
from forecourt.security.services import Answer, Call, Service, json_answer

MAPS: Final = "DualWriteProjectConfigurations"
EXECUTIONS: Final = "DualWriteExecutions"
ACTION: Final = "Microsoft.Dynamics.DataEntities."

#: Rows of a list at most, and where nobody asks for a number.
MOST: Final = 1_000
USUAL: Final = 100

_HEAD = re.compile(rf"{MAPS}(?:\((?:ProjectName=)?'((?:[^']|'')*)'\))?")
_EXECUTION = re.compile(rf"{EXECUTIONS}\((?:ExecutionId=)?(\d{{1,18}})\)")
_RESUME: Final[Mapping[str, Any]] = {"PlayBack": "play_back", "CatchUp": "catch_up", "Discard": "discard"}

Given = Mapping[str, Any]


class MapService:
    """Answers requests for maps (:class:`~forecourt.security.services.Service`)."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._life = copies.life
        self._lists: Mapping[str, Callable[[TableMap, int], Awaitable[list[Mapping[str, Any]]]]] = {
            "FieldConfigurations": self._columns,
            "Versions": self._versions,
            "ActivityLog": self._log,
            "Errors": self._errors,
            "Executions": self._executions,
        }
        self._actions: Mapping[str, Callable[[Sequence[str], Given, str], Awaitable[tuple[int, Given]]]] = {
            "Start": self._start,
            "Pause": self._pause,
            "Resume": self._resume,
            "Stop": self._stop,
            "SetVersion": self._set_version,
            "Verify": self._verify,
            "Repair": self._repair,
            "Retry": self._retry,
            "Dismiss": self._dismiss,
            "Resolve": self._resolve,
        }

    async def __call__(self, call: Call) -> Answer:
        """Raises Refusal FC1002-FC1008, FC3001, FC4042, FC4093, FC6004."""
        user = call.principal.operations_user
        if user is None or SYSTEM_ADMINISTRATOR not in user.roles:
            what = "read" if call.method == "GET" else "change"
            raise Refusal("FC3001", f"You have no right to {what} {MAPS}.", source=MAPS)
        if call.work is not None:
            raise Refusal("FC1008", "A map's state cannot be changed in a change set.", hint="Send it by itself.")
        try:
            if call.method == "GET":
                return await self._get(call)
            if call.method == "POST":
                return await self._post(call, user.id)
        except Refusal as refusal:
            refusal.status = refusal.status or 409
            raise
        raise Refusal("FC1008", f"{call.method} is not supported on maps.", hint="They are defined in maps/*.yaml.")

    # -- reading --------------------------------------------------------------------------------------------------

    async def _get(self, call: Call) -> Answer:
        head, *rest = call.segments
        top = _top(call.options)
        execution = _EXECUTION.fullmatch(head)
        if execution is not None and not rest:
            job = await self._life.journal.job(int(execution[1])) if await self._life.registry.installed() else None
            if job is None:
                raise Refusal("FC4042", "There is no such execution.", source="path")
            return call.value(f"{EXECUTIONS}/$entity", _job(job))
        name = _key(head)
        if not rest and name is None:
            rows = [_map(status) for status in (await self._life.status())[:top]]
            return _collection(call, MAPS, rows)
        if name is not None and not rest:
            (status,) = await self._life.status([name])
            drift = [str(found) for found in await self._life.drift([status.item])]
            return call.value(f"{MAPS}/$entity", {**_map(status), "Drift": drift})
        if name is not None and len(rest) == 1 and rest[0] in self._lists:
            await self._life.refresh()
            (item,) = self._life.named([name])
            return _collection(call, f"{MAPS}('{item.name}')/{rest[0]}", await self._lists[rest[0]](item, top))
        raise Refusal("FC4042", f"Resource not found for the segment '{call.segments[-1][:100]}'.", source="path")

    async def _columns(self, item: TableMap, top: int) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for side, leg in item.legs.items():
            for column in leg.columns:
                reference = column.target_reference or column.source_reference
                outward = side is Side.OPERATIONS
                rows.append(
                    {
                        "InternalFieldName": column.source if outward else column.target,
                        "ExternalFieldName": column.target if outward else column.source,
                        "Direction": "ToDataverse" if outward else "ToOperations",
                        "IsKey": column.key,
                        "IsCompany": column.company,
                        "LookupKey": reference.natural if reference is not None else None,
                        "ValueMap": [
                            {"Source": str(ours), "Target": None if theirs is None else str(theirs)}
                            for ours, theirs in column.values
                        ],
                        "DefaultValue": None if column.default is None else str(column.default),
                    }
                )
        return rows[:top]

    async def _versions(self, item: TableMap, top: int) -> list[Mapping[str, Any]]:
        found = self._life.versions.maps.versions[item.name]
        return [
            {"Version": other.version, "Publisher": other.record.publisher, "IsActive": other.version == item.version}
            for other in found[:top]
        ]

    async def _log(self, item: TableMap, top: int) -> list[Mapping[str, Any]]:
        known = await self._life.registry.installed()
        return [
            {"DateTime": _moment(a.at), "Activity": a.what, "By": a.by, "Rows": a.rows, "Detail": a.detail}
            for a in (await self._life.registry.activities(item.name, top) if known else [])
        ]

    async def _errors(self, item: TableMap, top: int) -> list[Mapping[str, Any]]:
        known = await self._life.registry.installed()
        return [
            {
                "ErrorId": e.id,
                "Direction": "ToDataverse" if e.source is Side.OPERATIONS else "ToOperations",
                "Key": [str(value) for value in e.key],
                "Operation": e.operation,
                "ErrorType": e.kind,
                "Message": e.message,
                "Attempts": e.attempts,
                "DateTime": _moment(e.at),
            }
            for e in (await self._life.registry.errors(item.name, top) if known else [])
        ]

    async def _executions(self, item: TableMap, top: int) -> list[Mapping[str, Any]]:
        known = await self._life.registry.installed()
        return [_job(job) for job in (await self._life.journal.jobs(item.name, top) if known else [])]

    # -- acting ---------------------------------------------------------------------------------------------------

    async def _post(self, call: Call, by: str) -> Answer:
        head, *rest = call.segments
        name = _key(head)
        action = rest[0].removeprefix(ACTION) if len(rest) == 1 and rest[0].startswith(ACTION) else ""
        if action not in self._actions:
            what = call.segments[-1][:100]
            hint = f"POST {MAPS}('<map>')/{ACTION}<{' | '.join(self._actions)}>."
            raise Refusal("FC4042", f"Resource not found for the segment '{what}'.", hint=hint, source="path")
        given = dict(call.parameters)
        names = [name] if name is not None else _texts(given.pop("Names", []), "Names")
        unknown = given.keys() - _PARAMETERS.get(action, frozenset())
        if unknown:
            raise Refusal("FC1002", f"{action} has no parameter '{min(unknown)[:100]}'.", source="body")
        await self._life.refresh()
        self._life.named(names)
        status, value = await self._actions[action](names, given, by)
        self._copies.jobs.wake()
        location = f"{call.base}/{EXECUTIONS}({value['ExecutionId']})" if "ExecutionId" in value else ""
        headers = (("Location", location),) if location else ()
        body = {"@odata.context": f"{call.base}/$metadata#{ACTION}{action}Response", **value}
        return json_answer(body, status, headers)

    async def _start(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        initial = _flag(given, "InitialSync", True)
        fresh, said = await self._life.begin(names, by, initial)
        lines = [*(f"{item.name} is initializing" for item in fresh), *said]
        return (202 if fresh else 200), {"Messages": lines}

    async def _pause(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        related = self._life.related(names)
        if _flag(given, "Related", False):
            names, related = [*names, *related] if names else names, []
        said = await self._life.pause(names, by)
        running = [status.item.name for status in await self._life.status(related or names)]
        states = await self._life.registry.maps() if await self._life.registry.installed() else {}
        still = [name for name in running if name in related and name in states and states[name].state == "running"]
        return 200, {"Messages": said, "RelatedMapsRunning": still}

    async def _resume(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        how = given.get("Mode", "PlayBack")
        if how not in _RESUME:
            raise Refusal("FC1003", "Mode is PlayBack, CatchUp or Discard.", source="Mode")
        said = await self._life.resume(names, by, _RESUME[how], wait=False)
        return (202 if how == "PlayBack" else 200), {"Messages": said}

    async def _stop(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        return 200, {"Messages": await self._life.stop(names, by)}

    async def _set_version(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        version = given.get("Version", "")
        if not isinstance(version, str):
            raise Refusal("FC1003", "Version is a text such as '1.0.0.0'.", source="Version")
        return 200, {"Messages": [await self._life.choose(_only(names), version, by)]}

    async def _verify(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        return await self._ask(names, "Verify", by, {})

    async def _repair(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        if ("Changes" in given) == ("ExecutionId" in given):
            raise Refusal("FC1006", "Repair takes Changes or the ExecutionId of a Verify.", source="body")
        if not isinstance(given.get("Changes", []), list) or not isinstance(given.get("ExecutionId", 0), int):
            raise Refusal("FC1006", "Changes is a list of lines, ExecutionId a number.", source="body")
        return await self._ask(names, "Repair", by, dict(given))

    async def _retry(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        return await self._ask(names, "Retry", by, {})

    async def _ask(self, names: Sequence[str], kind: JobKind, by: str, given: dict[str, Any]) -> tuple[int, Given]:
        number = await self._copies.jobs.ask(_only(names), kind, by, given)
        return 202, {"ExecutionId": number}

    async def _dismiss(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        ids = given.get("ErrorIds")
        if not isinstance(ids, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in ids):
            raise Refusal("FC1006", "ErrorIds is a list of numbers.", source="ErrorIds")
        if not await self._life.registry.installed():
            return 200, {"Dismissed": 0}
        chosen = {item.name for item in self._life.named(names)}
        kept = {error.id for error in await self._life.registry.errors(limit=100_000) if error.map in chosen}
        return 200, {"Dismissed": await self._life.registry.dismiss([number for number in ids if number in kept])}

    async def _resolve(self, names: Sequence[str], given: Given, by: str) -> tuple[int, Given]:
        number, take = given.get("ErrorId"), given.get("Take")
        if not isinstance(number, int) or take not in ("operations", "dataverse"):
            raise Refusal("FC1006", "Resolve takes an ErrorId, and Take: operations or dataverse.", source="body")
        return 200, {"Messages": [await decide(self._copies, number, Side(take), by, _only(names))]}


#: What an action takes beside Names.
_PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "Start": frozenset({"InitialSync"}),
    "Pause": frozenset({"Related"}),
    "Resume": frozenset({"Mode"}),
    "SetVersion": frozenset({"Version"}),
    "Repair": frozenset({"Changes", "ExecutionId"}),
    "Dismiss": frozenset({"ErrorIds"}),
    "Resolve": frozenset({"ErrorId", "Take"}),
}


def map_services(copies: Copies) -> dict[str, Service]:
    """The service under the names that it answers to."""
    service = MapService(copies)
    return {MAPS: service, EXECUTIONS: service}


def _map(status: Status) -> dict[str, Any]:
    item, record = status.item, status.record
    both = "Both" if item.both else ("ToDataverse" if Side.OPERATIONS in item.legs else "ToOperations")
    value: dict[str, Any] = {
        "ProjectName": item.name,
        "InternalEntityName": item.entity.name,
        "ExternalEntityName": item.table.name,
        "Label": item.record.label,
        "Version": record.version,
        "Publisher": item.record.publisher,
        "Mode": item.mode,
        "Direction": both,
        "IntegrationKey": list(item.key),
        "Status": record.state.capitalize(),
        "StatusDateTime": _moment(record.changed_at),
        "Detail": status.standing or record.detail,
        "ErrorCount": status.errors,
    }
    for side in Side:
        value[f"{side.capitalize()}Backlog"] = status.backlog.get(side, 0)
        value[f"{side.capitalize()}LagSeconds"] = round(status.lag.get(side, 0.0), 3)
    return value


def _job(job: Job) -> dict[str, Any]:
    return {
        "ExecutionId": job.id,
        "ProjectName": job.map,
        "ExecutionType": job.kind,
        "ExecutionStatus": job.state,
        "By": job.by,
        "Detail": job.detail,
        "CreatedDateTime": _moment(job.asked_at),
        "EndDateTime": _moment(job.done_at),
        "Result": dict(job.result),
    }


def _collection(call: Call, name: str, rows: Sequence[Mapping[str, Any]]) -> Answer:
    return json_answer({"@odata.context": f"{call.base}/$metadata#{name}", "value": list(rows)})


def _key(head: str) -> str | None:
    """The map that a path names, None for all. Raises Refusal FC1001, FC4042."""
    found = _HEAD.fullmatch(head)
    if found is None:
        raise Refusal("FC4042", f"Resource not found for the segment '{head[:100]}'.", source="path")
    return None if found[1] is None else found[1].replace("''", "'")


def _top(options: Mapping[str, str]) -> int:
    for name in options:
        if name.startswith("$") and name != "$top":
            raise Refusal("FC1004", f"{name[:50]} is not supported on maps.", hint="Use $top.", source=name[:50])
    text = options.get("$top", str(USUAL))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refusal("FC1001", "$top is a whole number.", source="$top")
    return min(int(text), MOST)


def _flag(given: Given, name: str, usual: bool) -> bool:
    value = given.get(name, usual)
    if not isinstance(value, bool):
        raise Refusal("FC1003", f"{name} is true or false.", source=name)
    return value


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refusal("FC1003", f"{name} is a list of texts.", source=name)
    return list(value)


def _only(names: Sequence[str]) -> str:
    if len(names) != 1:
        raise Refusal("FC1001", "This action concerns one map.", hint=f"POST {MAPS}('<map>')/…", source="path")
    return names[0]


def _moment(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
