"""A list's filter panel: the groups that a person is offered, what is chosen of them, and the rows that are left.

A group is offered where the person may read every column that it speaks of, and the tables on the way to it: another
one is as if it did not exist, and what the address says of it counts for nothing. Of rows to choose from, those that
the person may read are offered and no other is taken. Chosen choices of one group widen, groups narrow each other, and
all of it is a condition beside the view's: it can only take rows away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from forecourt.dataverse.rows import Query, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import AnyRow, Field, Match, Predicate, Slot, all_of, shift_slots
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.values import Asker
from forecourt.odata.fetchxml.written import Writer, narrowing
from forecourt.pages import formatting, inputs
from forecourt.pages.filtering.chosen import Chosen, chosen, written
from forecourt.pages.filtering.shown import (
    BOUNDS,
    Chip,
    Offer,
    Panel,
    choices_of,
    inputs_of,
    kind_of,
    said,
    typed_conditions,
)
from forecourt.pages.formatting import Locales, Message
from forecourt.pages.inputs import FormField, Unreadable
from forecourt.pages.ports import ViewFilter
from forecourt.pages.site import ListDefinition
from forecourt.pages.site.list_filters import (
    MAX_CHOICES,
    Asking,
    Choosing,
    FilterCondition,
    FilterGroup,
    Orientation,
)
from forecourt.web.translation import N_

#: What a typed bound of a day means for a column of moments.
_DAYS = {"eq": "on", "ge": "on-or-after", "gt": "on-or-after", "le": "on-or-before", "lt": "on-or-before"}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a panel makes of an address: conditions with the values of their slots, and notices."""

    panel: Panel
    where: tuple[tuple[Predicate, tuple[object, ...]], ...]
    notices: tuple[str, ...]


def utc_now() -> dt.datetime:
    """Now, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Filtering:
    """Reads panels."""

    tables: Tables
    rows: Rows
    view_filter: ViewFilter
    clock: Callable[[], dt.datetime] = utc_now

    async def read(
        self,
        principal: Principal,
        definition: ListDefinition,
        table: Table,
        asked: str,
        locales: Locales,
    ) -> Narrowed:
        """The panel as ``asked``, the value of ``mf``. Raises Refusal as rows do, where choices are rows."""
        found, shown = chosen(asked), []
        valid: dict[str, tuple[str, ...]] = {}
        chips: list[tuple[str, str, int, bool]] = []
        where: list[tuple[Predicate, tuple[object, ...]]] = []
        notices: list[str] = []
        for group in definition.filters:
            offer = await self._offered(principal, group, table)
            if offer is None:
                continue
            offer = said(offer, locales)
            given = found.get(group.id, ())
            if group.asking is Asking.TYPED:
                values, texts, wrong = _typed(offer, given, locales)
                shown.append(inputs_of(offer, values, locales))
                notices.extend(wrong)
            else:
                taken = [choice for choice in offer.choices if choice[0] in given]
                if group.choosing is not Choosing.SEVERAL:
                    taken = taken[:1]
                values = tuple(value for value, _, _ in taken)
                texts = tuple((label, place) for place, (_, label, _) in enumerate(taken))
                shown.append(choices_of(offer, values))
            if not any(values):
                continue
            try:
                where.append(self._condition(principal, offer, values, locales))
            except Refusal:
                text = locales.gettext("The filter %(label)s cannot be used at the moment.", label=offer.label)
                notices.append(text)
                continue
            valid[group.id] = values
            typed = group.asking is Asking.TYPED
            named = locales.label(offer.label)
            chips.extend((f"{named}: {locales.label(text)}", group.id, place, typed) for text, place in texts)
        panel = Panel(
            tuple(shown),
            tuple(Chip(label, written(_without(valid, key, place, typed))) for label, key, place, typed in chips),
            written(valid),
            definition.orientation is Orientation.VERTICAL,
            definition.apply_label,
        )
        return Narrowed(panel, tuple(where), tuple(notices))

    # -- what is offered -------------------------------------------------------------------------------------------

    async def _offered(self, principal: Principal, group: FilterGroup, table: Table) -> Offer | None:
        """The group for the person, None where something of it is not theirs to read."""
        at, steps = table, []
        readable = await self.rows.columns(principal, at.name, "read")
        for link in group.links:
            target = self.tables.by_name.get(link.table)
            own = at.column(link.to)
            theirs = target.column(link.of) if target is not None else None
            if target is None or own is None or theirs is None or own.name not in readable:
                return None
            readable = await self.rows.columns(principal, target.name, "read")
            if theirs.name not in readable:
                return None
            steps.append((target.name, own.name, theirs.name))
            at = target
        columns = []
        for condition in (part for choice in group.choices for part in choice.conditions):
            column = at.column(condition.attribute)
            if column is None or column.name not in readable:
                return None
            columns.append(column)
        label = group.label or (at.label if group.links else columns[0].label or columns[0].name)
        offer = Offer(group, label, table, at, tuple(steps), tuple(columns))
        match group.asking:
            case Asking.TYPED:
                return offer if all(kind_of(column) for column in columns) else None
            case Asking.ROWS:
                choices = await self._rows(principal, offer, readable)
            case Asking.COLUMN:
                choices = self._column(offer)
            case _:
                choices = self._own(offer)
        return replace(offer, choices=choices) if choices else None

    async def _rows(
        self, principal: Principal, offer: Offer, readable: Collection[str]
    ) -> tuple[tuple[str, str, tuple[FilterCondition, ...]], ...]:
        """Rows of the table to choose from, by name; none where the person may not read their names."""
        table, condition = offer.target, offer.group.choices[0].conditions[0]
        named = table.column(offer.group.name_column) or table.column(table.primary_name)
        if named is None or named.name not in readable:
            return ()
        wanted = offer.group.view.lower()
        view = next((view for view in table.views if view.id.lower() == wanted), None)
        where, slots = self.view_filter(table, view.filter if view is not None else "")
        query = Query(table.name, (named.name,), where, slots, (OrderBy((named.name,)),), size=MAX_CHOICES)
        page = await self.rows.page(principal, query)
        return tuple(
            (str(row.id), str(row.values.get(named.name) or table.label), (_with(condition, "eq", str(row.id)),))
            for row in page.rows
        )

    def _column(self, offer: Offer) -> tuple[tuple[str, str, tuple[FilterCondition, ...]], ...]:
        column, condition = offer.columns[0], offer.group.choices[0].conditions[0]
        operator = "contain-values" if column.several else "eq"
        return tuple((value, label, (_with(condition, operator, value),)) for value, label in self._members(column))

    def _own(self, offer: Offer) -> tuple[tuple[str, str, tuple[FilterCondition, ...]], ...]:
        """The group's own choices; a choice of a column is called what the column calls it."""
        columns = iter(offer.columns)
        found = []
        for choice in offer.group.choices:
            labels = [dict(self._members(next(columns))).get(",".join(part.values), "") for part in choice.conditions]
            label = labels[0] if len(labels) == 1 and labels[0] else choice.label
            found.append((choice.id, label or choice.id, choice.conditions))
        return tuple(found)

    def _members(self, column: EntityField) -> tuple[tuple[str, str], ...]:
        enum = self.tables.enums.get(column.enum) if column.enum else None
        if enum is not None:
            return tuple((str(member.choice), member.label or member.symbol) for member in enum.members)
        return (("1", Message(N_("Yes"))), ("0", Message(N_("No")))) if column.kind is Kind.BOOLEAN else ()

    # -- what is left ----------------------------------------------------------------------------------------------

    def _condition(
        self, principal: Principal, offer: Offer, values: tuple[str, ...], locales: Locales
    ) -> tuple[Predicate, tuple[object, ...]]:
        """What the chosen values say of a row of the list, and the values of its slots. Raises Refusal."""
        asker = Asker(self.clock(), principal.contact.id if principal.contact is not None else None)
        writer = Writer()
        matches: list[Predicate] = []
        texts: list[object] = []
        parts = []
        if offer.group.asking is Asking.TYPED:
            for column, condition, value in zip(offer.columns, typed_conditions(offer), values, strict=True):
                if value and kind_of(column) == "search":
                    slot = Slot(len(texts), Kind.STRING)
                    stars = "*" in value
                    matches.append(Match("wildcard" if stars else "contains", Field((column.name,)), slot))
                    texts.append(f"*{value}*" if stars else value)
                elif value:
                    days = column.kind is Kind.DATETIME
                    operator = _DAYS.get(condition.operator, "on") if days else condition.operator
                    plain = _plain(column, offer.label, value, locales)
                    parts.append(writer.condition(_attribute(column), operator, (plain,)))
        else:
            either = []
            for value, _, conditions in offer.choices:
                if value in values:
                    own = (writer.condition(part.attribute, part.operator, part.values) for part in conditions)
                    either.append(writer.every(own))
            parts.append(writer.either(either))
        at, steps = offer.target, list(offer.steps)
        if _by_key(offer):
            # The lookup itself says which row it names, in whichever database that one is.
            _, lookup, _ = steps.pop()
            at = self.tables.by_name[steps[-1][0]] if steps else offer.table
            writer = Writer()
            parts = [writer.condition(_attribute(at.entity.fields[lookup]), "in", values)]
        found, bound = narrowing(parts, writer.texts, at.entity, self.tables.model, asker)
        where = all_of(shift_slots(found, len(texts)), *matches)
        for name, column_, theirs in reversed(steps):
            where = AnyRow(name, ((column_, theirs),), where)
        return where, (*texts, *bound)


def _by_key(offer: Offer) -> bool:
    """Whether the group asks for rows that a lookup names by their ids."""
    key = offer.target.primary_id
    return offer.group.asking is Asking.ROWS and offer.steps[-1][2] == key and offer.columns[0].name == key


def _typed(
    offer: Offer, given: Sequence[str], locales: Locales
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]:
    """What is typed: values that can be used by condition, their texts with their places, what is wrong with others."""
    values, texts, wrong = [], [], []
    for place, (column, condition) in enumerate(zip(offer.columns, typed_conditions(offer), strict=True)):
        value = given[place] if place < len(given) else ""
        if not value.strip("*"):
            values.append("")
            continue
        try:
            _plain(column, offer.label, value, locales)
        except Unreadable as error:
            wrong.append(str(error))
            values.append("")
            continue
        values.append(value)
        shown = formatting.cell(column, {column.name: value}, {}, locales).text if _is_day(column) else value
        bound = BOUNDS.get(condition.operator)
        texts.append((f"{locales.gettext(bound)} {shown}" if bound else shown, place))
    return tuple(values), tuple(texts), tuple(wrong)


def _is_day(column: EntityField) -> bool:
    return kind_of(column) == "date"


def _plain(column: EntityField, label: str, text: str, locales: Locales) -> str:
    """What is typed as FetchXML has it. Raises Unreadable."""
    kind = kind_of(column)
    if kind == "search":
        return text
    field = FormField(
        replace(column, kind=Kind.DATE) if kind == "date" else column,
        label,
        "date" if kind == "date" else "number",
        required=False,
        read_only=False,
    )
    value = inputs.value_of(field, text, {}, locales)
    return value.isoformat() if isinstance(value, dt.date) else format(Decimal(str(value)), "f")


def _attribute(column: EntityField) -> str:
    """The logical name of a column."""
    return column.column if column.targets else column.name


def _with(condition: FilterCondition, operator: str, value: str) -> FilterCondition:
    return replace(condition, operator=operator, values=(value,))


def _without(valid: Chosen, key: str, place: int, typed: bool) -> Chosen:
    """What is chosen without one value; what is typed keeps its place."""
    gone = ("",) if typed else ()
    return {**valid, key: (*valid[key][:place], *gone, *valid[key][place + 1 :])}
