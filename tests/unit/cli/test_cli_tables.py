"""``forecourt tables``: a plan is shown and changes nothing, is applied under rows, and is taken back with them."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from forecourt.cli.tables import tables
from forecourt.store.embedded import EmbeddedServer
from support.small_erp import ROOT

Run = Callable[..., str]
Sql = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def address(postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"tables_{uuid.uuid4().hex[:8]}"
    postgres.ensure_database(name)
    monkeypatch.setenv("SMALL_ERP", postgres.url(name))
    return os.environ["SMALL_ERP"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path / "solution"))


@pytest.fixture
def run(address: str, root: Path) -> Run:
    def invoke(command: str, *options: str, fails: bool = False) -> str:
        result = CliRunner().invoke(tables, [command, str(root), *options])
        assert (result.exit_code != 0) is fails, result.output
        return result.output

    return invoke


@pytest.fixture
def sql(address: str) -> Sql:
    def query(text: str, *values: object) -> list[tuple[object, ...]]:
        async def fetch() -> list[tuple[object, ...]]:
            connection = await asyncpg.connect(address)
            try:
                return [tuple(row) for row in await connection.fetch(text, *values)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    return query


COLUMNS = """
select column_name from information_schema.columns
where table_schema = 'dataverse' and table_name = 'cts_part' and column_name like 'cts_%' order by 1
"""


def names(sql: Sql) -> list[object]:
    return [row[0] for row in sql(COLUMNS)]


def edit(root: Path, old: str, new: str) -> None:
    path = root / "dataverse" / "tables" / "cts_part.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_definitions_are_applied_under_rows_and_taken_back(run: Run, sql: Sql, root: Path) -> None:
    shown = run("plan", "--sql")
    assert "Done at the next start:" in shown and "cts_part" in shown and "-- undo:" in shown
    assert names(sql) == [], "a plan changes nothing"
    assert "Take them back with 'tables undo'." in run("apply")
    assert names(sql) == ["cts_maker", "cts_name", "cts_partid", "cts_thing"]
    assert run("plan") == "The database has every table as it is defined.\n"
    sql("insert into dataverse.cts_part (cts_name) values ('kept')")

    edit(root, "  cts_name:", "  cts_note: {type: text, length: 20, default: none yet}\n  cts_name:")
    assert "cts_note" in run("plan")
    run("apply")
    assert sql("select cts_name, cts_note from dataverse.cts_part") == [("kept", "none yet")]
    assert "taken back" in run("undo")
    assert "cts_note" not in names(sql) and sql("select cts_name from dataverse.cts_part") == [("kept",)]


def test_a_column_that_no_file_names_any_more_is_set_aside_when_asked_for_and_comes_back(
    run: Run, sql: Sql, root: Path
) -> None:
    edit(root, "  cts_name:", "  cts_note: {type: text, length: 20}\n  cts_name:")
    run("apply")
    sql("insert into dataverse.cts_part (cts_name, cts_note) values ('kept', 'precious')")
    edit(root, "  cts_note: {type: text, length: 20}\n", "")
    assert "Done by 'tables apply --drop':" in run("plan")
    run("apply")
    assert "cts_note" in names(sql), "nothing is dropped unasked"
    assert "To be set aside or dropped:" in run("apply", "--drop", fails=True), "without an answer nothing happens"
    assert "cts_note" in names(sql)
    run("apply", "--drop", "--yes")
    assert "cts_note" not in names(sql) and any("cts_note__dropped_" in str(name) for name in names(sql))
    run("undo")
    assert sql("select cts_note from dataverse.cts_part") == [("precious",)]
    history = run("history")
    assert "taken back" in history and "cts_note" in history


def test_a_table_that_no_file_names_any_more_keeps_its_rows(run: Run, sql: Sql, root: Path) -> None:
    run("apply")
    sql("insert into dataverse.cts_part (cts_name) values ('kept')")
    (root / "dataverse" / "tables" / "cts_part.yaml").unlink()
    run("apply", "--drop", "--yes")
    assert names(sql) == []
    run("undo")
    assert sql("select cts_name from dataverse.cts_part") == [("kept",)]


def test_there_is_nothing_to_take_back_where_nothing_was_applied(run: Run) -> None:
    assert run("undo") == "There is nothing to take back.\n"
