"""Table maps over /data: for administrators alone, at once, and gone on with by whichever process is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecourt.integration.dual_write.jobs import MapJobs
from forecourt.kernel.sync import Side
from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.maps_api import MAPS, act, served, site_of
from support.pairs import Pair
from support.postgres import fresh_database
from support.server import Installation, Person


@dataclass
class Case:
    pair: Pair
    site: Installation
    april: Person
    clerk: Person

    async def status(self, name: str) -> str:
        answer = await self.april.get(f"{MAPS}('{name}')")
        assert answer.status == 200, answer.text
        return str(answer.json["Status"])


@pytest.fixture
async def case(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Case]:
    root = served(tmp_path / "pair")
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, root=root) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            site = site_of(root, pair)
            yield Case(pair, site, await site.operations_user("april"), await site.operations_user("clerk"))


async def test_maps_are_for_system_administrators_alone(case: Case) -> None:
    for target in (MAPS, f"{MAPS}('orders')", f"{MAPS}('nothing')", "/data/DualWriteExecutions(1)"):
        refused = await case.clerk.get(target)
        assert (refused.status, refused.refusal) == (403, "FC3001"), target
    for name in ("orders", "nothing"):
        refused = await act(case.clerk, name, "Start")
        assert (refused.status, refused.refusal) == (403, "FC3001")
    anonymous = await case.site.ask("GET", MAPS)
    assert anonymous.status == 401
    assert not await case.pair.dual_write.registry.installed()


async def test_a_list_says_how_maps_stand(case: Case) -> None:
    rows = {row["ProjectName"]: row for row in (await case.april.get(MAPS)).rows}
    assert rows.keys() == {"customers", "orders"}
    assert rows["orders"]["Status"] == "Not running"
    assert (rows["orders"]["InternalEntityName"], rows["orders"]["ExternalEntityName"]) == (
        "PairOrderEntity",
        "cts_order",
    )
    columns = (await case.april.get(f"{MAPS}('orders')/FieldConfigurations")).rows
    assert {"Account", "Number"} <= {row["InternalFieldName"] for row in columns}
    assert (await case.april.get(f"{MAPS}('orders')/Versions")).rows == [
        {"Version": "1.0.0.0", "Publisher": "", "IsActive": True}
    ]


async def test_starting_answers_at_once_and_any_process_does_the_copying(case: Case) -> None:
    started = await act(case.april, "", "Start")
    assert started.status == 202, started.text
    assert started.json["Messages"] == ["customers is initializing", "orders is initializing"]
    assert await case.status("customers") == "Initializing"
    assert await case.pair.dataverse("select count(*)::int from dataverse.cts_customer") == [(0,)]
    copies = case.pair.forecourt.copies
    another = MapJobs(copies.life, copies.verifier, copies.repairer, name="another process")
    assert await another.once() == 2
    assert await case.status("customers") == "Running"
    assert await case.pair.dataverse("select count(*)::int from dataverse.cts_customer") == [(2,)]
    assert await copies.jobs.once() == 0
    again = await act(case.april, "orders", "Start")
    assert (again.status, again.json["Messages"]) == (200, ["orders is running already"])


async def test_starting_without_an_initial_sync_is_remembered_by_who_goes_on_with_it(case: Case) -> None:
    await act(case.april, "customers", "Start", {"InitialSync": False})
    await case.pair.forecourt.copies.jobs.once()
    assert await case.status("customers") == "Running"
    assert await case.pair.dataverse("select count(*)::int from dataverse.cts_customer") == [(0,)]


async def test_a_job_whose_process_has_died_is_done_by_another(case: Case) -> None:
    await case.pair.dual_write.start((), "test")
    asked = await act(case.april, "customers", "Verify")
    journal = case.pair.dual_write.journal
    taken = await journal.take("a process that dies", 0)
    assert taken is not None
    assert await case.pair.forecourt.copies.jobs.once() == 1
    await journal.finish(taken.id, "a process that dies", "Failed", {}, "too late")
    done = (await case.april.get(asked.headers["location"].removeprefix("http://portal.test"))).json
    assert (done["ExecutionStatus"], done["Result"]["Differences"]) == ("Succeeded", 0)


async def test_an_initial_sync_that_cannot_be_done_leaves_the_map_stopped_with_the_reason(case: Case) -> None:
    assert (await act(case.april, "customers", "Start")).status == 202
    await case.pair.dataverse("alter table dataverse.cts_customer drop column cts_credit")
    await case.pair.forecourt.copies.jobs.once()
    shown = (await case.april.get(f"{MAPS}('customers')")).json
    assert shown["Status"] == "Not running"
    assert "dataverse.cts_customer.cts_credit" in shown["Detail"]
    assert "column dropped" in shown["Detail"]
    assert await case.pair.erp("select to_regclass('forecourt.outbox')") == [(None,)]


async def test_a_map_is_paused_resumed_and_stopped_and_its_log_says_by_whom(case: Case) -> None:
    await act(case.april, "", "Start", {"InitialSync": False})
    await case.pair.forecourt.copies.jobs.once()
    paused = await act(case.april, "customers", "Pause")
    assert paused.json["Messages"] == ["customers is paused"]
    assert paused.json["RelatedMapsRunning"] == ["orders"]
    await case.pair.erp("update erp.cust set name = 'Anna' where account = 'C1'")
    shown = (await case.april.get(f"{MAPS}('customers')")).json
    assert (shown["Status"], shown["OperationsBacklog"]) == ("Paused", 1)
    resumed = await act(case.april, "customers", "Resume", {"Mode": "PlayBack"})
    assert resumed.status == 202
    assert await case.status("customers") == "Resuming"
    await case.pair.drain()
    assert await case.status("customers") == "Running"
    assert await case.pair.dataverse("select cts_name from dataverse.cts_customer") == [("Anna",)]
    assert (await act(case.april, "customers", "Stop")).status == 200
    log = (await case.april.get(f"{MAPS}('customers')/ActivityLog?$top=3")).rows
    assert [(row["Activity"], row["By"]) for row in log] == [
        ("stopped", "april"),
        ("resumed", "april"),
        ("paused", "april"),
    ]


async def test_verify_gives_a_change_set_and_repair_applies_exactly_that(case: Case) -> None:
    await case.pair.dual_write.start((), "test")
    await case.pair.dual_write.pause(["customers"], "test")
    await case.pair.erp("update erp.cust set name = name || '!'")
    await case.pair.dual_write.resume(["customers"], "test", "discard")
    asked = await act(case.april, "customers", "Verify")
    assert asked.status == 202
    where = asked.headers["location"].removeprefix("http://portal.test")
    assert (await case.april.get(where)).json["ExecutionStatus"] == "Waiting"
    await case.pair.forecourt.copies.jobs.once()
    found = (await case.april.get(where)).json
    assert (found["ExecutionStatus"], found["Result"]["Differences"]) == ("Succeeded", 2)
    changes = found["Result"]["Changes"]
    assert sorted(change["columns"]["cts_name"]["new"] for change in changes) == ["Ann!", "Bob!"]

    await case.pair.dataverse("update dataverse.cts_customer set cts_name = 'else' where cts_number = 'C2'")
    repaired = await act(case.april, "customers", "Repair", {"Changes": changes})
    await case.pair.forecourt.copies.jobs.once()
    done = (await case.april.get(repaired.headers["location"].removeprefix("http://portal.test"))).json
    assert (done["ExecutionStatus"], done["Result"]["RowsApplied"]) == ("PartiallySucceeded", 1)
    assert [line["key"] for line in done["Result"]["Skipped"]] == [{"cts_number": "C2"}]
    names = await case.pair.dataverse("select cts_name from dataverse.cts_customer order by cts_number")
    assert names == [("Ann!",), ("else",)]


async def test_errors_are_retried_and_dismissed(case: Case) -> None:
    await case.pair.dual_write.start((), "test")
    await case.pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', 'no one')")
    await case.pair.drain()
    errors = sorted((await case.april.get(f"{MAPS}('orders')/Errors")).rows, key=lambda row: row["Key"])
    assert [row["Key"] for row in errors] == [["X1"], ["X2"]]
    await case.pair.erp("insert into erp.cust (account) values ('nobody')")
    await case.pair.drain()
    retried = await act(case.april, "orders", "Retry")
    await case.pair.forecourt.copies.jobs.once()
    done = (await case.april.get(retried.headers["location"].removeprefix("http://portal.test"))).json
    assert done["Result"] == {"RowsApplied": 1}
    stranger = await act(case.april, "customers", "Dismiss", {"ErrorIds": [errors[1]["ErrorId"]]})
    assert stranger.json["Dismissed"] == 0
    dismissed = await act(case.april, "orders", "Dismiss", {"ErrorIds": [errors[1]["ErrorId"]]})
    assert dismissed.json["Dismissed"] == 1
    assert (await case.april.get(f"{MAPS}('orders')/Errors")).rows == []


@pytest.mark.parametrize(
    ("name", "action", "body", "status", "code"),
    [
        ("nothing", "Start", None, 404, "FC4042"),
        ("orders", "Explode", None, 404, "FC4042"),
        ("orders", "Start", {"initial": 1}, 400, "FC1002"),
        ("orders", "Start", {"InitialSync": "no"}, 400, "FC1003"),
        ("", "Start", {"Names": ["orders", "nothing"]}, 404, "FC4042"),
        ("", "Verify", None, 400, "FC1001"),
        ("orders", "Resume", {"Mode": "Sideways"}, 400, "FC1003"),
        ("orders", "SetVersion", {"Version": "9.0"}, 404, "FC4042"),
        ("orders", "Repair", {}, 400, "FC1006"),
        ("orders", "Dismiss", {"ErrorIds": "all"}, 400, "FC1006"),
        ("orders", "Resolve", {"ErrorId": 1, "Take": "both"}, 400, "FC1006"),
        ("orders", "Resolve", {"ErrorId": 1, "Take": "operations"}, 404, "FC4042"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    case: Case, name: str, action: str, body: object, status: int, code: str
) -> None:
    answer = await act(case.april, name, action, body)
    assert (answer.status, answer.refusal) == (status, code), answer.text
    assert not case.site.faults


async def test_an_action_is_no_part_of_a_change_set(case: Case) -> None:
    body = (
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n"
        f"POST {MAPS}/Microsoft.Dynamics.DataEntities.Start HTTP/1.1\r\n"
        "Content-Type: application/json\r\n\r\n{}\r\n--c--\r\n--b--\r\n"
    )
    headers = {**await case.april.headers("/data"), "content-type": "multipart/mixed; boundary=b"}
    answer = await case.site.ask("POST", "/data/$batch", headers, body.encode())
    assert "cannot be changed in a change set" in answer.text, answer.text
    assert not await case.pair.dual_write.registry.installed()


async def test_a_conflict_that_is_left_to_people_waits_for_their_decision(
    postgres: EmbeddedServer, tmp_path: Path
) -> None:
    root = served(tmp_path / "pair", customers="conflict: {resolve: manual}\n")
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, root=root) as pair:
            site = site_of(root, pair)
            april = await site.operations_user("april")
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            await pair.dual_write.start((), "test")
            await pair.erp("update erp.cust set name = name || ' of the ERP'")
            await pair.dataverse("update dataverse.cts_customer set cts_name = cts_name || ' of Dataverse'")
            await pair.drain()
            errors = sorted((await april.get(f"{MAPS}('customers')/Errors")).rows, key=lambda row: row["Key"])
            assert [(row["Key"], row["ErrorType"]) for row in errors] == [(["C1"], "conflict"), (["C2"], "conflict")]
            assert await pair.dual_write.retry(()) == 0, "trying again decides nothing"
            await pair.erp("update erp.cust set name = name || '!' where account = 'C1'")
            await pair.drain()
            assert (await pair.dataverse("select cts_name from dataverse.cts_customer order by 1"))[0] == (
                "Ann of Dataverse",
            )
            for error, side in zip(errors, Side, strict=True):
                done = await act(april, "customers", "Resolve", {"ErrorId": error["ErrorId"], "Take": side.value})
                assert done.status == 200, done.text
            rows = [("Ann of the ERP!",), ("Bob of Dataverse",)]
            assert await pair.erp("select name from erp.cust order by account") == rows
            assert await pair.dataverse("select cts_name from dataverse.cts_customer order by cts_number") == rows
            assert (await april.get(f"{MAPS}('customers')/Errors")).rows == []
            assert await pair.drain() == 0
            assert await pair.differences() == []
