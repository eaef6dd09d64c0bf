"""``$ref``: binds a row to another, or takes the binding away.

::

    POST   Set(key)/Many/$ref  {"@odata.id": address}     adds to a collection, also of a many-to-many relation
    DELETE Set(key)/Many(key)/$ref, …/Many/$ref?$id=…     takes out of it
    PUT    Set(key)/One/$ref   {"@odata.id": address}     sets the row that a lookup names
    DELETE Set(key)/One/$ref                              empties the lookup

Sources: pages-and-dataverse B2.2, A2.1; OData 4.0 Part 1, 11.4.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from forecourt.kernel.change import Write, Written
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.model import Entity, Relation
from forecourt.odata.body import parse_object
from forecourt.odata.lexer import LiteralKind
from forecourt.odata.prefer import content_is_json
from forecourt.odata.request import Request
from forecourt.security.gate import Gate
from forecourt.security.inserts import Inserts
from forecourt.security.operation import Asked, Operation, conditions, no_content
from forecourt.security.references import Batch, References
from forecourt.security.scope import Scope
from forecourt.store.work import Work


class Links:
    """Operations on ``$ref``."""

    def __init__(self, gate: Gate, references: References, inserts: Inserts) -> None:
        self._gate = gate
        self._references = references
        self._inserts = inserts

    def operation(self, asked: Asked) -> Operation:
        """Parses a request whose path ends in ``$ref``. Raises Refusal."""
        path = asked.request.path
        if len(path.segments) != 3 or not path.key:
            raise Refusal("FC4042", "Resource not found: write Set(key)/Relation/$ref.", source="path")
        segment = path.segments[1]
        entity, key = self._references.key(asked.request)
        relation = entity.relations.get(segment.name)
        if relation is None:
            raise Refusal("FC4042", f"Resource not found for the segment '{segment.name[:100]}'.", source="path")
        if entity.read_only and not relation.many:
            raise Refusal("FC1003", f"{entity.collection} is read-only.", source="path")
        removing = asked.method == "DELETE"
        if relation.many != (asked.method == "POST") and not removing:
            hint = "POST adds to a collection, PUT sets a single row."
            raise Refusal("FC1008", f"{asked.method} is not supported on this relation.", hint=hint)
        reference = self._reference(asked, relation, removing)
        version = conditions(asked.headers).version

        async def single(work: Work, scope: Scope, batch: Batch) -> Written:
            values = await self._references.link(work, scope, batch, relation, reference)
            return await self._gate.write(work, scope, Write(entity.name, "update", key, tuple(values), version))

        async def collection(work: Work, scope: Scope, batch: Batch) -> None:
            above = await self._references.seen(work, scope, entity, key)
            if above is None:
                raise not_found(f"{entity.public_name} with this key")
            target, child = await self._references.refer(work, scope, batch, relation, reference)
            change = self._inserts.detach if removing else self._inserts.attach
            await change(work, scope, entity, relation, above, target, child)

        return Operation(collection if relation.many else single, no_content)

    def _reference(self, asked: Asked, relation: Relation, removing: bool) -> object:
        """The address of the other row, None to empty a lookup."""
        request = asked.request
        member = request.path.segments[1]
        if not removing:
            if member.key is not None:
                raise Refusal("FC1001", f"'{relation.name}' takes no key here.", source="path")
            content_is_json(asked.headers.get("content-type"))
            reference = parse_object(asked.body).get("@odata.id")
            if reference is None:
                raise Refusal(
                    "FC1006", "The body names no row.", hint='Write {"@odata.id": "Set(key)"}.', source="body"
                )
            return reference
        named = request.option("$id")
        if not relation.many:
            if named is not None or member.key is not None:
                raise Refusal("FC1001", f"'{relation.name}' is a single row: leave its address out.", source="$id")
            return None
        if member.key:
            return _member(request, self._gate.model.entities, relation)
        if named is None:
            hint = f"Write {relation.name}(key)/$ref or {relation.name}/$ref?$id=address."
            raise Refusal("FC1001", "The request does not say which row.", hint=hint, source="$id")
        return named.shape


def _member(request: Request, entities: Mapping[str, Entity], relation: Relation) -> str:
    """The member of ``Set(key)/Relation(id)/$ref`` as an address of its own."""
    texts = []
    for part in request.path.segments[1].key or ():
        literal = request.literals[part.literal]
        text = literal.text
        if literal.kind in (LiteralKind.STRING, LiteralKind.WILDCARD, LiteralKind.ENUM):
            text = (part.token.text if literal.kind is LiteralKind.ENUM else "") + "'" + text.replace("'", "''") + "'"
        texts.append(f"{part.name}={text}" if part.name else text)
    return quote(f"{entities[relation.target].collection}({','.join(texts)})", safe="(),='")
