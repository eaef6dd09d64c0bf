"""The files of a site's folder: which there are, found without regard to case, and none that leads out of it.

Symbolic links, sockets and devices are faults, as are names that no system can be trusted to write back. Sizes and
numbers are bounded before anything is read. Folders whose name begins with a dot are not the site's, but for
``.portalconfig``.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from forecourt.kernel.errors import DefinitionError
from forecourt.pages.site.kinds import CONFIG_FOLDER

#: Bytes of a file of rows, of a text beside one, and of a web file (Dataverse takes no larger attachment).
MAX_ROWS, MAX_TEXT, MAX_CONTENT = 2 * 1024 * 1024, 4 * 1024 * 1024, 128 * 1024 * 1024

#: Files of a site, and folders within each other.
MAX_FILES, MAX_DEPTH = 20_000, 16

#: The folder of a code site in which the site's rows are.
ENHANCED_FOLDER = ".powerpages-site"


@dataclass(frozen=True)
class Entry:
    """A plain file. ``name``: its path below the site's folder, with '/'. ``size``: bytes."""

    path: Path
    name: str
    size: int

    @property
    def lower(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Tree:
    """The files below ``root``. ``faults`` gathers what is refused."""

    root: Path
    faults: list[DefinitionError] = field(default_factory=list)

    def shown(self, name: str) -> str:
        """A file's path as messages show it."""
        return f"{self.root.name}/{name}"

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All files, by name."""
        found = []
        for entry in self._below(self.root, "", 0):
            found.append(entry)
            if len(found) > MAX_FILES:
                self._fault("", f"the folder holds more than {MAX_FILES} files.")
                break
        return tuple(sorted(found, key=lambda entry: (entry.lower, entry.name)))

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {entry.lower: entry for entry in reversed(self.entries)} | {e.name: e for e in self.entries}

    def find(self, name: str) -> Entry | None:
        """The file of that name; one that differs in case where there is none."""
        return self._by_name.get(name) or self._by_name.get(name.lower())

    def beginning(self, start: str) -> tuple[Entry, ...]:
        """The files whose path in lower case begins with ``start``."""
        first = bisect_left(self._order, start)
        return self.entries[first : bisect_left(self._order, start + "\U0010ffff", first)]

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(entry.lower for entry in self.entries)

    def read(self, entry: Entry, limit: int) -> bytes | None:
        """The content; None after a fault."""
        if entry.size > limit:
            self._fault(entry.name, f"the file has {entry.size} bytes; at most {limit} are read.")
            return None
        try:
            with opened(entry) as file:
                content = file.read(limit + 1)
        except OSError as error:
            self._fault(entry.name, f"the file cannot be read: {error.strerror}.")
            return None
        if len(content) > limit:
            self._fault(entry.name, f"the file has grown over {limit} bytes.")
            return None
        return content

    def text(self, entry: Entry, limit: int) -> str | None:
        """The content as text, without a byte order mark, lines ended by one character; None after a fault."""
        content = self.read(entry, limit)
        if content is None:
            return None
        try:
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            self._fault(entry.name, "the file cannot be read as UTF-8 text.")
            return None

    def _below(self, folder: Path, prefix: str, depth: int) -> Iterator[Entry]:
        if depth > MAX_DEPTH:
            self._fault(prefix.rstrip("/"), f"folders lie more than {MAX_DEPTH} deep.")
            return
        try:
            children = sorted(os.scandir(folder), key=lambda item: item.name)
        except OSError as error:
            self._fault(prefix.rstrip("/"), f"the folder cannot be read: {error.strerror}.")
            return
        for item in children:
            name = prefix + item.name
            if item.name.startswith(".") and name != CONFIG_FOLDER:
                continue
            if any(unicodedata.category(char) in {"Cc", "Cs"} for char in item.name) or "\\" in item.name:
                self._fault(ascii(name), "the file's name holds characters that no file may be written with.")
                continue
            status = item.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._fault(
                    name, "it is a symbolic link; a site is read from plain files.", "Put the file itself there."
                )
            elif stat.S_ISDIR(status.st_mode):
                yield from self._below(Path(item.path), name + "/", depth + 1)
            elif stat.S_ISREG(status.st_mode):
                yield Entry(Path(item.path), name, status.st_size)
            else:
                self._fault(name, "it is no plain file.")

    def _fault(self, name: str, message: str, hint: str = "") -> None:
        fault = DefinitionError(self.shown(name) if name else self.root.name, 1, message, hint)
        if str(fault) not in {str(item) for item in self.faults}:
            self.faults.append(fault)


def opened(entry: Entry) -> BinaryIO:
    """The file, opened for reading. Nothing is followed that became a link meanwhile. Raises OSError."""
    return os.fdopen(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
