"""The functions of the how-to on business logic are loaded as a solution's own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from forecourt.app import load_definitions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-business-logic.md"


def test_the_functions_of_the_how_to_are_those_of_the_sample_company(tmp_path: Path) -> None:
    root = tmp_path / "solution"
    shutil.copytree(ROOT / "examples" / "contoso", root, ignore=shutil.ignore_patterns(".forecourt", "__pycache__"))
    for path in (root / "operations").glob("*.py"):
        path.unlink()
    roles = root / "operations" / "roles.yaml"  # whose actions are those of the files that are gone
    roles.write_text(re.sub(r"(, |\n +)actions: \[[^\]]*\]", "", roles.read_text("utf-8")), "utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        folder = "dataverse/plugins" if "forecourt.dataverse" in block else "operations/page"
        (root / f"{folder}_{number}.py").write_text(block, "utf-8")
    found = load_definitions(root)
    assert dict(found.operations.hooks.actions()) == {"PurchPurchaseOrderHeaderV2Entity": "count"}
    assert {name for _, name in found.operations.hooks.actions()} == {"confirm", "count"}
    assert found.dataverse.plugins.any("account", "update")
