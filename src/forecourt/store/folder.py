"""Definition files of a solution folder, read to typed records. All faults of all files are collected.

The only reading of solution files outside of the site: a file is UTF-8 text, at most 4 MB, and never outside of the
folder (links that lead out are refused).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from forecourt.kernel.document import Document, compose, convert
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.kernel.label import Words, is_code
from forecourt.kernel.solution import LabelsFile

T = TypeVar("T")

#: Where translations of labels are.
LABELS = "labels/*.yaml"

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A file as a record, with the document that knows its lines."""

    document: Document
    record: T


@dataclass
class Faults:
    """Collects the faults of a solution, to be raised together.

    ``lost``: what files with faults define, name -> file. That it does not exist is no fault of who names it.
    """

    errors: list[DefinitionError] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)

    def add(self, error: DefinitionError) -> None:
        self.errors.append(error)

    def raise_any(self) -> None:
        if self.errors:
            causes = [error for error in self.errors if not self._follows(error)]
            raise DefinitionErrors(tuple(sorted(causes or self.errors, key=lambda e: (e.file, e.line))))

    def _follows(self, error: DefinitionError) -> bool:
        """Whether an error says of something lost that it does not exist."""
        if not self.lost or not (error.code == "FC6002" or error.code.startswith("DIPV")):
            return False
        return any(self.lost.get(name, error.file) != error.file for name in re.findall(r"\w+", error.message))


def read_file(root: Path, path: Path, shape: type[T], faults: Faults, words: Words | None = None) -> Loaded[T] | None:
    """One file as a record, or None with its fault noted. ``words``: translations of its labels."""
    name, document = str(path), None
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise DefinitionError(name, 1, "leads out of the solution's folder.")
        if path.stat().st_size > MAX_BYTES:
            raise DefinitionError(name, 1, f"is larger than {MAX_BYTES // 1024 // 1024} MB.")
        document = compose(path.read_text("utf-8-sig"), name)
        return Loaded(document, convert(document, shape, words))
    except DefinitionError as error:
        faults.add(error)
        faults.lost |= dict.fromkeys(_defined(path, document), name)
    except UnicodeDecodeError:
        faults.add(DefinitionError(name, 1, "is not UTF-8 text.", "Save it as UTF-8."))
    except OSError as error:
        faults.add(DefinitionError(name, 1, f"cannot be read: {error.strerror}."))
    return None


def _defined(path: Path, document: Document | None) -> Iterator[str]:
    """The name of what a faulty file defines: its own, else the file's."""
    data = document.data if document is not None else None
    named = [data.get(key) for key in ("name", "table")] if isinstance(data, dict) else []
    yield from [each for each in named if isinstance(each, str)] or [path.stem]


def read_words(root: Path, faults: Faults) -> Words:
    """The translations of labels that the folder has, by language."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(root.glob(LABELS)):
        if not is_code(path.stem):
            faults.add(DefinitionError(str(path), 1, f"'{path.stem}' is no language code.", "Call it de.yaml."))
        elif (loaded := read_file(root, path, LabelsFile, faults)) is not None:
            found[path.stem.lower()] = loaded.record.labels
    return found


def read_files(
    root: Path, pattern: str, shape: type[T], faults: Faults, words: Words | None = None
) -> Iterator[Loaded[T]]:
    """All files of ``pattern`` below ``root``, in name order; faulty ones are noted and left out. Labels have the
    translations of ``words``, else those of the folder, whose own faults ``read_words`` notes."""
    words = read_words(root, Faults()) if words is None else words
    for path in sorted(root.glob(pattern)):
        loaded = read_file(root, path, shape, faults, words)
        if loaded is not None:
            yield loaded
