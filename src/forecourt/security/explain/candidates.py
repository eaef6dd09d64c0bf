"""Steps that might turn a layer's no: of each kind of layer what people would do about it.

What is proposed here is only tried; whether it helps is for the search to find out (``change``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID, uuid5

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import Door, OperationsUser
from forecourt.security import ownership
from forecourt.security.columns import RIGHTS
from forecourt.security.explain.answers import Change
from forecourt.security.explain.conditions import Findings
from forecourt.security.explain.decision import TIES
from forecourt.security.explain.facts import FurtherRow, RowValue
from forecourt.security.explain.layers import Layer, Rule
from forecourt.security.explain.looking import Sight
from forecourt.security.explain.state import State
from forecourt.security.explain.subject import Question
from forecourt.security.explain.words import shown
from forecourt.security.permissions import root_of
from forecourt.security.rules import (
    EXTERNAL_USER,
    PORTAL_ANONYMOUS,
    PORTAL_USER,
    Depth,
    Grant,
    Operation,
    Policy,
    Privilege,
    Right,
    TablePermission,
)
from forecourt.security.rules import Scope as Access
from forecourt.security.scope import Scope
from forecourt.security.writing import OPERATIONS

#: Candidates of one kind that are tried.
TRIED = 4

MARKERS = frozenset({EXTERNAL_USER, PORTAL_USER, PORTAL_ANONYMOUS})

_NAMESPACE = UUID("2b5b5a51-6d0c-5f53-9d20-1d3f0a7c9b11")

Mapped = Callable[[], Awaitable[list[OperationsUser]]]
Why = Callable[[State, Predicate | None], Awaitable[Findings]]


@dataclass(frozen=True)
class Candidates:
    """Proposes for one door and one row. ``mapped``: operations users that a contact could be mapped to, best first;
    ``why``: what a condition fails on."""

    _entity: Entity
    _question: Question
    _scope: Scope
    _sight: Sight
    _mapped: Mapped
    _why: Why

    # -- candidates ----------------------------------------------------------------------------------------------

    async def of(self, state: State, layer: Layer, failing: tuple[Rule, ...]) -> list[State]:
        if layer.name == "site setting":
            return list(self._enabled(state))
        if layer.name == "table permission":
            return [*self._permissions(state, cast(Right, layer.about), failing), *await self._rows(state, failing)]
        if layer.name.startswith("security role"):
            return [*self._security_roles(state, cast(Privilege, layer.about)), *await self._rows(state, failing)]
        if layer.name == "mapping":
            return await self._mapping(state)
        if layer.name.startswith("privilege"):
            return list(self._privileges(state, cast(Operation, layer.about)))
        if layer.name == "action":
            return list(self._actions(state, str(layer.about)))
        if layer.name == "legal entity":
            return await self._companies(state, failing)
        if layer.name == "policy":
            return [*self._policies(state, failing), *await self._rows(state, failing)]
        if layer.name == "column":
            return [*self._columns(state, failing), *await self._rows(state, failing)]
        return []

    async def _rows(self, state: State, failing: tuple[Rule, ...]) -> list[State]:
        """Rows of membership tables, columns of the row, columns of the contact."""
        found: list[State] = []
        for rule in failing:
            why = await self._why(state, rule.condition)
            if isinstance(rule.subject, TablePermission):
                found += await self._membership(state, rule, rule.subject)
            for missing in why.missing[:TRIED]:
                fact = FurtherRow(missing.table, missing.values)
                text = f"a row in {missing.text}"
                cost = 1.2 + 0.2 * missing.distance
                found.append(state.step(Change("data", text, rule.where), cost, facts=(*state.facts, fact)))
            for wanted in why.wanted:
                table = self._sight.tables.get(wanted.column.alias, wanted.column.alias)
                for value in wanted.values[:TRIED]:
                    set_to = RowValue(wanted.column, value)
                    text = f"set {table}.{wanted.column.name} of the row to {shown(value)}"
                    found.append(state.step(Change("data", text, rule.where), 2.0, facts=(*state.facts, set_to)))
        return found

    async def _membership(self, state: State, rule: Rule, permission: TablePermission) -> list[State]:
        """The contact, or its account, with the values by which an access type finds its rows."""
        link = state.rules.portal.relationships.get((self._entity.name, permission.relationship or ""))
        contact = state.principal.contact
        if permission.scope not in (Access.CONTACT, Access.ACCOUNT) or link is None or contact is None:
            return []
        values = [(theirs, await self._value(own)) for own, theirs in link.match]
        if any(not isinstance(value, str | int | UUID) for _, value in values):
            return []
        pairs = ", ".join(f"{name} = {shown(value)}" for name, value in values)
        given = tuple((name, str(value) if isinstance(value, UUID) else value) for name, value in values)
        if permission.scope is Access.ACCOUNT:
            account = dict(given).get("accountid")
            changed = replace(
                contact,
                account_columns=(*contact.account_columns, *given),
                account=UUID(str(account)) if account is not None else contact.account,
            )
            text = f"put the contact under the account with {pairs}"
        elif any(name == "contactid" for name, _ in given):
            return []
        else:
            changed = replace(contact, columns=(*contact.columns, *given))
            text = f"set {pairs} on the contact"
        principal = replace(state.principal, contact=changed)
        return [state.step(Change("data", text, rule.where), 1.3, principal=principal)]

    def _enabled(self, state: State) -> Iterator[State]:
        names = frozenset(self._entity.fields)
        portal = replace(state.rules.portal, columns={**state.rules.portal.columns, self._entity.name: names})
        text = f"site settings Webapi/{self._entity.name}/enabled = true and Webapi/{self._entity.name}/fields"
        yield state.step(Change("rule", text), 3.0, rules=replace(state.rules, portal=portal))

    def _permissions(self, state: State, right: Right, failing: tuple[Rule, ...]) -> Iterator[State]:
        portal, held = state.rules.portal, state.principal.web_roles
        who = "the contact" if state.principal.contact is not None else "anonymous visitors"
        for rule in failing:
            if not isinstance(rule.subject, TablePermission):
                continue
            permission, root = rule.subject, root_of(rule.subject, portal.by_id)
            if root is None:
                continue
            if right not in permission.rights:
                given = replace(permission, rights=permission.rights | {right})
                changed = tuple(given if item is permission else item for item in portal.permissions)
                rules = replace(state.rules, portal=replace(portal, permissions=changed))
                text = f"give {right.value} in table permission '{permission.name}'"
                yield state.step(Change("rule", text, rule.where), 3.0, rules=rules)
            if not root.web_roles & held:
                for role in sorted(root.web_roles):
                    text = f"give web role '{role}' to {who}"
                    cost = 1.0 if state.principal.contact is not None else 4.0
                    principal = replace(state.principal, web_roles=held | {role})
                    yield state.step(Change("assign", text, str(root.where)), cost, principal=principal)
        yield from self._new_permission(state, right)

    def _new_permission(self, state: State, right: Right) -> Iterator[State]:
        """Where no permission will do: one of the narrowest access type that admits the row."""
        portal = state.rules.portal
        roles = sorted(state.principal.web_roles)
        if not roles:
            return
        options: list[tuple[Access, str | None, float]] = [(Access.GLOBAL, None, 10.0)]
        for (table, name), link in portal.relationships.items():
            if table == self._entity.name:
                scope = Access.CONTACT if link.target == "contact" else Access.ACCOUNT
                options.append((scope, name, 5.0 if scope is Access.CONTACT else 5.5))
        for scope, by, cost in options:
            identity = uuid5(_NAMESPACE, f"{self._entity.name}/{scope.name}/{by}")
            made = TablePermission(
                identity, "new", self._entity.name, scope, frozenset({right}), frozenset(roles), name
            )
            rules = replace(state.rules, portal=replace(portal, permissions=(*portal.permissions, made)))
            text = f"a table permission on {self._entity.name} with {right.value}, access type {scope.name.title()}"
            text += f" by '{by}'" if by else ""
            yield state.step(Change("rule", f"{text}, for web role {roles[0]}"), cost, rules=rules)

    def _security_roles(self, state: State, privilege: Privilege) -> Iterator[State]:
        entity, held = self._entity, state.principal.security_roles
        names = (entity.name, "*") if entity.virtual_of is not None else (entity.name,)
        user = state.principal.dataverse_user
        for name, role in sorted(state.rules.dataverse.roles.items()):
            depth = max(role.tables.get(table, {}).get(privilege, Depth.NONE) for table in names)
            if name in held or depth is Depth.NONE:
                continue
            extra = dict(state.extra)
            if user is not None and depth in (Depth.BUSINESS_UNIT, Depth.PARENT_CHILD):
                listed = ownership.units(entity.name, privilege)
                known = extra.get(listed, self._scope.values.get(listed))
                extra[listed] = [*(known if isinstance(known, list) else []), user.business_unit]
            principal = replace(state.principal, security_roles=held | {name})
            text = f"give security role '{name}' ({privilege.value}, depth {depth.name.lower()}) to the user"
            cost = 1.0 + depth / 8
            yield state.step(Change("assign", text, str(role.where)), cost, principal=principal, extra=extra)

    async def _mapping(self, state: State) -> list[State]:
        user = state.principal.operations_user
        if user is not None and not user.enabled:
            change = Change("assign", f"enable operations user {user.id}")
            return [state.as_user(change, 1.0, replace(user, enabled=True))]
        if state.principal.contact is None:
            return []
        found = []
        for candidate in (await self._mapped())[:TRIED]:
            text = f"map {state.principal.label} to operations user {candidate.id}"
            found.append(state.as_user(Change("assign", text), 1.0, candidate))
        return found

    def _grants(self, state: State, fits: Callable[[Grant], bool]) -> Iterator[tuple[str, Grant]]:
        name = self._entity.virtual_of or self._entity.name
        for role in sorted(state.rules.operations.roles.values(), key=lambda role: role.name):
            for grant in role.by_entity.get(name, ()):
                if fits(grant):
                    yield role.name, grant
                    break

    def _with_role(self, state: State, user: OperationsUser, role: str, grant: Grant) -> State:
        text = f"give role {role} (privilege {grant.privilege}) to {user.id}"
        return state.as_user(Change("assign", text, str(grant.where)), 1.5, replace(user, roles=user.roles | {role}))

    def _denials(self, state: State, fits: Callable[[Grant], Grant]) -> Iterator[State]:
        """Denials taken away, one at a time. ``fits``: the grant without the denial, itself where it has none."""
        operations, user = state.rules.operations, state.principal.operations_user
        name = self._entity.virtual_of or self._entity.name
        for role_name in sorted(user.roles) if user is not None else ():
            role = operations.roles.get(role_name)
            for grant in role.by_entity.get(name, ()) if role is not None else ():
                without = fits(grant)
                if role is None or without == grant:
                    continue
                changed = replace(role, grants=tuple(without if item is grant else item for item in role.grants))
                rules = replace(operations, roles={**operations.roles, role_name: changed})
                text = f"remove the denial in privilege {grant.privilege} of role {role_name}"
                yield state.step(
                    Change("rule", text, str(grant.where)), 3.0, rules=replace(state.rules, operations=rules)
                )

    def _privileges(self, state: State, operation: Operation) -> Iterator[State]:
        user = state.principal.operations_user
        if user is None:
            return

        def allowing(grant: Grant) -> Grant:
            return replace(grant, denied=grant.denied - {operation, Operation.READ})

        yield from self._denials(state, allowing)
        mode = self._scope.mode
        known = list(self._grants(state, lambda g: operation in g.operations and mode in g.modes))
        for role, grant in known[: 2 * TRIED]:
            if role not in user.roles:
                yield self._with_role(state, user, role, grant)
        name = self._entity.virtual_of or self._entity.name
        for role_name in sorted(user.roles - MARKERS)[:TRIED]:
            role_found = state.rules.operations.roles.get(role_name)
            if role_found is None:
                continue
            privilege = known[0][1].privilege if known else f"{name}{operation.value.title()}"
            where = str(known[0][1].where) if known else str(role_found.where)
            made = Grant(name, frozenset({operation}), privilege)
            widened = replace(role_found, grants=(*role_found.grants, made))
            operations = replace(state.rules.operations, roles={**state.rules.operations.roles, role_name: widened})
            what = f"add privilege {privilege}" if known else f"add a privilege with {operation.value} on {name}"
            yield state.step(
                Change("rule", f"{what} to role {role_name}", where),
                4.0,
                rules=replace(state.rules, operations=operations),
            )

    def _actions(self, state: State, action: str) -> Iterator[State]:
        user = state.principal.operations_user
        if user is None:
            return
        for role, grant in self._grants(state, lambda g: action in g.actions):
            if role not in user.roles:
                yield self._with_role(state, user, role, grant)

    async def _companies(self, state: State, failing: tuple[Rule, ...]) -> list[State]:
        user = state.principal.operations_user
        if user is None or self._entity.company is None:
            return []
        company = await self._value(self._entity.company)
        if not isinstance(company, str):
            return []
        found: list[State] = []
        name = self._entity.virtual_of or self._entity.name
        wanted = {operation for operation in Operation for rule in failing if rule.subject == operation.value}
        for operation in wanted:
            found += self._denials(state, lambda g, o=operation: replace(g, denied=g.denied - {o, Operation.READ}))  # type: ignore[misc]
        for role, ids in user.companies:
            role_found = state.rules.operations.roles.get(role)
            grants = role_found.by_entity.get(name, ()) if role_found is not None else ()
            helps = any(wanted & grant.operations or self._question.action in grant.actions for grant in grants)
            if ids is None or company in ids or not helps:
                continue
            limits = tuple((r, (i or frozenset()) | {company} if r == role else i) for r, i in user.companies)
            change = Change(
                "assign",
                f"role {role} of {user.id} in legal entity {company}",
                str(role_found.where) if role_found else "",
            )
            found.append(state.as_user(change, 1.0, replace(user, companies=limits)))
        return found

    def _policies(self, state: State, failing: tuple[Rule, ...]) -> Iterator[State]:
        operations = state.rules.operations
        for rule in failing:
            if rule.name == "required":
                yield from self._required(state)
            elif isinstance(rule.subject, Policy):
                off = replace(rule.subject, enabled=False)
                policies = tuple(off if item is rule.subject else item for item in operations.policies)
                text = f"policy {rule.subject.name} without effect (enabled: false), for everybody"
                rules = replace(state.rules, operations=replace(operations, policies=policies))
                yield state.step(Change("rule", text, rule.where), 9.0, rules=rules)

    def _required(self, state: State) -> Iterator[State]:
        """An external user without an active policy on the table: one that would be active, or none required."""
        operations, user = state.rules.operations, state.principal.operations_user
        if user is None:
            return
        for policy in operations.policies:
            if not policy.enabled or self._entity.root.table not in policy.tables:
                continue
            kind, value = policy.context
            roles = [value] if kind == "RoleName" and value in operations.roles else []
            if kind == "RoleProperty":
                roles = [name for name, role in sorted(operations.roles.items()) if role.context == value]
            for role in roles[:TRIED]:
                if role not in user.roles:
                    text = f"give role {role} to {user.id}, so that policy {policy.name} is active"
                    changed = replace(user, roles=user.roles | {role})
                    yield state.as_user(Change("assign", text, str(policy.where)), 2.0, changed)
        rules = replace(state.rules, operations=replace(operations, external_users="open"))
        text = f"an XDS policy that constrains {self._entity.root.table} and admits the row (or external_users: open)"
        yield state.step(Change("rule", text), 8.0, rules=rules)

    def _columns(self, state: State, failing: tuple[Rule, ...]) -> Iterator[State]:
        column, doing = self._question.column, self._question.operation
        if column is None or all(rule.subject == "joined" for rule in failing):
            return
        base = self._entity.fields[column].base or column
        listed = state.rules.portal.columns.get(self._entity.name)
        if self._scope.door is Door.PORTAL_API and listed is not None and column not in listed:
            columns = {**state.rules.portal.columns, self._entity.name: listed | {column}}
            rules = replace(state.rules, portal=replace(state.rules.portal, columns=columns))
            text = f"add {column} to the site setting Webapi/{self._entity.name}/fields"
            yield state.step(Change("rule", text), 3.0, rules=rules)
        yield from self._profiles(state, column)
        user = state.principal.operations_user
        if user is None:
            return
        reading = doing in ("read", "call") or doing in TIES
        hidden = frozenset({base})
        yield from self._denials(
            state,
            lambda g: replace(g, denied_read=g.denied_read - hidden, denied_update=g.denied_update - hidden),
        )
        name = self._entity.virtual_of or self._entity.name
        for role_name in sorted(user.roles):
            role = state.rules.operations.roles.get(role_name)
            for grant in role.by_entity.get(name, ()) if role is not None else ():
                fields = grant.read_fields if reading else grant.update_fields
                if fields is None or base in fields:
                    continue
                wider = (
                    replace(grant, read_fields=fields | {base})
                    if reading
                    else replace(grant, update_fields=fields | {base})
                )
                assert role is not None
                changed = replace(role, grants=tuple(wider if item is grant else item for item in role.grants))
                operations = replace(state.rules.operations, roles={**state.rules.operations.roles, role_name: changed})
                text = f"add field {base} to privilege {grant.privilege}"
                yield state.step(
                    Change("rule", text, str(grant.where)), 3.0, rules=replace(state.rules, operations=operations)
                )

    def _profiles(self, state: State, column: str) -> Iterator[State]:
        """Column permissions that leave the column out, each with it."""
        portal, operation = state.rules.portal, OPERATIONS.get(self._question.operation, Operation.READ)
        if not self._scope.portal_door or operation not in RIGHTS:
            return
        for profile in portal.profiles:
            if profile.table != self._entity.name or not profile.web_roles & state.principal.web_roles:
                continue
            rights = profile.columns.get(column, profile.others) | {RIGHTS[operation]}
            wider = replace(profile, columns={**profile.columns, column: rights})
            profiles = tuple(wider if item is profile else item for item in portal.profiles)
            text = f"{operation.value} of {column} in column permission profile '{profile.name}'"
            rules = replace(state.rules, portal=replace(portal, profiles=profiles))
            yield state.step(Change("rule", text, str(profile.where)), 3.0, rules=rules)

    async def _value(self, name: str) -> object:
        """A field of the row as it is."""
        rows = await self._sight.columns([self._entity.fields[name].at()])
        return rows[0][0] if rows else None
