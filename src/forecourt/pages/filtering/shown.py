"""What a filter panel shows: groups with choices or fields to type into, in the person's language, and what is chosen.

Leaves out what is offered to whom, and what a choice says of a row (``panel``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from forecourt.dataverse.tables import Table
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import MOMENTS, NUMBERS, Kind
from forecourt.pages.filtering.chosen import PARAMETER
from forecourt.pages.formatting import Locales, Message
from forecourt.pages.site.list_filters import Choosing, FilterCondition, FilterGroup
from forecourt.web.translation import N_

#: How a typed bound is called, by its operator.
BOUNDS = {"ge": N_("from"), "gt": N_("more than"), "le": N_("to"), "lt": N_("less than")}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Input:
    """A field to type into. ``kind``: of the HTML input (``search``, ``date``, ``number``)."""

    label: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group to show. ``name``: of its inputs. ``inputs``: where something is typed, else there are ``choices``."""

    name: str
    label: str
    choosing: Choosing
    choices: tuple[Choice, ...] = ()
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True)
class Chip:
    """Something chosen. ``without``: the value of ``mf`` that lacks it."""

    label: str
    without: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel to show. ``chosen``: the value of ``mf`` for what of the address counts."""

    groups: tuple[Group, ...]
    chips: tuple[Chip, ...]
    chosen: str
    vertical: bool
    apply_label: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A group for one person, over a list's ``table``. ``target``: the table that its conditions speak of; ``steps``:
    (table, own column, column there) on the way; ``columns``: of its conditions; ``choices``: value, label, conditions.
    """

    group: FilterGroup
    label: str
    table: Table
    target: Table
    steps: tuple[tuple[str, str, str], ...]
    columns: tuple[EntityField, ...]
    choices: tuple[tuple[str, str, tuple[FilterCondition, ...]], ...] = ()


def typed_conditions(offer: Offer) -> tuple[FilterCondition, ...]:
    """The conditions whose values are typed, in the order of the fields."""
    return tuple(part for choice in offer.group.choices for part in choice.conditions)


def kind_of(column: EntityField) -> str:
    """The HTML input that a value of the column is typed into; '' where none can be."""
    if column.enum is not None or column.record_of is not None or column.targets:
        return ""
    if column.kind is Kind.STRING:
        return "search"
    return "date" if column.kind in MOMENTS else ("number" if column.kind in NUMBERS else "")


def said(offer: Offer, locales: Locales) -> Offer:
    """The offer with the portal's own words in the person's language."""

    def own(text: str) -> str:
        return locales.gettext(text) if isinstance(text, Message) else text

    return replace(offer, choices=tuple((value, own(label), use) for value, label, use in offer.choices))


def inputs_of(offer: Offer, values: tuple[str, ...], locales: Locales) -> Group:
    """The group with its fields; a single one needs no label beside the group's."""
    conditions = typed_conditions(offer)
    several = len(conditions) > 1
    found = []
    for column, condition, value in zip(offer.columns, conditions, values, strict=True):
        bound = BOUNDS.get(condition.operator)
        own = condition.label or (_upper(locales.gettext(bound)) if bound else "")
        found.append(Input(own if several else "", kind_of(column), value))
    return Group(_name(offer), offer.label, offer.group.choosing, inputs=tuple(found))


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def choices_of(offer: Offer, values: tuple[str, ...]) -> Group:
    """The group with its choices."""
    choices = tuple(Choice(value, label, value in values) for value, label, _ in offer.choices)
    return Group(_name(offer), offer.label, offer.group.choosing, choices)


def _name(offer: Offer) -> str:
    return f"{PARAMETER}.{offer.group.id}"
