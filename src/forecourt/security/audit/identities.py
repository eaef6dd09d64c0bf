"""Identities, and classes of them whose rules have one shape: one question covers a class.

The shape is what lowering looks at: roles and the legal entities they count in, web roles, security roles. What differs
within a class are values: ids, accounts, e-mails.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.odata.fetchxml.clock import moment_named
from forecourt.security.constructs import is_moment
from forecourt.security.scope import Scope
from forecourt.security.scopes import utc_now, values_of

Sort = Literal["mapped", "external", "anonymous", "registered", "sql"]


@dataclass(frozen=True)
class Identity:
    """Somebody from outside. ``direct``: as a caller of ``/data``; ``portal``: as a visitor of the site; ``fault``: why
    the portal refuses the person. ``standing``: further values at the Dataverse door, whose roles are in ``direct``.

    ``sort``: a contact mapped to a user, an external user without a contact, a visitor, somebody who has just
    registered (a contact without account, mapping or web roles of its own), or a user of our own as whom a database
    role reads, of whom plain SQL alone is asked.
    """

    label: str
    direct: Principal | None = None
    portal: Principal | None = None
    fault: Refusal | None = None
    sort: Sort = "mapped"
    standing: Mapping[str, object] = field(default_factory=dict)

    @property
    def user(self) -> OperationsUser | None:
        return self.direct.operations_user if self.direct is not None else None

    @property
    def values(self) -> Mapping[str, object]:
        """What predicates may compare with."""
        return _Known(
            {
                **(values_of(self.direct) if self.direct is not None else {}),
                **(values_of(self.portal) if self.portal is not None else {}),
                **self.standing,
            }
        )

    def scope(self, door: Door) -> Scope | None:
        """The scope at a door, with every umbrella left to the statement; None where the person cannot enter."""
        principal = self.portal if door in (Door.PORTAL, Door.PORTAL_API) else self.direct
        return None if principal is None else Scope(principal, door)

    @property
    def shape(self) -> Hashable:
        user = self.user
        decided = None
        if user is not None:
            decided = (user.roles, user.companies, user.external, user.enabled, user.company, user.contexts)
        security = self.direct.security_roles if self.direct is not None else None
        web = self.portal.web_roles if self.portal is not None else None
        person = self.portal is not None and self.portal.contact is not None
        return (self.sort, decided, security, web, person)


@dataclass(frozen=True)
class Class:
    """Identities of one shape; the first stands for all where values do not matter."""

    members: tuple[Identity, ...]

    @property
    def first(self) -> Identity:
        return self.members[0]


def classes(identities: Iterable[Identity], at_once: int) -> Iterator[Class]:
    """The identities without a fault by shape, at most so many together."""
    found: dict[Hashable, list[Identity]] = {}
    for identity in identities:
        if identity.fault is None:
            found.setdefault(identity.shape, []).append(identity)
    for members in found.values():
        for start in range(0, len(members), at_once):
            yield Class(tuple(members[start : start + at_once]))


class _Known(dict[str, object]):
    """Values of a person; what a person does not have is null, and the moment is that of the question."""

    def __missing__(self, name: str) -> object:
        return moment_named(name, utc_now()) if is_moment(name) else None
