"""Lists: rows of a table by its views, with search, filters, sorting and paging, all of it in the address."""

from forecourt.pages.lists.asked import Asked
from forecourt.pages.lists.grid import (
    FORMATS,
    Action,
    Column,
    Grid,
    Line,
    Offers,
    Tab,
    cells_of,
    is_text,
    key_of,
    needed,
    row_url,
    view_columns,
    view_order,
)
from forecourt.pages.lists.reader import ListPage, Lists

__all__ = [
    "FORMATS",
    "Action",
    "Asked",
    "Column",
    "Grid",
    "Line",
    "ListPage",
    "Lists",
    "Offers",
    "Tab",
    "cells_of",
    "is_text",
    "key_of",
    "needed",
    "row_url",
    "view_columns",
    "view_order",
]
