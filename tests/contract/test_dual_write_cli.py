"""``forecourt sync`` for who administers maps: change sets to review, conflicts to decide, what no longer fits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.command import run
from support.pairs import Pair
from support.postgres import fresh_database


@dataclass
class Case:
    """A pair, and the command line to it: (exit code, lines of stdout, text of stderr)."""

    pair: Pair
    sync: Callable[..., Awaitable[tuple[int, list[str], str]]]


@pytest.fixture
async def case(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Case]:
    root = pairs.variant(tmp_path / "pair", customers="conflict: {resolve: manual}\n")

    async def sync(command: str, *arguments: str) -> tuple[int, list[str], str]:
        said = await run("sync", command, root, *arguments)
        return said.code, said.out.splitlines(), said.err

    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, root=root) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob'), ('C3', 'Cy')")
            await pair.dual_write.start((), "test")
            yield Case(pair, sync)


async def diverged(case: Case) -> None:
    """The three customers differ in three ways."""
    await case.pair.dual_write.pause(["customers"], "test")
    await case.pair.erp("update erp.cust set name = 'Anna' where account = 'C1'")
    await case.pair.erp("delete from erp.cust where account = 'C2'")
    await case.pair.erp("insert into erp.cust (account, name, credit) values ('C4', 'Dee', 1.5)")
    await case.pair.dual_write.resume(["customers"], "test", "discard")


async def test_a_change_set_is_proposed_reviewed_and_applied_as_it_was_reviewed(case: Case, tmp_path: Path) -> None:
    await diverged(case)
    file = tmp_path / "changes.jsonl"
    code, out, _ = await case.sync("repair", "--propose", str(file))
    assert (code, out[0].partition(".")[0]) == (0, "3 rows differ")
    lines = {line["key"]["cts_number"]: line for line in map(json.loads, file.read_text("utf-8").splitlines())}
    assert {key: line["kind"] for key, line in lines.items()} == {"C1": "different", "C2": "surplus", "C4": "missing"}
    assert lines["C1"]["columns"] == {"cts_name": {"old": "Ann", "new": "Anna"}}
    assert lines["C4"]["columns"]["cts_credit"] == {"old": None, "new": "1.500000"}
    reviewed = [lines["C1"], lines["C2"]]
    file.write_text("".join(json.dumps(line) + "\n" for line in reviewed), "utf-8")
    await case.pair.dataverse("update dataverse.cts_customer set cts_name = 'else' where cts_number = 'C1'")
    code, out, err = await case.sync("repair", "--apply", str(file))
    assert (code, out[-1]) == (2, "customers: 0 rows repaired.")
    assert "customers C1: has changed since, skipped" in err
    rows = await case.pair.dataverse("select cts_number, cts_name from dataverse.cts_customer order by 1")
    assert rows == [("C1", "else"), ("C3", "Cy")], "the line that was taken out was not applied"


async def test_verify_gives_json_and_a_repair_at_once_mends_all(case: Case) -> None:
    await diverged(case)
    code, out, _ = await case.sync("verify", "customers", "--json")
    (found,) = map(json.loads, out)
    assert (code, found["map"], found["direction"], len(found["differences"])) == (1, "customers", "to_dataverse", 3)
    code, out, _ = await case.sync("repair")
    assert (code, len(out)) == (0, 3), "printed, and nothing written"
    code, _, err = await case.sync("repair", "--yes")
    assert (code, err) == (0, "")
    code, out, _ = await case.sync("verify")
    assert code == 0
    assert out[0].startswith("customers, operations to dataverse: 3 rows in 16 segments, 0 differ")


async def test_a_line_that_is_none_is_told_with_its_place(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text('\n{"map": "customers"}\n', "utf-8")
    code, _, err = await case.sync("repair", "--apply", str(file))
    assert code == 1
    assert f"{file}:2: This is no line of a change set" in err
    line = {"map": "nothing", "direction": "to_dataverse", "key": {}, "kind": "missing", "columns": {}}
    for change in ({}, {"map": "customers"}, {"map": "customers", "direction": "to_operations"}):
        file.write_text(json.dumps({**line, **change}), "utf-8")
        code, _, err = await case.sync("repair", "--apply", str(file))
        assert code == 1
    assert await case.pair.differences() == []


async def test_a_conflict_is_shown_with_both_sides_and_decided(case: Case) -> None:
    await case.pair.erp("update erp.cust set name = 'ours' where account = 'C1'")
    await case.pair.dataverse("update dataverse.cts_customer set cts_name = 'theirs' where cts_number = 'C1'")
    await case.pair.drain()
    _, out, _ = await case.sync("errors", "customers")
    (number,) = [
        line.partition(":")[0] for line in out if "cts_name: operations has ours, dataverse has theirs" in line
    ]
    code, out, _ = await case.sync("resolve", number, "--take", "dataverse")
    assert (code, out) == (0, ["customers C1: the values of dataverse stand"])
    assert await case.pair.erp("select name from erp.cust where account = 'C1'") == [("theirs",)]
    code, _, err = await case.sync("resolve", number, "--take", "dataverse")
    assert code == 1
    assert f"There is no error {number}." in err


async def test_pausing_names_the_related_maps_and_takes_them_along_when_told(case: Case) -> None:
    _, out, err = await case.sync("pause", "orders")
    assert out == ["orders is paused"]
    assert "Related maps still run: customers. Pause them too with --related." in err
    _, out, err = await case.sync("pause", "orders", "--related")
    assert (out, err) == (["customers is paused", "orders is paused: not paused"], "")


async def test_a_column_that_was_dropped_is_named_with_the_file_that_needs_it(case: Case) -> None:
    await case.pair.erp("alter table erp.cust drop column credit")
    for command in ("status", "verify", "start"):
        code, _, err = await case.sync(command)
        assert code == 1
        assert "entities/customer.yaml:9: " in err, err
        assert "credit" in err


async def test_versions_are_listed_and_chosen(case: Case) -> None:
    code, out, _ = await case.sync("version", "customers")
    assert code == 1, "it runs"
    await case.pair.dual_write.stop((), "test")
    code, out, _ = await case.sync("version", "customers", "1.0.0.0")
    assert (code, out) == (0, ["customers counts in version 1.0.0.0"])
    code, _, err = await case.sync("version", "customers", "2.0")
    assert code == 1
    assert "customers has no version 2.0. There is 1.0.0.0." in err
