"""A protection that is switched off is found by random requests: what finds nothing has to be able to find something.

Each test takes one protection away from requests alone. What a person may read is worked out with all of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from forecourt.cli.fuzzing.agreement import Tally, agreement, arrive, comparable, pool_of
from forecourt.cli.fuzzing.findings import Findings
from forecourt.cli.fuzzing.interference import Lockstep, Stuck
from forecourt.cli.fuzzing.worlds import copied, people
from forecourt.dataverse import changes
from forecourt.dataverse.changes import ChangeTracking
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import ReadPlan, SecuredPlan, SystemPlan
from forecourt.kernel.predicate import TRUE, Column, Predicate
from forecourt.kernel.principal import Door
from forecourt.kernel.relation import ROW_VERSION, TableName
from forecourt.pages import site_pages
from forecourt.security import enforce
from forecourt.security.enforce import Enforcer
from forecourt.security.grants import Granted
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation, Right
from forecourt.security.scope import Scope
from forecourt.security.standing import USERS
from forecourt.settings import Settings
from forecourt.store.cells import Change
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.logins import scratch_login
from support import contoso as sample
from support import drawn_solution

SETTINGS = Settings(lane_size=4)

#: A user whose tables are open, and where it stands who it is at the Web API.
LAST, STANDING = drawn_solution.USERS[-1], USERS

#: Takes a protection away.
Weakening = Callable[[pytest.MonkeyPatch], None]

#: Requests, and rounds of two worlds, within which a hole is found.
REQUESTS, SLICE, ROUNDS = 600, 60, 40


class NoPolicies(Lowering):
    """Operations policies are not asked at ``/data``."""

    def policies(self, entity: Entity, source: str, alias: str, operation: Operation) -> Predicate:
        return TRUE if self.scope.door is Door.OPERATIONS else super().policies(entity, source, alias, operation)


class NoPermissions(Lowering):
    """Table permissions are not asked at ``/_api``."""

    def permitted(self, entity: Entity, prefix: str, right: Right) -> Predicate:
        return TRUE if self.scope.door is Door.PORTAL_API else super().permitted(entity, prefix, right)


class NoColumns(Lowering):
    """Columns that are shown are not asked about at the Web API."""

    def readable(self, entity: Entity, grant: Granted) -> frozenset[str]:
        found = super().readable(entity, grant)
        return frozenset(entity.fields) if self.scope.door is Door.DATAVERSE else found


class NoConditions(Lowering):
    """Conditions may be about any column."""

    def check_fields(self, where: Predicate, entity: Entity, grant: Granted) -> None:
        return

    def check_names(self, entity: Entity, names: Iterable[str]) -> None:
        return


def weaken(patch: pytest.MonkeyPatch, lowering: type[Lowering]) -> None:
    """Requests are decided by another lowering."""
    decide: Callable[[Enforcer, ReadPlan, Scope], SecuredPlan] = Enforcer.read

    def read(self: Enforcer, plan: ReadPlan, scope: Scope) -> SecuredPlan:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(enforce, "Lowering", lowering)
            return decide(self, plan, scope)

    patch.setattr(Enforcer, "read", read)


@pytest.mark.parametrize("lowering", [NoPolicies, NoPermissions, NoColumns, NoConditions])
async def test_a_rule_that_is_not_asked_at_a_door_is_found(
    postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, lowering: type[Lowering]
) -> None:
    await sample.ensure_loaded(postgres)
    weaken(monkeypatch, lowering)
    draw = random.Random(5)
    async with copied(sample.ROOT, [postgres.url(sample.TEMPLATE)], SETTINGS) as world:
        pool = await pool_of(world, 5)
        asking = await people(world.forecourt, draw, 10)
        tally, asked = Tally(), 0
        while not tally.differences and asked < REQUESTS:
            tally = await agreement(world, asking, SLICE, draw, pool)
            asked += tally.requests
    assert tally.differences, f"{asked} requests have found nothing"


# --------------------------------------------------------------------------- doors beside those of questions


class NoPoliciesOfPackages(Lowering):
    """Operations policies are not asked of data packages."""

    def policies(self, entity: Entity, source: str, alias: str, operation: Operation) -> Predicate:
        return TRUE if self.scope.door is Door.PACKAGES else super().policies(entity, source, alias, operation)


class NoOwnersOfNotes(Lowering):
    """Notes with their files are everybody's who may read any."""

    def rows(
        self,
        entity: Entity,
        prefix: str,
        operation: Operation,
        grant: Granted,
        permissions: bool = True,
        owned: bool = True,
    ) -> Predicate:
        return super().rows(entity, prefix, operation, grant, permissions, owned and entity.name != "annotation")


class NoPermissionsOfPages(Lowering):
    """Table permissions are not asked of pages."""

    def permitted(self, entity: Entity, prefix: str, right: Right) -> Predicate:
        return TRUE if self.scope.door is Door.PORTAL else super().permitted(entity, prefix, right)


def no_policies_of_packages(patch: pytest.MonkeyPatch) -> None:
    weaken(patch, NoPoliciesOfPackages)


def no_owners_of_notes(patch: pytest.MonkeyPatch) -> None:
    weaken(patch, NoOwnersOfNotes)


def no_privilege_for_tracking(patch: pytest.MonkeyPatch) -> None:
    def anybody(tracking: ChangeTracking, scope: Scope, entity: Entity) -> None:
        return

    patch.setattr(ChangeTracking, "_require_all", anybody)


def no_permissions_of_files(patch: pytest.MonkeyPatch) -> None:
    """Lists as files hold every row, while their pages do not."""
    make = site_pages.download

    async def download(*given: Any) -> tuple[bytes, str, int]:
        with pytest.MonkeyPatch.context() as inner:
            weaken(inner, NoPermissionsOfPages)
            return await make(*given)

    patch.setattr(site_pages, "download", download)


@pytest.fixture(scope="module")
async def small(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The rows of small solutions."""
    await drawn_solution.ensure_loaded(postgres, tmp_path_factory.mktemp("first"))
    address = postgres.url(drawn_solution.TEMPLATE)
    os.environ["SMALL_ERP"] = address
    yield address


@pytest.mark.parametrize(
    ("weakened", "door"),
    [(no_policies_of_packages, "packages"), (no_privilege_for_tracking, "web delta"), (no_owners_of_notes, "web")],
)
async def test_questions_find_what_a_further_door_does_not_ask(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakened: Weakening, door: str
) -> None:
    weakened(monkeypatch)
    draw = random.Random(5)
    async with copied(drawn_solution.plain(tmp_path), [small], SETTINGS) as world:
        pool, asking = await pool_of(world, 5), await people(world.forecourt, draw, 4)
        tally, asked = Tally(), 0
        while not tally.differences and asked < REQUESTS:
            tally = await agreement(world, asking, SLICE, draw, pool)
            asked += tally.requests
    assert any(item.door.startswith(door) for item in tally.differences), f"{asked} requests have found nothing"


async def test_changed_worlds_find_a_file_that_holds_more_than_its_list(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_permissions_of_files(monkeypatch)
    draw, findings = random.Random(5), Findings()
    root = drawn_solution.plain(tmp_path)
    async with copied(root, [small], SETTINGS) as first, copied(root, [small], SETTINGS) as second:
        visitor = next(person for person in await people(first.forecourt, draw, 12) if person.user is None)
        pool = {table: rows for table, rows in (await pool_of(first, 5)).items() if table.name == "cts_thing"}
        steps = Lockstep(first, second, pool, draw, await first.cells["operations"].transaction_number())
        with suppress(Stuck):
            while not findings.found and findings.rounds < ROUNDS:
                await steps.round(visitor, 0, 0, findings)
    assert any(item.door == "list files" for item in findings.found), f"{findings.requests} requests have found nothing"


def deletes_of_every_table(patch: pytest.MonkeyPatch) -> None:
    """What was deleted is told of whatever table it was in."""

    def everywhere(table: TableName, key: str, since: str, after: int, limit: int) -> SystemPlan:
        sql = """select id, row_id from forecourt.tombstone
                 where id > $1 and not pg_visible_in_snapshot(deleted_by, $2::text::pg_snapshot) order by id limit $3"""
        return SystemPlan("list deleted rows", sql, (after, since, limit))

    patch.setattr(changes, "gone", everywhere)


@pytest.mark.parametrize("weakened", [no_privilege_for_tracking, deletes_of_every_table])
async def test_changed_worlds_find_a_delta_link_that_tells_of_hidden_deletes(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakened: Weakening
) -> None:
    weakened(monkeypatch)
    draw, findings = random.Random(5), Findings()
    root = drawn_solution.plain(tmp_path)
    async with copied(root, [small], SETTINGS) as first, copied(root, [small], SETTINGS) as second:
        teller = next(person for person in await people(first.forecourt, draw, 12) if person.user == LAST)
        for world in (first, second):
            await arrive(world, [teller])
        tracked = ("cts_thing", "cts_part", "annotation")
        pool = {table: rows for table, rows in (await pool_of(first, 5)).items() if table.name in tracked}
        steps = Lockstep(first, second, pool, draw, await first.cells["operations"].transaction_number())
        with suppress(Stuck):
            while not findings.found and findings.rounds < ROUNDS:
                await steps.round(teller, 0, 0, findings)
    assert any(item.door == "delta links" for item in findings.found), f"{findings.doors} have found nothing"


async def test_what_the_asker_holds_is_nothing_that_is_hidden_from_the_asker(small: str, tmp_path: Path) -> None:
    root = drawn_solution.plain(tmp_path)
    async with copied(root, [small], SETTINGS) as first, copied(root, [small], SETTINGS) as second:
        teller = next(person for person in await people(first.forecourt, random.Random(5), 12) if person.user == LAST)
        steps = Lockstep(first, second, {}, random.Random(5), 0)
        cells = second.cells["operations"]
        (row,) = [row for row in await cells.sample(STANDING, 50, "5") if row["domainname"] == LAST]
        change = Change("update", STANDING, row, {**row, "domainname": "x"}, "domainname")
        assert await cells.change((change,))
        sights = [await steps._sight(world, teller) for world in (first, second)]
        assert sights[0]["who web"] != sights[1]["who web"], "the security roles are gone"


async def test_an_etag_that_moves_with_what_is_hidden_is_found(
    postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sample.ensure_loaded(postgres)

    def version_of(lowering: Lowering, entity: Entity) -> Column:
        return Column(entity.root.alias, entity.version or ROW_VERSION)

    monkeypatch.setattr(enforce, "version_of", version_of)
    draw, findings = random.Random(6), Findings()
    urls = [postgres.url(sample.TEMPLATE)]
    while not findings.found and findings.rounds < ROUNDS:
        async with copied(sample.ROOT, urls, SETTINGS) as first, copied(sample.ROOT, urls, SETTINGS) as second:
            pool = await pool_of(first, 6)
            asking = await comparable(first, await people(first.forecourt, draw, 10))
            steps = Lockstep(first, second, pool, draw, await first.cells["operations"].transaction_number())
            with suppress(Stuck):  # a pair that cannot be brought back is replaced
                while not findings.found and findings.rounds < ROUNDS:
                    await steps.round(draw.choice(asking), 20, 0, findings)
    assert findings.found, f"{findings.requests} requests, {findings.changed} have found nothing"


async def test_a_login_that_may_not_be_made_is_refused_and_leaves_no_role(postgres: EmbeddedServer) -> None:
    async with scratch_login(postgres.url("postgres")) as login:
        with pytest.raises(Refusal, match="may not create roles"):
            async with scratch_login(login.url):
                pass
        assert await login.rows("NoSuchView", ("x",), 1) is None
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(login.url)
