"""What has become of rows that were to be written: which have arrived, and which are set aside in error, with why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from forecourt.kernel.sync import Side, SyncError, WireRow


@dataclass
class Tally:
    """What has become of rows. ``found``: by key, its error, None where it has arrived; of several versions of a row
    the last one counts."""

    written: int = 0
    deleted: int = 0
    found: dict[tuple[str, ...], tuple[WireRow, SyncError | None]] = field(default_factory=dict)

    def arrived(self, key: WireRow) -> None:
        self.found[texts(key)] = (key, None)

    def failed(self, error: SyncError) -> None:
        self.found[texts(error.key)] = (error.key, error)

    @property
    def errors(self) -> list[SyncError]:
        return [error for _, error in self.found.values() if error is not None]

    @property
    def mended(self) -> list[WireRow]:
        return [key for key, error in self.found.values() if error is None]


def error_of(name: str, side: Side, operation: Any, key: WireRow, message: str, kind: Any) -> SyncError:
    """A row in error, to be kept for the first time."""
    return SyncError(0, name, side, operation, key, message, kind, 1)


def texts(key: WireRow) -> tuple[str, ...]:
    """An integration key to compare by, wherever it comes from."""
    return tuple(map(str, key))
