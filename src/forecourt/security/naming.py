"""What a read brings along for annotations: names of the rows that lookups name, their tables, currencies.

Each is a column of the same statement, found by the row's id under the rules that the asker reads its table by: a name
tells no more than a read of that row would. Where a table may not be read at all, nothing is asked of it.
Source: pages-and-dataverse B1.6; the names of the outputs are ``odata/formatted``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.predicate import Column, Compare, all_of
from forecourt.kernel.relation import Looked, Output, Select, aliases_of
from forecourt.kernel.types import Kind
from forecourt.odata.formatted import NAME, PRECISION, SYMBOL, TARGET
from forecourt.odata.prefer import FORMATTED_VALUE
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation

#: The table of currencies, with the columns that format an amount.
CURRENCIES = "transactioncurrency"


#: From a field of an entity, or ``@`` and a column of its row, to the column that holds it; None where there is none.
Held = Callable[[str], Column | None]


def beside(lowering: Lowering, entity: Entity, names: tuple[str, ...], wanted: frozenset[str]) -> Iterator[Output]:
    """The outputs beside the fields ``names``. ``wanted``: annotations by qualified name; none brings nothing.

    A currency that is not open to the asker formats no amount.
    """
    readable = lowering.readable(entity, lowering.grant(entity, Operation.READ)) if wanted else frozenset()

    def held(name: str) -> Column | None:
        if name.startswith("@"):
            return Column(entity.root.alias, name[1:])
        return lowering.column(entity, "", name) if name in readable else None

    for name in names if wanted else ():
        yield from beside_field(lowering, entity, name, name, held, wanted)


def beside_field(
    lowering: Lowering, entity: Entity, name: str, shown: str, held: Held, wanted: frozenset[str]
) -> Iterator[Output]:
    """The outputs beside one field, which is ``shown`` under a name of its own."""
    field = entity.fields.get(name)
    if field is None or not wanted:
        return
    if field.targets and field.target_column and (target_column := held(f"@{field.target_column}")) is not None:
        yield Output(TARGET + shown, target_column, None)
    if FORMATTED_VALUE not in wanted:
        return
    lookup = held(name)
    for table in field.targets if lookup is not None else ():
        target = lowering.model.entities.get(table)
        if lookup is not None and target is not None and target.primary_name in target.fields:
            yield from _looked(lowering, lookup, target, target.primary_name, f"{NAME}{shown}.{table}")
    currency = currency_of(entity, field)
    if currency is not None and currency not in lowering.readable(entity, lowering.grant(entity, Operation.READ)):
        return  # the sign of an amount would tell its currency
    lookup = held(currency) if currency is not None else None
    if lookup is not None:
        target = lowering.model.entities[CURRENCIES]
        found = [
            *_looked(lowering, lookup, target, "currencysymbol", SYMBOL + shown),
            *_looked(lowering, lookup, target, "currencyprecision", PRECISION + shown),
        ]
        if len(found) == 2:
            yield from found


def currency_of(entity: Entity, field: EntityField) -> str | None:
    """The lookup with an amount's currency, None where it has none."""
    lookup = entity.fields.get(field.currency or "") if field.kind is Kind.DECIMAL else None
    return lookup.name if lookup is not None and CURRENCIES in lookup.targets else None


def _looked(lowering: Lowering, lookup: Column, target: Entity, column: str, output: str) -> Iterator[Output]:
    """One column of the row that a lookup names, as the asker reads it; nothing where they read none there."""
    try:
        grant = lowering.require(target, Operation.READ)
    except Refusal:
        return
    if column not in lowering.readable(target, grant):
        return
    prefix = lowering.fresh("")
    where = all_of(
        Compare("eq", lowering.column(target, prefix, target.key[0]), lookup),
        lowering.rows(target, prefix, Operation.READ, grant),
    )
    shown = lowering.column(target, prefix, column)
    select = Select(
        sources=lowering.sources(target, prefix, Operation.READ, aliases_of(where) | {shown.alias}),
        where=where,
        outputs=(Output(output, shown, target.fields[column].kind),),
        nullable=lowering.nullable(target, prefix),
    )
    yield Output(output, Looked(select), None)
