"""Impersonation: a request in somebody else's name, ``CallerObjectId`` or ``MSCRMCallerID`` (pages-and-dataverse B2.9).

Who asks for it needs the privilege to act on behalf of another user, which System Administrators have and nobody else:
the effective rights are those that both users hold, and an administrator holds all. So everything is decided as if
the other user had come: security roles, owner and maker of rows, and on virtual tables the operations chain. A header
is never passed over: rows that were meant for somebody's eyes would be everybody's. Who really asked is in the log.

Leaves out: privileges of the kind for other roles, the columns ``createdonbehalfby`` and ``modifiedonbehalfby``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import ReadPlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.principal import INTEGRATION, SYSTEM_ADMIN_ROLE, Door, Principal
from forecourt.kernel.types import Kind
from forecourt.security.gate import Gate
from forecourt.security.scope import Scope

#: Header -> the column of ``systemuser`` that it names a user by.
HEADERS: Mapping[str, str] = {"callerobjectid": "azureactivedirectoryobjectid", "mscrmcallerid": "systemuserid"}

#: What everything is read as that decides about the request itself.
_SYSTEM = Scope(INTEGRATION, Door.DATAVERSE)

PrincipalOf = Callable[[str], Awaitable[Principal]]


class Impersonation:
    """Finds whose name a request is in. ``principal_of``: the principal of an operations user's id."""

    def __init__(self, gate: Gate, principal_of: PrincipalOf) -> None:
        self._gate = gate
        self._principal_of = principal_of

    async def __call__(self, asking: Principal, headers: Mapping[str, str]) -> Principal:
        """The principal that a request is decided for. Raises Refusal FC1001, FC3001, FC3002."""
        given = [name for name in HEADERS if headers.get(name, "").strip()]
        if not given:
            return asking
        scope = await self._gate.scope(asking, Door.DATAVERSE, fresh=True)
        if SYSTEM_ADMIN_ROLE not in scope.principal.security_roles:
            text = "Principal user is missing prvActOnBehalfOfAnotherUser privilege."
            raise Refusal("FC3001", text, hint="Send the request without the header.", source=given[0])
        if len(given) > 1:
            raise Refusal("FC1001", "CallerObjectId and MSCRMCallerID cannot both hold.", hint="Send one of them.")
        (name,) = given
        try:
            user = UUID(headers[name].strip())
        except ValueError:
            raise Refusal("FC1001", f"The header {name} is not a GUID.", source=name) from None
        return await self._principal(HEADERS[name], user)

    async def _principal(self, column: str, user: UUID) -> Principal:
        plan = ReadPlan("systemuser", key=((column, Slot(0, Kind.GUID)),), cross_company=True)
        rows = await self._gate.coordinator.run(
            lambda work: self._gate.read_in(work, _SYSTEM, plan, [user]), "whose name a request is in", settle=False
        )
        stranger = Refusal("FC3002", "The user is not a member of the organization.")
        if not rows or rows[0]["isdisabled"] or not rows[0]["domainname"]:
            raise stranger
        try:
            return await self._principal_of(str(rows[0]["domainname"]))
        except Refusal:
            raise stranger from None
