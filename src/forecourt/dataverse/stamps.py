"""What the system itself sets in a row of a native table: its owner, who wrote it, its status.

A row that is written by itself gets this after the plug-ins that run before it; rows that are written as a set get the
table's own defaults (owner: the system; state active). Without an owner given, a row belongs to who made it: at the
Dataverse door the user, elsewhere the portal or the system. The business unit follows the owner, in the database.
A status reason belongs to one state: either of the two brings the other with it, and a pair that does not fit is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from forecourt.kernel.change import Draft
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import INTEGRATION, Principal
from forecourt.security.ownership import OWNER, field_of
from forecourt.security.standing import id_of

#: Users that nobody can sign in as: of the system's own rows, and of the portal's.
SYSTEM_USER = id_of("systemuser", "SYSTEM")
PORTAL_USER = id_of("systemuser", "PORTAL")

#: Tables whose rows may own others.
OWNERS = ("systemuser", "team")


@dataclass(frozen=True)
class Status:
    """``states``: status reason -> state; ``reasons``: state -> its default reason."""

    states: Mapping[int, int]
    reasons: Mapping[int, int]


@dataclass(frozen=True)
class Stamps:
    """Sets what the system decides. ``statuses``: by table; a table without is not checked."""

    statuses: Mapping[str, Status] = field(default_factory=dict)

    async def __call__(self, draft: Draft) -> None:
        """Completes a write. Raises Refusal FC1003."""
        if draft.entity.virtual_of is not None or draft.operation == "delete":
            return
        self._status(draft)
        user = maker(draft.principal)
        if draft.operation == "create":
            if draft.origin != "sync" or _absent(draft, "createdby"):
                _set(draft, "createdby", user)
            if _absent(draft, OWNER):
                _set(draft, OWNER, user)
        _set(draft, "modifiedby", user)
        await self._owner(draft)

    def _status(self, draft: Draft) -> None:
        status = self.statuses.get(draft.entity.name)
        if status is None:
            return
        values = draft.values
        state, reason = values.get("statecode"), values.get("statuscode")
        if state is None and reason is None:
            if draft.operation == "create":
                return  # the table's defaults
            if {"statecode", "statuscode"} & values.keys():
                raise Refusal("FC1003", "A status cannot be empty.", source="statecode")
            return
        if reason is None:
            if state not in status.reasons:
                raise _unfit(draft.entity, "statecode", state)
            current = draft.before or {}
            if current.get("statecode") != state or "statuscode" in values:
                values["statuscode"] = status.reasons[_number(state)]
        elif reason not in status.states:
            raise _unfit(draft.entity, "statuscode", reason)
        elif state is None:
            values["statecode"] = status.states[_number(reason)]
        elif status.states[_number(reason)] != state:
            raise Refusal(
                "FC1003",
                f"{reason} is not a valid status code for state code {state} on {draft.entity.name}.",
                source="statuscode",
            )

    async def _owner(self, draft: Draft) -> None:
        """An owner that somebody names is an active user or a team."""
        owner = field_of(draft.entity, OWNER)
        if owner is None or owner.name not in draft.values:
            return
        value = draft.values[owner.name]
        if not isinstance(value, UUID):
            raise Refusal("FC1003", "A row needs an owner.", source=owner.name)
        if value == maker(draft.principal):
            return
        notes: dict[object, Any] = draft.work.notes
        if ("dataverse.owner", value) in notes:
            return
        for table in OWNERS:
            row = await draft.rows.find(table, {f"{table}id": value})
            if row is not None and row.get("isdisabled") is not True:
                notes["dataverse.owner", value] = True
                return
        raise Refusal("FC1003", f"{value} is neither an active user nor a team.", source=owner.name)


def maker(principal: Principal) -> UUID:
    """As which user of Dataverse somebody writes."""
    if principal.dataverse_user is not None:
        return principal.dataverse_user.id
    return SYSTEM_USER if principal is INTEGRATION else PORTAL_USER


def _absent(draft: Draft, column: str) -> bool:
    found = field_of(draft.entity, column)
    return found is not None and draft.values.get(found.name) is None


def _set(draft: Draft, column: str, value: object) -> None:
    """Sets a column where the table has it. What the asker itself gave for it counts no more."""
    found = field_of(draft.entity, column)
    if found is not None:
        draft.values[found.name] = value


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _unfit(entity: Entity, name: str, value: object) -> Refusal:
    return Refusal("FC1003", f"{value} is not a valid {name} of {entity.name}.", source=name)
