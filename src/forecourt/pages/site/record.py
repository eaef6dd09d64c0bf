"""A row of the portal's data model in a file, read key by key, every fault with its line.

Values are taken as the file writes them, not as YAML would type them: a title ``No`` is text, ``24:00:00`` is no
number. Unknown keys are Microsoft's to add and are left alone; an unknown value of a known key is a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import yaml

from forecourt.kernel.document import Document, compose
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Where

E = TypeVar("E", bound=IntEnum)

_TRUE = {"true", "yes", "1"}
_FALSE = {"false", "no", "0", ""}


@dataclass(frozen=True)
class Record:
    """One row. ``path``: its place in the document, () for a file that is one row."""

    document: Document
    data: Mapping[str, Any]
    file: Path
    path: tuple[int, ...] = ()
    faults: list[DefinitionError] = field(default_factory=list)

    def where(self, key: str = "") -> Where:
        return self.document.where(*self.path, *([key] if key else []))

    def fault(self, message: str, key: str = "", hint: str = "") -> None:
        """Notes a fault; the record goes on with a harmless value, so that all faults are found at once."""
        place = self.where(key)
        self.faults.append(DefinitionError(place.file, place.line, message, hint))

    def text(self, key: str, default: str = "") -> str:
        value = self.data.get(key)
        return value.strip() if isinstance(value, str) else default

    def need(self, key: str) -> str:
        """Text that must be there."""
        value = self.text(key)
        if not value:
            self.fault(f"'{key}' is missing.", hint=f"Write {key}: and its value.")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        if key not in self.data:
            return default
        value = self.text(key).lower()
        if value not in _TRUE | _FALSE:
            self.fault(f"'{key}' is '{value}', which is neither true nor false.", key)
        return value in _TRUE

    def number(self, key: str, default: int = 0) -> int:
        value = self.text(key)
        if not value:
            return default
        try:
            return int(value)
        except ValueError:
            self.fault(f"'{key}' is '{value}', which is no whole number.", key)
            return default

    def choice(self, key: str, kinds: type[E], default: E | None = None) -> E | None:
        """The member of ``kinds`` by its number; None after a fault."""
        value = self.text(key)
        if not value and default is not None:
            return default
        known = ", ".join(f"{member.value} ({member.name.replace('_', ' ').title()})" for member in kinds)
        if not value:
            self.fault(f"'{key}' is missing.", hint=f"Known values are: {known}.")
            return None
        try:
            return kinds(int(value))
        except ValueError:
            self.fault(f"'{key}' is '{value}', which is not known.", key, f"Known values are: {known}.")
            return None

    def choices(self, key: str, kinds: type[E]) -> tuple[E, ...]:
        """Members of ``kinds`` by their numbers: a list, or text with commas."""
        value = self.data.get(key)
        items = value if isinstance(value, list) else str(value or "").split(",")
        found = []
        for item in (str(item).strip() for item in items):
            try:
                if item:
                    found.append(kinds(int(item)))
            except ValueError:
                known = ", ".join(f"{member.value} ({member.name.replace('_', ' ').title()})" for member in kinds)
                self.fault(f"'{key}' holds '{item}', which is not known.", key, f"Known values are: {known}.")
        return tuple(found)

    def uuid(self, key: str) -> UUID | None:
        value = self.text(key)
        if not value:
            return None
        try:
            return UUID(value)
        except ValueError:
            self.fault(f"'{key}' is '{value}', which is no GUID.", key)
            return None

    def id(self, key: str) -> UUID:
        """The row's own id. A row without one gets one made of its place, which no other row can name."""
        found = self.uuid(key)
        if found is None:
            self.need(key)
            return UUID(int=abs(hash((str(self.file), self.path))))
        return found

    def uuids(self, key: str) -> tuple[UUID, ...]:
        """A list of ids, as many-to-many links are written."""
        value = self.data.get(key)
        if not isinstance(value, list):
            if value:
                self.fault(f"'{key}' must be a list of GUIDs.", key)
            return ()
        found = []
        for item in value:
            try:
                found.append(UUID(str(item).strip()))
            except ValueError:
                self.fault(f"'{key}' holds '{item}', which is no GUID.", key)
        return tuple(found)

    @property
    def active(self) -> bool:
        return self.text("statecode", "0") in {"0", ""}

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The raw values that are text."""
        return {key: value for key, value in self.data.items() if isinstance(value, str)}

    def beside(self, ending: str) -> str:
        """The text of the file beside this one whose name is its stem plus ``ending``, '' where there is none."""
        stem = self.file.name.removesuffix(".yml")
        try:
            return (self.file.parent / f"{stem}{ending}").read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            self.fault(f"'{stem}{ending}' cannot be read as UTF-8 text.")
            return ""


@dataclass(frozen=True)
class Folder:
    """The folder of a site. ``faults`` gathers what is wrong in its files."""

    root: Path
    faults: list[DefinitionError] = field(default_factory=list)

    def rows(self, name: str) -> Iterator[Record]:
        """The rows of a file that is a list of them; none where the file is missing."""
        path = self.root / name
        if path.is_file():
            yield from self._rows(path)

    def each(self, pattern: str, endings: Iterable[str]) -> Iterator[Record]:
        """The rows of all files that match ``pattern`` (a glob) and end as one of ``endings``, by name."""
        wanted = tuple(endings)
        for path in sorted(self.root.glob(pattern)):
            if path.is_file() and path.name.endswith(wanted):
                yield from self._rows(path)

    def _rows(self, path: Path) -> Iterator[Record]:
        shown = str(path.relative_to(self.root.parent))
        try:
            text = path.read_text(encoding="utf-8-sig")
            document = compose(text, shown)
        except DefinitionError as error:
            self.faults.append(error)
            return
        except (OSError, UnicodeDecodeError):
            self.faults.append(DefinitionError(shown, 1, "the file cannot be read as UTF-8 text."))
            return
        if document.data is None:
            return
        plain = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - scalars stay text, nothing is constructed
        plain = _without_nulls(plain, document.data)
        if isinstance(plain, dict):
            yield Record(document, plain, path, (), self.faults)
        elif isinstance(plain, list):
            for index, item in enumerate(plain):
                if isinstance(item, dict):
                    yield Record(document, item, path, (index,), self.faults)
                else:
                    self.faults.append(document.error("a row must be a mapping of keys to values.", index))
        else:
            self.faults.append(document.error("the file must hold a row or a list of rows."))


def _without_nulls(plain: Any, typed: Any) -> Any:
    """The plain data without what YAML calls null."""
    if isinstance(plain, dict):
        return {key: _without_nulls(value, typed[key]) for key, value in plain.items() if typed[key] is not None}
    if isinstance(plain, list):
        return [_without_nulls(item, typed[index]) for index, item in enumerate(plain)]
    return plain
