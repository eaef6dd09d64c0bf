"""What the fields of the files under ``maps/`` say."""

from __future__ import annotations

from typing import Final

from forecourt.integration.dual_write import definitions as dw
from forecourt.kernel.solution import Record

#: What each field says, by shape.
FIELDS: Final[dict[type[Record], dict[str, str]]] = {
    dw.ColumnMap: {
        "dataverse": "Column of the table. A lookup by natural key: customerid_account.accountnumber.",
        "direction": "Which way values go; left out: the map's direction.",
        "values": "Value map: operations value -> Dataverse value. An enum by its symbol, a choice by number or label.",
        "dataverse_default": "What Dataverse gets where operations has no value.",
        "operations_default": "What operations gets where Dataverse has no value.",
    },
    dw.Constants: {
        "operations": "Fields of the data entity that get a value of their own: name -> value.",
        "dataverse": "Columns of the table that get a value of their own: name -> value.",
    },
    dw.Filters: {
        "operations": "Condition in OData syntax over fields of the data entity.",
        "dataverse": "Condition in OData syntax over columns of the table.",
    },
    dw.Conflict: {
        "resolve": "Whose values stand: one side's, those changed last, or nobody's until a person decides.",
    },
    dw.Initial: {
        "master": "The side whose values stand where both have a row.",
        "order": "Among maps that do not depend on one another, lower ones are filled first.",
        "skip": "Start without copying the rows that are there already.",
    },
    dw.Alert: {
        "errors": "Class of the errors that count: application, system, concurrency, conflict, or any.",
        "count": "How many of them set the alert off.",
        "minutes": "Within how many minutes.",
        "action": "What the map does then, at once: nothing but tell, pause, or stop.",
        "notify": "Addresses of those who are to be told; they are in the alert's line of the log.",
    },
    dw.MapFile: {
        "name": "Name of the map, for commands and for other maps.",
        "entity": "Physical name of the data entity.",
        "table": "Logical name of the Dataverse table, a native one.",
        "columns": "Operations field -> column. Short form: Field: column. A list where a field goes to several.",
        "version": "Version of the map: two to four numbers. The highest of a name counts until one is chosen.",
        "label": "Name for people.",
        "publisher": "Who makes this version.",
        "mode": "live: both sides in one unit of work. queued: afterwards, in the order of the changes.",
        "direction": "Direction of the columns that name none.",
        "key": "Integration key, as columns of the table; left out: an alternate key of which all columns are mapped. "
        "The company belongs to it by itself.",
        "company": "The table's lookup to cdm_company, where it has several.",
        "constants": "Values for columns that have no source.",
        "filter": "Rows that travel, on either side.",
        "on_outage": "Of a live map, when the other side is away: queue the change, or refuse the write.",
        "conflict": "Rows that both sides have changed.",
        "versions": "Of a queued map: latest, or every version of a row in turn.",
        "initial": "How the rows that are there already are copied.",
        "depends_on": "Maps that come first, beside those that lookups lead to.",
        "alerts": "What happens when too much goes wrong.",
    },
}
