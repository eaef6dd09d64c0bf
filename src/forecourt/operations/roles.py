"""Roles, duties, privileges and users from ``roles.yaml`` (operations-and-integration 6)."""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel.document import suggest
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import OperationsUser
from forecourt.operations.definitions import EntityPermission, RolesFile
from forecourt.security.rules import (
    ALL_MODES,
    BYPASS,
    EXTERNAL_USER,
    PORTAL_ANONYMOUS,
    PORTAL_USER,
    SECURITY_ADMINISTRATOR,
    SYSTEM_ADMINISTRATOR,
    DutyRule,
    Grant,
    Mode,
    Operation,
    Role,
)
from forecourt.store.folder import Faults, Loaded

BUILT_IN = {
    SYSTEM_ADMINISTRATOR: "System administrator",
    SECURITY_ADMINISTRATOR: "Security administrator",
    EXTERNAL_USER: "System external user",
    PORTAL_USER: "Dataverse virtual entity authenticated portal user",
    PORTAL_ANONYMOUS: "Dataverse virtual entity anonymous portal user",
    BYPASS: "XDS data access policy bypass",
    "SystemUser": "System user",
}


def build_roles(
    loaded: Loaded[RolesFile] | None,
    entities: Mapping[str, Entity],
    actions: frozenset[tuple[str, str]],
    faults: Faults,
) -> tuple[dict[str, Role], tuple[DutyRule, ...]]:
    """All roles, their duties, privileges and sub-roles flattened to grants, and the rules that keep duties apart.
    Built-in roles are always there. ``actions``: (entity, name) of those that there are."""
    roles = {name: Role(name, label, None, ()) for name, label in BUILT_IN.items()}
    if loaded is None:
        return roles, ()
    builder = _Builder(loaded, entities, actions, faults)
    for name in loaded.record.roles:
        roles[name] = builder.role(name)
    return roles, builder.segregation()


class _Builder:
    def __init__(
        self,
        loaded: Loaded[RolesFile],
        entities: Mapping[str, Entity],
        actions: frozenset[tuple[str, str]],
        faults: Faults,
    ) -> None:
        self.actions = actions
        self.file = loaded.record
        self.document = loaded.document
        self.faults = faults
        self.entities = entities
        self.privileges = {name: self._privilege(name) for name in self.file.privileges}

    def role(self, name: str) -> Role:
        definition = self.file.roles[name]
        return Role(
            name=name,
            label=definition.label or BUILT_IN.get(name, name),
            context=definition.context,
            grants=tuple(dict.fromkeys(self._grants(name, ()))),
            where=self.document.where("roles", name),
            duties=frozenset(duty for each in (name, *self._within(name)) for duty in self.file.roles[each].duties),
            roles=frozenset(self._within(name)),
        )

    def _within(self, name: str) -> list[str]:
        """The sub-roles of a role, at any depth."""
        found: list[str] = []
        pending = list(self.file.roles[name].roles)
        while pending:
            child = pending.pop()
            if child in self.file.roles and child not in found and child != name:
                found.append(child)
                pending.extend(self.file.roles[child].roles)
        return sorted(found)

    def _grants(self, name: str, above: tuple[str, ...]) -> list[Grant]:
        path = ("roles", name)
        if name in above:
            self.faults.add(self.document.error(f"role {name} contains itself.", *path, "roles", code="FC6003"))
            return []
        definition = self.file.roles[name]
        grants: list[Grant] = []
        for duty in definition.duties:
            if duty not in self.file.duties:
                self._unknown("duty", duty, self.file.duties, *path, "duties")
                continue
            for privilege in self.file.duties[duty].privileges:
                grants.extend(self._of(privilege, "duties", duty, "privileges"))
        for privilege in definition.privileges:
            grants.extend(self._of(privilege, *path, "privileges"))
        for child in definition.roles:
            if child in BUILT_IN:
                message = f"{child} cannot be a sub-role: it says what a user is."
                hint = "Give it to users beside their other roles."
                self.faults.add(self.document.error(message, *path, "roles", hint=hint, code="FC6003"))
            elif child in self.file.roles:
                grants.extend(self._grants(child, (*above, name)))
            else:
                self._unknown("role", child, self.file.roles, *path, "roles")
        return grants

    def _of(self, privilege: str, *path: str | int) -> tuple[Grant, ...]:
        if privilege not in self.privileges:
            self._unknown("privilege", privilege, self.privileges, *path)
            return ()
        return self.privileges[privilege]

    def _privilege(self, name: str) -> tuple[Grant, ...]:
        grants = []
        for entity, permission in self.file.privileges[name].entities.items():
            path = ("privileges", name, "entities", entity)
            if entity not in self.entities:
                self._unknown("entity", entity, self.entities, *path)
                continue
            self._check(entity, permission, path)
            read, update = permission.fields.read, permission.fields.update
            grants.append(
                Grant(
                    entity=entity,
                    operations=frozenset(Operation(item) for item in permission.grant),
                    privilege=name,
                    read_fields=None if read is None else frozenset(read),
                    update_fields=None if update is None else frozenset(update),
                    where=self.document.where(*path),
                    actions=frozenset(permission.actions),
                    modes=ALL_MODES if permission.modes == "All" else frozenset({Mode(permission.modes)}),
                    denied=frozenset(Operation(item) for item in permission.deny),
                    denied_read=frozenset(permission.fields.deny_read),
                    denied_update=frozenset(permission.fields.deny_update),
                    denied_actions=frozenset(permission.deny_actions),
                )
            )
        return tuple(grants)

    def _check(self, entity: str, permission: EntityPermission, path: tuple[str | int, ...]) -> None:
        """Faults of what a permission names."""
        known = self.entities[entity]
        for kind in ("read", "update", "deny_read", "deny_update"):
            for field in getattr(permission.fields, kind) or ():
                if field not in known.fields:
                    self._unknown("field", field, known.fields, *path, "fields", kind)
        for field in permission.fields.deny_read:
            if field in known.key:
                message = f"{field} is part of the key of {entity}: rows cannot be told apart without it."
                hint = "Deny reading the entity, or another field."
                self.faults.add(self.document.error(message, *path, "fields", "deny_read", hint=hint, code="FC6003"))
        own = {action: None for owner, action in self.actions if owner == entity}
        for kind in ("actions", "deny_actions"):
            for action in getattr(permission, kind):
                if action not in own:
                    self._unknown("action", action, own, *path, kind)
        if not (permission.grant or permission.deny or permission.actions or permission.deny_actions):
            fields = permission.fields
            if not (fields.deny_read or fields.deny_update):
                message = "a permission grants or denies something."
                self.faults.add(self.document.error(message, *path, hint="Write grant: [read], or deny."))

    def segregation(self) -> tuple[DutyRule, ...]:
        """The rules for the segregation of duties."""
        found = []
        for position, rule in enumerate(self.file.segregation_of_duties):
            path = ("segregation_of_duties", position)
            for kind in ("first", "second"):
                if getattr(rule, kind) not in self.file.duties:
                    self._unknown("duty", getattr(rule, kind), self.file.duties, *path, kind)
            if rule.first == rule.second:
                self.faults.add(self.document.error("the two duties are one.", *path, "second", code="FC6003"))
            overrides = []
            for place, override in enumerate(rule.overrides):
                where = (*path, "overrides", place)
                if (override.role is None) == (override.user is None):
                    self.faults.add(self.document.error("an override is of a role or of a user.", *where))
                elif override.role is not None and override.role not in self.file.roles:
                    self._unknown("role", override.role, self.file.roles, *where, "role")
                elif not override.reason.strip():
                    self.faults.add(self.document.error("an override needs a reason.", *where, "reason"))
                overrides.append((override.role or f"user:{override.user}", override.reason))
            found.append(
                DutyRule(
                    rule.name,
                    rule.first,
                    rule.second,
                    rule.severity,
                    rule.risk,
                    tuple(overrides),
                    self.document.where(*path),
                )
            )
        return tuple(found)

    def _unknown(self, what: str, name: str, known: Mapping[str, object], *path: str | int) -> None:
        self.faults.add(
            self.document.error(f"{what} '{name}' is not known.", *path, hint=suggest(name, known), code="FC6002")
        )


def build_users(
    loaded: Loaded[RolesFile] | None, roles: Mapping[str, Role], faults: Faults
) -> dict[str, OperationsUser]:
    """The users that the file itself defines, by id."""
    users: dict[str, OperationsUser] = {}
    if loaded is None:
        return users
    for position, definition in enumerate(loaded.record.users):
        path = ("users", position)
        given = definition.roles if isinstance(definition.roles, dict) else dict.fromkeys(definition.roles, ())
        for name in given:
            if name not in roles:
                faults.add(
                    loaded.document.error(
                        f"role '{name}' is not known.", *path, "roles", hint=suggest(name, roles), code="FC6002"
                    )
                )
        if definition.id in users:
            faults.add(loaded.document.error(f"user {definition.id} is defined twice.", *path, code="FC6003"))
        users[definition.id] = OperationsUser(
            id=definition.id,
            name=definition.name or definition.id,
            email=definition.email,
            company=definition.company,
            roles=frozenset(given),
            companies=tuple(sorted((name, frozenset(ids)) for name, ids in given.items() if ids)),
            external=EXTERNAL_USER in given,
            enabled=definition.enabled,
            attributes=tuple(sorted(definition.attributes.items())),
            language=definition.language,
        )
    return users
