"""``forecourt check``: what it says first, and what it does not say twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.command import run
from support.small_erp import ROOT


@pytest.fixture
def solution(tmp_path: Path) -> Path:
    return shutil.copytree(ROOT, tmp_path / "small")


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("operations/entities/order.yaml", "public_name:", "publicname:"),
        ("dataverse/tables/cts_thing.yaml", "label:", "labell:"),
    ],
)
async def test_of_a_broken_file_the_first_cause_alone_is_said(solution: Path, file: str, old: str, new: str) -> None:
    change(solution / file, old, new)
    said = await run("check", solution, "--no-database")
    (line,) = said.err.splitlines()
    assert said.code == 1 and line.startswith(f"{solution / file}:") and "is not known here" in line


async def test_what_no_file_defines_is_a_fault_of_who_names_it(solution: Path) -> None:
    (solution / "operations" / "entities" / "order.yaml").unlink()
    said = await run("check", solution, "--no-database")
    assert said.code == 1 and "SmallOrderEntity" in said.err


async def test_a_relationship_names_columns_that_account_has(solution: Path) -> None:
    with (solution / "dataverse" / "tables" / "cts_thing.yaml").open("a", encoding="utf-8") as file:
        file.write("relationships:\n  - {name: up, target: account, match: {_cts_buyer_value: _parentaccount_value}}\n")
    said = await run("check", solution, "--no-database")
    assert said.code == 1 and "cts_thing.yaml" in said.err
    assert "account has no column '_parentaccount_value'" in said.err and "_parentaccountid_value" in said.err


async def test_a_translation_that_no_label_asks_for_is_a_warning(solution: Path) -> None:
    words = solution / "labels" / "de.yaml"
    words.parent.mkdir()
    words.write_text("labels:\n  Thing: Ding\n  Thang: Dang\n", "utf-8")
    said = await run("check", solution, "--no-database")
    (line,) = said.err.splitlines()
    assert said.code == 0 and line.startswith(f"{words}:3: no label is 'Thang'")
