"""The two dialects of OData that Forecourt speaks, as data: everything in which ``/data`` and Dataverse differ.

Decides nothing by itself: parsers and writers ask the dialect instead of asking where they are. The portal's ``/_api``
is Dataverse with errors of its own. A dialect is compared by identity, so that it is a cheap part of cache keys.

Sources: operations-and-integration 5.2, 5.3 (operations); pages-and-dataverse B1, A2 (Dataverse, portal).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, eq=False)
class Dialect:
    """What one door accepts and how it writes.

    ``options``: system query options, ``$`` included. ``expand_options``: those allowed inside ``$expand(...)``.
    ``wildcard``: ``eq '*x*'`` is a text match. ``crm_functions``: ``Microsoft.Dynamics.CRM.In`` and its like.
    ``aliases``: ``@p1`` in ``$filter``. ``date_as_datetime``: a date is written as noon UTC (Edm.DateTimeOffset).
    ``key_always``: the key is returned even where ``$select`` leaves it out. ``max_page``: rows per page at most.
    """

    name: Literal["operations", "dataverse", "portal"]
    namespace: str
    options: frozenset[str]
    expand_options: frozenset[str]
    max_page: int
    max_expand: int = 15
    wildcard: bool = False
    arithmetic: bool = False
    cross_company: bool = False
    date_as_datetime: bool = False
    int64_as_decimal: bool = False
    nested_expand: bool = False
    quoted_guid: bool = False
    crm_functions: bool = False
    aliases: bool = False
    key_always: bool = False
    context: bool = True


_COMMON = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken"})

OPERATIONS = Dialect(
    name="operations",
    namespace="Microsoft.Dynamics.DataEntities",
    options=_COMMON | {"$skip", "$format"},
    expand_options=frozenset({"$select"}),
    max_page=10_000,
    wildcard=True,
    arithmetic=True,
    cross_company=True,
    date_as_datetime=True,
)

DATAVERSE = Dialect(
    name="dataverse",
    namespace="Microsoft.Dynamics.CRM",
    options=_COMMON | {"$apply"},
    expand_options=frozenset({"$select", "$filter", "$orderby", "$top", "$expand"}),
    max_page=5_000,
    int64_as_decimal=True,
    nested_expand=True,
    quoted_guid=True,
    crm_functions=True,
    aliases=True,
    key_always=True,
)

#: The portal's ``/_api``: Dataverse's language without ``@odata.context``, and error codes of its own.
PORTAL = replace(DATAVERSE, name="portal", context=False)
