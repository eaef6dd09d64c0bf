"""XDS policies from their files (operations-and-integration 4.1, 4.2).

Faults are errors of the file. What is well-formed but can have no effect, or not the intended one, is a *finding*
(FC6005): ``check`` reports it, and enforcement takes the safe meaning, which is to deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from forecourt.kernel.document import Document, suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import Column, Compare, Const, In, IsNull, Operand, Param, Predicate, all_of, negate
from forecourt.kernel.relation import Source, TableName
from forecourt.operations.definitions import ConstrainedTable, Context, PolicyFile, Range
from forecourt.operations.entities import table_name
from forecourt.security.rules import Constraint, Operation, Policy, Role
from forecourt.store.catalog import Catalog
from forecourt.store.folder import Faults, Loaded

OPERATIONS: dict[str, frozenset[Operation]] = {
    "Select": frozenset({Operation.READ}),
    "Insert": frozenset({Operation.CREATE}),
    "Update": frozenset({Operation.UPDATE}),
    "Delete": frozenset({Operation.DELETE}),
    "InsertUpdateDelete": frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE}),
    "AllOperations": frozenset(Operation),
}

USER_VALUES = ("id", "email", "company")

MAX_NESTING = 8


class PolicyBuilder:
    """Builds one policy. Raises DefinitionError at the first fault."""

    def __init__(self, loaded: Loaded[PolicyFile], catalog: Catalog | None, attributes: frozenset[str]) -> None:
        self.document: Document = loaded.document
        self.file = loaded.record
        self.catalog = catalog
        self.attributes = attributes

    def build(self) -> Policy:
        file = self.file
        primary = self._table(file.primary_table, "primary_table")
        aliases = {file.alias or primary.name: primary}
        root = next(iter(aliases))
        sources = [Source(root, primary)]
        for position, join in enumerate(file.query.joins):
            path = ("query", "joins", position)
            table = self._table(join.table, *path, "table")
            alias = join.alias or table.name
            if alias in aliases:
                raise self.document.error(f"alias '{alias}' is used twice.", *path, hint="Give the join an alias.")
            links: list[Predicate] = []
            for own, above in join.on.items():
                self._column(table, own, *path, "on", own)
                links.append(Compare("eq", self._reference(above, aliases, *path, "on", own), Column(alias, own)))
            if not links:
                raise self.document.error("a join needs at least one pair of columns.", *path, "on")
            aliases[alias] = table
            sources.append(Source(alias, table, "inner", all_of(*links)))
        ranges = [self._range(item, aliases, position) for position, item in enumerate(file.query.ranges)]
        return Policy(
            name=file.name,
            primary=primary,
            sources=tuple(sources),
            filter=all_of(*ranges),
            constrain_primary=file.constrain_primary,
            constraints=tuple(
                self._constraint(node, primary, ("constrained_tables", position), 1)
                for position, node in enumerate(file.constrained_tables)
            ),
            operations=OPERATIONS[file.operation],
            context=self._context(file.context),
            not_exists=file.not_exists,
            enabled=file.enabled,
            label=file.label,
            where=self.document.where("name"),
        )

    def _context(self, context: Context) -> tuple[Literal["RoleName", "RoleProperty", "ContextString"], str]:
        if context.type == "RoleName":
            if not context.role:
                raise self.document.error("a context of type RoleName needs 'role'.", "context")
            return context.type, context.role
        if not context.value:
            raise self.document.error(f"a context of type {context.type} needs 'value'.", "context")
        return context.type, context.value

    def _range(self, item: Range, aliases: Mapping[str, TableName], position: int) -> Predicate:
        path = ("query", "ranges", position)
        column = self._reference(item.column, aliases, *path, "column")
        given = [name for name in ("equals", "not_equals", "one_of", "is_null") if getattr(item, name) is not None]
        if len(given) != 1:
            raise self.document.error("a range needs exactly one of equals, not_equals, one_of, is_null.", *path)
        if item.equals is not None:
            return Compare("eq", column, self._value(item.equals, *path, "equals"))
        if item.not_equals is not None:
            return Compare("ne", column, self._value(item.not_equals, *path, "not_equals"))
        if item.one_of is not None:
            return In(column, tuple(self._value(value, *path, "one_of") for value in item.one_of))
        return IsNull(column) if item.is_null else negate(IsNull(column))

    def _value(self, value: str | int | bool, *path: str | int) -> Operand:
        if not isinstance(value, str) or not value.startswith("$"):
            return Const(value)
        name = value[1:]
        subject, _, attribute = name.partition(".")
        known = [*USER_VALUES, *sorted(self.attributes)]
        if subject != "user" or attribute not in known:
            raise self.document.error(
                f"'{value}' is not a value of the user.",
                *path,
                hint="Known are: " + ", ".join(f"$user.{item}" for item in known) + ".",
                code="FC6002",
            )
        return Param(name)

    def _constraint(
        self, node: ConstrainedTable, above: TableName, path: tuple[str | int, ...], depth: int
    ) -> Constraint:
        if depth > MAX_NESTING:
            raise self.document.error(f"constrained tables nest deeper than {MAX_NESTING} levels.", *path)
        table = self._table(node.table, *path, "table")
        if not node.relation:
            raise self.document.error("a constrained table needs its relation to the table above.", *path)
        for own, theirs in node.relation.items():
            self._column(table, own, *path, "relation", own)
            self._column(above, theirs, *path, "relation", own)
        return Constraint(
            table=table,
            alias=node.alias or table.name,
            relation=tuple(node.relation.items()),
            constrained=node.constrained,
            nested=tuple(
                self._constraint(child, table, (*path, "tables", position), depth + 1)
                for position, child in enumerate(node.tables)
            ),
            where=self.document.where(*path),
        )

    def _table(self, text: str, *path: str | int) -> TableName:
        table = table_name(text, self.document, *path)
        if self.catalog is not None and table not in self.catalog.tables:
            raise self.document.error(
                f"table {table} does not exist in the database.",
                *path,
                hint=suggest(str(table), (str(name) for name in self.catalog.tables)),
                code="FC6004",
            )
        return table

    def _reference(self, text: str, aliases: Mapping[str, TableName], *path: str | int) -> Column:
        alias, dot, column = text.partition(".")
        if not dot:
            alias, column = next(iter(aliases)), text
        if alias not in aliases:
            raise self.document.error(
                f"'{alias}' is not a table of this query.", *path, hint=suggest(alias, aliases), code="FC6002"
            )
        self._column(aliases[alias], column, *path)
        return Column(alias, column)

    def _column(self, table: TableName, column: str, *path: str | int) -> None:
        if self.catalog is not None and self.catalog.column(table, column) is None:
            raise self.document.error(
                f"table {table} has no column '{column}'.",
                *path,
                hint=suggest(column, self.catalog.tables[table].columns),
                code="FC6004",
            )


def build_policies(
    loaded: Iterable[Loaded[PolicyFile]], catalog: Catalog | None, attributes: frozenset[str], faults: Faults
) -> list[tuple[Policy, Document]]:
    """All policies with the document each comes from."""
    found: list[tuple[Policy, Document]] = []
    names: set[str] = set()
    for item in loaded:
        try:
            policy = PolicyBuilder(item, catalog, attributes).build()
        except DefinitionError as error:
            faults.add(error)
            continue
        if policy.name in names:
            faults.add(item.document.error(f"policy {policy.name} is defined twice.", "name", code="FC6003"))
            continue
        names.add(policy.name)
        found.append((policy, item.document))
    return found


def findings(
    policies: Iterable[tuple[Policy, Document]], roles: Mapping[str, Role], entities: Mapping[str, Entity]
) -> list[DefinitionError]:
    """What ``check`` says of well-formed policies (FC6005)."""
    found: list[DefinitionError] = []
    contexts = sorted({role.context for role in roles.values() if role.context})
    tables = {source.table for entity in entities.values() for source in entity.sources}
    for policy, document in policies:
        kind, value = policy.context
        if kind == "RoleName" and value not in roles:
            found.append(
                document.error(
                    f"policy {policy.name} names role '{value}', which does not exist: "
                    "its tables are closed to everybody.",
                    "context",
                    "role",
                    hint=suggest(value, roles),
                    code="FC6005",
                )
            )
        elif kind == "RoleProperty" and value not in contexts:
            found.append(
                document.error(
                    f"policy {policy.name} has context '{value}', which no role carries: "
                    "its tables are closed to everybody.",
                    "context",
                    "value",
                    hint=suggest(value, contexts),
                    code="FC6005",
                )
            )
        elif kind == "ContextString":
            found.append(
                document.error(
                    f"policy {policy.name} waits for context string '{value}', which nothing sets: "
                    "its tables are closed to everybody.",
                    "context",
                    "value",
                    hint="Use RoleProperty and give a role this 'context'.",
                    code="FC6005",
                )
            )
        if not policy.tables & tables:
            found.append(
                document.error(
                    f"policy {policy.name} constrains no table of any entity.",
                    "constrained_tables",
                    hint="Name the tables beneath the entities it is meant for.",
                    code="FC6005",
                )
            )
    return found
