"""Charts: groups of the rows that a person may read, drawn on the server, with the numbers behind them."""

from forecourt.pages.charts.figures import Charts, Figure, Point
from forecourt.pages.charts.markup import markup

__all__ = ["Charts", "Figure", "Point", "markup"]
