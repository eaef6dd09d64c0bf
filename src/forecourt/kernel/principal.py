"""Who is asking: everything that rules may look at, resolved before a plan is secured.

A Principal is made by ``identity`` (from a session or a token) and by nothing else that answers requests. Unknown
means no: an absent part matches no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Door(StrEnum):
    """The way a request comes in; it says which layers decide (design, section 4)."""

    OPERATIONS = "operations"
    DATAVERSE = "dataverse"
    PORTAL = "portal"
    PORTAL_API = "portal_api"
    PACKAGES = "packages"


@dataclass(frozen=True, slots=True)
class OperationsUser:
    """A user of the operations side.

    ``companies``: the legal entities each role counts in, as pairs (role, ids or None for all). ``external``: holds
    SystemExternalUser. ``fingerprint``: of the rows that the user was read from, '' where a file defines it.
    ``contexts``: context strings that business logic has set for this call (operations-and-integration 4.1).
    """

    id: str
    name: str
    email: str
    company: str
    roles: frozenset[str]
    companies: tuple[tuple[str, frozenset[str] | None], ...] = ()
    external: bool = False
    enabled: bool = True
    attributes: tuple[tuple[str, str], ...] = ()
    language: str = "en-US"
    fingerprint: str = ""
    contexts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Contact:
    """A portal user: a row of table contact, with the account it belongs to."""

    id: UUID
    name: str
    email: str
    account: UUID | None = None
    columns: tuple[tuple[str, object], ...] = ()
    account_columns: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class DataverseUser:
    """A row of table systemuser: its id, its business unit, and the teams that it is a member of."""

    id: UUID
    business_unit: UUID
    teams: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Principal:
    """The asking identity. ``web_roles``: names, the authenticated or anonymous ones included.

    ``security_roles``: names of Dataverse roles, of the user and of its teams. ``dataverse_user``: at the Dataverse
    door, as whom rows are made.
    """

    contact: Contact | None = None
    web_roles: frozenset[str] = frozenset()
    operations_user: OperationsUser | None = None
    security_roles: frozenset[str] = frozenset()
    claims: Mapping[str, str] = field(default_factory=dict)
    dataverse_user: DataverseUser | None = None

    @property
    def label(self) -> str:
        """A short name for logs and reports."""
        if self.contact is not None:
            return self.contact.email or self.contact.name
        if self.operations_user is not None:
            return self.operations_user.id
        return "anonymous"


ANONYMOUS = Principal()

#: The operations role that passes every check, and its counterpart in Dataverse.
SYSTEM_ADMINISTRATOR = "-SYSADMIN-"
SYSTEM_ADMIN_ROLE = "System Administrator"

#: As whom the integration engines and the rows of business logic are written: an administrator that nobody can sign in
#: as (operations-and-integration 1.15). Never a person: what it does is observed and logged as its own.
INTEGRATION = Principal(
    operations_user=OperationsUser(
        id="forecourt.integration",
        name="Integration",
        email="",
        company="dat",
        roles=frozenset({SYSTEM_ADMINISTRATOR}),
    ),
    security_roles=frozenset({SYSTEM_ADMIN_ROLE}),
)
