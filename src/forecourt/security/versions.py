"""Versions of rows, of which ETags are made: they must not tell of what the asker may not read.

The database's own row version (``xmin``) moves with every column, and is a number that counts everybody's transactions.
So it is shown to administrators alone, for whom nothing is hidden. Everybody else gets a digest of the root table's
columns that they may read: it moves exactly when one of them does, which is what ``If-Match`` has to notice. A native
table's own version is a column like others: it is the version where it may be read.
"""

from __future__ import annotations

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import Column
from forecourt.kernel.principal import SYSTEM_ADMINISTRATOR
from forecourt.kernel.relation import ROW_VERSION, Digest
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation


def version_of(lowering: Lowering, entity: Entity) -> Column | Digest:
    """What tells versions of a row apart, for the asker, at the door."""
    root = entity.root.alias
    user = lowering.scope.principal.operations_user
    if lowering.scope.operations_door and user is not None and SYSTEM_ADMINISTRATOR in user.roles:
        return Column(root, entity.version or ROW_VERSION)
    readable = lowering.readable(entity, lowering.grant(entity, Operation.READ))
    fields = [field for name, field in entity.fields.items() if name in readable and field.source == root]
    if entity.version and any(field.column == entity.version for field in fields):
        return Column(root, entity.version)
    return Digest(tuple(dict.fromkeys(Column(root, field.column) for field in fields)))
