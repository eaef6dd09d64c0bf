"""The filter panel of a list: what a person chose, what is offered, and the rows that are left."""

from forecourt.pages.filtering.chosen import PARAMETER, gathered
from forecourt.pages.filtering.panel import Filtering
from forecourt.pages.filtering.shown import Chip, Panel

__all__ = ["PARAMETER", "Chip", "Filtering", "Panel", "gathered"]
