"""Rules of the tables that Dataverse's security rests on: users, teams, business units, roles, and who holds them.

What these rows say decides what people may do, so a right to the tables alone is not enough to change it: that is a
System Administrator's, whatever roles say of the tables. Business units form one tree with one root. A unit comes with
its default team, whose members are all users of the unit; it goes with the unit and not by itself. A company comes
with a unit of its own and a team that owns the rows copied for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from forecourt.dataverse.stamps import PORTAL_USER, SYSTEM_USER
from forecourt.kernel.change import Draft
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.principal import SYSTEM_ADMIN_ROLE

Check = Callable[[Draft], Awaitable[None]]

#: Key in the notes of a unit of work: business units that are being deleted.
_LEAVING = "dataverse.units leaving"


_OWNING_TEAM = "_cdm_defaultowningteam_value"


@dataclass(frozen=True, slots=True)
class Rule:
    """``before`` runs when the row is locked and not yet written, ``after`` when it is."""

    before: Check | None = None
    after: Check | None = None


#: Columns of a user that decide who it is and where; anybody with a right to the row may write the others.
DECIDING = frozenset({"domainname", "isdisabled", "applicationid", "_businessunitid_value"})


async def _administrator(draft: Draft) -> None:
    """Raises Refusal FC3001 for anybody but a System Administrator."""
    if SYSTEM_ADMIN_ROLE not in draft.principal.security_roles:
        name = draft.entity.label or draft.entity.name
        raise Refusal("FC3001", f"Only a System Administrator changes {name}.", source=draft.entity.name)


async def _user(draft: Draft) -> None:
    if draft.operation != "update" or DECIDING & draft.values.keys():
        await _administrator(draft)
    if draft.operation == "create" and draft.values.get("_businessunitid_value") is None:
        draft.values["_businessunitid_value"] = await _root(draft)
    if draft.before is not None and draft.before["systemuserid"] in (SYSTEM_USER, PORTAL_USER):
        raise Refusal("FC1003", "The system's own users cannot be changed.", source="systemuserid")


async def _team(draft: Draft) -> None:
    await _administrator(draft)
    before = draft.before or {}
    if draft.operation == "create" and draft.values.get("_businessunitid_value") is None:
        draft.values["_businessunitid_value"] = await _root(draft)
    if not before.get("isdefault"):
        if draft.values.get("isdefault") and draft.depth == 1:
            raise Refusal("FC1003", "A business unit has one default team, which it brings itself.", source="isdefault")
        return
    unit = before["_businessunitid_value"]
    if draft.operation == "delete" and unit not in draft.work.notes.get(_LEAVING, ()):
        raise Refusal("FC4051", "The default business unit team can't be deleted.", source="team")
    if {"isdefault", "_businessunitid_value"} & draft.values.keys():
        raise Refusal("FC1003", "The default team belongs to its business unit.", source="team")


async def _unit(draft: Draft) -> None:
    await _administrator(draft)
    name = "_parentbusinessunitid_value"
    if draft.operation == "create" and draft.values.get(name) is None:
        draft.values[name] = await _root(draft)
    elif name in draft.values:
        await _in_tree(draft, draft.values[name])


async def _in_tree(draft: Draft, parent: object) -> None:
    """The parent is there and not beneath the unit itself; the root stays the root."""
    own = None if draft.before is None else draft.before["businessunitid"]
    if draft.before is not None and draft.before["_parentbusinessunitid_value"] is None and parent is not None:
        raise Refusal("FC1003", "The root business unit has no parent.", source="parentbusinessunitid")
    seen: set[object] = set()
    above: object = parent
    while above is not None and above not in seen:
        if above == own:
            raise Refusal("FC1003", "A business unit cannot be beneath itself.", source="parentbusinessunitid")
        seen.add(above)
        row = await draft.rows.find("businessunit", {"businessunitid": above})
        if row is None:
            raise Refusal("FC1003", "The parent business unit does not exist.", source="parentbusinessunitid")
        above = row["_parentbusinessunitid_value"]
    if parent is None and (draft.before is None or draft.before["_parentbusinessunitid_value"] is not None):
        raise Refusal("FC1003", "A business unit has a parent.", source="parentbusinessunitid")


async def _unit_leaves(draft: Draft) -> None:
    """The default team goes with its unit; everything else that is in the unit holds it."""
    await _administrator(draft)
    assert draft.before is not None
    unit = draft.before["businessunitid"]
    if draft.before["_parentbusinessunitid_value"] is None:
        raise Refusal("FC4051", "The root business unit can't be deleted.", source="businessunit")
    notes = draft.work.notes
    notes[_LEAVING] = notes.get(_LEAVING, frozenset()) | {unit}
    for team in await draft.rows.select("team", {"_businessunitid_value": unit, "isdefault": True}):
        await draft.rows.delete("team", {"teamid": team["teamid"]})


async def _unit_arrives(draft: Draft) -> None:
    assert draft.after is not None
    values = {
        "teamid": uuid4(),
        "name": draft.after["name"],
        "_businessunitid_value": draft.after["businessunitid"],
        "isdefault": True,
    }
    await draft.rows.create("team", values)


async def _root(draft: Draft) -> object:
    found = await draft.rows.select("businessunit", {"_parentbusinessunitid_value": None}, ("businessunitid",))
    if not found:
        raise Refusal("FC1003", "There is no root business unit.", source="businessunitid")
    return found[0]["businessunitid"]


async def _company_arrives(draft: Draft) -> None:
    """A company comes with a business unit and a team that owns its rows (operations-and-integration 1.5)."""
    assert draft.after is not None
    if draft.after[_OWNING_TEAM] is not None:
        return
    code = draft.after["cdm_companycode"]
    known = await draft.rows.select("businessunit", {"name": code})
    unit = known[0] if known else (await draft.rows.create("businessunit", {"name": code})).after
    assert unit is not None
    team = {"teamid": uuid4(), "name": f"{code} Dual Write", "_businessunitid_value": unit["businessunitid"]}
    await draft.rows.create("team", team)
    key = {"cdm_companyid": draft.after["cdm_companyid"]}
    await draft.rows.update("cdm_company", key, {_OWNING_TEAM: team["teamid"]})


async def _company(draft: Draft) -> None:
    before = draft.before or {}
    cleared = _OWNING_TEAM in draft.values and draft.values[_OWNING_TEAM] is None
    if cleared and before.get(_OWNING_TEAM) is not None:
        raise Refusal("FC1003", "A company's rows need an owning team.", source=_OWNING_TEAM)
    if draft.values.get("cdm_companycode", before.get("cdm_companycode")) != before.get("cdm_companycode"):
        raise Refusal("FC1003", "The code of a company stays as it is.", source="cdm_companycode")


def _guarded(*tables: str) -> dict[tuple[str, WriteOperation], Rule]:
    operations: tuple[WriteOperation, ...] = ("create", "update", "delete")
    return {(table, operation): Rule(_administrator) for table in tables for operation in operations}


RULES: Mapping[tuple[str, WriteOperation], Rule] = {
    **_guarded("role", "systemuserroles", "teamroles", "teammembership"),
    ("systemuser", "create"): Rule(_user),
    ("systemuser", "update"): Rule(_user),
    ("systemuser", "delete"): Rule(_user),
    ("team", "create"): Rule(_team),
    ("team", "update"): Rule(_team),
    ("team", "delete"): Rule(_team),
    ("businessunit", "create"): Rule(_unit, _unit_arrives),
    ("businessunit", "update"): Rule(_unit),
    ("businessunit", "delete"): Rule(_unit_leaves),
    ("cdm_company", "create"): Rule(after=_company_arrives),
    ("cdm_company", "update"): Rule(_company),
}
