"""XDS policies from their files (operations-and-integration 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from forecourt.kernel.document import Document
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.predicate import Column, Compare, Const, Operand, Predicate, all_of, operands
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.operations.definitions import ConstrainedTable, Context, PolicyFile
from forecourt.operations.policies.expressions import parse_expression
from forecourt.operations.policies.queries import Query, QueryBuilder
from forecourt.security.constructs import Construct
from forecourt.security.rules import Constraint, Operation, Policy
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

MAX_NESTING = 8

#: The tables above a node by alias, the primary table first.
Above = tuple[tuple[str, TableName], ...]


class PolicyBuilder:
    """Builds one policy. Raises DefinitionError at the first fault."""

    def __init__(
        self,
        loaded: Loaded[PolicyFile],
        catalog: Catalog | None,
        attributes: frozenset[str],
        constructs: Mapping[str, Construct],
    ) -> None:
        self.document: Document = loaded.document
        self.file = loaded.record
        self.names = QueryBuilder(loaded.document, catalog, attributes, constructs)

    def build(self) -> Policy:
        file = self.file
        primary = self.names.table(file.primary_table, "primary_table")
        query = self.names.build(primary, file.alias or primary.name, file.query)
        root: Above = ((query.sources[0].alias, primary),)
        return Policy(
            name=file.name,
            primary=primary,
            sources=query.sources,
            filter=query.filter,
            constrain_primary=file.constrain_primary,
            constraints=tuple(
                self._constraint(node, query, root, ("constrained_tables", position))
                for position, node in enumerate(file.constrained_tables)
            ),
            operations=OPERATIONS[file.operation],
            context=self._context(file.context),
            not_exists=file.not_exists,
            enabled=file.enabled,
            label=file.label,
            where=self.document.where("name"),
            constructs=query.constructs,
            help_text=file.help_text,
            obsolete=file.obsolete,
            tags=file.tags,
        )

    def _context(self, context: Context) -> tuple[Literal["RoleName", "RoleProperty", "ContextString"], str]:
        if context.type == "RoleName":
            if not context.role:
                raise self.document.error("a context of type RoleName needs 'role'.", "context")
            return context.type, context.role
        if not context.value:
            raise self.document.error(f"a context of type {context.type} needs 'value'.", "context")
        return context.type, context.value

    def _constraint(
        self, node: ConstrainedTable, query: Query, above: Above, path: tuple[str | int, ...]
    ) -> Constraint:
        if len(above) > MAX_NESTING:
            raise self.document.error(f"constrained tables nest deeper than {MAX_NESTING} levels.", *path)
        table = self.names.table(node.table, *path, "table")
        alias = node.alias or table.name
        if not node.relation and node.expression is None:
            raise self.document.error(
                "a constrained table needs its relation to the table above.",
                *path,
                hint="Write relation: {own column: column above}, or an expression.",
            )
        relation = list(node.relation.items())
        for own, theirs in relation:
            self.names.column(table, own, *path, "relation", own)
            self.names.column(above[-1][1], theirs, *path, "relation", own)
        condition: list[Predicate] = []
        if node.expression is not None:
            for comparison in self._expression(node.expression, query, (*above, (alias, table)), path):
                pair = _pair(comparison, alias, above[-1][0])
                if pair is not None:
                    relation.append(pair)
                else:
                    condition.append(comparison)
        return Constraint(
            table=table,
            alias=alias,
            relation=tuple(dict.fromkeys(relation)),
            constrained=node.constrained,
            nested=tuple(
                self._constraint(child, query, (*above, (alias, table)), (*path, "tables", position))
                for position, child in enumerate(node.tables)
            ),
            where=self.document.where(*path),
            condition=all_of(*condition),
        )

    def _expression(self, text: str, query: Query, chain: Above, path: tuple[str | int, ...]) -> tuple[Compare, ...]:
        """The comparisons of a node's expression. ``chain``: the tables above it, and its own."""
        path = (*path, "expression")
        own = chain[-1][0]
        names = [alias for alias, _ in chain]
        taken = [*names[1:], *(source.alias for source in query.sources)]
        for alias in names:
            if taken.count(alias) > 1:
                hint = "Give each table of the policy an alias of its own."
                raise self.document.error(f"'{alias}' stands for more than one table.", *path, hint=hint)
        try:
            found = parse_expression(text)
        except ValueError as error:
            hint = "Write Alias.column = Alias.column, joined by and."
            raise self.document.error(f"the expression cannot be read: {error}.", *path, hint=hint) from None
        for comparison in found:
            for operand in operands(comparison):
                if isinstance(operand, Column):
                    self.names.reference(f"{operand.alias}.{operand.name}", dict(chain), *path)
        found = tuple(self._typed(comparison, dict(chain), path) for comparison in found)
        if not any(_joins(comparison, own) for comparison in found):
            hint = "Compare a column of the table with one of a table above it."
            raise self.document.error(f"the expression does not tie '{own}' to a table above it.", *path, hint=hint)
        return found

    def _typed(self, item: Compare, tables: Mapping[str, TableName], path: tuple[str | int, ...]) -> Compare:
        """The comparison with its texts as values of the column beside them."""

        def value(operand: Operand, beside: Operand) -> Operand:
            if isinstance(operand, Const) and isinstance(operand.value, str):
                return self.names.value(operand.value, _kind(beside, self.names, tables), *path)
            return operand

        return Compare(item.op, value(item.left, item.right), value(item.right, item.left))


def _kind(operand: Operand, names: QueryBuilder, tables: Mapping[str, TableName]) -> Kind | None:
    return names.kind(tables[operand.alias], operand.name) if isinstance(operand, Column) else None


def _joins(comparison: Compare, own: str) -> bool:
    aliases = {operand.alias for operand in operands(comparison) if isinstance(operand, Column)}
    return comparison.op == "eq" and len(aliases) == 2 and own in aliases


def _pair(comparison: Compare, own: str, above: str) -> tuple[str, str] | None:
    """A comparison that is a relation to the table above: (own column, column there)."""
    sides = {each.alias: each.name for each in (comparison.left, comparison.right) if isinstance(each, Column)}
    if comparison.op != "eq" or set(sides) != {own, above}:
        return None
    return sides[own], sides[above]


def build_policies(
    loaded: Iterable[Loaded[PolicyFile]],
    catalog: Catalog | None,
    attributes: frozenset[str],
    constructs: Mapping[str, Construct],
    faults: Faults,
) -> list[tuple[Policy, Document]]:
    """All policies with the document each comes from."""
    found: list[tuple[Policy, Document]] = []
    names: set[str] = set()
    for item in loaded:
        try:
            policy = PolicyBuilder(item, catalog, attributes, constructs).build()
        except DefinitionError as error:
            faults.add(error)
            continue
        if policy.name in names:
            faults.add(item.document.error(f"policy {policy.name} is defined twice.", "name", code="FC6003"))
            continue
        names.add(policy.name)
        found.append((policy, item.document))
    return found
