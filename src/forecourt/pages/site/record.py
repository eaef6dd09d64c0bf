"""A row of the portal's data model in a file, read key by key, every fault with its line.

Rows of both data models and of older exports come out alike: keys have the standard model's names, in lower case. A
file is one row, a list of rows, or several documents of either. Values are taken as the file writes them, not as YAML
would type them: a title ``No`` is text, ``24:00:00`` is no number. Unknown keys are Microsoft's to add and are left
alone; an unknown value of a known key is a fault.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import yaml

from forecourt.kernel.document import Document, compose, compose_all, texts
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Where
from forecourt.pages.site.kinds import BY_ENDING, WEB_FILE, WEBSITE, DataModel, Kind, canonical, written
from forecourt.pages.site.tree import ENHANCED_FOLDER, MAX_ROWS, MAX_TEXT, Entry, Tree

E = TypeVar("E", bound=IntEnum)

_TRUE = {"true", "yes", "1"}
_FALSE = {"false", "no", "0", ""}


@dataclass(frozen=True)
class Record:
    """One row. ``data``: by canonical key; ``names``: the keys as the file writes them, where they differ. ``path``:
    its place in the document, () for a file that is one row. ``raw``: the row as the file has it."""

    kind: Kind
    model: DataModel
    document: Document
    data: Mapping[str, Any]
    names: Mapping[str, str]
    raw: Mapping[str, Any]
    entry: Entry
    tree: Tree
    path: tuple[int, ...] = ()
    faults: list[DefinitionError] = field(default_factory=list)

    @property
    def place(self) -> PurePosixPath:
        """The file's path below the site's folder."""
        return PurePosixPath(self.entry.name)

    @property
    def label(self) -> str:
        """What the row calls itself, as far as it does."""
        return self.text(self.kind.label) or self.text("adx_name") or self.place.name

    def shown(self, key: str) -> str:
        """A key as the file writes it, or as its data model would."""
        return self.names.get(key) or written(self.kind, key, self.model)

    def where(self, key: str = "") -> Where:
        return self.document.where(*self.path, *([self.names.get(key, key)] if key else []))

    def fault(self, message: str, key: str = "", hint: str = "") -> None:
        """Notes a fault; the record goes on with a harmless value, so that all faults are found at once."""
        place = self.where(key)
        self.faults.append(DefinitionError(place.file, place.line, message, hint))

    def refer(self, key: str, known: Container[UUID | None], what: str) -> UUID | None:
        """The id of another row of the site. One that is not ``known`` is a fault that names it."""
        found = self.uuid(key)
        if found is not None and found not in known:
            self.fault(f"{self._self} names the {what} {found}, which does not exist.", key)
            return None
        return found

    @property
    def _self(self) -> str:
        return f"'{self.label}'"

    def text(self, key: str, default: str = "") -> str:
        value = self.data.get(key)
        return value.strip() if isinstance(value, str) else default

    def need(self, key: str) -> str:
        """Text that must be there."""
        value = self.text(key)
        if not value:
            self.fault(f"'{self.shown(key)}' is missing.", hint=f"Write {self.shown(key)}: and its value.")
        return value

    def json(self, key: str) -> Any:
        """The JSON of a column; None where there is none that can be read."""
        try:
            return json.loads(self.text(key) or "null")
        except ValueError:
            return None

    def flag(self, key: str, default: bool = False) -> bool:
        if key not in self.data:
            return default
        value = self.text(key).lower()
        if value not in _TRUE | _FALSE:
            self.fault(f"'{self.shown(key)}' is '{value}', which is neither true nor false.", key)
        return value in _TRUE

    def number(self, key: str, default: int = 0) -> int:
        value = self.text(key)
        if not value:
            return default
        try:
            return int(value)
        except ValueError:
            self.fault(f"'{self.shown(key)}' is '{value}', which is no whole number.", key)
            return default

    def moment(self, key: str) -> datetime | None:
        """A date with its time; UTC where the file names no zone."""
        value = self.text(key)
        if not value:
            return None
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fault(f"'{self.shown(key)}' is '{value}', which is no date.", key)
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def chosen(self, key: str) -> str:
        """The number of a choice, '' where none was made: makers' tools write 0 for that."""
        value = self.text(key)
        return "" if value == "0" else value

    def choice(self, key: str, kinds: type[E], default: E | None = None) -> E | None:
        """The member of ``kinds`` by its number; None after a fault. 0 is no choice, where no member has it."""
        value = self.text(key)
        if default is not None and not (value if any(member == 0 for member in kinds) else self.chosen(key)):
            return default
        known = ", ".join(f"{member.value} ({member.name.replace('_', ' ').title()})" for member in kinds)
        if not value:
            self.fault(f"'{self.shown(key)}' is missing.", hint=f"Known values are: {known}.")
            return None
        try:
            return kinds(int(value))
        except ValueError:
            self.fault(f"'{self.shown(key)}' is '{value}', which is not known.", key, f"Known values are: {known}.")
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
                self.fault(
                    f"'{self.shown(key)}' holds '{item}', which is not known.", key, f"Known values are: {known}."
                )
        return tuple(found)

    def uuid(self, key: str) -> UUID | None:
        value = self.text(key)
        if not value:
            return None
        try:
            return UUID(value)
        except ValueError:
            self.fault(f"'{self.shown(key)}' is '{value}', which is no GUID.", key)
            return None

    def id(self, key: str) -> UUID:
        """The row's own id. A row without one gets one made of its place, which no other row can name."""
        found = self.uuid(key)
        if found is None:
            self.need(key)
            return uuid5(NAMESPACE_URL, f"{self.entry.name}#{self.path}")
        return found

    def uuids(self, key: str) -> tuple[UUID, ...]:
        """A list of ids, as many-to-many links are written."""
        value = self.data.get(key)
        if not isinstance(value, list):
            if value:
                self.fault(f"'{self.shown(key)}' must be a list of GUIDs.", key)
            return ()
        found = []
        for item in value:
            try:
                found.append(UUID(str(item).strip()))
            except ValueError:
                self.fault(f"'{self.shown(key)}' holds '{item}', which is no GUID.", key)
        return tuple(found)

    @property
    def active(self) -> bool:
        return self.text("statecode", "0") in {"0", ""}

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The raw values that are text."""
        return {key: value for key, value in self.data.items() if isinstance(value, str)}

    @property
    def stem(self) -> str:
        """The file's path without ``.yml``."""
        return self.entry.name[: -len(".yml")]

    def beside(self, ending: str) -> str:
        """The text of the file beside this one whose name is its stem plus ``ending``, '' where there is none."""
        found = self.tree.find(f"{self.stem}{ending}")
        return (self.tree.text(found, MAX_TEXT) or "") if found else ""

    @property
    def content(self) -> Entry | None:
        """The file whose row this is: it lies beside, under the row's name without the ending."""
        return self.tree.find(self.stem[: -len(f".{self.kind.name}")])


@dataclass(frozen=True)
class Folder:
    """The folder of a site, read once. ``faults`` gathers what is wrong in its files."""

    root: Path
    faults: list[DefinitionError] = field(default_factory=list)
    _read: dict[str, tuple[Record, ...]] = field(default_factory=dict)

    @cached_property
    def base(self) -> Path:
        """Where ``website.yml`` is: the folder itself, or that of a code site's rows in it."""
        inner = self.root / ENHANCED_FOLDER
        return inner if inner.is_dir() and not inner.is_symlink() and not self._has_website(self.root) else self.root

    @staticmethod
    def _has_website(folder: Path) -> bool:
        return any(item.name.lower() == "website.yml" for item in folder.iterdir())

    @cached_property
    def tree(self) -> Tree:
        return Tree(self.base, self.faults)

    @cached_property
    def website(self) -> Record | None:
        """The row of the website itself."""
        return next(iter(self.records(WEBSITE)), None)

    @cached_property
    def model(self) -> DataModel:
        """The data model whose keys ``website.yml`` has."""
        entry = self.tree.find("website.yml")
        text = self.tree.text(entry, MAX_ROWS) if entry else None
        try:
            data = yaml.load(text or "", Loader=yaml.BaseLoader)  # noqa: S506 - scalars stay text
        except (yaml.YAMLError, ValueError, RecursionError):
            return DataModel.STANDARD
        row = data[0] if isinstance(data, list) and data else data
        keys = {str(key).lower() for key in row} if isinstance(row, dict) else set()
        return DataModel.ENHANCED if "id" in keys or "mspp_websiteid" in keys else DataModel.STANDARD

    def records(self, kind: Kind) -> tuple[Record, ...]:
        """All rows of a kind, by file name and place."""
        if kind.name not in self._read:
            entries = [entry for entry in self.tree.entries if kind_of(entry) is kind and not self._is_content(entry)]
            self._read[kind.name] = tuple(row for entry in entries for row in self._rows(kind, entry))
        return self._read[kind.name]

    def _is_content(self, entry: Entry) -> bool:
        """Whether a file is what a web file serves, whatever its name."""
        return self.tree.find(f"{entry.name}.{WEB_FILE.name}.yml") is not None

    def _rows(self, kind: Kind, entry: Entry) -> Iterator[Record]:
        shown = self.tree.shown(entry.name)
        text = self.tree.text(entry, MAX_ROWS)
        if text is None:
            return
        try:
            several = text.startswith("---") or "\n---" in text
            documents = compose_all(text, shown) if several else (compose(text, shown),)
        except DefinitionError as error:
            self.faults.append(error)
            return
        for document, plain in zip(documents, texts(text), strict=False):
            yield from self._of_document(kind, entry, document, _without_nulls(plain, document.data))

    def _of_document(self, kind: Kind, entry: Entry, document: Document, plain: Any) -> Iterator[Record]:
        if document.data is None:
            return
        if isinstance(plain, dict):
            yield self._record(kind, entry, document, plain, ())
        elif isinstance(plain, list):
            for index, item in enumerate(plain):
                if isinstance(item, dict):
                    yield self._record(kind, entry, document, item, (index,))
                else:
                    self.faults.append(document.error("a row must be a mapping of keys to values.", index))
        else:
            self.faults.append(document.error("the file must hold a row or a list of rows."))

    def _record(
        self, kind: Kind, entry: Entry, document: Document, raw: Mapping[str, Any], path: tuple[int, ...]
    ) -> Record:
        """The row with canonical keys. A key that is given twice, in two cases or models, may have one value only."""
        data: dict[str, Any] = {}
        names: dict[str, str] = {}
        for key in sorted(raw, key=lambda key: (not key.lower().startswith("adx_"), key)):
            name = canonical(kind, key, self.model)
            if name in data and data[name] != raw[key]:
                self.faults.append(document.error(f"'{key}' and '{names.get(name, name)}' disagree.", *path, key))
            if name not in data:
                data[name] = raw[key]
                if name != key:
                    names[name] = key
        return Record(kind, self.model, document, data, names, raw, entry, self.tree, path, self.faults)


def kind_of(entry: Entry) -> Kind | None:
    """The kind of row that a file holds, by its name; None for every other file."""
    name = entry.lower.rpartition("/")[2]
    if not name.endswith(".yml"):
        return None
    return BY_ENDING.get(name.removesuffix(".yml").rpartition(".")[2])


def _without_nulls(plain: Any, typed: Any) -> Any:
    """The plain data without what YAML calls null."""
    if isinstance(plain, dict):
        return {key: _without_nulls(value, typed[key]) for key, value in plain.items() if typed[key] is not None}
    if isinstance(plain, list):
        return [_without_nulls(item, typed[index]) for index, item in enumerate(plain)]
    return plain
