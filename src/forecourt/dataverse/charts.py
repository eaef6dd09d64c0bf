"""What a chart shows: from a table's own words, or from the two descriptions of an exported chart.

::

    data           <datadefinition> … <fetch aggregate="true"><entity><attribute name alias groupby | aggregate/> …
    presentation   <Chart> … <Series ChartType="Bar"> …

Of an exported chart the first group and the first measure count; kinds that are not drawn become the nearest one that
is. Leaves out what its fetch says beside (filters belong to the view) and how it is coloured. Source: Dataverse's table
``savedqueryvisualization``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast, get_args
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as xml

from forecourt.dataverse.definitions import Chart, ChartType, DateGrouping, Measure

_TYPES: dict[str, ChartType] = {"bar": "bar", "line": "line", "area": "line", "pie": "pie", "funnel": "bar"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn: ``category`` and ``column`` are logical names; '' for ``column`` where rows are counted."""

    type: ChartType
    category: str
    grouping: DateGrouping
    measure: Measure
    column: str


def drawn(chart: Chart) -> Drawn | None:
    """What a chart shows; None where it does not say it."""
    if not chart.data:
        if not chart.category or (chart.measure != "count" and not chart.column):
            return None
        return Drawn(chart.type, chart.category, chart.grouping, chart.measure, chart.column)
    root = _parsed(chart.data)
    if root is None:
        return None
    attributes = [item for item in root.iter() if str(item.tag) == "attribute"]
    group = next((item for item in attributes if item.get("groupby") in ("true", "1")), None)
    value = next((item for item in attributes if item.get("aggregate")), None)
    if group is None or value is None or not group.get("name"):
        return None
    function = (value.get("aggregate") or "").lower()
    measure = cast("Measure", function if function in get_args(Measure) else "count")
    unit = (group.get("dategrouping") or "").lower()
    grouping = cast("DateGrouping", unit if unit in get_args(DateGrouping) else ("day" if unit else ""))
    column = "" if measure == "count" else str(value.get("name") or "")
    return Drawn(_type_of(chart.presentation), str(group.get("name")), grouping, measure, column)


def _type_of(presentation: str) -> ChartType:
    found = re.search(r'ChartType="([A-Za-z]+)"', presentation[:65_536])
    name = found[1].lower() if found else ""
    if name.startswith("doughnut"):
        return "doughnut"
    return next((kind for start, kind in _TYPES.items() if name.startswith(start) or start in name), "column")


def _parsed(text: str) -> Element | None:
    try:
        return cast("Element", xml.fromstring(text[:65_536], forbid_dtd=True))
    except (DefusedXmlException, ParseError, ValueError):
        return None
