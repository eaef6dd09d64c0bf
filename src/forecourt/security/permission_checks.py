"""What is wrong with a site's table and column permissions, before anybody asks.

Faults name something that does not exist: it would admit nobody, silently, so the solution is refused (FC6002).
Findings are well-formed permissions that can have no effect, or that open more than they seem to (FC6007). Each says
where it is written (pages-and-dataverse A1.3, A1.5, C1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Entity, Model, Where
from forecourt.security.permissions import PERSONS, parent_relation, root_of
from forecourt.security.rules import PortalRules, Right, Scope, TablePermission

#: Tables whose rows decide who may do what: nobody changes them from the portal (operations-and-integration 3.1).
DECIDING = frozenset(
    {
        "msdyn_externalportalusermapping",
        "systemuser",
        "team",
        "role",
        "businessunit",
        "systemuserroles",
        "teamroles",
        "teammembership",
    }
)


def faults(rules: PortalRules, model: Model) -> Iterator[DefinitionError]:
    """What permissions, column permissions and ``Webapi/`` settings name that does not exist."""
    for permission in rules.permissions:
        entity = model.entities.get(permission.table)
        if entity is None:
            hint = suggest(permission.table, model.entities)
            yield _fault(permission.where, f"permission '{permission.name}' names table '{permission.table}'", hint)
        elif permission.table in DECIDING and permission.rights - {Right.READ}:
            message = (
                f"permission '{permission.name}' lets people change {permission.table}, which decides who may do what."
            )
            hint = "Give Read alone: such rows are changed at the Dataverse Web API."
            yield DefinitionError(permission.where.file, permission.where.line, message, hint)
        elif permission.scope in PERSONS:
            yield from _of_person(rules, entity, permission)
        elif permission.scope is Scope.PARENT:
            yield from _of_parent(rules, model, entity, permission)
    for profile in rules.profiles:
        entity = model.entities.get(profile.table)
        if entity is None:
            hint = suggest(profile.table, model.entities)
            yield _fault(profile.where, f"column profile '{profile.name}' names table '{profile.table}'", hint)
            continue
        known = {field.column for field in entity.fields.values()} if entity.virtual_of is None else set()
        for column in sorted(profile.columns.keys() - entity.fields.keys() - known):
            what = f"column profile '{profile.name}' names column '{column}' of {profile.table}"
            yield _fault(profile.where, what, suggest(column, [*entity.fields, *known]))


def _of_person(rules: PortalRules, entity: Entity, permission: TablePermission) -> Iterator[DefinitionError]:
    person, name = PERSONS[permission.scope], permission.relationship or ""
    known = [n for (table, n), link in rules.relationships.items() if table == entity.name and link.target == person]
    known += [n for n, found in entity.relations.items() if found.through is not None and found.target == person]
    if name not in known:
        what = f"permission '{permission.name}' names the relationship '{name}' of {entity.name} to {person}"
        hint = suggest(name, known) or "Define it under 'relationships' in the table's file."
        yield _fault(permission.where, what, hint)


def _of_parent(
    rules: PortalRules, model: Model, entity: Entity, permission: TablePermission
) -> Iterator[DefinitionError]:
    parent = rules.by_id.get(permission.parent) if permission.parent is not None else None
    if parent is None:
        return  # inactive: a finding
    if root_of(permission, rules.by_id) is None and _circular(rules, permission):
        message = f"permission '{permission.name}' is its own ancestor: it would admit nobody."
        yield DefinitionError(permission.where.file, permission.where.line, message, code="FC6003")
        return
    name = permission.relationship or ""
    if parent_relation(model, entity, name, parent.table) is None:
        known = [n for n, found in entity.relations.items() if found.target == parent.table]
        what = f"permission '{permission.name}' names the relationship '{name}' to {parent.table}"
        yield _fault(permission.where, what, suggest(name, known))


def _circular(rules: PortalRules, permission: TablePermission) -> bool:
    seen = set()
    above: TablePermission | None = permission
    while above is not None and above.scope is Scope.PARENT:
        if above.id in seen:
            return True
        seen.add(above.id)
        above = rules.by_id.get(above.parent) if above.parent is not None else None
    return False


def findings(
    rules: PortalRules,
    model: Model,
    anonymous: frozenset[str],
    authenticated: frozenset[str],
    public: Mapping[str, Collection[str]] = {},
) -> Iterator[DefinitionError]:
    """Permissions without effect, and those that open a table to everybody. ``anonymous``, ``authenticated``: the web
    roles that everybody holds who is not signed in, or is; ``public``: rights that they are meant to have, by table."""
    for permission in rules.permissions:
        yield from (
            DefinitionError(
                permission.where.file,
                permission.where.line,
                f"permission '{permission.name}' {what}",
                hint,
                "FC6007",
            )
            for what, hint in (
                *_idle(rules, permission),
                *_of_nobody(permission, anonymous),
                *_wide(model, permission, anonymous, authenticated, public),
            )
        )
    for profile in rules.profiles:
        if not profile.web_roles:
            yield DefinitionError(
                profile.where.file,
                profile.where.line,
                f"column profile '{profile.name}' has no active web role: it restricts nobody.",
                "Name the web roles that it is for.",
                "FC6007",
            )


def _idle(rules: PortalRules, permission: TablePermission) -> Iterator[tuple[str, str]]:
    """Permissions that give nothing to anybody. One without privileges may be what others hang on."""
    if not permission.rights and all(other.parent != permission.id for other in rules.permissions):
        yield "gives no privilege: it has no effect.", "Set adx_read or another privilege to true, or remove it."
    root = root_of(permission, rules.by_id)
    if permission.scope is not Scope.PARENT:
        if not permission.web_roles:
            yield "has no active web role: it has no effect.", "Name the web roles that it is for."
    elif root is None:
        yield "hangs on a permission that is not active: it has no effect.", "Activate that one, or remove this."
    elif extra := permission.web_roles - root.web_roles:
        names = ", ".join(sorted(extra))
        yield (
            f"names web roles that '{root.name}', the root of its tree, lacks: {names}. They get nothing by it.",
            "A child has the web roles of its root; name them there.",
        )


def _of_nobody(permission: TablePermission, anonymous: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Rows of one's own, for visitors, who have none."""
    personal = permission.scope in PERSONS or permission.scope is Scope.SELF
    if personal and permission.web_roles and permission.web_roles <= anonymous:
        access = permission.scope.name.title()
        yield (
            f"has access type {access} for visitors, who have no contact: it has no effect.",
            "Name a web role of people who are signed in.",
        )


def _wide(
    model: Model,
    permission: TablePermission,
    anonymous: frozenset[str],
    authenticated: frozenset[str],
    public: Mapping[str, Collection[str]],
) -> Iterator[tuple[str, str]]:
    """Every row of a table of Dataverse's own for everybody. Rows of a virtual table are narrowed at the source."""
    entity = model.entities.get(permission.table)
    if permission.scope is not Scope.GLOBAL or entity is None or entity.virtual_of is not None:
        return
    given = permission.rights & {Right.READ, Right.WRITE, Right.DELETE}
    open_rights = {right for right in given if right.value not in public.get(permission.table, ())}
    if not open_rights:
        return
    does = "read" if open_rights == {Right.READ} else "change"
    hint = "Use a narrower access type or web role, or say under public: in solution.yaml that it is meant."
    if permission.web_roles & anonymous:
        yield f"lets every visitor {does} every row of {permission.table}.", hint
    elif permission.web_roles & authenticated:
        yield (
            f"lets everybody who signs in {does} every row of {permission.table}; where people may register, that is "
            "everybody.",
            hint,
        )


def _fault(where: Where, what: str, hint: str = "") -> DefinitionError:
    return DefinitionError(
        where.file, where.line, f"{what}, which does not exist: it would admit nobody.", hint, "FC6002"
    )
