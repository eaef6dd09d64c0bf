"""Data files of whatever format: one codec each, and what an entity's file has to have.

A file for import has every field of the entity's key, but for the legal entity (the run has one) and for fields that
a new row gets by itself (number sequences).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from forecourt.kernel.document import suggest
from forecourt.kernel.model import Entity, Model
from forecourt.operations.packages.archive import broken
from forecourt.operations.packages.csv_files import CsvWriter, read_csv
from forecourt.operations.packages.formats import Codec, Format
from forecourt.operations.packages.parquet_files import ParquetWriter, read_parquet
from forecourt.operations.packages.xlsx_files import XlsxWriter, read_xlsx
from forecourt.operations.packages.xml_files import XmlWriter, read_xml

CODECS: Final[Mapping[Format, Codec]] = {
    Format.CSV: Codec(read_csv, CsvWriter),
    Format.XLSX: Codec(read_xlsx, XlsxWriter),
    Format.XML: Codec(read_xml, XmlWriter),
    Format.PARQUET: Codec(read_parquet, ParquetWriter),
}


def find_entity(name: str, model: Model) -> Entity | None:
    """The data entity of a name: physical, public, of the collection, or the label."""
    found = model.entities.get(name) or model.by_public_name.get(name) or model.by_collection.get(name)
    if found is not None:
        return found
    labelled = [item for item in model.entities.values() if name and name in (item.label, item.label_plural)]
    return labelled[0] if len(labelled) == 1 else None


def entity_of(name: str, model: Model, file: str) -> Entity:
    """The same. Raises Refusal FC4801 with a suggestion."""
    found = find_entity(name, model)
    if found is None:
        hint = suggest(name[:100], [*model.by_public_name, *model.by_collection])
        raise broken(f"The data entity '{name[:100]}' is not known.", file, hint)
    return found


def needed(entity: Entity) -> tuple[str, ...]:
    """Fields that a row of a file has to have."""
    return tuple(name for name in entity.key if name != entity.company and not entity.fields[name].filled)


def missing(entity: Entity, names: Iterable[str]) -> tuple[str, ...]:
    """Fields of the key that a row does not have."""
    given = set(names)
    return tuple(name for name in needed(entity) if name not in given)
