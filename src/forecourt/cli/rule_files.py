"""Which files of a solution hold rules: who may do what, and what is copied where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

#: Below the solution's folder.
PATTERNS: Final = (
    "solution.yaml",
    "operations/roles.yaml",
    "operations/policies/*",
    "operations/constructs/*",
    "operations/entities/*",
    "operations/*.py",
    "dataverse/roles.yaml",
    "dataverse/tables/*",
    "dataverse/*.py",
    "maps/*",
    "site/**/table-permissions/*",
    "site/**/column-permission*/*",
    "site/**/*webrole*",
    "site/**/*webpagerule*",
    "site/**/*websiteaccess*",
    "site/**/*sitesetting*",
)


def rule_files(root: Path) -> Iterator[Path]:
    """The files, each once, by name."""
    found = {path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file()}
    yield from sorted(path for path in found if "__pycache__" not in path.parts)


def rule_digests(root: Path) -> dict[str, str]:
    """Path below ``root`` -> SHA-256 of the file."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in rule_files(root)
    }


def digest_of(digests: Mapping[str, str]) -> str:
    """One digest of them all."""
    text = "".join(f"{path}\n{digest}\n" for path, digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()
