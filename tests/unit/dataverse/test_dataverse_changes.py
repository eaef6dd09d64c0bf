"""Change tracking: what a delta link tells, whatever happens in between."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from forecourt.dataverse.changes import ChangeTracking
from forecourt.dataverse.delta_tokens import DeltaTokens, Progress
from forecourt.kernel.errors import Refusal
from forecourt.kernel.predicate import TRUE, ChangedSince, Column, Const, negate
from forecourt.kernel.principal import Principal
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.odata.dialect import DATAVERSE
from forecourt.odata.request import analyse
from forecourt.security.rules import Depth, Privilege
from forecourt.store.compile import compile_select
from forecourt.store.memory import evaluate
from support.small_dataverse import EVERYTHING, SmallDataverse, role, small_dataverse, upto

ROOT = "/api/data/v9.2"
TRACK = {"prefer": "odata.track-changes", "host": "crm.test"}
ROLES = (
    role("Reader", deal=upto(Depth.ORGANIZATION, Privilege.READ), region=upto(Depth.ORGANIZATION, Privilege.READ)),
    role("Manager", deal=upto(Depth.PARENT_CHILD, Privilege.READ)),
    role("Keeper", deal=EVERYTHING),
)


@dataclass
class Tracker:
    """A client that follows links."""

    small: SmallDataverse
    tracking: ChangeTracking
    principal: Principal
    url: str

    async def get(self, link: str, **headers: str) -> dict[str, Any]:
        parts = urlsplit(link)
        path, query = parts.path.removeprefix(ROOT), parts.query
        given = {"host": "crm.test", **{name.replace("_", "-"): value for name, value in headers.items()}}
        assert ChangeTracking.concerns(query, given)
        answer = await self.tracking.get(self.principal, path, query, given)
        assert answer.status == 200
        return dict(json.loads(answer.body))

    async def first(self, path: str = "/deals?$select=name", **headers: str) -> tuple[list[dict[str, Any]], str]:
        """A first read: its rows and the delta link."""
        prefer = ",".join(("odata.track-changes", *headers.values()))
        return await self.follow(ROOT + path, prefer)

    async def follow(self, link: str, prefer: str = "") -> tuple[list[dict[str, Any]], str]:
        """All entries from a link on, to the next delta link."""
        found: list[dict[str, Any]] = []
        while True:
            body = await self.get(link, **({"prefer": prefer} if prefer else {}))
            found.extend(body["value"])
            if "@odata.deltaLink" in body:
                assert "@odata.nextLink" not in body
                return found, body["@odata.deltaLink"]
            link = body["@odata.nextLink"]

    async def changes(self, link: str, prefer: str = "") -> tuple[list[str], list[str], str]:
        """Names of changed rows, ids of deleted ones, and the next link."""
        found, link = await self.follow(link, prefer)
        return (
            [entry["name"] for entry in found if "reason" not in entry],
            [entry["id"] for entry in found if "reason" in entry],
            link,
        )

    async def make(self, *names: str) -> list[UUID]:
        return [await self.small.deal(name, uuid4(), "root") for name in names]


@pytest.fixture
async def tracker(database_url: str) -> AsyncIterator[Tracker]:
    async with small_dataverse(database_url, *ROLES) as small:
        ann = await small.user("ann", "north", "Reader")
        yield Tracker(small, ChangeTracking(small.gate, ROOT), ann, database_url)


async def refused(code: str, what: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await what  # type: ignore[misc]
    assert caught.value.code == code, caught.value
    return caught.value


async def test_a_first_read_gives_all_rows_and_a_delta_link(tracker: Tracker) -> None:
    await tracker.make("a", "b")
    body = await tracker.get(f"{ROOT}/deals?$select=name", prefer="odata.track-changes")
    assert sorted(row["name"] for row in body["value"]) == ["a", "b"]
    assert body["@odata.context"] == f"http://crm.test{ROOT}/$metadata#deals(name,dealid)"
    assert body["@odata.deltaLink"].startswith(f"http://crm.test{ROOT}/deals?$select=name&$deltatoken=")
    assert all(row["@odata.etag"].startswith('W/"') and row["dealid"] for row in body["value"])


async def test_a_delta_tells_what_was_made_changed_and_deleted(tracker: Tracker) -> None:
    a, b, _ = await tracker.make("a", "b", "c")
    _, link = await tracker.first()
    sql = tracker.small.plain.execute
    await sql("update dataverse.deal set name = 'a2' where dealid = $1", a)
    await sql("delete from dataverse.deal where dealid = $1", b)
    await tracker.make("d")
    body = await tracker.get(link)
    assert body["@odata.context"] == f"http://crm.test{ROOT}/$metadata#deals(name,dealid)/$delta"
    changed, removed = body["value"][:2], body["value"][2:]
    assert [row["name"] for row in changed] == ["a2", "d"], "by version"
    assert removed == [
        {
            "@odata.context": f"http://crm.test{ROOT}/$metadata#deals/$deletedEntity",
            "id": str(b),
            "reason": "deleted",
        }
    ]
    names, gone, link = await tracker.changes(body["@odata.deltaLink"])
    assert (names, gone) == ([], [])
    await tracker.make("e")
    assert (await tracker.changes(link))[:2] == (["e"], [])


async def test_a_transaction_that_commits_late_is_not_skipped(tracker: Tracker) -> None:
    (a,) = await tracker.make("a")
    late = await asyncpg.connect(tracker.url)
    try:
        transaction = late.transaction()
        await transaction.start()
        await late.execute("insert into dataverse.deal (name) values ('late')")
        await late.execute("delete from dataverse.deal where dealid = $1", a)
        await tracker.make("b")  # a later transaction, which commits first
        rows, link = await tracker.first()
        assert sorted(row["name"] for row in rows) == ["a", "b"]
        names, gone, link = await tracker.changes(link)
        assert (names, gone) == ([], [])
        await transaction.commit()
    finally:
        await late.close()
    assert (await tracker.changes(link))[:2] == (["late"], [str(a)])


async def test_what_changes_between_two_pages_is_told_of(tracker: Tracker) -> None:
    made = await tracker.make(*"abcdef")
    body = await tracker.get(f"{ROOT}/deals?$select=name", prefer="odata.track-changes,odata.maxpagesize=2")
    assert len(body["value"]) == 2
    first = min(made)
    await tracker.small.plain.execute("update dataverse.deal set name = 'changed' where dealid = $1", first)
    rest, link = await tracker.follow(body["@odata.nextLink"], "odata.track-changes,odata.maxpagesize=2")
    assert len(rest) == 4
    assert (await tracker.changes(link))[:2] == (["changed"], [])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
async def test_pages_of_any_size_tell_the_same(tracker: Tracker, size: int) -> None:
    made = await tracker.make(*"abcdefgh")
    _, link = await tracker.first(size=f"odata.maxpagesize={size}")
    for deal in made[:3]:
        await tracker.small.plain.execute("delete from dataverse.deal where dealid = $1", deal)
    for deal in made[3:6]:
        await tracker.small.plain.execute("update dataverse.deal set name = name || '2' where dealid = $1", deal)
    names, gone, _ = await tracker.changes(link, f"odata.maxpagesize={size}")
    assert names == ["d2", "e2", "f2"]
    assert sorted(gone) == sorted(map(str, made[:3]))


async def test_a_row_made_and_deleted_in_between_is_told_of_as_deleted_and_one_made_again_is_not(
    tracker: Tracker,
) -> None:
    (a,) = await tracker.make("a")
    _, link = await tracker.first()
    (b,) = await tracker.make("b")
    sql = tracker.small.plain.execute
    await sql("delete from dataverse.deal")
    await sql("insert into dataverse.deal (dealid, name) values ($1, 'again')", a)
    assert (await tracker.changes(link))[:2] == (["again"], [str(b)])
    await sql("delete from dataverse.deal")
    assert (await tracker.changes(link))[:2] == ([], [str(b), str(a)]), "once each"


async def test_a_count_of_changes(tracker: Tracker) -> None:
    a, *_ = await tracker.make("a", "b")
    _, link = await tracker.first("/deals")
    await tracker.small.plain.execute("delete from dataverse.deal where dealid = $1", a)
    await tracker.make("c", "d")
    token = urlsplit(link).query
    answer = await tracker.tracking.get(tracker.principal, "/deals/$count", token, {})
    assert (answer.status, answer.body) == (200, b"3")


async def test_tracking_needs_to_read_the_whole_table(tracker: Tracker) -> None:
    small = tracker.small
    ben = await small.user("ben", "root", "Manager")
    await tracker.make("a")
    assert await small.names(ben) == ["a"]
    await refused("FC3001", tracker.tracking.get(ben, "/deals", "", TRACK))
    _, link = await tracker.first()
    await small.plain.execute("delete from dataverse.systemuserroles")
    await refused("FC3001", tracker.get(link))


async def test_an_expired_token_is_refused_as_the_original_does(tracker: Tracker) -> None:
    await tracker.make("a")
    _, link = await tracker.first()
    old = ChangeTracking(tracker.small.gate, ROOT, dt.timedelta(seconds=-1))
    refusal = await refused("FC4006", old.get(tracker.principal, "/deals", urlsplit(link).query, {}))
    assert refusal.status == 400
    assert refusal.message == "Version stamp associated with the client has expired. Please perform a full sync."


async def test_a_table_that_was_emptied_as_a_whole_has_to_be_read_again(tracker: Tracker) -> None:
    await tracker.make("a")
    _, link = await tracker.first()
    await tracker.small.plain.execute("truncate dataverse.deal cascade")
    await refused("FC4006", tracker.get(link))
    rows, link = await tracker.first()
    assert rows == []
    assert (await tracker.changes(link))[:2] == ([], [])


@pytest.mark.parametrize("option", ["$filter=name eq 'a'", "$orderby=name", "$top=1", "$count=true"])
async def test_options_without_meaning_are_refused(tracker: Tracker, option: str) -> None:
    await refused("FC1004", tracker.tracking.get(tracker.principal, "/deals", quote(option, safe="$='"), TRACK))


async def test_a_token_of_another_table_or_other_columns_is_refused(tracker: Tracker) -> None:
    await tracker.make("a")
    _, link = await tracker.first()
    token = urlsplit(link).query.rpartition("$deltatoken=")[2]
    get, who = tracker.tracking.get, tracker.principal
    await refused("FC1007", get(who, "/regions", f"$select=name&$deltatoken={token}", {}))
    await refused("FC1007", get(who, "/deals", f"$deltatoken={token}", {}))
    await refused("FC1007", get(who, "/deals", f"$select=name&$deltatoken={token[:-4]}", {}))
    await refused("FC1007", get(who, "/deals", "$deltatoken=919042!08/22/2017", {}))
    await refused("FC4042", get(who, "/dealz", f"$deltatoken={token}", {}))
    await refused("FC1004", get(who, f"/deals({uuid4()})", f"$deltatoken={token}", {}))


async def test_a_token_that_somebody_made_up_or_altered_is_refused(tracker: Tracker) -> None:
    await tracker.make("a")
    _, link = await tracker.first("/deals")
    token = urlsplit(link).query.rpartition("$deltatoken=")[2]
    forged = DeltaTokens(bytes(32)).make(analyse("/deals", "", DATAVERSE), Progress("rows", "1:1:", "1:1:", 0))
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in (0, 20, 200)]
    for wrong in (forged, *altered, token[:20], "", "A", token * 60, "\u00e9"):
        get = tracker.tracking.get(tracker.principal, "/deals", f"$deltatoken={quote(wrong)}", {})
        await refused("FC1007", get)


async def test_a_link_tells_nothing_of_what_goes_on_elsewhere(tracker: Tracker) -> None:
    """Neither by its text nor by its length; of the same place, each is another."""
    await tracker.make("a")
    links = []
    for _ in range(2):
        _, link = await tracker.first()
        links.append(link)
        await tracker.small.plain.execute("insert into dataverse.region (regionid, name) values ($1, 'x')", uuid4())
        await tracker.small.plain.execute("delete from dataverse.region")
    snapshot = await tracker.small.plain.fetchval("select pg_current_snapshot()::text")
    key = await tracker.small.plain.fetchval("select key from forecourt.tracking_key")
    request = analyse("/deals", "$select=name", DATAVERSE)
    tokens = [urlsplit(link).query.rpartition("$deltatoken=")[2] for link in links]
    opened = [DeltaTokens(key).read(request, token) for token in tokens]
    assert opened[0].until != opened[1].until != snapshot
    assert len(tokens[0]) == len(tokens[1])
    assert all(item.until.encode() not in base64.urlsafe_b64decode(f"{tokens[0]}==") for item in opened)
    assert DeltaTokens(key).make(request, opened[0]) != DeltaTokens(key).make(request, opened[0])


@pytest.mark.parametrize("progress", [Progress("gone", "1:1:", "1:2:", 0, tombstone=0), Progress("full", "", "", 0)])
def test_a_token_comes_back_as_it_went(progress: Progress) -> None:
    tokens, request = DeltaTokens(bytes(32)), analyse("/deals", "", DATAVERSE)
    assert tokens.read(request, tokens.make(request, progress)) == progress


async def test_old_tombstones_are_forgotten(tracker: Tracker) -> None:
    sql = tracker.small.plain
    await tracker.make("a")
    await sql.execute("delete from dataverse.deal")
    await sql.execute("update forecourt.tombstone set deleted_at = now() - interval '8 days'")
    tracker.tracking._purged -= 4000
    _, link = await tracker.first()
    await tracker.changes(link)
    assert await sql.fetchval("select count(*) from forecourt.tombstone") == 0


async def test_the_predicate_means_the_same_in_sql_and_in_memory(tracker: Tracker) -> None:
    await tracker.make(*"abcd")
    small, table = tracker.small, TableName("dataverse", "deal")
    rows = [dict(row) for row in await small.plain.fetch("select name, versionnumber from dataverse.deal")]
    versions = sorted(row["versionnumber"] for row in rows)
    snapshots = ["1:1:", f"{versions[0]}:{versions[3]}:{versions[1]}", f"{versions[3] + 1}:{versions[3] + 1}:"]
    snapshots.append(f"{versions[1]}:{versions[2]}:")
    for snapshot in snapshots:
        for where in (
            ChangedSince(Column("t", "versionnumber"), Const(snapshot)),
            negate(ChangedSince(Column("t", "versionnumber"), Const(snapshot))),
            TRUE,
        ):
            select = Select((Source("t", table),), where, (Output("name", Column("t", "name"), None),))
            found = await small.database.read(compile_select(select, small.catalog), (), {})
            expected = evaluate(select, {table: rows})
            assert sorted(tuple(row) for row in found.rows) == sorted(expected), (snapshot, where)
