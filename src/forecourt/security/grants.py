"""What an operations user's roles grant on an entity, and deny: operations, legal entities, fields.

Roles combine by union, and a denial in any of them wins over every grant (operations-and-integration 6). Both count in
the legal entities of the role's assignment alone, so the answer is found legal entity by legal entity: those that are
named somewhere, and all others together. An operation is open in those where a role grants it and none denies it. A
field is open where it is so in each of these: one statement shows the rows of all of them. On data that all legal
entities share, every grant and every denial counts.

System administrators pass every check, on the direct door only. Deny by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from forecourt.kernel.predicate import FALSE, Compare, Const, In, Operand, Predicate, negate
from forecourt.kernel.principal import OperationsUser, Principal
from forecourt.security.rules import (
    NEVER_BEHIND_PORTAL,
    PORTAL_ANONYMOUS,
    PORTAL_USER,
    SYSTEM_ADMINISTRATOR,
    Grant,
    Mode,
    Operation,
    OperationsRules,
)

#: Stands for every legal entity that no assignment names.
ELSEWHERE = None

Held = Sequence[tuple[str, Grant]]


@dataclass(frozen=True, slots=True)
class Granted:
    """The outcome. ``companies`` None: every legal entity but ``closed``; ``fields`` None: every field but ``hidden``.

    ``grants``, ``denials``: what decided it, as (role, grant); empty for an administrator.
    """

    allowed: bool
    companies: frozenset[str] | None = None
    fields: frozenset[str] | None = None
    grants: tuple[tuple[str, Grant], ...] = ()
    closed: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    denials: tuple[tuple[str, Grant], ...] = ()

    def opens(self, field: str) -> bool:
        """Whether a field of the data entity is open."""
        return field not in self.hidden and (self.fields is None or field in self.fields)

    def counts_in(self, company: str) -> bool:
        """Whether it is granted in a legal entity, whose id is compared without regard to case."""
        folded = company.casefold()
        if any(folded == name.casefold() for name in self.closed):
            return False
        return self.companies is None or any(folded == name.casefold() for name in self.companies)

    def within(self, company: Operand) -> Predicate:
        """The rows of the legal entities in which it is granted. ``company``: where a row has its legal entity."""
        if self.companies is not None:
            return _among(company, self.companies)
        return negate(_among(company, self.closed))


DENIED = Granted(False, frozenset(), frozenset())


def granted(
    rules: OperationsRules,
    user: OperationsUser,
    entity: str,
    operation: Operation,
    mode: Mode | None = Mode.DATA_SERVICES,
    shared: bool = False,
) -> Granted:
    """What ``user`` may do to ``entity``, by one way to it, or (None) by whichever. ``shared``: its rows are of no
    legal entity."""
    if mode is None:
        ways = [granted(rules, user, entity, operation, way, shared) for way in Mode]
        return next((way for way in ways if way.allowed), ways[0])

    def grants(grant: Grant) -> bool:
        return operation in grant.operations and mode in grant.modes

    def denies(grant: Grant) -> bool:
        return grant.denies(operation) and mode in grant.modes

    reading = operation is Operation.READ

    def fields(held: Held) -> tuple[frozenset[str] | None, frozenset[str]]:
        opened = union(grant.read_fields if reading else grant.update_fields for _, grant in held if grants(grant))
        denied = [
            grant.denied_read if reading else grant.denied_read | grant.denied_update
            for _, grant in held
            if mode in grant.modes
        ]
        return opened, frozenset().union(*denied)

    return _decided(rules, user, entity, grants, denies, fields, shared)


def may_call(rules: OperationsRules, user: OperationsUser, entity: str, action: str) -> Granted:
    """Whether ``user`` may call an action of ``entity``, and in which legal entities (operations-and-integration 5.10).

    An action has a permission of its own: no right to rows brings it along, and no denial of rows takes it away.
    """

    def grants(grant: Grant) -> bool:
        return action in grant.actions and Mode.DATA_SERVICES in grant.modes

    def denies(grant: Grant) -> bool:
        return action in grant.denied_actions and Mode.DATA_SERVICES in grant.modes

    return _decided(rules, user, entity, grants, denies, lambda _: (None, frozenset()), False)


def _decided(
    rules: OperationsRules,
    user: OperationsUser,
    entity: str,
    grants: Callable[[Grant], bool],
    denies: Callable[[Grant], bool],
    fields: Callable[[Held], tuple[frozenset[str] | None, frozenset[str]]],
    shared: bool,
) -> Granted:
    if not user.enabled:
        return DENIED
    if SYSTEM_ADMINISTRATOR in user.roles:
        return Granted(True)
    held = tuple(
        (name, grant)
        for name in sorted(user.roles)
        if (role := rules.roles.get(name)) is not None
        for grant in role.by_entity.get(entity, ())
    )
    granting = tuple(pair for pair in held if grants(pair[1]))
    denying = tuple(pair for pair in held if denies(pair[1]))
    if not granting:
        return Granted(False, frozenset(), frozenset(), denials=denying)
    limits = {} if shared else dict(user.companies)
    opened: dict[str | None, Held] = {}
    named = sorted({company for name, _ in held for company in limits.get(name) or ()})
    for company in (*named, ELSEWHERE):
        counting = tuple(pair for pair in held if _counts(limits.get(pair[0]), company))
        if any(grants(grant) for _, grant in counting) and not any(denies(grant) for _, grant in counting):
            opened[company] = counting
    if not opened:
        return Granted(False, frozenset(), frozenset(), granting, denials=denying)
    shown = [fields(counting) for counting in opened.values()]
    companies = frozenset(company for company in opened if company is not ELSEWHERE)
    everywhere = ELSEWHERE in opened
    return Granted(
        allowed=True,
        companies=None if everywhere else companies,
        fields=_common(opening for opening, _ in shown),
        grants=granting,
        closed=frozenset(named) - companies if everywhere else frozenset(),
        hidden=frozenset().union(*(hidden for _, hidden in shown)),
        denials=denying,
    )


def _among(company: Operand, ids: frozenset[str]) -> Predicate:
    if len(ids) == 1:
        return Compare("eq", company, Const(min(ids)))
    return In(company, tuple(Const(name) for name in sorted(ids))) if ids else FALSE


def _counts(limit: frozenset[str] | None, company: str | None) -> bool:
    """Whether an assignment with this limit counts in a legal entity, or elsewhere."""
    return limit is None or company in limit


def usable_behind(principal: Principal, user: OperationsUser) -> bool:
    """Whether a person of the portal may still act as ``user``, whose rows have been read again since the person was
    resolved: no administrator and nobody whom no policy constrains, and with the portal's role
    (operations-and-integration 3.1). Others act as themselves.
    """
    if principal.contact is None and not principal.web_roles:
        return True
    needed = PORTAL_ANONYMOUS if principal.contact is None else PORTAL_USER
    never = {role.casefold() for role in NEVER_BEHIND_PORTAL}
    return needed in user.roles and not any(role.casefold() in never for role in user.roles)


def union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Union where None stands for everything."""
    result: frozenset[str] = frozenset()
    for item in sets:
        if item is None:
            return None
        result |= item
    return result


def _common(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Intersection where None stands for everything."""
    result: frozenset[str] | None = None
    for item in sets:
        if item is not None:
            result = item if result is None else result & item
    return result
