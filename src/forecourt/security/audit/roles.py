"""Rules that undo others: roles that no policy restrains, and values that decide about people and that people may
change themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from forecourt.kernel.model import Entity
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.permissions import nodes
from forecourt.security.rules import ADMINISTRATORS, Right

#: Tables whose rows say who somebody is and which web roles it has. Writing one is the right to become somebody else.
DECIDING = ("msdyn_externalportalusermapping", "adx_webrole_contact", "adx_webrole_account", "adx_webrole")

#: Columns of contact and account that decide, beside those that relationships compare with.
_ALWAYS: Mapping[str, frozenset[str]] = {
    "contact": frozenset({"parentcustomerid", "statecode"}),
    "account": frozenset({"statecode"}),
}

_WRITES = (Right.CREATE, Right.WRITE, Right.DELETE)


def unrestrained(identities: Iterable[Identity]) -> list[Finding]:
    """External users who hold an administrator's role as well: policies are not for them."""
    administrators = {role.casefold() for role in ADMINISTRATORS}
    found = []
    for identity in identities:
        user = identity.user
        held = sorted(role for role in user.roles if role.casefold() in administrators) if user is not None else []
        if user is not None and user.external and held:
            found.append(
                Finding(
                    "FC7013",
                    f"external user {user.id} holds {', '.join(held)}, which no policy restrains",
                    "take the role away, or SystemExternalUser",
                    identity=identity.label,
                    subject=", ".join(held),
                )
            )
    return found


def deciding(planes: Planes, groups: Iterable[Class], around: Surroundings) -> list[Finding]:
    """Values that decide what people reach, and that web roles let them write."""
    found: dict[tuple[str, str, str], list[Identity]] = {}
    for group in groups:
        for table, right, subject in _writable(planes, group.first, around):
            found.setdefault((table, right.value, subject), []).extend(group.members)
    return [_finding(planes, *key, people) for key, people in found.items()]


def _writable(planes: Planes, first: Identity, around: Surroundings) -> Iterator[tuple[str, Right, str]]:
    if first.portal is None:
        return
    rules, roles = planes.rules.portal, first.portal.web_roles
    for table in DECIDING:
        for right in _WRITES:
            if nodes(rules, table, right, roles):
                yield table, right, "rows"
    for table, always in _ALWAYS.items():
        entity = planes.dataverse.model.entities.get(table)
        if entity is None or not nodes(rules, table, Right.WRITE, roles):
            continue
        compared = {theirs for link in rules.relationships.values() if link.target == table for _, theirs in link.match}
        open_columns = rules.columns.get(table, frozenset()) | around.shown.get(table, frozenset())
        for name in sorted(open_columns):
            if _column(entity, name) in (compared | always) - {f"{table}id"}:
                yield table, Right.WRITE, name


def _column(entity: Entity, name: str) -> str:
    found = entity.fields.get(name)
    return found.column if found is not None else name


def _finding(planes: Planes, table: str, right: str, subject: str, people: list[Identity]) -> Finding:
    first = people[0]
    roles = first.portal.web_roles if first.portal is not None else frozenset()
    named = nodes(planes.rules.portal, table, Right(right), roles)[0]
    what = f"rows of {table}, which say who somebody is" if subject == "rows" else f"{subject} of {table}"
    return Finding(
        "FC7014",
        f"{len(people)} identities may {right} {what}: what they reach depends on it",
        f"table permission '{named.name}' gives '{right}'; take it away, or the column out of forms and "
        f"Webapi/{table}/fields",
        table,
        first.label,
        where=str(named.where),
        subject=f"{right} {subject}",
        others=len(people) - 1,
    )
