"""What ties a person of the portal to the operations user it acts as: data, not rules, so that proofs assume it.

A table permission compares columns with values of the contact or its account; a policy starts from rows of its primary
table that are the user's own, its umbrella. Where both speak of one column, a proof needs that they mean the same::

    inward    a row of the primary table that the account names is there; those that are, are the user's own
    outward   the user's own rows are those that the account names

Each is a closed predicate over the person's parameters, so that the data can be asked who keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from forecourt.kernel.model import Entity, Model
from forecourt.kernel.predicate import (
    TRUE,
    Column,
    Compare,
    Exists,
    IsNull,
    Not,
    Operand,
    Param,
    Predicate,
    all_of,
    any_of,
    negate,
)
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.security.permissions import root_of
from forecourt.security.prove.decide import Assumption
from forecourt.security.prove.joins import deeply
from forecourt.security.rules import Policy, PortalRules, Scope, TablePermission

#: The alias of a policy's primary table in what is assumed.
PRIMARY = "own"


@dataclass(frozen=True)
class Tie:
    """A column that a policy and a permission both speak of: of the primary table, or of a constrained one that hangs
    on it by ``relation`` (its own columns, those of the primary table). ``param``: the person's value."""

    table: TableName
    column: str
    param: str
    relation: tuple[tuple[str, str], ...] = ()

    @property
    def alias(self) -> str:
        return f"tied.{self.table}" if self.relation else PRIMARY


def ties(rules: PortalRules, model: Model, permission: TablePermission, policy: Policy) -> tuple[Tie, ...]:
    """What ties the person of a permission's tree to the rows that a policy starts from."""
    root = root_of(permission, {each.id: each for each in rules.permissions})
    if root is None or root.scope not in (Scope.CONTACT, Scope.ACCOUNT):
        return ()
    person = "contact" if root.scope is Scope.CONTACT else "account"
    link = rules.relationships.get((root.table, root.relationship or ""))
    entity = model.entities.get(root.table)
    if link is None or entity is None:
        return ()
    found: dict[tuple[str, str], Tie] = {}
    for own, theirs in link.match:
        for tie in _tied(entity, own, f"{person}.{theirs}", policy):
            found.setdefault((tie.alias, tie.column), tie)
    return tuple(found[key] for key in sorted(found))


def _tied(entity: Entity, name: str, param: str, policy: Policy) -> Iterator[Tie]:
    """Where the policy has the column of a field: in the primary table, by a relation, or beside it. Never in the
    entity's own rows: what these are is the question."""
    found = entity.fields.get(name)
    if found is None:
        return
    source = next(each for each in entity.sources if each.alias == found.source)
    table = source.table
    if table == policy.primary:
        yield Tie(policy.primary, found.column, param)
    for node in policy.constraints:
        if node.table == table:
            above = [theirs for own, theirs in node.relation if own == found.column]
            if above:
                yield Tie(policy.primary, above[0], param)
            elif node.relation and node.condition == TRUE and table != entity.root.table:
                yield Tie(table, found.column, param, node.relation)
    above_tables = {each.alias: each.table for each in entity.sources}
    if source.on and all(above_tables[alias] == policy.primary for (alias, _), _ in source.on):
        yield Tie(table, found.column, param, tuple((own, theirs) for (_, theirs), own in source.on))


def inward(policy: Policy, found: tuple[Tie, ...]) -> tuple[Assumption, ...]:
    """What a person names is there, and is the user's own."""
    sources, condition = _umbrella(policy)
    beside, named = _beside(found), _named(found)
    rest = sources[1:]
    kept: Predicate = condition
    if rest:
        kept = Exists(Select((Source(rest[0].alias, rest[0].table), *rest[1:]), all_of(rest[0].on, condition)))
    nobody = [IsNull(Param(tie.param)) for tie in found]
    there = Exists(Select((sources[0], *beside), named))
    strangers = Exists(Select((sources[0], *beside), all_of(named, negate(kept))))
    return (
        Assumption(f"a row of {policy.primary} has {_words(found)}", any_of(*nobody, there)),
        Assumption(
            f"policy {policy.name} gives the mapped user every row of {policy.primary} with {_words(found)}",
            any_of(*nobody, negate(strangers)),
        ),
    )


def outward(policy: Policy, found: tuple[Tie, ...]) -> tuple[Assumption, ...]:
    """What is the user's own, the person names."""
    sources, condition = _umbrella(policy)
    named, beside = _named(found), _beside(found)
    holds = negate(Exists(Select((*sources, *beside), all_of(condition, Not(named)))))
    if beside:  # and there is such a row beside it
        first = Source(beside[0].alias, beside[0].table)
        there = Exists(Select((first, *beside[1:]), all_of(beside[0].on, named)))
        holds = all_of(holds, negate(Exists(Select(sources, all_of(condition, negate(there))))))
    text = f"every row of {policy.primary} that policy {policy.name} gives the mapped user has {_words(found)}"
    return (Assumption(text, holds),)


def _beside(found: tuple[Tie, ...]) -> tuple[Source, ...]:
    """The tables of ties that are beside the primary one."""
    tables = {tie.alias: tie for tie in found if tie.relation}
    return tuple(
        Source(
            alias,
            tie.table,
            "inner",
            all_of(*(Compare("eq", Column(alias, own), Column(PRIMARY, above)) for own, above in tie.relation)),
        )
        for alias, tie in tables.items()
    )


def _umbrella(policy: Policy) -> tuple[tuple[Source, ...], Predicate]:
    """The policy query under aliases of its own."""

    def own(operand: Operand) -> Operand:
        if isinstance(operand, Column) and operand.alias in names:
            return replace(operand, alias=names[operand.alias])
        return operand

    names = {source.alias: f"own.{source.alias}" for source in policy.sources} | {policy.sources[0].alias: PRIMARY}
    sources = tuple(Source(names[s.alias], s.table, s.join, deeply(s.on, own)) for s in policy.sources)
    return sources, deeply(policy.filter, own)


def _named(found: tuple[Tie, ...]) -> Predicate:
    return all_of(*(Compare("eq", Column(tie.alias, tie.column), Param(tie.param)) for tie in found))


def _words(found: tuple[Tie, ...]) -> str:
    names = (tie.column if tie.alias == PRIMARY else f"{tie.table}.{tie.column}" for tie in found)
    return " and ".join(f"{name} = {tie.param}" for name, tie in zip(names, found, strict=True))
