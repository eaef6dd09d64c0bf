"""The filter panel of a list, from ``adx_filter_definition``: JSON that the original's designer writes.

::

    {"entity": {"filters": [group, …], "links": [group, …]}}
    group    adx.id, adx.uiname, adx.uiorder, adx.uiselectionmode (Single | Multiple | Dropdown), adx.attribute
    filter   conditions: [{attribute, operator, value, uiname, adx.id, adx.uiinputtype: text | dynamic}]
             or filters: [{adx.id, adx.uiname, conditions}], each of which is one choice (a range)
    link     name, from, to, then filters as above, or (of a many-to-many relationship) links

A name may be localized, ``[{"LCID": 1033, "Value": "…"}]``. Read leniently, as all JSON beside columns: what cannot be
read is no filter, and a notice says so. A group's meaning is in its conditions, whatever ``adx.filtertype`` calls it.
Sources: pages-and-dataverse A4.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from forecourt.pages.site.list_actions import label_of

#: Groups of a panel, and choices of a group, at most.
MAX_GROUPS = 40
MAX_CHOICES = 250


class Orientation(IntEnum):
    """Where a panel stands: above the rows, or at their side."""

    HORIZONTAL = 756150000
    VERTICAL = 756150001


class Choosing(StrEnum):
    """How a group's choices are offered."""

    ONE = "one"
    SEVERAL = "several"
    DROPDOWN = "dropdown"


class Asking(StrEnum):
    """What a group asks: one of its own choices, a choice of the column's, a row of another table, or what is typed."""

    CHOICES = "choices"
    COLUMN = "column"
    ROWS = "rows"
    TYPED = "typed"


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """``values`` are the maker's; a condition that is typed or dynamic gets them from the person."""

    attribute: str
    operator: str
    values: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """A choice of a group: all of its conditions hold."""

    id: str
    label: str
    conditions: tuple[FilterCondition, ...]


@dataclass(frozen=True, slots=True)
class FilterLink:
    """A step to another table: rows whose ``of`` equals ``to`` of the table before."""

    table: str
    of: str
    to: str


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """A group of the panel. ``label`` '' for the column's or table's own. ``choices``: of a group that asks for them,
    the conditions that are typed or dynamic otherwise. ``links``: steps to the table that the conditions speak of.
    ``view``, ``name_column``: of rows to choose from, '' for the table's own."""

    id: str
    label: str
    asking: Asking
    choosing: Choosing
    choices: tuple[FilterChoice, ...]
    links: tuple[FilterLink, ...] = ()
    view: str = ""
    name_column: str = ""


def read_filters(text: str) -> tuple[tuple[FilterGroup, ...], tuple[str, ...]]:
    """The groups of a definition in their order, and what of it cannot be read."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return (), ("the filter definition is no JSON that can be read.",)
    entity = found.get("entity") if isinstance(found, dict) else None
    if not isinstance(entity, dict):
        return (), () if found is None else ("the filter definition names no entity.",)
    groups: list[tuple[int, FilterGroup]] = []
    notices = []
    seen: set[str] = set()
    for kind in ("filters", "links"):
        for place, item in enumerate(_dicts(entity.get(kind))[:MAX_GROUPS]):
            key = _text(item, "adx.id") or f"{kind}-{place}"
            group = _linked(item, key) if kind == "links" else _group(item, key, ())
            if group is None or key in seen:
                notices.append(f"the filter '{_text(item, 'adx.uiname') or key}' cannot be read; it is not offered.")
                continue
            seen.add(key)
            groups.append((_number(item.get("adx.uiorder")), group))
    return tuple(group for _, group in sorted(groups, key=lambda pair: pair[0])), tuple(notices)


def _linked(item: Mapping[str, Any], key: str) -> FilterGroup | None:
    """The group of a link: its filters are those of the last table that it leads to."""
    links: list[FilterLink] = []
    at: Mapping[str, Any] = item
    while True:
        link = FilterLink(_text(at, "name"), _text(at, "from"), _text(at, "to"))
        if not all((link.table, link.of, link.to)) or len(links) > 3:
            return None
        links.append(link)
        filters, deeper = _dicts(at.get("filters")), _dicts(at.get("links"))
        if filters or not deeper:
            break
        at = deeper[0]
    if not filters:
        return None
    named = {name: _text(item, name) or _text(at, name) for name in ("adx.uiname", "adx.uiselectionmode")}
    return _group({**filters[0], **{name: value for name, value in named.items() if value}}, key, tuple(links))


def _group(item: Mapping[str, Any], key: str, links: tuple[FilterLink, ...]) -> FilterGroup | None:
    conditions, ranges = _dicts(item.get("conditions")), _dicts(item.get("filters"))
    attribute = _text(item, "adx.attribute")
    inputs = {_text(condition, "adx.uiinputtype").lower() for condition in conditions}
    asking, view, column = Asking.CHOICES, "", ""
    if "text" in inputs:
        asking = Asking.TYPED
    elif "dynamic" in inputs:
        asking = Asking.ROWS if links else Asking.COLUMN
        view, column = _text(conditions[0], "adx.view").strip("{}"), _text(conditions[0], "adx.labelcolumn")
    choices = []
    if ranges:
        for place, choice in enumerate(ranges[:MAX_CHOICES]):
            own = tuple(_condition(part, attribute) for part in _dicts(choice.get("conditions")))
            label = _text(choice, "adx.uiname") or " – ".join(part.label for part in own)
            choices.append(FilterChoice(_text(choice, "adx.id") or f"r{place}", label, own))
    else:
        for place, part in enumerate(conditions[:MAX_CHOICES]):
            own = (_condition(part, attribute),)
            choices.append(FilterChoice(_text(part, "adx.id") or f"c{place}", own[0].label, own))
    if not choices or not all(part.attribute and part.operator for one in choices for part in one.conditions):
        return None
    if len({choice.id for choice in choices}) != len(choices) or not all(choice.conditions for choice in choices):
        return None
    mode = _text(item, "adx.uiselectionmode").lower()
    choosing = {"single": Choosing.ONE, "dropdown": Choosing.DROPDOWN}.get(mode, Choosing.SEVERAL)
    return FilterGroup(key, _text(item, "adx.uiname"), asking, choosing, tuple(choices), links, view, column)


def _condition(item: Mapping[str, Any], attribute: str) -> FilterCondition:
    raw = item.get("values", item.get("value"))
    listed = raw if isinstance(raw, list) else ([] if raw is None or raw == "" else [raw])
    values = tuple(_plain(value) for value in listed)
    label = _text(item, "uiname") or _text(item, "adx.uiname") or ", ".join(values)
    return FilterCondition(_text(item, "attribute") or attribute, _text(item, "operator") or "eq", values, label)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dicts(items: object) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if isinstance(value, list):
        return label_of(value)
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
