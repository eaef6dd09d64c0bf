"""Which version of each table map counts: the one that it runs with, else the chosen one, else the highest.

A map that runs in a version which the solution no longer has is *left standing*: nobody swaps another version in. What
changes is captured and waits, until the file is back or the map is stopped and started. Source:
operations-and-integration 1.3, 1.16.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.integration.dual_write.loader import Maps
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.order import order
from forecourt.kernel.sync import MapRecord


class Versions:
    """The versions of a solution's maps. ``records``: of the maps that were ever started; ``choices``: by map."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self._known: tuple[tuple[str, ...], dict[str, TableMap]] | None = None

    def active(self, records: Mapping[str, MapRecord], choices: Mapping[str, str]) -> dict[str, TableMap]:
        """The maps that count, by name, parents first. For a version that is not there, the highest stands."""
        found = [self._one(name, records.get(name), choices) for name in self.maps.by_name]
        versions = tuple(item.version for item in found)
        if self._known is None or self._known[0] != versions:
            self._known = versions, {item.name: item for step in order(found) for item in step.maps}
        return self._known[1]

    def _one(self, name: str, record: MapRecord | None, choices: Mapping[str, str]) -> TableMap:
        wanted = record.version if record is not None and runs(record) else choices.get(name, "")
        return self.maps.version(name, wanted) or self.maps.by_name[name]

    def standing(self, record: MapRecord) -> str:
        """Why a map that runs can't go on, '' where it can."""
        if not runs(record) or self.maps.version(record.name, record.version) is not None:
            return ""
        there = ", ".join(item.version for item in self.maps.versions.get(record.name, ()))
        return (
            f"it runs in version {record.version}, which the solution no longer has (there is {there}): changes wait. "
            "Put the file back, or stop and start the map."
        )


def runs(record: MapRecord) -> bool:
    """Whether a map is anything but stopped."""
    return record.state != "not running"
