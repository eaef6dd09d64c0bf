"""Owners of jobs: the identity that a job runs as, as it is when the job runs.

A job that a contact asked for runs behind that contact still: it ends with the contact, its mapping, or the role that
lets it act. Source: operations-and-integration 3.1; design, section 4.
"""

from __future__ import annotations

from forecourt.identity.principals import Principals, require_mapped
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.operations.packages.records import Owner


class Owners:
    """Finds principals of owners."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

    async def __call__(self, owner: Owner) -> Principal:
        """The principal. Raises Refusal FC3002 where the owner is no longer who it was, or nobody."""
        if owner.contact is not None:
            principal = require_mapped(await self._principals.for_contact(owner.contact))
            assert principal.operations_user is not None
            if principal.operations_user.id != owner.user:
                raise Refusal("FC3002", "The contact is mapped to another operations user by now.")
            return principal
        try:
            return await self._principals.for_operations_user(owner.user)
        except Refusal:
            message = f"The operations user '{owner.user[:100]}' does not exist, or is disabled."
            raise Refusal("FC3002", message) from None
