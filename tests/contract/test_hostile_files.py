"""Whatever a solution's file holds, ``check`` says ``file:line: what`` and ends with 1: never a traceback."""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from forecourt.app import load_definitions
from forecourt.kernel import document
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.pages.site.loader import load_site
from support import contoso as sample

#: One file of each kind.
KINDS = (
    "solution.yaml",
    "operations/entities/PurchPurchaseOrderHeaderV2Entity.yaml",
    "operations/enums.yaml",
    "operations/roles.yaml",
    "operations/policies/VendProfileAccount.yaml",
    "dataverse/tables/purchase_order.yaml",
    "dataverse/roles.yaml",
    "site/website.yml",
    "site/webrole.yml",
    "site/sitesetting.yml",
    "site/webpagerule.yml",
    "site/table-permissions/Vendor-own-purchase-orders.tablepermission.yml",
    "site/lists/Purchase-orders.list.yml",
    "site/basic-forms/confirm-delivery/Confirm-delivery.basicform.yml",
    "site/web-pages/purchase-orders/Purchase-orders.webpage.yml",
    "site/web-pages/purchase-orders/content-pages/Purchase-orders.en-US.webpage.yml",
    "site/page-templates/Page.pagetemplate.yml",
    "site/weblink-sets/default/Default.en-US.weblinkset.weblink.yml",
)

PLACED = re.compile(r"^[^\s:][^:\n]*:\d+: \S")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solution") / "contoso"
    shutil.copytree(sample.ROOT, folder, ignore=shutil.ignore_patterns("sample", "__pycache__"))
    return folder


@pytest.fixture
def root(shared: Path) -> Iterator[Path]:
    """A copy of the solution; what a test changed is put right again."""
    shipped = {path: path.read_bytes() for path in shared.rglob("*") if path.is_file()}
    yield shared
    if (shared.parent / "site-elsewhere").is_dir():
        shutil.move(shared.parent / "site-elsewhere", shared / "site")
    for path, content in shipped.items():
        if path.is_dir():
            path.rmdir()
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


@pytest.fixture(scope="module")
def remembered() -> Callable[[str, str], document.Document]:
    return lru_cache(maxsize=4096)(document.compose)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch: pytest.MonkeyPatch, remembered: Callable[[str, str], document.Document]) -> None:
    """A text is composed once, not once per load: each test loads the solution again and again, one file changed."""
    for module in list(sys.modules.values()):
        if getattr(module, "compose", None) is document.compose and module is not document:
            monkeypatch.setattr(module, "compose", remembered)


def part(root: Path, path: str) -> Path:
    """The folder that has to be loaded to find a fault of a file: a site's rules stand by themselves."""
    if path.startswith("site/"):
        return root / "site"
    if (root / "site").is_dir():
        shutil.move(root / "site", root.parent / "site-elsewhere")
    return root


def faults(root: Path) -> list[DefinitionError]:
    """What is wrong with a solution, as its loading says it. ``root``: a solution's folder, or a site's alone."""
    try:
        if root.name == "site":
            load_site(root)
            return []
        return list(load_definitions(root).findings)
    except DefinitionErrors as errors:
        return list(errors.errors)


def placed(found: list[DefinitionError], path: str) -> None:
    for error in found:
        assert PLACED.match(str(error)), str(error)
        assert "Traceback" not in str(error)
        assert len(str(error)) < 20_000
    assert any(error.file.endswith(path) for error in found), [str(error) for error in found]


BROKEN = {
    "nothing": b"",
    "a text": b"hello",
    "a number": b"5",
    "a list": b"- 1\n- 2\n",
    "null": b"null\n",
    "a tab": b"name:\n\t- x\n",
    "an open bracket": b"name: [1, 2\n",
    "an open quote": b"name: 'x\n",
    "not UTF-8": b"name: \xff\xfe\n",
    "NUL": b"name: \x00\n",
    "an alias": b"a: &x [1]\nname: *x\n",
    "an alias bomb": b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    "a merge": b"a: &x {b: 1}\nc:\n  <<: *x\n",
    "a tag": b"name: !!python/object/apply:os.system ['true']\n",
    "another tag": b"name: !!binary |\n  R0lGODlh\n",
    "a set": b"name: !!set {a, b}\n",
    "a complex key": b"? [1, 2]\n: x\n",
    "a key twice": b"name: a\nname: b\n",
    "two documents": b"name: a\n---\nname: b\n",
    "deep": b"[" * 500 + b"]" * 500,
    "deeper": b"{a: " * 20_000,
    "an unknown field": b"frobnicate: 1\n",
    "a huge number": b"name: " + b"9" * 10_000 + b"\n",
    "odd numbers": b"name: .inf\nlabel: .nan\nid: 0x1F\nx: 1_000\ny: 1:30\n",
    "a date": b"name: 2026-02-31\n",
    "emoji": "name: \U0001f600\n\u2028x: y\n".encode(),
}


@pytest.mark.parametrize("path", KINDS)
def test_a_broken_file_is_told_with_its_place(root: Path, path: str) -> None:
    file, loaded = root / path, part(root, path)
    # A solution takes a while to load, and has many kinds of file: each gets a part of them.
    part_of = 4 if loaded.name == "site" else 2
    chosen = list(BROKEN.items())[KINDS.index(path) % part_of :: part_of]
    for what, content in chosen:
        file.write_bytes(content)
        found = faults(loaded)
        if path.startswith("site/"):  # what a site's file holds beyond what is known is left to who made it
            assert all(PLACED.match(str(error)) for error in found), what
            continue
        assert found, (what, path)
        try:
            placed(found, path)
        except AssertionError as error:
            raise AssertionError(what) from error


def test_a_missing_file_and_a_folder_in_its_place_are_told(root: Path) -> None:
    (root / "operations" / "roles.yaml").unlink()
    (root / "operations" / "roles.yaml").mkdir()
    assert all(PLACED.match(str(error)) for error in faults(root))
    (root / "solution.yaml").unlink()
    (found,) = faults(root)
    assert "does not exist" in str(found)


def _mutants(text: str, draw: random.Random, count: int) -> list[str]:
    """Texts that differ from ``text`` in one place, as slips of the hand and of the mind do."""
    lines = text.splitlines()
    result = []
    for _ in range(count):
        changed = list(lines)
        at = draw.randrange(len(changed))
        match draw.randrange(12):
            case 0:
                del changed[at]
            case 1:
                changed.insert(at, changed[draw.randrange(len(changed))])
            case 2:
                changed[at] = " " * draw.randrange(5) + changed[at]
            case 3:
                changed[at] = changed[at].lstrip()
            case 4:
                changed[at] = changed[at].replace(":", draw.choice(["", "::", " :", "=", ": [", ": {"]), 1)
            case 5:
                place = draw.randrange(len(changed[at]) + 1)
                changed[at] = (
                    changed[at][:place] + draw.choice("'\"[]{}&*!|>%@`#,?-\t\\\x07é\u2028") + changed[at][place:]
                )
            case 6:
                words = re.findall(r"[A-Za-z_.]{3,}", changed[at])
                if words:
                    word = draw.choice(words)
                    changed[at] = changed[at].replace(word, word[1:] + word[0], 1)
            case 7:
                head = changed[at].partition(":")[0]
                changed[at] = (
                    f"{head}: {draw.choice(['null', '5', '-1', 'true', '[]', '{}', '1.5', '2026-01-01', '~', 'x y'])}"
                )
            case 8:
                changed = changed[:at]
            case 9:
                other = draw.randrange(len(changed))
                changed[at], changed[other] = changed[other], changed[at]
            case 10:
                changed[at] = re.sub(r"\d+", lambda _: str(draw.choice([0, -1, 10**30])), changed[at], count=1)
            case 11:
                changed[at] = changed[at].upper()
        result.append("\n".join(changed) + "\n")
    return result


@pytest.mark.parametrize("path", KINDS)
def test_a_slip_anywhere_in_a_file_is_told_or_harmless(root: Path, path: str) -> None:
    file, loaded = root / path, part(root, path)
    shipped = file.read_text("utf-8")
    draw = random.Random(f"slips of {path}")
    for text in _mutants(shipped, draw, 4 if loaded.name == "site" else 7):
        file.write_text(text, "utf-8")
        for error in faults(loaded):
            assert PLACED.match(str(error)), str(error)
    file.write_text(shipped, "utf-8")
    assert faults(loaded) == []
