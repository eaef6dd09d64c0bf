"""The context strings that a solution's Python files set: ``context("VendorAudit")`` (operations-and-integration 4.1).

Only strings that are written out count. What a policy waits for and nothing here sets is misspelt.
"""

from __future__ import annotations

import ast
from pathlib import Path


def context_strings(root: Path, patterns: tuple[str, ...] = ("operations/*.py", "dataverse/*.py")) -> frozenset[str]:
    """Every string that a call of ``context`` names. Files that cannot be read are left to those who run them."""
    found: set[str] = set()
    for path in (path for pattern in patterns for path in sorted(root.glob(pattern))):
        try:
            tree = ast.parse(path.read_text("utf-8-sig"))
        except (OSError, ValueError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and _name(node.func) == "context":
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return frozenset(found)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
