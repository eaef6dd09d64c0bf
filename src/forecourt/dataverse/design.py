"""Native tables as their files mean them: every column with those that the system adds, lookups, relationships.

A file names a table's own columns. What comes with them, as in Dataverse:

    every table          createdon, modifiedon, createdby, modifiedby, versionnumber
    owned by users       ownerid (a user or team), owningbusinessunit, owninguser, owningteam
    with states          statecode and statuscode; without ``states`` Active and Inactive
    with money columns   transactioncurrencyid, exchangerate, and ``<column>_base`` for each

A file with ``extends`` adds columns, keys, relationships, views and forms to a built-in table. Everything here is
derived from files that have been checked (``design_checks``); the database's tables (``schema``), the entities
(``entities``) and the metadata (``metadata``) all come from it. Sources: pages-and-dataverse B1.7, B3, B4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from forecourt.dataverse.definitions import (
    ColumnDefinition,
    ManyToManyDefinition,
    Option,
    ReasonDefinition,
    StateDefinition,
    TableFile,
)
from forecourt.kernel.label import Label, Words, label_of
from forecourt.kernel.model import AssignAction, DeleteAction

#: From the English word of a system column or choice to its label.
Said = Callable[[str], Label]

LOOKUPS = frozenset({"lookup", "customer", "owner"})
CUSTOMERS = ("account", "contact")
OWNERS = ("systemuser", "team")

CURRENCY = "transactioncurrencyid"
RATE = "exchangerate"
BASE = "_base"
VERSION = "versionnumber"

#: Columns of the system that a write may set.
GIVEN = frozenset({"ownerid", "statecode", "statuscode", CURRENCY})

#: Table of notes, whose ``objectid`` leads to every table with ``notes: true``.
NOTES = ("annotation", "objectid")


@dataclass(frozen=True)
class Lookup:
    """A column that names a row of one of ``targets``.

    ``relationships``: target -> schema name of the one-to-many relationship, which is the collection's name on it.
    ``navigation``: target -> name of the way to the row.
    """

    table: str
    column: str
    targets: tuple[str, ...]
    relationships: Mapping[str, str]
    navigation: Mapping[str, str]
    on_delete: DeleteAction
    system: bool = False
    on_assign: AssignAction = "none"

    @property
    def polymorphic(self) -> bool:
        return len(self.targets) > 1


@dataclass(frozen=True)
class TableDesign:
    """A table with all its columns, the row id first. ``kept``: columns that the system alone sets. ``money``: names of
    its money columns. ``custom``: not built in."""

    file: TableFile
    key: str
    columns: Mapping[str, ColumnDefinition]
    kept: frozenset[str]
    lookups: Mapping[str, Lookup]
    states: tuple[StateDefinition, ...]
    money: tuple[str, ...]
    custom: bool = True

    @property
    def name(self) -> str:
        return self.file.table

    @property
    def owned(self) -> bool:
        return self.file.ownership == "user"

    @property
    def collection(self) -> str:
        """The entity set name."""
        return self.file.set or plural(self.name)

    @property
    def schema_name(self) -> str:
        return self.file.schema_name or self.name

    @property
    def primary_name(self) -> str:
        """The column whose value names a row; the row id where none does."""
        return self.file.primary_name or self.key


@dataclass(frozen=True)
class Pairing:
    """A many-to-many relationship: ``table`` holds pairs of ids of ``first`` and ``second``, (table, key column)."""

    name: str
    table: str
    collection: str
    first: tuple[str, str]
    second: tuple[str, str]

    @property
    def key(self) -> str:
        """The column of a pair's own id."""
        return f"{self.table}id"


@dataclass(frozen=True)
class Design:
    """All native tables of a solution, by name. ``answers``: what no and yes are called."""

    tables: Mapping[str, TableDesign]
    pairings: tuple[Pairing, ...] = ()
    answers: tuple[Label, Label] = (Label("No"), Label("Yes"))


def plural(table: str) -> str:
    """The default entity set name.

    >>> plural("account"), plural("cdm_company"), plural("box")
    ('accounts', 'cdm_companies', 'boxes')
    """
    if table.endswith("y") and table[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return table[:-1] + "ies"
    return table + ("es" if table.endswith(("s", "x", "z", "ch", "sh")) else "s")


def merged(files: Iterable[TableFile]) -> tuple[TableFile, ...]:
    """The native tables' files with what other files add to them, in their order."""
    found: dict[str, TableFile] = {}
    for file in files:
        if file.virtual is not None:
            continue
        base = found.get(file.table)
        if base is None or not file.extends:
            found.setdefault(file.table, file)
            continue
        found[file.table] = msgspec.structs.replace(
            base,
            columns={**base.columns, **file.columns},
            keys={**base.keys, **file.keys},
            relationships=(*base.relationships, *file.relationships),
            many_to_many=(*base.many_to_many, *file.many_to_many),
            views=(*base.views, *file.views),
            charts=(*base.charts, *file.charts),
            forms=(*base.forms, *file.forms),
            notes=base.notes or file.notes,
        )
    return tuple(found.values())


def design(files: Iterable[TableFile], built_in: frozenset[str] = frozenset(), words: Words | None = None) -> Design:
    """The native tables of a solution's files; files of virtual tables are passed over. ``words``: translations of what
    system columns and their choices are called."""
    whole = merged(files)
    noted = tuple(file.table for file in whole if file.notes)
    said = partial(label_of, words=words or {})
    tables = {file.table: _table(_with_notes(file, noted), file.table not in built_in, said) for file in whole}
    pairings = tuple(_pairing(file, item, tables) for file in whole for item in file.many_to_many)
    return Design(tables, pairings, (said("No"), said("Yes")))


def _with_notes(file: TableFile, noted: tuple[str, ...]) -> TableFile:
    """The table of notes, leading to every table that has some."""
    table, column = NOTES
    if file.table != table or column not in file.columns:
        return file
    written = file.columns[column].relationship
    names = {**{target: f"{target}_Annotations" for target in noted}, **(written if isinstance(written, dict) else {})}
    found = msgspec.structs.replace(file.columns[column], targets=noted, target=None, relationship=names)
    return msgspec.structs.replace(file, columns={**file.columns, column: found})


def _table(file: TableFile, custom: bool, said: Said) -> TableDesign:
    key = file.primary_id or f"{file.table}id"
    own = {key: ColumnDefinition(type="uniqueid", label=file.label or Label(file.table)), **file.columns}
    columns = {key: own.pop(key), **own}
    money = tuple(name for name, column in columns.items() if column.type == "money")
    states = _states(said) if file.states is None else file.states
    system = _system(file, money, states, said)
    for name in money:
        label = _in_base(columns[name].label or Label(name), said("Base"))
        system[name + BASE] = ColumnDefinition(type="money", label=label, precision=columns[name].precision)
    columns = {**columns, **system}
    lookups = {
        name: _lookup(file.table, name, column, name in system)
        for name, column in columns.items()
        if column.type in LOOKUPS
    }
    return TableDesign(file, key, columns, frozenset(system) - GIVEN, lookups, states, money, custom)


def _states(said: Said) -> tuple[StateDefinition, ...]:
    """The states of a table whose file gives none."""
    return tuple(
        StateDefinition(value=value, label=said(text), reasons=(ReasonDefinition(value=value + 1, label=said(text)),))
        for value, text in enumerate(("Active", "Inactive"))
    )


def _in_base(amount: Label, base: Label) -> Label:
    """What an amount in the base currency is called."""
    codes = amount.translations.keys() | base.translations.keys()
    return Label(f"{amount} ({base})", {code: f"{amount.of(code)} ({base.of(code)})" for code in codes}, amount.base)


def _system(
    file: TableFile, money: tuple[str, ...], states: tuple[StateDefinition, ...], said: Said
) -> dict[str, ColumnDefinition]:
    """The columns that every such table has. What happens to the rows that they name is of no consequence to it."""
    user = {"type": "lookup", "target": "systemuser", "on_delete": "none"}
    plural_name = file.set or plural(file.table)

    def lookup(label: str, relationship: str, target: str = "systemuser") -> ColumnDefinition:
        shape = {**user, "label": said(label), "relationship": relationship, "target": target}
        return msgspec.convert(shape, ColumnDefinition)

    found: dict[str, ColumnDefinition] = {}
    if money:
        found[CURRENCY] = ColumnDefinition(
            type="lookup",
            label=said("Currency"),
            target="transactioncurrency",
            relationship=f"transactioncurrency_{file.table}",
            on_delete="restrict",
        )
        found[RATE] = ColumnDefinition(type="decimal", label=said("Exchange Rate"), precision=12)
    if file.ownership == "user":
        relationship = {"systemuser": f"owner_{plural_name}", "team": f"owner_team_{plural_name}"}
        found["ownerid"] = ColumnDefinition(
            type="owner", label=said("Owner"), targets=OWNERS, relationship=relationship, on_delete="none"
        )
        found["owningbusinessunit"] = lookup("Owning Business Unit", f"business_unit_{plural_name}", "businessunit")
        found["owninguser"] = lookup("Owning User", f"user_{plural_name}")
        found["owningteam"] = lookup("Owning Team", f"team_{plural_name}", "team")
    found["createdby"] = lookup("Created By", f"lk_{file.table}_createdby")
    found["modifiedby"] = lookup("Modified By", f"lk_{file.table}_modifiedby")
    found["createdon"] = ColumnDefinition(type="datetime", label=said("Created On"))
    found["modifiedon"] = ColumnDefinition(type="datetime", label=said("Modified On"))
    if states:
        found["statecode"] = ColumnDefinition(
            type="choice",
            label=said("Status"),
            default=states[0].value,
            options=tuple(Option(value=state.value, label=state.label) for state in states),
        )
        found["statuscode"] = ColumnDefinition(
            type="choice",
            label=said("Status Reason"),
            default=states[0].reasons[0].value,
            options=tuple(Option(value=r.value, label=r.label) for state in states for r in state.reasons),
        )
    found[VERSION] = ColumnDefinition(type="big", label=said("Version Number"))
    return found


def targets_of(column: ColumnDefinition) -> tuple[str, ...]:
    """The tables that a lookup leads to."""
    if column.type == "customer":
        return CUSTOMERS
    if column.type == "owner":
        return OWNERS
    return column.targets or ((column.target,) if column.target is not None else ())


def _lookup(table: str, name: str, column: ColumnDefinition, system: bool) -> Lookup:
    targets = targets_of(column)
    named = column.relationship
    base = column.schema_name or name

    def relationship(target: str) -> str:
        if isinstance(named, dict) and target in named:
            return named[target]
        if isinstance(named, str) and named:
            return named if len(targets) == 1 else f"{named}_{target}"
        return f"{target}_{table}_{name}"

    if column.type == "owner":
        navigation = {target: base if target == OWNERS[0] else f"{base}_{target}" for target in targets}
    elif len(targets) > 1 or column.targets or column.type == "customer":
        navigation = {target: f"{base}_{target}" for target in targets}
    else:
        navigation = dict.fromkeys(targets, base)
    relationships = {target: relationship(target) for target in targets}
    return Lookup(table, name, targets, relationships, navigation, column.on_delete, system, column.on_assign)


def _pairing(file: TableFile, item: ManyToManyDefinition, tables: Mapping[str, TableDesign]) -> Pairing:
    table = item.table or item.name.lower()
    first, second = (file.table, tables[file.table].key), (item.target, tables[item.target].key)
    return Pairing(item.name, table, item.set or plural(table), first, second)
