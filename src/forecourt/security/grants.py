"""What an operations user's roles grant on an entity: operations, legal entities, fields.

Roles combine by union (operations-and-integration 6): an operation is granted in the union of the legal entities in
which the granting roles count. System administrators pass every check, on the direct door only. Deny by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from forecourt.kernel.principal import OperationsUser, Principal
from forecourt.security.rules import (
    ADMINISTRATORS,
    PORTAL_ANONYMOUS,
    PORTAL_USER,
    SYSTEM_ADMINISTRATOR,
    Grant,
    Mode,
    Operation,
    OperationsRules,
)


@dataclass(frozen=True, slots=True)
class Granted:
    """The outcome. ``companies`` None: every legal entity; ``fields`` None: every field.

    ``grants``: what decided it, as (role, grant); empty for an administrator.
    """

    allowed: bool
    companies: frozenset[str] | None = None
    fields: frozenset[str] | None = None
    grants: tuple[tuple[str, Grant], ...] = ()


DENIED = Granted(False, frozenset(), frozenset())


def granted(
    rules: OperationsRules,
    user: OperationsUser,
    entity: str,
    operation: Operation,
    mode: Mode | None = Mode.DATA_SERVICES,
) -> Granted:
    """What ``user`` may do to ``entity``, by one way to it, or (None) by whichever."""
    found = _held(
        rules, user, entity, lambda grant: operation in grant.operations and (mode is None or mode in grant.modes)
    )
    if isinstance(found, Granted):
        return found
    reading = operation is Operation.READ
    fields = union(grant.read_fields if reading else grant.update_fields for _, grant in found)
    return Granted(True, _companies(user, found), fields, found)


def may_call(rules: OperationsRules, user: OperationsUser, entity: str, action: str) -> Granted:
    """Whether ``user`` may call an action of ``entity``, and in which legal entities (operations-and-integration 5.10).

    An action has a permission of its own: no right to rows brings it along.
    """
    found = _held(rules, user, entity, lambda grant: action in grant.actions and Mode.DATA_SERVICES in grant.modes)
    return found if isinstance(found, Granted) else Granted(True, _companies(user, found), None, found)


def _held(
    rules: OperationsRules, user: OperationsUser, entity: str, fits: Callable[[Grant], bool]
) -> tuple[tuple[str, Grant], ...] | Granted:
    """Pairs (role, grant) of an entity that fit; or all there is to say, where it does not depend on them."""
    if not user.enabled:
        return DENIED
    if SYSTEM_ADMINISTRATOR in user.roles:
        return Granted(True)
    found = tuple(
        (name, grant)
        for name in sorted(user.roles)
        if (role := rules.roles.get(name)) is not None
        for grant in role.by_entity.get(entity, ())
        if fits(grant)
    )
    return found or DENIED


def _companies(user: OperationsUser, found: Sequence[tuple[str, Grant]]) -> frozenset[str] | None:
    limits = dict(user.companies)
    return union(limits.get(name) for name, _ in found)


def usable_behind(principal: Principal, user: OperationsUser) -> bool:
    """Whether a person of the portal may still act as ``user``, whose rows have been read again since the person was
    resolved: no administrator, and with the portal's role (operations-and-integration 3.1). Others act as themselves.
    """
    if principal.contact is None and not principal.web_roles:
        return True
    needed = PORTAL_ANONYMOUS if principal.contact is None else PORTAL_USER
    administrators = {role.casefold() for role in ADMINISTRATORS}
    return needed in user.roles and not any(role.casefold() in administrators for role in user.roles)


def union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Union where None stands for everything."""
    result: frozenset[str] = frozenset()
    for item in sets:
        if item is None:
            return None
        result |= item
    return result
