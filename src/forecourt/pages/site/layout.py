"""Where each row of a site goes in the folder of a data model, and how it is written (pages-and-dataverse A5.2, A5.3).

The inverse of ``record``: rows with canonical keys to files that the same reader, and ``pac pages upload``, take. Names
of files are made of the rows' own, of letters, digits and a few signs; two alike are told apart by the id's beginning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import yaml
from yaml.emitter import Emitter
from yaml.representer import SafeRepresenter
from yaml.resolver import BaseResolver
from yaml.serializer import Serializer

from forecourt.pages.site.content import is_content
from forecourt.pages.site.kinds import (
    CONFIG_FOLDER,
    KINDS,
    PAGE,
    STEP,
    WEB_FILE,
    WEBSITE,
    DataModel,
    Kind,
    written,
)
from forecourt.pages.site.languages import Languages
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.tree import Entry

#: What a side file's name may end with: the long texts of a row.
TEXTS = (".html", ".css", ".js")

#: The longest name of a file that is made, without its ending.
MAX_NAME = 60


@dataclass(frozen=True)
class Rows:
    """A file of rows as it is to be written: one row, or a list of them."""

    name: str
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]]

    @property
    def text(self) -> str:
        """The YAML, with every value as the source wrote it."""
        return dump(self.data)


@dataclass(frozen=True)
class Copy:
    """A file that goes over as it is."""

    name: str
    entry: Entry


@dataclass
class _Layout:
    """One pass over a folder. ``homes``: the folder and the name's beginning of each row that others lie beside."""

    folder: Folder
    languages: Languages
    model: DataModel
    omitted: frozenset[tuple[str, tuple[int, ...], str]]
    taken: set[str] = field(default_factory=set)
    homes: dict[UUID, tuple[PurePosixPath, str]] = field(default_factory=dict)

    def files(self) -> Iterator[Rows | Copy]:
        for kind in KINDS:
            records = self.folder.records(kind)
            if kind is PAGE:
                records = (*(r for r in records if not is_content(r)), *(r for r in records if is_content(r)))
            if kind is WEBSITE:
                yield from (Rows("website.yml", self._row(record)) for record in records[:1])
            elif self.model is DataModel.STANDARD and kind.folder in ("", CONFIG_FOLDER):
                if records:
                    yield Rows(
                        str(PurePosixPath(kind.folder, f"{kind.name}.yml")), [self._row(record) for record in records]
                    )
            elif kind.owner and not kind.nested:
                yield from self._owned(kind, records)
            else:
                for record in records:
                    yield from self._alone(kind, record)

    def _owned(self, kind: Kind, records: Sequence[Record]) -> Iterator[Rows]:
        """Rows that lie beside another: in one file a row of it, or each in a file of its own."""
        groups: dict[tuple[PurePosixPath, str], list[Record]] = {}
        for record in records:
            owner = record.uuid(kind.owned_by)
            home = self.homes.get(owner) if owner else None
            groups.setdefault(home or (PurePosixPath(self._folder(kind)), kind.name), []).append(record)
        for (place, stem), group in groups.items():
            if self.model is DataModel.STANDARD:
                name = self._free(place, f"{stem}.{kind.owner}", f".{kind.name}.yml", group[0])
                yield Rows(f"{name}.{kind.name}.yml", [self._row(record) for record in group])
                continue
            for record in group:
                name = self._free(place, file_name(record.label), f".{kind.name}.yml", record)
                yield Rows(f"{name}.{kind.name}.yml", self._row(record))

    def _alone(self, kind: Kind, record: Record) -> Iterator[Rows | Copy]:
        """A row in a file of its own, with the texts beside it and, for a web file, its content."""
        if kind is WEB_FILE:
            yield from self._web_file(record)
            return
        code = self.languages.of(record) if kind.language and (kind is not PAGE or is_content(record)) else ""
        base = file_name(record.label)
        place = self._place(kind, record, base)
        if code and self.model is DataModel.ENHANCED:
            place /= code
        elif code:
            base = f"{base}.{code}"
        name = self._free(place, base, f".{kind.name}.yml", record)
        self.homes.setdefault(record.id(kind.id), (place, PurePosixPath(name).name))
        yield Rows(f"{name}.{kind.name}.yml", self._row(record))
        for entry in sides(record):
            yield Copy(f"{name}.{kind.name}{entry.name[len(record.stem) :]}", entry)

    def _place(self, kind: Kind, record: Record, base: str) -> PurePosixPath:
        place = PurePosixPath(self._folder(kind))
        if kind is PAGE and is_content(record):
            root = record.uuid("adx_rootwebpageid")
            home = self.homes.get(root) if root else None
            return (home[0] if home else place / base.lower()) / "content-pages"
        if kind is STEP:
            owner = record.uuid(STEP.owned_by)
            home = self.homes.get(owner) if owner else None
            place = (home[0] if home else place) / "advanced-form-steps"
        if not kind.nested:
            return place
        slug = base.lower()
        if kind is not PAGE and kind.language:
            return place / slug
        return place / PurePosixPath(self._free(place, slug, "/", record)).name

    def _web_file(self, record: Record) -> Iterator[Rows | Copy]:
        content = record.content
        wanted = content.name if content else record.stem.removesuffix(f".{WEB_FILE.name}")
        base = file_name(PurePosixPath(wanted).name, dots=True)
        place = PurePosixPath(self._folder(WEB_FILE))
        name = PurePosixPath(self._free(place, base, "", record)).name
        if self.model is DataModel.ENHANCED:
            place /= name
        yield Rows(f"{place / name}.{WEB_FILE.name}.yml", self._row(record))
        if content:
            yield Copy(str(place / name), content)

    def _folder(self, kind: Kind) -> str:
        return kind.folder if self.model is DataModel.STANDARD else kind.enhanced

    def _free(self, place: PurePosixPath, base: str, ending: str, record: Record) -> str:
        """A path, without its ending, that no other row has, whatever its case."""
        own = (record.uuid(record.kind.id) or UUID(int=0)).hex
        names = (f"{place / base}", *(f"{place / base}_{own[:length]}" for length in (8, 32)))
        counted = (f"{place / base}_{own}_{number}" for number in range(2, len(self.taken) + 3))
        name = next(name for name in (*names, *counted) if f"{name}{ending}".lower() not in self.taken)
        self.taken.add(f"{name}{ending}".lower())
        return name

    def _row(self, record: Record) -> Mapping[str, Any]:
        keys = {key: written(record.kind, key, self.model) for key in record.data}
        omitted = {key for file, path, key in self.omitted if (file, path) == (record.entry.name, record.path)}
        return {keys[key]: record.data[key] for key in sorted(keys, key=lambda key: keys[key]) if key not in omitted}


def render(
    folder: Folder, languages: Languages, model: DataModel, omitted: frozenset[tuple[str, tuple[int, ...], str]]
) -> Iterator[Rows | Copy]:
    """The files of a faultless site in ``model``. ``omitted``: values to leave out, as file, place in it, key."""
    return _Layout(folder, languages, model, omitted).files()


def sides(record: Record) -> tuple[Entry, ...]:
    """The texts that lie beside a row, in files named after its own."""
    if record.path:
        return ()
    stem = record.stem.lower() + "."
    return tuple(e for e in record.tree.beginning(stem) if e.lower.endswith(TEXTS) and "/" not in e.lower[len(stem) :])


def file_name(text: str, dots: bool = False) -> str:
    """A name that every system takes and none reads as a path.

    >>> file_name("../../Terms & Conditions"), file_name("site.css", dots=True)
    ('Terms---Conditions', 'site.css')
    """
    kept = "()_-." if dots else "()_-"
    chars = (char if char.isalnum() or char in kept else "-" for char in unicodedata.normalize("NFC", text.strip()))
    return "".join(chars).strip(".-")[:MAX_NAME].rstrip(".-") or "unnamed"


#: Ends of lines that are no line feed, and the byte order mark.
_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")

#: What YAML would take an unquoted text for.
_TYPES = yaml.SafeLoader("")


class _Dumper(Emitter, Serializer, SafeRepresenter, BaseResolver):
    """Writes text as it is read by ``record``: without quotes wherever it comes back the same."""

    def __init__(self, stream: Any, **options: Any) -> None:
        Emitter.__init__(self, stream, width=1_000_000, allow_unicode=True)
        Serializer.__init__(self)
        SafeRepresenter.__init__(self, sort_keys=False)
        BaseResolver.__init__(self)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, data: str) -> yaml.ScalarNode:
        """Text that YAML would take for nothing, for a date that is none, or for the end of a line is quoted."""
        tag = str(_TYPES.resolve(yaml.ScalarNode, data, (True, False)))  # type: ignore[no-untyped-call]
        typed = tag.rpartition(":")[2] in {"null", "timestamp", "merge", "value"}
        style = '"' if _BREAKS.search(data) else "'" if typed else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.text)


def dump(data: object) -> str:
    """Rows as YAML."""
    return str(yaml.dump(data, Dumper=_Dumper, default_flow_style=False))
