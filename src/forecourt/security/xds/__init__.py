"""XDS: what extensible data security makes of a table for a user (operations-and-integration 4).

``activity`` says which policies are active, ``sets`` which of their sets are bound as values, ``filters`` what they put
on a table.
"""

from __future__ import annotations

from forecourt.security.xds.activity import active, broken, bypasses, constrained, holds, shut
from forecourt.security.xds.filters import Filter, Fresh
from forecourt.security.xds.sets import (
    BOUND_LIMIT,
    KeyOf,
    bindable,
    padded,
    umbrella,
    umbrella_columns,
    value_name,
    values,
)

__all__ = [
    "BOUND_LIMIT",
    "Filter",
    "Fresh",
    "KeyOf",
    "active",
    "bindable",
    "broken",
    "bypasses",
    "constrained",
    "holds",
    "padded",
    "shut",
    "umbrella",
    "umbrella_columns",
    "value_name",
    "values",
]
