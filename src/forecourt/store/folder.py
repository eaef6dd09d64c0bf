"""Definition files of a solution folder, read to typed records. All faults of all files are collected.

The only reading of solution files outside of the site: a file is UTF-8 text, at most 4 MB, and never outside of the
folder (links that lead out are refused).
"""

from __future__ import annotations

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
    """Collects the faults of a solution, to be raised together."""

    errors: list[DefinitionError] = field(default_factory=list)

    def add(self, error: DefinitionError) -> None:
        self.errors.append(error)

    def raise_any(self) -> None:
        if self.errors:
            raise DefinitionErrors(tuple(sorted(self.errors, key=lambda e: (e.file, e.line))))


def read_file(root: Path, path: Path, shape: type[T], faults: Faults, words: Words | None = None) -> Loaded[T] | None:
    """One file as a record, or None with its fault noted. ``words``: translations of its labels."""
    name = str(path)
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise DefinitionError(name, 1, "leads out of the solution's folder.")
        if path.stat().st_size > MAX_BYTES:
            raise DefinitionError(name, 1, f"is larger than {MAX_BYTES // 1024 // 1024} MB.")
        document = compose(path.read_text("utf-8-sig"), name)
        return Loaded(document, convert(document, shape, words))
    except DefinitionError as error:
        faults.add(error)
    except UnicodeDecodeError:
        faults.add(DefinitionError(name, 1, "is not UTF-8 text.", "Save it as UTF-8."))
    except OSError as error:
        faults.add(DefinitionError(name, 1, f"cannot be read: {error.strerror}."))
    return None


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
