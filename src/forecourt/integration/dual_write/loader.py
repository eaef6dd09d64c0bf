"""The table maps of a solution: files checked one by one and together, then resolved.

A file is one version of a map. Several versions of one map may stand side by side; the highest is the one that counts
until another is chosen. Source: operations-and-integration 1.4, 1.16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from forecourt.integration.dual_write.checks import check
from forecourt.integration.dual_write.definitions import MapFile
from forecourt.integration.dual_write.maps import TableMap, resolve
from forecourt.integration.dual_write.order import Step, order
from forecourt.integration.dual_write.subject import Subject
from forecourt.kernel.document import Document, suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Model

#: Where the files are, below the solution's folder.
PATTERN = "maps/*.yaml"


class MapSource(Protocol):
    """A file that has been read: its record, and the document that knows its lines."""

    @property
    def document(self) -> Document: ...
    @property
    def record(self) -> MapFile: ...


@dataclass(frozen=True)
class Maps:
    """The maps of a solution. ``by_name``: the highest version of each; ``versions``: all of them, highest first."""

    by_name: Mapping[str, TableMap] = field(default_factory=dict)
    versions: Mapping[str, tuple[TableMap, ...]] = field(default_factory=dict)

    def version(self, name: str, wanted: str = "") -> TableMap | None:
        """A map in one version, the highest where none is wanted."""
        found = self.versions.get(name, ())
        return next((item for item in found if not wanted or item.version == wanted), None)

    def of_entity(self, entity: str) -> tuple[TableMap, ...]:
        """The maps of a data entity, by its physical name."""
        return tuple(item for item in self.by_name.values() if item.entity.name == entity)

    def of_table(self, table: str) -> tuple[TableMap, ...]:
        """The maps of a Dataverse table."""
        return tuple(item for item in self.by_name.values() if item.table.name == table)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All maps in the order in which they are filled."""
        return order(self.by_name.values())


def load_maps(
    files: Iterable[MapSource], operations: Model, dataverse: Model
) -> tuple[Maps, tuple[DefinitionError, ...]]:
    """The maps of files that have been read, and what is wrong. Faulty ones are left out of the maps.

    ``operations``: the data entities; ``dataverse``: all tables, native and virtual (``Tables.model``).
    """
    subjects = [Subject(item.document, item.record, operations, dataverse) for item in files]
    faults: list[DefinitionError] = [*_repeated(subjects), *_others(subjects), *_strangers(subjects)]
    versions: dict[str, list[TableMap]] = {}
    sound = []
    for subject in subjects:
        found = check(subject)
        faults += found
        if not found:
            sound.append(subject)
            versions.setdefault(subject.record.name, []).append(resolve(subject))
    ordered = {name: tuple(sorted(items, key=_rank, reverse=True)) for name, items in sorted(versions.items())}
    maps = Maps({name: items[0] for name, items in ordered.items()}, ordered)
    faults += _keys_differ(sound)
    faults += _circles_through_keys(maps)
    return maps, tuple(faults)


def version_number(version: str) -> tuple[int, ...]:
    """A version to compare by: numbers, trailing zeros left out.

    >>> version_number("1.10.0.0") > version_number("1.9") and version_number("1.0") == version_number("1.0.0.0")
    True
    """
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _rank(item: TableMap) -> tuple[int, ...]:
    return version_number(item.version)


def _repeated(subjects: Iterable[Subject]) -> Iterator[DefinitionError]:
    """Two files with the same name and version."""
    seen: dict[tuple[str, str], Subject] = {}
    for subject in subjects:
        key = (subject.record.name, subject.record.version)
        if key in seen:
            text = f"map {key[0]} {key[1]} is defined twice: see {seen[key].document.where('name')}."
            hint = "Give one of them another name, or its own 'version:'."
            yield subject.document.error(text, "name", hint=hint, code="FC6003")
        seen.setdefault(key, subject)


def _others(subjects: Iterable[Subject]) -> Iterator[DefinitionError]:
    """Versions of one map that pair something else, and maps of one pair whose rows no filter tells apart."""
    first: dict[str, Subject] = {}
    pairs: dict[tuple[str, str], Subject] = {}
    for subject in subjects:
        record = subject.record
        known = first.setdefault(record.name, subject)
        pair = (record.entity, record.table)
        if (known.record.entity, known.record.table) != pair:
            text = f"map {record.name} pairs {record.entity} and {record.table}, in another version something else: "
            text += f"see {known.document.where('name')}."
            hint = "Versions of a map pair the same: give this one another name."
            yield subject.document.error(text, "name", hint=hint, code="FC6003")
        other = pairs.setdefault(pair, subject)
        apart = any((*_filters(other), *_filters(subject)))
        if other.record.name != record.name and not apart:
            text = f"{record.entity} and {record.table} are paired by map {other.record.name} too: "
            text += f"see {other.document.where('name')}."
            hint = f"Make this a version of it ('name: {other.record.name}'), or tell their rows apart with 'filter:'."
            yield subject.document.error(text, "name", hint=hint, code="FC6003")


def _filters(subject: Subject) -> tuple[str, str]:
    return subject.record.filter.operations, subject.record.filter.dataverse


def _strangers(subjects: Iterable[Subject]) -> Iterator[DefinitionError]:
    """Dependencies on maps that there are not."""
    subjects = tuple(subjects)
    names = {subject.record.name for subject in subjects}
    for subject in subjects:
        for place, name in enumerate(subject.record.depends_on):
            if name not in names - {subject.record.name}:
                text = f"map '{name}' is not known."
                hint = suggest(name, names - {subject.record.name})
                yield subject.document.error(text, "depends_on", place, hint=hint, code="FC6002")


def _keys_differ(subjects: Iterable[Subject]) -> Iterator[DefinitionError]:
    """A table has one integration key, whatever maps it has."""
    first: dict[str, Subject] = {}
    for subject in subjects:
        known = first.setdefault(subject.record.table, subject)
        if set(known.key) != set(subject.key):
            text = f"DIPV1003 {subject.record.table} has another integration key in {known.document.where('key')}."
            hint = f"A table has one: write 'key: [{', '.join(_columns(known))}]' in both maps."
            yield subject.document.error(text, "key", hint=hint, code="FC6003")


def _columns(subject: Subject) -> Iterator[str]:
    assert subject.table is not None
    company = subject.company.field if subject.company is not None else None
    return (subject.table.fields[name].column for name in subject.key if company is None or name != company.name)


def _circles_through_keys(maps: Maps) -> Iterator[DefinitionError]:
    """A lookup that is filled in a second pass can't be what rows are found by in the first."""
    for step in maps.steps:
        for item in step.maps:
            for name in step.late.get(item.name, ()):
                if name in item.key:
                    column = item.table.fields[name].column
                    text = f"{column} is part of the integration key and leads back to the map's own rows."
                    others = ", ".join(other.name for other in step.maps)
                    hint = f"Rows of {others} would each have to be there before the other: take it out of the key."
                    yield DefinitionError(item.where.file, item.where.line, text, hint, "FC6003")
