"""Takes a site over into a folder, whole or not at all, without its secrets.

In the data model that the source has, files go over as they are, byte for byte; only a file with a secret is written
anew. In the other data model every row is written anew, and the result is read back before it counts.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forecourt.pages.site.kinds import DataModel
from forecourt.pages.site.layout import Copy, Rows, render
from forecourt.pages.site.loader import load_site
from forecourt.pages.site.record import Record
from forecourt.pages.site.survey import Survey
from forecourt.pages.site.tree import ENHANCED_FOLDER, opened

#: The column of a setting that is not written where it holds a secret: what is there stays, on either side.
VALUE = "adx_value"


def transfer(found: Survey, target: Path, model: DataModel, replace: bool = False, nested: bool = False) -> int:
    """Writes the surveyed site to ``target`` and returns the number of files.

    ``replace``: what is at ``target`` gives way when the new folder is whole. ``nested``: the enhanced model's rows go
    into ``.powerpages-site`` below, as pac has them. Raises FileExistsError where something is there already,
    DefinitionErrors where the written site cannot be read back (nothing is left then), OSError.
    """
    if not replace and _occupied(target):
        raise FileExistsError(str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        inner = draft / ENHANCED_FOLDER if nested and model is DataModel.ENHANCED else draft
        count = 0
        for item in _files(found, model):
            _write(item, inner / item.name)
            count += 1
        if model is not found.model:
            load_site(draft)
        draft.chmod(0o755)
        _move(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return count


def _occupied(target: Path) -> bool:
    return target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))


def _files(found: Survey, model: DataModel) -> Iterator[Rows | Copy]:
    omitted = frozenset((record.entry.name, record.path, VALUE) for record in found.secrets)
    if model is not found.model:
        yield from render(found.folder, found.languages, model, omitted)
        return
    touched = {record.entry.name for record in found.secrets}
    for entry in found.taken:
        if entry.name not in touched:
            yield Copy(entry.name, entry)
    for name in sorted(touched):
        records = [record for record in found.records if record.entry.name == name]
        rows = [_without_secret(record, record in found.secrets) for record in records]
        yield Rows(name, rows[0] if not records[0].path and len(rows) == 1 else rows)


def _without_secret(record: Record, secret: bool) -> dict[str, Any]:
    hidden = record.names.get(VALUE, VALUE) if secret else None
    return {key: value for key, value in record.raw.items() if key != hidden}


def _write(item: Rows | Copy, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(item, Rows):
        path.write_text(item.text, encoding="utf-8")
        return
    with opened(item.entry) as source, path.open("xb") as file:
        shutil.copyfileobj(source, file)


def _move(draft: Path, target: Path) -> None:
    """The draft takes the target's place. The old folder is moved aside first, and back should the second step fail."""
    if not target.exists():
        draft.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    old = aside / target.name
    target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
