"""Words of ``labels/*.yaml`` that no definition file has as a label: nobody will ever see their translation.

Leaves out the site's pages, whose texts have languages of their own, and labels with texts of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from forecourt.cli.schema import KINDS
from forecourt.kernel.label import Label
from forecourt.kernel.solution import LabelsFile
from forecourt.store.folder import LABELS, Faults, read_files


def unused_words(root: Path) -> tuple[str, ...]:
    """A notice, ``file:line: text``, for each word of a solution that has been found without faults."""
    shown = {
        str(label)
        for kind in KINDS
        if kind.shape is not LabelsFile
        for item in read_files(root, kind.pattern, kind.shape, Faults())
        for label in _labels(item.record)
        if not label.base
    }
    return tuple(
        f"{item.document.where('labels', word)}: no label is '{word}': its translation is not used. "
        "Write it as the label has it, or remove it."
        for item in read_files(root, LABELS, LabelsFile, Faults())
        for word in item.record.labels
        if word not in shown
    )


def _labels(value: object) -> Iterator[Label]:
    """The labels in a record, however deep."""
    if isinstance(value, Label):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _labels(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _labels(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _labels(item)
