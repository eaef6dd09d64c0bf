"""Actions of data entities on their virtual tables, as Dataverse knows custom APIs.

::

    POST /api/data/v9.2/<set>(<guid>)/Microsoft.Dynamics.CRM.mserp_Confirm   on a row
    POST /api/data/v9.2/<set>/Microsoft.Dynamics.CRM.mserp_Recount           on the set

Decided as ever in order: the security role on the virtual table (Read), then the operations chain of the caller, its
permission for the action included. The function, its parameters and its answer are the data entity's.
Source: operations-and-integration 2.1, 5.5; pages-and-dataverse B3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from forecourt.integration.virtual.catalog import PREFIX
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.odata.signature import Signature
from forecourt.operations.actions import EntityAction, Key
from forecourt.security import ownership
from forecourt.security.rules import Privilege
from forecourt.security.scope import Scope
from forecourt.security.services import Answer, Call


@dataclass(frozen=True)
class VirtualAction:
    """The action of a virtual table. ``signature``: as Dataverse sees it; ``action``: the data entity's."""

    signature: Signature
    action: EntityAction

    async def __call__(self, call: Call) -> Answer:
        """Answers a call on the virtual table's set. Raises Refusal."""
        table = call.gate.model.entities[self.signature.entity]
        columns = {field.base: name for name, field in table.fields.items() if field.base}
        base = self.action.gate.model.entities[self.action.signature.entity]

        def admit(scope: Scope) -> None:
            rules, roles = call.gate.enforcer.rules.dataverse, scope.principal.security_roles
            if not ownership.depth(rules, roles, table, Privilege.READ):
                text = f"You have no security role with the privilege to read {table.name}."
                raise Refusal("FC3001", text, source=table.collection)
            self.action.require(scope)

        def key_of(row: Mapping[str, object]) -> Key:
            return tuple((name, row[columns[name]]) for name in base.key)

        return await self.action.serve(call, self.signature, admit, key_of)


def virtual_actions(tables: Iterable[Entity], actions: Mapping[str, EntityAction]) -> dict[str, VirtualAction]:
    """The actions of virtual tables by the name of their service, ``set/mserp_Name``."""
    found = {}
    for table in tables:
        for action in actions.values():
            if table.virtual_of == action.signature.entity:
                signature = replace(action.signature, name=PREFIX + action.signature.name, entity=table.name)
                found[f"{table.collection}/{signature.name}"] = VirtualAction(signature, action)
    return found
