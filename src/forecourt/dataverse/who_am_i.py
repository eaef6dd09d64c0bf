"""``WhoAmI()``: who the asker is in Dataverse (reference B3)."""

from __future__ import annotations

from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.security.scope import Scope
from forecourt.security.services import Answer, Call
from forecourt.security.standing import id_of

#: Type of the answer.
RESPONSE = "Microsoft.Dynamics.CRM.WhoAmIResponse"


def organization_id(name: str) -> UUID:
    """The id of a solution's organization."""
    return id_of("organization", name)


def who_am_i(scope: Scope, organization: UUID) -> dict[str, str]:
    """The asker's user, business unit and organization. Raises Refusal FC3002 for somebody who is no user."""
    user = scope.principal.dataverse_user
    if user is None:
        raise Refusal("FC3002", "The user is not a member of the organization.")
    return {"BusinessUnitId": str(user.business_unit), "UserId": str(user.id), "OrganizationId": str(organization)}


class WhoAmI:
    """The service. ``organization``: the organization's id."""

    def __init__(self, organization: UUID) -> None:
        self._organization = organization

    async def __call__(self, call: Call) -> Answer:
        """The answer, as the database has the user now. Raises Refusal FC1008, FC3002."""
        if call.method not in ("GET", "HEAD"):
            raise Refusal("FC1008", f"{call.method[:20]} is not supported on a function.", hint="Use GET.")
        scope = await call.gate.scope(call.principal, call.scope.door, fresh=True)
        return call.value(RESPONSE, who_am_i(scope, self._organization))
