"""Plain SQL as one of the doors: which rows of an entity a mapped database role gets, by the rules given to PostgreSQL.

What the database is told is a :class:`~forecourt.kernel.row_security.Protection`; here it is read as the database reads
it, for a user with its roles, so that the rows can be compared with those of ``/data`` for many people at once. Whether
the database *has* been told, and nothing beside, only the database knows: :class:`Enforced` says what it answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, TRUE, Compare, Const, In, Operand, Predicate, all_of, negate
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.row_security import EntityRule, Protection
from forecourt.security.audit.algebra import renamed
from forecourt.security.audit.findings import Finding


@dataclass(frozen=True)
class Enforced:
    """``logins``: pairs (database role, user). ``missing``: what 'native apply' would do, in words. ``beside``: what
    lets mapped roles read around the rules. ``unknown``: why the database could not be asked."""

    protection: Protection
    logins: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    unknown: str = ""


def shown(protection: Protection, entity: Entity, user: OperationsUser) -> Predicate:
    """The rows of an entity's view, over its tables' columns; FALSE where the user sees none."""
    rule = next((item for item in protection.entities if item.entity.name == entity.name), None)
    if rule is None or not user.enabled:
        return FALSE
    administers = protection.administrator in user.roles
    passes = administers or (protection.bypass in user.roles and protection.external not in user.roles)
    conditions: list[Predicate] = []
    if not administers:
        if not _opens(protection, rule, user):
            return FALSE
        conditions.append(_legal_entities(rule, user))
    if not passes:
        conditions += _ruled(protection, entity, user)
    return all_of(*conditions)


def _opens(protection: Protection, rule: EntityRule, user: OperationsUser) -> bool:
    opening, roles = rule.read, user.roles
    if not opening.granting & roles or (rule.entity.company is None and opening.denying & roles):
        return False
    needed = opening.constrained
    return needed is None or protection.external not in roles or bool(needed & roles)


def _legal_entities(rule: EntityRule, user: OperationsUser) -> Predicate:
    if rule.entity.company is None:
        return TRUE
    field = rule.entity.fields[rule.entity.company]
    column = field.at()
    granting, denying = _where(user, rule.read.granting), _where(user, rule.read.denying)
    inside = TRUE if granting is None else _among(column, granting)
    return FALSE if denying is None else all_of(inside, negate(_among(column, denying)))


def _where(user: OperationsUser, roles: frozenset[str]) -> frozenset[str] | None:
    """The legal entities in which the user holds one of these roles; None for all."""
    limits = dict(user.companies)
    held = [limits.get(role) for role in roles & user.roles]
    return None if None in held else frozenset().union(*(found for found in held if found is not None))


def _among(column: Operand, ids: frozenset[str]) -> Predicate:
    if len(ids) == 1:
        return Compare("eq", column, Const(min(ids)))
    return In(column, tuple(Const(name) for name in sorted(ids))) if ids else FALSE


def _ruled(protection: Protection, entity: Entity, user: OperationsUser) -> Iterator[Predicate]:
    """What row security asks of the tables without which there is no row."""
    for source in entity.sources:
        if source.join == "left":
            continue
        for rule in protection.rows:
            concerned = rule.roles is None or rule.roles & user.roles
            if rule.table == source.table and "read" in rule.operations and concerned and not rule.unless & user.roles:
                yield renamed(rule.condition, {rule.table.name: source.alias})


def unenforced(enforced: Enforced | None) -> Iterable[Finding]:
    """What the database does otherwise than the rules say."""
    if enforced is None:
        return
    roles = ", ".join(f"{role} as {user}" for role, user in enforced.logins)
    if enforced.unknown:
        yield Finding(
            "FC7000",
            f"plain SQL could not be compared: {enforced.unknown}",
            "let the solution's connection read what 'forecourt native' has recorded",
            subject="FC7021",
        )
    if enforced.missing:
        yield Finding(
            "FC7021",
            f"the database enforces other rules than these: {len(enforced.missing)} steps are missing, the first "
            f"is '{enforced.missing[0]}'" + (f"; {roles}" if roles else ""),
            "run 'forecourt native apply'",
            subject="steps",
        )
    for text in enforced.beside:
        yield Finding("FC7021", text.rstrip("."), "take the right away, or unmap the role", subject=text)
