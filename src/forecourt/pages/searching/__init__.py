"""Site search: the site's pages and the tables that its settings name, each person what they may read."""

from forecourt.pages.searching.reader import Hit, Results, Searching
from forecourt.pages.searching.words import Words

__all__ = ["Hit", "Results", "Searching", "Words"]
