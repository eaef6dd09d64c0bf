"""What the folder of a site holds, before anything of it is taken over: what goes, what stays behind, and why.

A site with faults is not taken over at all. Of one without, everything is accounted for: rows that are taken, values
that are secrets and are not, rows that are taken and have no effect here yet, files that are not supported or are no
site's. Pac's own bookkeeping (manifests, bindings) is counted and left where it is: it describes one environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from forecourt.kernel.document import compose
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.kernel.model import Where
from forecourt.pages.site.content import has_liquid
from forecourt.pages.site.field_rules import without_effect
from forecourt.pages.site.kinds import (
    CONFIG_FOLDER,
    FORM_METADATA,
    KINDS,
    SETTING,
    STEP_METADATA,
    UNSUPPORTED,
    WEB_FILE,
    DataModel,
    Kind,
)
from forecourt.pages.site.languages import Languages
from forecourt.pages.site.layout import sides
from forecourt.pages.site.loader import read_site
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.secrets import holds_secret
from forecourt.pages.site.site import Site
from forecourt.pages.site.tree import MAX_ROWS, MAX_TEXT, Entry

#: Kinds of rows of which some are kept and written back, and no page acts upon them.
WITHOUT_EFFECT = (STEP_METADATA, FORM_METADATA)


@dataclass(frozen=True)
class Remark:
    """Something about a place in the source's files."""

    where: Where
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Survey:
    """A faultless site's folder, looked through."""

    folder: Folder
    site: Site

    @property
    def model(self) -> DataModel:
        return self.folder.model

    @property
    def languages(self) -> Languages:
        return Languages(self.site.language, self.site.languages)

    @cached_property
    def records(self) -> tuple[Record, ...]:
        return tuple(record for kind in KINDS for record in self.folder.records(kind))

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Rows by what they are called, those of no row left out."""
        return Counter(record.kind.words for record in self.records)

    @cached_property
    def secrets(self) -> tuple[Record, ...]:
        """Settings whose value is not taken over."""
        settings = self.folder.records(SETTING)
        return tuple(item for item in settings if holds_secret(item.text("adx_name"), item.text("adx_value")))

    @cached_property
    def redacted(self) -> tuple[Remark, ...]:
        return tuple(
            Remark(item.where("adx_value"), f"the value of the setting {item.text('adx_name')} is a secret.")
            for item in self.secrets
        )

    @cached_property
    def taken(self) -> tuple[Entry, ...]:
        """Files that belong to the rows: those of the rows themselves, texts beside them, contents of web files."""
        found: dict[str, Entry] = {}
        for record in self.records:
            beside = [*sides(record)]
            if record.kind is WEB_FILE and record.content is not None:
                beside.append(record.content)
            for entry in (record.entry, *beside):
                found[entry.name] = entry
        return tuple(found.values())

    @cached_property
    def bookkeeping(self) -> tuple[Entry, ...]:
        """Pac's own files about the download."""
        return tuple(entry for entry in self._others if _is_bookkeeping(entry))

    @cached_property
    def left_out(self) -> tuple[Remark, ...]:
        """Rows and files that are not taken over, each with its place."""
        found = [remark for entry in self._others if not _is_bookkeeping(entry) for remark in self._unsupported(entry)]
        for record in self.folder.records(WEB_FILE):
            if record.content is None:
                found.append(Remark(record.where(), f"the content of the web file '{record.label}' is missing."))
        return tuple(found)

    @cached_property
    def without_effect(self) -> tuple[Remark, ...]:
        """Rows that are taken over, and that nothing here acts upon yet."""
        found = [
            Remark(record.where(), f"'{record.label}': {kind.words} of this kind are kept; nothing acts upon them yet.")
            for kind in WITHOUT_EFFECT
            for record in self.folder.records(kind)
            if without_effect(record)
        ]
        for entry in self.taken:
            if not entry.lower.endswith((".custom_javascript.js", ".custom_css.css")) or not entry.size:
                continue
            where = Where(self.folder.tree.shown(entry.name), 1)
            if ".webpage." not in entry.lower:
                found.append(Remark(where, "scripts and styles of a form or list are kept; none is sent yet."))
            elif has_liquid(self.folder.tree.text(entry, MAX_TEXT) or ""):
                found.append(Remark(where, "a script or style with Liquid in it is kept, and not sent."))
        return tuple(found)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is odd in the site: notices of the reader but for secrets, which ``redacted`` names, and findings."""
        secrets = tuple(str(remark.where) + ":" for remark in self.redacted)
        own = [notice for notice in self.site.notices if not notice.startswith(secrets)]
        return (*own, *map(str, self.site.findings))

    @property
    def complete(self) -> bool:
        """Whether everything is taken over, and everything works."""
        return not (self.left_out or self.redacted or self.without_effect)

    @cached_property
    def _others(self) -> tuple[Entry, ...]:
        taken = {entry.name for entry in self.taken}
        return tuple(entry for entry in self.folder.tree.entries if entry.name not in taken)

    def _unsupported(self, entry: Entry) -> Iterator[Remark]:
        shown = self.folder.tree.shown(entry.name)
        folder, _, name = entry.lower.rpartition("/")
        ending = name.removesuffix(".yml").rpartition(".")[2] if name.endswith(".yml") else ""
        words = UNSUPPORTED.get(ending) or UNSUPPORTED.get(folder.partition("/")[0], "")
        if not words:
            yield Remark(Where(shown, 1), "the file belongs to no row that is known.")
            return
        rows = self._rows(entry, shown) if ending else None
        for where, label in rows or ():
            yield Remark(where, f"'{label}': {words} are not supported.")
        if rows is None:
            yield Remark(Where(shown, 1), f"{words} are not supported.")

    def _rows(self, entry: Entry, shown: str) -> list[tuple[Where, str]] | None:
        """The rows of a file of an unsupported kind, None where it cannot be read."""
        text = self.folder.tree.text(entry, MAX_ROWS) or ""
        try:
            document = compose(text, shown)
        except DefinitionError:
            return None
        many = isinstance(document.data, list)
        found = []
        for index, row in enumerate(document.data if many else [document.data]):
            if isinstance(row, dict):
                label = next((row[key] for key in ("adx_name", "name", "mspp_name", "adx_title") if row.get(key)), "")
                found.append((document.where(*([index] if many else [])), str(label)))
        return found


def survey(root: Path) -> Survey:
    """Looks through the site in ``root``. Raises DefinitionErrors with every fault that was found."""
    if not root.is_dir():
        raise DefinitionErrors((DefinitionError(root.name, 1, "the site's folder does not exist."),))
    folder = Folder(root)
    site = read_site(folder)
    found = Survey(folder, site)
    for kind in KINDS:
        _read_through(folder, kind)
    if folder.faults:
        raise DefinitionErrors(tuple({str(fault): fault for fault in folder.faults}.values()))
    return found


def _read_through(folder: Folder, kind: Kind) -> None:
    """Checks what no reader of the site looks at: that metadata belongs to a form that there is."""
    if kind not in (FORM_METADATA, STEP_METADATA):
        return
    owner = next(item for item in KINDS if item.name == kind.owner)
    known = {record.uuid(owner.id) for record in folder.records(owner)}
    for record in folder.records(kind):
        record.refer(kind.owned_by, known, "form" if kind is FORM_METADATA else "step")


def _is_bookkeeping(entry: Entry) -> bool:
    folder, _, name = entry.lower.rpartition("/")
    return folder == CONFIG_FOLDER and name.endswith(("manifest.yml", "websitebinding.yml"))
