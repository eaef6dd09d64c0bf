"""The archive of a data package: a zip with ``Manifest.xml``, ``PackageHeader.xml`` and one file per data entity.

What is opened here comes from anybody. Before a byte is unpacked the directory of the archive is judged: how many
files, how large, how well packed, under which names. Names are flat: a path, ``..``, a link or a name given twice is
refused, and nothing is ever unpacked to a place that the archive names. No file gives more bytes than the directory
says, so its sums bound what is read. XML is read without entities or document types.
Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as xml

from forecourt.kernel.errors import Refusal

MANIFEST = "Manifest.xml"
HEADER = "PackageHeader.xml"
NAMESPACE = "http://schemas.microsoft.com/dynamics/2015/01/DataManagement"

#: What the system makes of an archive that cannot be read to its end.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError)
UNREADABLE = (*DAMAGED, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True)
class Limits:
    """What a package may be. ``files``: how many; ``unpacked``: bytes in all; ``ratio``: of bytes unpacked to packed,
    for files of more than ``small`` bytes; ``document``: bytes of a manifest or header."""

    files: int = 500
    unpacked: int = 8 * 1024**3
    ratio: int = 200
    small: int = 1024**2
    document: int = 4 * 1024**2


LIMITS: Final = Limits()


def broken(message: str, source: str = "", hint: str = "") -> Refusal:
    """A package that is turned down. ``source``: the file at fault."""
    return Refusal("FC4801", f"{source}: {message}" if source else message, hint=hint, source=source)


@dataclass(frozen=True, slots=True)
class Part:
    """A data file of a package. ``entity``: its name as the manifest has it; ``format``: CSV, XLSX, XML or Parquet."""

    entity: str
    file: str
    format: str
    order: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """``project``: name of the definition group; ``parts``: in the order in which they are to be imported."""

    project: str
    parts: tuple[Part, ...]


class Package:
    """An opened package. ``file`` is seekable and stays open for the time."""

    def __init__(self, file: BinaryIO, limits: Limits = LIMITS) -> None:
        """Raises Refusal FC4801 for an archive that is not a package or may do harm."""
        self._limits = limits
        try:
            self._zip = zipfile.ZipFile(file)
        except UNREADABLE:
            raise broken("The file is not a zip archive.", hint="A data package is a zip archive.") from None
        members = check_members(self._zip.infolist(), limits)
        self._members = members
        for name in (MANIFEST, HEADER):
            if name.casefold() not in members:
                raise broken(f"The package has no {name}.", hint="Start from an exported package.")
        check_header(self._document(HEADER))
        self.manifest = read_manifest(self._document(MANIFEST))
        listed = set()
        for part in self.manifest.parts:
            if part.file.casefold() not in members:
                raise broken("The file is named in the manifest, and missing in the package.", part.file)
            if part.file.casefold() in listed:
                raise broken("The file is named twice in the manifest.", part.file)
            listed.add(part.file.casefold())
        for name, info in members.items():
            if name not in listed and info.filename.casefold() not in (MANIFEST.casefold(), HEADER.casefold()):
                raise broken("The file is not named in the manifest.", info.filename, "Leave it out, or name it there.")

    def size(self, name: str) -> int:
        """Bytes of a file, unpacked."""
        return self._members[name.casefold()].file_size

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file, to be read from start to end. Raises Refusal FC4801 where the archive is damaged."""
        try:
            with self._zip.open(self._members[name.casefold()]) as stream:
                yield stream
        except DAMAGED:
            raise broken("The archive is damaged here, or packed in a way that is not supported.", name) from None

    def _document(self, name: str) -> Element:
        if self.size(name) > self._limits.document:
            raise broken(f"The file is larger than {self._limits.document // 1024**2} MB.", name)
        with self.open(name) as stream:
            data = stream.read()
        try:
            found: Element = xml.fromstring(data, forbid_dtd=True)
        except DefusedXmlException:
            raise broken("Document types and entities are not allowed.", name) from None
        except (ParseError, ValueError, LookupError):
            raise broken("The file is not well-formed XML.", name) from None
        return found

    def close(self) -> None:
        self._zip.close()


def check_members(members: Sequence[zipfile.ZipInfo], limits: Limits) -> Mapping[str, zipfile.ZipInfo]:
    """The files of an archive by name in one case. Raises Refusal FC4801 for what no package has."""
    if len(members) > limits.files:
        raise broken(f"The package holds {len(members)} files; {limits.files} are allowed.")
    found: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in members:
        name = info.filename
        shown = "".join(c if c.isprintable() else "?" for c in name[:100])
        if (
            info.is_dir()
            or not name
            or name != name.strip(" .")
            or set(name) & set("/\\:\x00")
            or not name.isprintable()
        ):
            raise broken("The name leads out of the package.", shown, "Files lie side by side, without folders.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise broken("Links are not allowed.", shown)
        if info.flag_bits & 1:
            raise broken("The file is encrypted.", shown)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise broken("The file is packed in a way that is not supported.", shown, "Use deflate.")
        if name.casefold() in found:
            raise broken("The package holds two files of this name.", shown)
        check_ratio(info, limits, shown)
        found[name.casefold()] = info
        total += info.file_size
    if total > limits.unpacked:
        raise broken(f"The package is larger than {limits.unpacked // 1024**2} MB when it is unpacked.")
    return found


def check_ratio(info: zipfile.ZipInfo, limits: Limits, shown: str) -> None:
    """Raises Refusal FC4801 for a file that unpacks to much more than data does."""
    if info.file_size > limits.small and info.file_size > limits.ratio * max(info.compress_size, 1):
        message = f"The file unpacks to more than {limits.ratio} times its size."
        raise broken(message, shown, "That is no data but a zip bomb.")


# ------------------------------------------------------------------------------------------------------ documents


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _texts(element: Element) -> dict[str, str]:
    return {_local(child): (child.text or "").strip() for child in element}


def check_header(root: Element) -> None:
    """Raises Refusal FC4801 unless it is the header of a package."""
    if _local(root) != "DataManagementPackageHeader":
        raise broken("The file is not the header of a data package.", HEADER)


def read_manifest(root: Element) -> Manifest:
    """The entities of a package. Raises Refusal FC4801."""
    if _local(root) != "DataManagementPackageManifest":
        raise broken("The file is not the manifest of a data package.", MANIFEST)
    parts: list[Part] = []
    for element in root.iter():
        if _local(element) != "DataManagementPackageEntityData":
            continue
        texts = _texts(element)
        if texts.get("Disable", texts.get("Disabled", "No")).lower() in ("yes", "true", "1"):
            continue
        missing = next((name for name in ("EntityName", "InputFilePath") if not texts.get(name)), None)
        if missing is not None:
            raise broken(f"An entity has no {missing}.", MANIFEST)
        file = texts["InputFilePath"]
        kind = texts.get("SourceFormat") or file.rpartition(".")[2]
        order = texts.get("SequenceInLevel", "")
        number = int(order) if order.isascii() and order.isdigit() and len(order) < 10 else 0
        parts.append(Part(texts["EntityName"], file, kind, number))
    if not parts:
        raise broken("The manifest names no data entity.", MANIFEST)
    names = {_local(child): child for child in root}
    project = names["DefinitionGroupName"].text if "DefinitionGroupName" in names else ""
    return Manifest((project or "").strip(), tuple(sorted(parts, key=lambda part: part.order)))


def header_text(description: str) -> str:
    """``PackageHeader.xml``."""
    kind = "Microsoft.Dynamics.AX.Framework.Tools.DMF.SerializationContracts.DataManagementPackageManifest"
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<DataManagementPackageHeader xmlns="{NAMESPACE}">\n'
        f"  <Description>{escape(description)}</Description>\n"
        f"  <ManifestType>{kind}</ManifestType>\n"
        "  <PackageType>DefinitionGroup</PackageType>\n"
        "  <PackageVersion>2</PackageVersion>\n"
        "</DataManagementPackageHeader>\n"
    )


def manifest_text(manifest: Manifest, columns: Mapping[str, Sequence[str]]) -> str:
    """``Manifest.xml``. ``columns``: by file."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<DataManagementPackageManifest xmlns="{NAMESPACE}">',
        f"  <DefinitionGroupName>{escape(manifest.project)}</DefinitionGroupName>",
        f"  <Description>{escape(manifest.project)}</Description>",
        "  <PackageEntityList>",
    ]
    for place, part in enumerate(manifest.parts, 1):
        lines += [
            "    <DataManagementPackageEntityData>",
            f"      <DefinitionGroup>{escape(manifest.project)}</DefinitionGroup>",
            "      <Disable>No</Disable>",
            "      <EntityMapList>",
            *(
                f"        <EntityMap><EntityField>{escape(name)}</EntityField><XMLField>{escape(name)}</XMLField>"
                "</EntityMap>"
                for name in columns.get(part.file, ())
            ),
            "      </EntityMapList>",
            f"      <EntityName>{escape(part.entity)}</EntityName>",
            f"      <InputFilePath>{escape(part.file)}</InputFilePath>",
            f"      <SequenceInLevel>{place}</SequenceInLevel>",
            f"      <SourceFormat>{escape(part.format)}</SourceFormat>",
            "    </DataManagementPackageEntityData>",
        ]
    lines += ["  </PackageEntityList>", "</DataManagementPackageManifest>", ""]
    return "\n".join(lines)


class PackageWriter:
    """Writes a package, one file after the other, to a file that may be no more than a stream."""

    def __init__(self, file: BinaryIO, project: str) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._project = project
        self._parts: list[Part] = []
        self._columns: dict[str, Sequence[str]] = {}

    @contextmanager
    def add(self, part: Part, columns: Sequence[str]) -> Iterator[IO[bytes]]:
        """A stream for the next file."""
        self._parts.append(part)
        self._columns[part.file] = columns
        with self._zip.open(part.file, "w", force_zip64=True) as stream:
            yield stream

    def close(self) -> None:
        """Writes what describes the files."""
        manifest = Manifest(self._project, tuple(self._parts))
        self._zip.writestr(MANIFEST, manifest_text(manifest, self._columns))
        self._zip.writestr(HEADER, header_text(self._project))
        self._zip.close()

    def discard(self) -> None:
        """Gives the package up while its file is still there to be written to."""
        self._zip.close()


def single(part: Part, project: str, source: BinaryIO, target: BinaryIO) -> None:
    """Wraps one data file into a package."""
    writer = PackageWriter(target, project)
    with writer.add(part, ()) as stream:
        while chunk := source.read(1024 * 1024):
            stream.write(chunk)
    writer.close()
