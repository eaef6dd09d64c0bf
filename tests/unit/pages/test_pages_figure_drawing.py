"""Figures are drawn so that their texts can be read: within the drawing, and on no column."""

from __future__ import annotations

from decimal import Decimal

from forecourt.dataverse.definitions import ChartType
from forecourt.pages.charts import drawing
from forecourt.pages.charts.figures import Figure, Point

#: Units that a sign of a value takes, in the style sheet's type.
SIGN = 7.6
VALUES = (43878, 43878, 43878, 43878, 43878, 348000, 307149, 528000, 570419, 261000)


def figure(kind: ChartType) -> Figure:
    points = tuple(Point(f"Q{n % 4 + 1} 2012", Decimal(value), f"{value:,}.85") for n, value in enumerate(VALUES))
    return Figure("Orders", kind, "Quarter", "Amount", points)


def test_texts_of_columns_stay_within_the_drawing_and_off_the_columns_beside_them() -> None:
    marks, _ = drawing.upright(figure("column"))
    assert any(mark.shown for mark in marks), "values are shown where there is room"
    for mark in marks:
        half = max(len(mark.shown), len(mark.name)) * SIGN / 2
        assert half <= mark.text_x + 0.1 and mark.text_x + half <= drawing.WIDTH + 0.1
        for other in marks:
            meets = mark.text_x - half < other.x + other.width and other.x < mark.text_x + half
            assert not mark.shown or not meets or other.y >= mark.y, (mark, other)


def test_values_that_meet_no_other_column_are_all_there() -> None:
    points = tuple(Point(f"May {n}", Decimal(value), str(value)) for n, value in enumerate((40, 105, 109, 74)))
    marks, _ = drawing.upright(Figure("Orders", "column", "Month", "Count", points))
    assert [mark.shown for mark in marks] == ["40", "105", "109", "74"]


def test_values_of_bars_stay_within_the_drawing() -> None:
    marks, _ = drawing.lying(figure("bar"))
    assert all(mark.text_x + len(mark.shown) * SIGN <= drawing.WIDTH + 0.1 for mark in marks)


def test_the_point_of_a_line_stands_where_its_column_would() -> None:
    marks, _ = drawing.upright(figure("line"))
    assert [mark.middle for mark in marks] == [20.0 + 40 * place for place in range(len(VALUES))]
