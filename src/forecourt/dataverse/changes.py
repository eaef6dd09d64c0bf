"""Change tracking of the Web API: a delta link after a read, and what has changed since (reference B2.8).

``Prefer: odata.track-changes`` on a read of a set ends it with a delta link. Following it gives the rows that were
made or changed since, whole and by version, then the ids of those that were deleted, and a new delta link.

A token carries the snapshot that the database had when the first page was read. What counts as changed is what that
snapshot does not see, so a transaction that was running then is never skipped, however late it commits; a row may be
told of twice, never not at all. Between the first page and the last, nothing is held open.

Like the original, tracking is for who reads the whole table: organization depth. So a row cannot leave an asker's
reach unless the right itself is taken away, which refuses the next request, and ids of deleted rows tell nothing that
the asker could not have read. Rows still go through the gate, under the same predicates as any other read. What a token
carries is sealed (``delta_tokens``), for numbers of transactions and of tombstones tell of other tables.

A row that was made and deleted in between is told of as deleted. A number of a transaction means nothing in another
cluster: after a dump and restore, tokens must be made anew. Leaves out ``$filter`` and its like, which the original
refuses as well.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote
from uuid import UUID

import msgspec
from msgspec import structs

from forecourt.dataverse.delta_tokens import OPTION, DeltaTokens, Progress
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import OrderBy, ReadPlan, SecuredPlan
from forecourt.kernel.predicate import ChangedSince, Field, Slot
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.types import Kind
from forecourt.odata.dialect import DATAVERSE
from forecourt.odata.path import PathKind
from forecourt.odata.payload import RowWriter, context_url, writer_for
from forecourt.odata.prefer import accept_json, parse_prefer
from forecourt.odata.query import Parsed, plan
from forecourt.odata.request import Request, analyse
from forecourt.security import ownership
from forecourt.security.gate import Gate
from forecourt.security.rules import Depth, Privilege
from forecourt.security.scope import Scope
from forecourt.security.services import VERSION, Answer, base_url
from forecourt.store.database import Database
from forecourt.store.statements import ReadStatement
from forecourt.store.tombstones import KEY, SNAPSHOT, gone, purge

#: How long a token is good for (Organization.ExpireChangeTrackingInDays).
KEEP = dt.timedelta(days=7)

#: Options that have no use beside a token.
ALLOWED = frozenset({"$select"})


@dataclass(frozen=True)
class _Kept:
    writer: RowWriter | None
    positions: tuple[int, ...]


class ChangeTracking:
    """Answers tracked reads of native tables."""

    def __init__(self, gate: Gate, root: str, keep: dt.timedelta = KEEP) -> None:
        self._gate = gate
        self._root = root
        self._keep = keep
        self._purged = time.monotonic()
        self._sealing: DeltaTokens | None = None

    @staticmethod
    def concerns(raw_query: str, headers: Mapping[str, str]) -> bool:
        """Whether a read is a tracked one."""
        if "deltatoken" in raw_query and any(name == OPTION for name, _ in _options(raw_query)):
            return True
        return parse_prefer(headers.get("prefer"), DATAVERSE).track_changes

    async def get(self, principal: Principal, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Answer:
        """A page of rows, or of changes. Raises Refusal FC1004, FC1007, FC3001, FC4006."""
        pairs = _options(raw_query)
        token = next((value for name, value in pairs if name == OPTION), None)
        rest = "&".join(f"{quote(name, safe='$@')}={quote(value)}" for name, value in pairs if name != OPTION)
        request = analyse(raw_path, rest, DATAVERSE)
        entity = self._entity(request)
        parsed = plan(request, self._gate.model, DATAVERSE)
        scope = await self._gate.scope(principal, Door.DATAVERSE, fresh=True)
        self._require_all(scope, entity)
        counting = request.path.kind is PathKind.COUNT
        level = "minimal" if counting else accept_json(headers.get("accept"))
        wanted = parse_prefer(headers.get("prefer"), DATAVERSE)
        size = min(wanted.page_size or DATAVERSE.max_page, DATAVERSE.max_page)
        progress = await self._progress(request, entity, token)
        if counting:
            return await self._count(scope, request, entity, progress)
        base = base_url(headers) + self._root
        link = f"{base}/{entity.collection}?{rest + '&' if rest else ''}{OPTION}="
        rows, after = b"[]", progress
        removed: list[UUID] = []
        taken = 0
        if progress.phase != "gone":
            rows, taken, after = await self._rows(scope, request, parsed, progress, size, wanted.beside, level)
        if after.phase == "gone" and taken < size:
            removed, after = await self._gone(entity, after, size - taken)
        done = after.phase == "full" and not after.begun
        mark = (await self._tokens(entity)).make(request, after)
        body = _body(
            context=context_url(base, entity.collection, parsed.plan) + ("/$delta" if progress.since else ""),
            rows=rows,
            removed=[_Removed(f"{base}/$metadata#{entity.collection}/$deletedEntity", str(key)) for key in removed],
            link=("@odata.deltaLink" if done else "@odata.nextLink", link + mark),
            bare=level == "none",
        )
        applied = wanted.applied()
        return Answer(
            200,
            (
                ("Content-Type", f"application/json; odata.metadata={level}"),
                VERSION,
                *((("Preference-Applied", applied),) if applied else ()),
            ),
            body,
        )

    # -- steps ---------------------------------------------------------------------------------------------------

    def _entity(self, request: Request) -> Entity:
        entity = self._gate.model.by_collection.get(request.path.set)
        if entity is None:
            raise Refusal("FC4042", f"Resource not found for the segment '{request.path.set[:100]}'.", source="path")
        if request.path.kind not in (PathKind.SET, PathKind.COUNT):
            raise Refusal("FC1004", "Changes are tracked for a whole set.", source=OPTION)
        if not tracked(entity):
            raise Refusal("FC1004", f"Change tracking is not enabled for {entity.name}.", source=OPTION)
        for option in request.options:
            if option.name not in ALLOWED:
                raise Refusal("FC1004", f"{option.name} cannot be used with change tracking.", source=option.name)
        return entity

    def _require_all(self, scope: Scope, entity: Entity) -> None:
        rules, roles = self._gate.enforcer.rules.dataverse, scope.principal.security_roles
        if ownership.depth(rules, roles, entity, Privilege.READ) is not Depth.ORGANIZATION:
            refusal = Refusal(
                "FC3001",
                f"Tracking changes of {entity.name} needs the privilege to read it at organization depth.",
                source=entity.collection,
            )
            self._gate.note(scope, refusal, entity)
            raise refusal

    def _database(self, entity: Entity) -> Database:
        return self._gate.plane_of(entity).database

    async def _progress(self, request: Request, entity: Entity, token: str | None) -> Progress:
        """What a token says, or the start of a first read; with the snapshot of now where a read begins."""
        found = None if token is None else (await self._tokens(entity)).read(request, token)
        if found is not None and found.begun:
            return found
        row = (await self._database(entity).lookup(SNAPSHOT))[0]
        snapshot, now = str(row[0]), int(row[1])
        if found is None:
            return Progress("full", "", snapshot, now)
        if now - found.taken_at > self._keep.total_seconds():
            raise expired()
        return Progress("rows", found.until, snapshot, now)

    async def _tokens(self, entity: Entity) -> DeltaTokens:
        """All tracked tables are native ones, in one database."""
        if self._sealing is None:
            self._sealing = DeltaTokens((await self._database(entity).lookup(KEY))[0][0])
        return self._sealing

    async def _rows(
        self,
        scope: Scope,
        request: Request,
        parsed: Parsed,
        progress: Progress,
        size: int,
        beside: frozenset[str],
        level: Literal["none", "minimal", "full"],
    ) -> tuple[bytes, int, Progress]:
        """A page of rows as JSON, how many, and where it leads."""
        entity = parsed.entity
        version, key = _version(entity), entity.key[0]
        delta = progress.phase == "rows"
        order = (OrderBy((version,)), OrderBy((key,))) if delta else (OrderBy((key,)),)
        slots: list[object] = [progress.since] if delta else []
        first = len(slots)
        kinds = (Kind.INT64, Kind.GUID) if delta else (Kind.GUID,)
        begun = progress.row is not None
        slots.extend(((progress.version, progress.row) if delta else (progress.row,)) if begun else ())
        after = tuple(Slot(first + place, kind) for place, kind in enumerate(kinds)) if begun else None
        changed = ChangedSince(Field((version,)), Slot(0, Kind.STRING)) if delta else None

        def make() -> ReadPlan:
            return ReadPlan(
                entity.name,
                select=parsed.plan.select,
                filter=changed,
                order=order,
                after=after,
                page_size=size,
                beside=beside,
            )

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept:
            writer = writer_for(secured, self._gate.model, DATAVERSE, annotations=beside, metadata=level)
            names = [output.name for output in secured.select.outputs]
            return _Kept(writer, tuple(names.index(name) for name in secured.keyset))

        shape = ("changes", request.shape_key, delta, after is None, size, beside, level)
        prepared, result = await self._gate.read(scope, shape, make, finish, slots)
        rows, kept = result.rows, prepared.extra
        assert kept.writer is not None
        if len(rows) > size:
            rows = rows[:size]
            *versions, row = (rows[-1][at] for at in kept.positions)
            follows = structs.replace(progress, version=versions[0] if versions else None, row=row)
        elif delta:
            follows = Progress("gone", progress.since, progress.until, progress.taken_at, tombstone=0)
        else:
            follows = Progress("full", "", progress.until, progress.taken_at)
        return kept.writer.encode(rows), len(rows), follows

    async def _gone(self, entity: Entity, progress: Progress, size: int) -> tuple[list[UUID], Progress]:
        """Ids of deleted rows, and where that leads."""
        after = progress.tombstone or 0
        column = entity.fields[entity.key[0]].column
        database = self._database(entity)
        rows = await database.lookup(gone(entity.root.table, column, progress.since, after, size + 1))
        if any(row[1] is None for row in rows):
            raise expired()  # the table was emptied as a whole
        await self._forget(database)
        if len(rows) > size:
            rows = rows[:size]
            return [row[1] for row in rows], structs.replace(progress, tombstone=int(rows[-1][0]))
        return [row[1] for row in rows], Progress("full", "", progress.until, progress.taken_at)

    async def _count(self, scope: Scope, request: Request, entity: Entity, progress: Progress) -> Answer:
        """How many changes a token would give, deletes included."""
        delta = progress.phase == "rows"
        changed = ChangedSince(Field((_version(entity),)), Slot(0, Kind.STRING)) if delta else None

        def make() -> ReadPlan:
            return ReadPlan(entity.name, filter=changed, want="count")

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept:
            return _Kept(None, ())

        shape = ("changes", request.shape_key, delta)
        _, result = await self._gate.read(scope, shape, make, finish, [progress.since] if delta else [])
        total, after = result.total or 0, 0
        while delta:
            column = entity.fields[entity.key[0]].column
            more = gone(entity.root.table, column, progress.since, after, DATAVERSE.max_page)
            rows = await self._database(entity).lookup(more)
            if any(row[1] is None for row in rows):
                raise expired()
            total += len(rows)
            if len(rows) < DATAVERSE.max_page:
                break
            after = int(rows[-1][0])
        return Answer(200, (("Content-Type", "text/plain"), VERSION), str(total).encode("ascii"))

    async def _forget(self, database: Database) -> None:
        """Tidies up, at most once an hour in this process."""
        if time.monotonic() - self._purged > 3600:
            self._purged = time.monotonic()
            await database.system(purge(self._keep))


def tracked(entity: Entity) -> bool:
    """Whether changes of a table are tracked: of every native one."""
    return entity.virtual_of is None and bool(entity.version) and len(entity.key) == 1


def expired() -> Refusal:
    """The token's time has passed (``ExpiredVersionStamp``)."""
    return Refusal(
        "FC4006",
        "Version stamp associated with the client has expired. Please perform a full sync.",
        hint="Read the set again with Prefer: odata.track-changes.",
        source=OPTION,
    )


class _Removed(msgspec.Struct, gc=False, rename={"context": "@odata.context"}):
    context: str
    id: str
    reason: str = "deleted"


def _body(*, context: str, rows: bytes, removed: Sequence[_Removed], link: tuple[str, str], bare: bool) -> bytes:
    """The answer. ``rows``: a JSON array, to which the removed ones are added; ``bare``: without contexts."""
    encode = msgspec.json.encode
    entries = rows[1:-1]
    gone_entries = b",".join(
        encode({"id": item.id, "reason": item.reason}) if bare else encode(item) for item in removed
    )
    value = b",".join(part for part in (entries, gone_entries) if part)
    head = b"" if bare else b'"@odata.context":' + encode(context) + b","
    return b"{" + head + b'"value":[' + value + b"]," + encode(link[0]) + b":" + encode(link[1]) + b"}"


def _version(entity: Entity) -> str:
    found = ownership.field_of(entity, entity.version)
    assert found is not None
    return found.name


def _options(raw_query: str) -> list[tuple[str, str]]:
    return parse_qsl(raw_query, keep_blank_values=True)
