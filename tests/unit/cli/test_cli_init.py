"""``forecourt init`` writes a whole solution or nothing, alters no database, and keeps the address to itself."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest

from support.command import run

TABLES = """
create schema sales;
create schema empty;
create table sales.vendor (id int primary key, name text, dataareaid varchar(4));
create table sales.log (at timestamptz);
create table public.product (id int primary key, name text);
create view public.named as select name from public.product;
create schema dataverse;
create table dataverse.contact (contactid uuid primary key);
insert into sales.vendor values (1, 'Ann');
"""


@pytest.fixture
async def url(database_url: str) -> str:
    """A database with tables, by the address of a user who may read the catalogue and nothing else."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLES)
    role = f"reader_{os.urandom(4).hex()}"
    await connection.execute(f"create role {role} login")
    await connection.execute(f"alter role {role} set default_transaction_read_only = on")
    await connection.close()
    return database_url.replace("postgres@", f"{role}:s3cret-pass@", 1)


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


async def test_a_draft_is_written_and_what_is_left_out_is_named(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "My Solution"
    done = await run("init", "--from-database", url, folder)
    assert done.code == 2
    assert "left out: sales.log: the table has no primary key." in done.err
    assert "data entities: 2, virtual tables: 2. Views passed over: 1." in done.out
    assert "MY_SOLUTION_URL" in done.out
    found = texts(folder)
    assert sorted(found) == [
        "README.md",
        "dataverse/roles.yaml",
        "dataverse/tables/mserp_productentity.yaml",
        "dataverse/tables/mserp_vendorentity.yaml",
        "operations/entities/ProductEntity.yaml",
        "operations/entities/VendorEntity.yaml",
        "operations/roles.yaml",
        "solution.yaml",
    ]
    assert "operations: '${MY_SOLUTION_URL}'" in found["solution.yaml"]
    assert "MySolutionReader" in found["operations/roles.yaml"]
    assert [path.name for path in folder.parent.iterdir()] == ["My Solution"]
    everything = "".join(found.values()) + done.out + done.err
    assert "s3cret" not in everything
    assert url not in everything
    assert (await run("check", folder)).code == 0


async def test_nothing_in_the_database_is_altered_and_a_user_without_rights_will_do(
    url: str, database_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database_url)
    state = "select md5(string_agg(c::text || c.xmin::text, '' order by c.oid)) from pg_class c where relkind <> 'i'"
    before = await connection.fetchval(state)
    assert (await run("init", "--from-database", url, tmp_path / "x")).code == 2
    assert await connection.fetchval(state) == before
    await connection.close()


async def test_only_the_schemas_named_are_drafted(url: str, tmp_path: Path) -> None:
    done = await run("init", "--from-database", url, tmp_path / "x", "--schema", "public", "--name", "shop")
    assert done.code == 0
    assert sorted(path.stem for path in (tmp_path / "x").glob("operations/entities/*")) == ["ProductEntity"]
    assert "name: shop" in (tmp_path / "x" / "solution.yaml").read_text()
    done = await run("init", "--from-database", url, tmp_path / "y", "--schema", "sails")
    assert done.code == 1
    assert "no tables in schema sails. Schemas with tables: dataverse, public, sales" in done.err
    assert not (tmp_path / "y").exists()


async def test_the_same_database_gives_the_same_files(url: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        await run("init", "--from-database", url, tmp_path / name, "--name", "same")
    assert texts(tmp_path / "one") == texts(tmp_path / "two")


async def test_an_empty_folder_is_filled_and_any_other_is_left_alone(url: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    inode = empty.stat().st_ino
    assert (await run("init", "--from-database", url, empty)).code == 2
    assert empty.stat().st_ino == inode
    before = texts(empty)
    done = await run("init", "--from-database", url, empty)
    assert done.code == 1
    assert "is not empty, and nothing in it is overwritten. Name another folder." in done.err
    assert texts(empty) == before
    file = tmp_path / "file"
    file.write_text("kept")
    assert (await run("init", "--from-database", url, file)).code == 1
    assert file.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


async def test_a_draft_that_cannot_be_written_leaves_nothing_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(path: Path, *arguments: str, **options: str) -> int:
        if path.name == "roles.yaml":
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    done = await run("init", "--from-database", url, tmp_path / "a" / "b" / "c")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert list(tmp_path.iterdir()) == []


async def test_a_database_that_cannot_be_drafted_is_named_without_its_address(
    url: str, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "x"
    nowhere = "postgresql://ann:s3cret@127.0.0.1:1/erp"
    missing = database_url.replace("/test_", "/nothing_", 1)
    unknown = database_url.replace("postgres@", "nobody:s3cret@", 1)
    for address, said in (
        (nowhere, "cannot be reached"),
        ("postgresql://ann:s3cret@no-such-host.invalid/erp", "cannot be reached"),
        (missing, "no database of the name"),
        (unknown, "refuses the user"),
    ):
        done = await run("init", "--from-database", address, folder)
        assert (done.code, said in done.err) == (1, True), (address, done.err)
        assert "s3cret" not in done.err
    for wrong in ("mysql://ann:s3cret@host/erp", "host/erp", "postgresql://ann:s3cret@host:port/erp", ""):
        done = await run("init", "--from-database", wrong, folder)
        assert (done.code, "not the address of a PostgreSQL database" in done.err) == (64, True), (wrong, done.err)
        assert "s3cret" not in done.err
    done = await run("init", "--from-database", url, folder, "--name", "Not A Name")
    assert (done.code, "lower-case letters" in done.err) == (64, True)
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_database_is_refused(database_url: str, tmp_path: Path) -> None:
    done = await run("init", "--from-database", database_url, tmp_path / "x")
    assert (done.code, "no tables" in done.err) == (1, True)
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table public.log (at timestamptz)")
    await connection.close()
    done = await run("init", "--from-database", database_url, tmp_path / "x")
    assert (done.code, "nothing was drafted" in done.err, "left out: public.log" in done.err) == (1, True, True)
    assert list(tmp_path.iterdir()) == []
