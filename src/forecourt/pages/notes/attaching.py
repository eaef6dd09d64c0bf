"""Files that are sent with a form: offered to who may attach some, checked, and turned into rows of ``annotation``.

A note of a file begins with the prefix of notes that the portal shows (``*WEB*``, or what the site setting
``KnowledgeManagement/NotesFilter`` says). Rights are the store's: Create and Append on notes, Append To on the row.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forecourt.dataverse.rows import Beneath, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.principal import Principal
from forecourt.pages.formatting import Locales
from forecourt.pages.notes.kinds import accepted, blocked, clean_name, genuine, kind_of
from forecourt.pages.site import FormDefinition, Site
from forecourt.pages.site.attachments import Attach
from forecourt.web.uploads import Bounds, Upload

#: The table of notes, and its lookup of the row.
NOTES: Final = "annotation"
REGARDING: Final = "objectid"

#: Name of the field, and files that one form takes at most.
FIELD: Final = "@attachment"
MAX_FILES: Final = 10

_PREFIX_SETTING: Final = "KnowledgeManagement/NotesFilter"


def prefix(site: Site) -> str:
    """What the text of a note that the portal shows begins with."""
    return site.setting(_PREFIX_SETTING) or "*WEB*"


@dataclass(frozen=True, slots=True)
class Offered:
    """A field for files on a form. ``size``: of one file, in bytes; ``accept``: the hint for browsers."""

    rule: Attach
    label: str
    size: int
    limit: str

    @property
    def accept(self) -> str:
        return ",".join(self.rule.accept)

    @property
    def bounds(self) -> Bounds:
        return Bounds(MAX_FILES if self.rule.multiple else 1, self.size)


@dataclass(frozen=True)
class Attaching:
    """``limit``: bytes that any file may have."""

    site: Site
    tables: Tables
    rows: Rows
    limit: int

    def offered(
        self, principal: Principal, definition: FormDefinition, table: Table, locales: Locales
    ) -> Offered | None:
        """The field for files; None where the form has none, the table no notes, or the person no right to make any."""
        rule, notes = definition.attach, self.tables.by_name.get(NOTES)
        regarding = notes.column(REGARDING) if notes is not None else None
        if rule is None or regarding is None or table.name not in regarding.targets:
            return None
        if not self.rows.may(principal, NOTES, "create"):
            return None
        size = self._size(rule)
        return Offered(rule, rule.label or locales.gettext("Attach a file"), size, _amount(size))

    def check(
        self, offered: Offered, files: Sequence[Upload], locales: Locales
    ) -> tuple[tuple[Beneath, ...], tuple[str, ...]]:
        """The notes that hold the files, and what is wrong with these."""
        if not files:
            missing = offered.rule.required_text or locales.gettext("Choose a file.")
            return (), (missing,) if offered.rule.required else ()
        wrong = tuple(text for file in files if (text := self._fault(offered, file, locales)))
        return (() if wrong else tuple(self._note(file) for file in files)), wrong

    def _fault(self, offered: Offered, file: Upload, locales: Locales) -> str:
        """What is wrong with a file, '' where nothing is."""
        rule, name = offered.rule, clean_name(file.name)
        kind = kind_of(name)
        if file.too_large:
            return rule.size_text or locales.gettext(
                "“%(name)s” is larger than %(limit)s.", name=name, limit=offered.limit
            )
        if not file.data:
            return locales.gettext("“%(name)s” is empty.", name=name)
        if blocked(name) or not accepted(kind, name, rule.accept, rule.restrict):
            return rule.type_text or locales.gettext("Files like “%(name)s” are not accepted.", name=name)
        if not genuine(kind, file.data):
            return rule.type_text or locales.gettext(
                "The content of “%(name)s” is not what its name says, or may hold a program.", name=name
            )
        return ""

    def _note(self, file: Upload) -> Beneath:
        name = clean_name(file.name)
        return Beneath(
            NOTES,
            REGARDING,
            {
                "subject": name,
                "notetext": prefix(self.site),
                "isdocument": True,
                "filename": name,
                "mimetype": kind_of(name),
                "filesize": len(file.data),
                "documentbody": base64.b64encode(file.data).decode("ascii"),
            },
        )

    def _size(self, rule: Attach) -> int:
        return min(self.limit, rule.max_size * 1024) if rule.max_size else self.limit


def bounds(offered: Offered | None) -> Bounds:
    """What a form takes. Where no file is taken, one that is sent is seen, so that it is refused and not lost
    unnoticed."""
    return offered.bounds if offered is not None else Bounds(1, 0)


def digest(files: Sequence[Upload]) -> str:
    """Tells forms with other files apart; '' without any."""
    found = hashlib.blake2b(digest_size=16)
    for file in files:
        found.update(hashlib.blake2b(file.data).digest() + file.name.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest() if files else ""


def _amount(size: int) -> str:
    """A size for people.

    >>> _amount(64 * 1024), _amount(5 * 1024 * 1024)
    ('64 KB', '5 MB')
    """
    return f"{size // 1048576} MB" if size % 1048576 == 0 else f"{size // 1024} KB"
