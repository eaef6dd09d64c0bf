"""``forecourt package``: the commands as somebody types them, with their exit codes."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.command import Said, run
from support.contoso import ROOT, TEMPLATE, ensure_loaded
from support.packages import csv_rows, csv_text, package, unpacked
from support.server import cloned


@dataclass(frozen=True)
class Shell:
    """A solution folder over a database of its own, and the command."""

    root: Path
    data: Path

    async def __call__(self, command: str, *arguments: object, solution: bool = True) -> Said:
        given = [command, *([self.root] if solution else []), *arguments]
        return await run("package", *given, *(["--data", self.data] if solution else []))


@pytest.fixture(scope="module")
async def shell(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    await ensure_loaded(postgres)
    folder = tmp_path_factory.mktemp("package")
    root = folder / "contoso"
    shutil.copytree(ROOT, root)
    header = root / "solution.yaml"
    async with cloned(postgres, TEMPLATE) as address:
        text = header.read_text("utf-8")
        text = re.sub(
            r"(?m)^connections:.*$", f"connections: {{dataverse: '{address}', operations: '{address}'}}", text
        )
        text = re.sub(r"(?m)^sample:.*(\n[ \t].*)*", "", text)
        header.write_text(text, "utf-8")
        yield Shell(root, folder / "data")


async def test_a_package_goes_out_and_in(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "orders.zip"
    done = await shell("export", target, "--as", "v-us-101", "--entity", "PurchaseOrderHeadersV2", "--preview", 5)
    assert (done.code, done.out) == (0, "PurchaseOrderHeaderV2.csv: 5 rows.\n"), done.err
    shown = await shell("show", target, solution=False)
    assert shown.code == 0
    assert "PurchaseOrderHeaderV2: PurchaseOrderHeaderV2.csv, CSV" in shown.out
    rows = csv_rows(unpacked(target.read_bytes())["PurchaseOrderHeaderV2.csv"])
    done = await shell("import", target, "--as", "v-us-101")
    assert done.code == 0, done.out + done.err
    assert "PurchaseOrderHeaderV2.csv: 5 rows read, 5 imported, 0 left out\nSucceeded\n" in done.out
    rows[0]["CurrencyCode"] = "XXX"  # which a vendor may not change
    target.write_bytes(package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows))))
    done = await shell("import", target, "--as", "v-us-101")
    assert done.code == 2, done.out + done.err
    assert "5 rows read, 4 imported, 1 left out\nPartiallySucceeded" in done.out


async def test_a_data_file_is_checked_then_applied_and_its_errors_are_shown(shell: Shell, tmp_path: Path) -> None:
    file, wrong = tmp_path / "items.csv", tmp_path / "wrong.csv"
    file.write_bytes(
        csv_text([{"ItemNumber": "CLI-1", "SalesPrice": "1.5"}, {"ItemNumber": "CLI-2", "SalesPrice": "x"}])
    )
    named = ("--as", "integration", "--entity", "ReleasedProductsV2")
    staged = await shell("import", file, *named, "--stage-only")
    assert staged.code == 2, staged.out + staged.err
    assert "2 rows read, 0 imported, 1 left out" in staged.out
    job = staged.out.splitlines()[0].removeprefix("job ")
    resumed = await shell("resume", job)
    assert resumed.code == 2
    assert "2 rows read, 1 imported, 1 left out" in resumed.out
    assert (await shell("status", job)).out == resumed.out.partition("\n")[2]
    errors = await shell("errors", job, "--entity", "ReleasedProductV2", "--to", wrong)
    assert errors.code == 2
    assert errors.out.startswith("items.csv: row 2: The value for 'SalesPrice' does not fit")
    assert [row["ItemNumber"] for row in csv_rows(wrong.read_bytes())] == ["CLI-2"]
    assert job in (await shell("list")).out
    canceled = await shell("cancel", job)
    assert (canceled.code, "has ended already" in canceled.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("export", "{}/x.zip", "--as", "purch.clerk"), 64, "--project, or --entity"),
        (("export", "{}/x.zip", "--as", "purch.clerk", "--project", "purchase-order"), 1, "Did you mean"),
        (("export", "{}/x.zip", "--as", "purch.clerk", "--entity", "CustomersV3"), 1, "no right to export CustomerV3"),
        (("export", "{}/x.zip", "--as", "nobody", "--entity", "CustomersV3"), 1, "does not exist, or is disabled"),
        (("import", "{}/hostile.zip", "--as", "integration"), 1, "../evil.csv: The name leads out of the package"),
        (("import", "{}/text.zip", "--as", "integration"), 1, "not a zip archive"),
        (("status", "none"), 1, "There is no job none"),
    ],
)
async def test_what_is_refused_says_why(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "hostile.zip").write_bytes(package(("ReleasedProductV2", "../evil.csv", b"x")))
    (tmp_path / "text.zip").write_bytes(b"no archive")
    done = await shell(*(item.format(tmp_path) for item in arguments))
    assert (done.code, said in done.out + done.err) == (code, True), done.out + done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "x.zip").exists()
