"""``$metadata`` (CSDL 4.0 in XML) and the service document of a model.

Writes what the model holds, so a model that is narrowed to what an identity may see gives narrowed metadata. Enum
types are written where values cross as symbols (operations); choices are Edm.Int32. A relation names its partner when
exactly one relation leads back over the same fields, and its referential constraints when it leads to one row.
Actions are written as they are called: bound to a row or to a set. Leaves out annotations and functions.
Sources: operations-and-integration 2.7, 5.2; pages-and-dataverse B1.7, B3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import quoteattr

import msgspec

from forecourt.kernel.model import Entity, EntityField, Enum, Model, Relation
from forecourt.kernel.types import Kind
from forecourt.odata.dialect import Dialect
from forecourt.odata.signature import EDM, Signature

CONTENT_TYPE = "application/xml"


def metadata(model: Model, dialect: Dialect, actions: Sequence[Signature] = ()) -> bytes:
    """The CSDL document."""
    return "\n".join(_document(model, dialect, actions)).encode("utf-8")


def service_document(model: Model, base_url: str) -> bytes:
    """The service document: every entity set. ``base_url``: the service root, no slash at its end."""
    sets = [
        {"name": name, "kind": "EntitySet", "url": name} for name in sorted(model.by_collection)
    ]  # fmt: skip
    return msgspec.json.encode({"@odata.context": f"{base_url}/$metadata", "value": sets})


def edm_type(field: EntityField, model: Model, dialect: Dialect) -> str:
    """The EDM type of a field in a dialect."""
    if field.kind is Kind.ENUM:
        if field.choice or field.enum is None or field.enum not in model.enums:
            return "Edm.Int32" if field.choice else "Edm.String"
        return f"{dialect.namespace}.{field.enum}"
    if field.kind is Kind.DATE and dialect.date_as_datetime:
        return "Edm.DateTimeOffset"
    if field.kind is Kind.INT64 and dialect.int64_as_decimal and field.record_of is None:
        return "Edm.Decimal"
    return "Edm.Guid" if field.record_of is not None else EDM[field.kind]


def _document(model: Model, dialect: Dialect, actions: Sequence[Signature]) -> Iterator[str]:
    namespace = dialect.namespace
    operations = dialect.name == "operations"
    alias = "" if operations else ' Alias="mscrm"'
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    yield f'<Schema Namespace={quoteattr(namespace)}{alias} xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    if not operations:
        yield '<EntityType Name="crmbaseentity" Abstract="true"/>'
    used = {
        field.enum
        for entity in model.entities.values()
        for field in entity.fields.values()
        if field.kind is Kind.ENUM and not field.choice
    }
    for name, enum in sorted(model.enums.items()):
        if name in used:
            yield from _enum(enum)
    entities = [model.by_collection[name] for name in sorted(model.by_collection)]
    for entity in entities:
        yield from _entity(entity, model, dialect)
    for action in actions:
        yield from _action(action, model, dialect)
    yield f"<EntityContainer Name={quoteattr('Resources' if operations else 'System')}>"
    for entity in entities:
        kind = quoteattr(f"{namespace}.{entity.public_name}")
        yield f"<EntitySet Name={quoteattr(entity.collection)} EntityType={kind}>"
        for relation, target in _relations(entity, model):
            path, goal = quoteattr(relation.name), quoteattr(target.collection)
            yield f"<NavigationPropertyBinding Path={path} Target={goal}/>"
        yield "</EntitySet>"
    yield "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"


def _enum(enum: Enum) -> Iterator[str]:
    yield f"<EnumType Name={quoteattr(enum.name)}>"
    numbered = all(isinstance(member.value, int) for member in enum.members)
    for index, member in enumerate(enum.members):
        value = member.value if numbered else index
        yield f'<Member Name={quoteattr(member.symbol)} Value="{value}"/>'
    yield "</EnumType>"


def _entity(entity: Entity, model: Model, dialect: Dialect) -> Iterator[str]:
    base = "" if dialect.name == "operations" else ' BaseType="mscrm.crmbaseentity"'
    yield f"<EntityType Name={quoteattr(entity.public_name)}{base}>"
    yield "<Key>" + "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in entity.key) + "</Key>"
    for field in entity.fields.values():
        yield _property(field, entity, model, dialect)
    for relation, target in _relations(entity, model):
        yield from _navigation(relation, entity, target, dialect)
    yield "</EntityType>"


def _action(action: Signature, model: Model, dialect: Dialect) -> Iterator[str]:
    entity = model.entities[action.entity]
    kind = f"{dialect.namespace}.{entity.public_name}"
    bound = quoteattr(kind if action.bound else f"Collection({kind})")
    yield f'<Action Name={quoteattr(action.name)} IsBound="true">'
    yield f"<Parameter Name={quoteattr(entity.public_name)} Type={bound}/>"
    for parameter in action.parameters:
        facets = "" if parameter.type.nullable or not parameter.required else ' Nullable="false"'
        yield f"<Parameter Name={quoteattr(parameter.name)} Type={quoteattr(parameter.type.edm(dialect))}{facets}/>"
    if action.returns is not None:
        yield f"<ReturnType Type={quoteattr(action.returns.edm(dialect))}/>"
    yield "</Action>"


def _property(field: EntityField, entity: Entity, model: Model, dialect: Dialect) -> str:
    kind = edm_type(field, model, dialect)
    facets = ""
    if field.name in entity.key or not (field.nullable or field.empty_date):
        facets += ' Nullable="false"'
    if kind == "Edm.String" and field.length:
        facets += f' MaxLength="{field.length}"'
    if kind == "Edm.Decimal":
        facets += ' Scale="0"' if field.kind is Kind.INT64 else ' Scale="variable"'
    return f"<Property Name={quoteattr(field.name)} Type={quoteattr(kind)}{facets}/>"


def _relations(entity: Entity, model: Model) -> list[tuple[Relation, Entity]]:
    """The relations whose target is published."""
    return [
        (relation, model.entities[relation.target])
        for relation in entity.relations.values()
        if relation.target in model.entities
    ]


def _navigation(relation: Relation, entity: Entity, target: Entity, dialect: Dialect) -> Iterator[str]:
    kind = f"{dialect.namespace}.{target.public_name}"
    text = f"<NavigationProperty Name={quoteattr(relation.name)}"
    text += f" Type={quoteattr(f'Collection({kind})' if relation.many else kind)}"
    mirrored = {(theirs, own) for own, theirs in relation.on}
    partners = [
        back.name for back in target.relations.values() if back.target == entity.name and set(back.on) == mirrored
    ]
    if len(partners) == 1:
        text += f" Partner={quoteattr(partners[0])}"
    known = all(own in entity.fields and theirs in target.fields for own, theirs in relation.on)
    if relation.many or not known:
        yield text + "/>"
        return
    yield text + ">"
    for own, theirs in relation.on:
        yield f"<ReferentialConstraint Property={quoteattr(own)} ReferencedProperty={quoteattr(theirs)}/>"
    yield "</NavigationProperty>"
