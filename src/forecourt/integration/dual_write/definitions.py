"""Shape of the files ``maps/*.yaml`` of a solution: :class:`MapFile`, one table map each.

Names: an operations field by its name in the data entity; a Dataverse column by its logical name, a lookup by its
column and the natural key of the row that it names, with a dot: ``transactioncurrencyid.isocurrencycode``. A lookup
that leads to several tables is written by its navigation: ``customerid_account.accountnumber``.
Vocabulary: operations-and-integration 1.3-1.5, 1.10, 1.16.
"""

from __future__ import annotations

from typing import Literal

from forecourt.kernel.solution import Record
from forecourt.kernel.sync import Mode, Versions

Direction = Literal["both", "to_dataverse", "to_operations"]
Value = bool | int | float | str | None
SideName = Literal["operations", "dataverse"]


class ColumnMap(Record, frozen=True):
    """An operations field's column in Dataverse, with its transforms."""

    dataverse: str
    direction: Direction | None = None
    values: dict[str, Value] = {}
    dataverse_default: Value = None
    operations_default: Value = None


#: The short form is the column's name; a field that goes to several columns has a list.
ColumnEntry = str | ColumnMap | tuple[ColumnMap, ...]


class Constants(Record, frozen=True):
    """Values of columns that have no source on the other side."""

    operations: dict[str, Value] = {}
    dataverse: dict[str, Value] = {}


class Filters(Record, frozen=True):
    """OData conditions over a side's own columns. Rows that they do not admit do not travel."""

    operations: str = ""
    dataverse: str = ""


class Conflict(Record, frozen=True):
    """What happens to a row that both sides have changed since they last agreed: whose values stand."""

    resolve: Literal["operations", "dataverse", "newer", "manual"] = "operations"


class Initial(Record, frozen=True):
    """Initial sync. ``master``: whose values stand where both sides have a row. ``order``: among maps that do not
    depend on each other, lower ones come first."""

    master: SideName = "operations"
    order: int = 0
    skip: bool = False


class Alert(Record, frozen=True):
    """What happens when so many errors of a class come within so many minutes."""

    errors: Literal["application", "system", "concurrency", "conflict", "any"] = "application"
    count: int = 10
    minutes: int = 15
    action: Literal["none", "pause", "stop"] = "none"
    notify: tuple[str, ...] = ()


class MapFile(Record, frozen=True):
    """One table map."""

    name: str
    entity: str
    table: str
    columns: dict[str, ColumnEntry]
    version: str = "1.0.0.0"
    label: str = ""
    publisher: str = ""
    mode: Mode = "live"
    direction: Direction = "both"
    key: tuple[str, ...] = ()
    company: str | None = None
    constants: Constants = Constants()
    filter: Filters = Filters()
    on_outage: Literal["queue", "refuse"] = "refuse"
    conflict: Conflict = Conflict()
    versions: Versions = "latest"
    initial: Initial = Initial()
    depends_on: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
