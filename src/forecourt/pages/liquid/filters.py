"""Filters: those of plain Liquid, and the portal's (pages-and-dataverse A4.2).

Their results are plain text, so autoescaping still applies to them; the few that make markup escape what they are
given first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forecourt.pages.liquid import arrays, dates, numbers, texts, urls

FILTERS: Mapping[str, Callable[..., Any]] = {
    **arrays.FILTERS,
    **dates.FILTERS,
    **numbers.FILTERS,
    **texts.FILTERS,
    **urls.FILTERS,
}
