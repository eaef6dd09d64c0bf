"""Who may do what on a site, from its files: web roles, page rules, table and column permissions, Web API columns.

Inactive rows count for nothing, and so does what hangs on them; ids of roles that are not the site's grant nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from uuid import UUID

from forecourt.kernel.model import Where
from forecourt.pages.site.definitions import (
    Page,
    PageRight,
    PageRule,
    RuleScope,
    WebRole,
    WebsiteAccess,
    WebsiteRight,
)
from forecourt.pages.site.kinds import ACCESS, COLUMN, PERMISSION, PROFILE, ROLE, RULE, SETTING
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.secrets import holds_secret
from forecourt.pages.site.site import WebRoles
from forecourt.security.rules import ColumnProfile, ColumnRight, Right, Scope, TablePermission

_RIGHTS = {
    "adx_read": Right.READ,
    "adx_write": Right.WRITE,
    "adx_create": Right.CREATE,
    "adx_delete": Right.DELETE,
    "adx_append": Right.APPEND,
    "adx_appendto": Right.APPEND_TO,
}

#: The column with the FetchXML of access type Custom. (The name is ours: the product's is not documented.)
FETCH = "adx_fetchxml"

#: Publishing states that a page rule is for.
_RULE_STATES = "adx_accesscontrolrule_publishingstate"

#: The column that names the relationship of a scope.
_LINKS = {
    Scope.CONTACT: "adx_contactrelationship",
    Scope.ACCOUNT: "adx_accountrelationship",
    Scope.PARENT: "adx_parentrelationship",
}


def read_roles(folder: Folder, website: UUID) -> WebRoles:
    """Web roles: active ones of the site; a row that names another website is not one of them."""
    found: dict[UUID, WebRole] = {}
    others: set[UUID] = set()
    for record in folder.records(ROLE):
        role_id = record.id("adx_webroleid")
        if not record.active or record.uuid("adx_websiteid") not in (None, website):
            others.add(role_id)
            continue
        if role_id in found:
            record.fault(f"the id {role_id} is taken by the web role '{found[role_id].name}'.", "adx_webroleid")
        found[role_id] = WebRole(
            role_id,
            record.need("adx_name"),
            record.flag("adx_authenticatedusersrole"),
            record.flag("adx_anonymoususersrole"),
        )
    return WebRoles(tuple(found.values()), frozenset(others))


def _names(record: Record, key: str, roles: WebRoles, notices: list[str]) -> frozenset[str]:
    """Names of the roles that ``key`` lists. One that is inactive, or another site's, counts for nothing (A1.3, A1.6);
    an id of no role at all is a fault."""
    found = set()
    for role_id in record.uuids(key):
        name = roles.name_of(role_id)
        if name is not None:
            found.add(name)
        elif role_id in roles.others:
            notices.append(f"{record.where(key)}: {role_id} is no active role of this site; it grants nothing.")
        else:
            record.fault(
                f"'{record.label}' names the web role {role_id}, which does not exist.",
                key,
                "Take the id out, or add the role.",
            )
    return frozenset(found)


def read_permissions(folder: Folder, roles: WebRoles, notices: list[str]) -> tuple[TablePermission, ...]:
    """``table-permissions/``: active permissions. A chain whose parent is inactive grants nothing (A1.3)."""
    found: dict[UUID, TablePermission] = {}
    known: set[UUID] = set()
    parents: list[tuple[Record, UUID]] = []
    for record in folder.records(PERMISSION):
        permission_id = record.id("adx_entitypermissionid")
        known.add(permission_id)
        if not record.active:
            continue
        scope = record.choice("adx_scope", Scope)
        table = record.need("adx_entitylogicalname")
        name = record.text("adx_entityname") or table
        if scope is None:
            continue
        relationship = None
        if scope in _LINKS:
            relationship = record.text(_LINKS[scope]) or None
            if relationship is None:
                record.fault(
                    f"the permission '{name}' has access type {scope.name.title()} but no relationship.",
                    "adx_scope",
                    f"Write {record.shown(_LINKS[scope])}: and the relationship's schema name.",
                )
        fetch = record.text(FETCH) if scope is Scope.CUSTOM else ""
        if scope is Scope.CUSTOM and not fetch:
            record.fault(
                f"the permission '{name}' has access type Custom but no filter.",
                "adx_scope",
                f"Write {record.shown(FETCH)}: and a FetchXML query; its filter counts.",
            )
        parent = record.uuid("adx_parententitypermission") if scope is Scope.PARENT else None
        if scope is Scope.PARENT and parent is None:
            record.fault(
                f"the permission '{name}' has access type Parent but no parent.",
                "adx_scope",
                f"Write {record.shown('adx_parententitypermission')}: and the id of the permission above.",
            )
        if scope is Scope.SELF and table != "contact":
            record.fault(
                f"the permission '{name}' has access type Self on '{table}'.",
                "adx_scope",
                "Self is for the table contact alone; use Contact here.",
            )
        if parent is not None:
            parents.append((record, parent))
        if permission_id in found:
            record.fault(f"the id {permission_id} is taken by '{found[permission_id].name}'.", "adx_entitypermissionid")
        found[permission_id] = TablePermission(
            permission_id,
            name,
            table,
            scope,
            frozenset(right for key, right in _RIGHTS.items() if record.flag(key)),
            _names(record, "adx_entitypermission_webrole", roles, notices),
            relationship,
            parent,
            record.where(),
            fetch,
        )
    for record, parent in parents:
        if parent not in known:
            record.fault(f"there is no permission with the id {parent}.", "adx_parententitypermission")
    return tuple(found.values())


def read_rules(
    folder: Folder, roles: WebRoles, pages: Mapping[UUID, Page], states: Container[UUID], notices: list[str]
) -> tuple[PageRule, ...]:
    """Page rules: active ones that name a page."""
    found = []
    for record in folder.records(RULE):
        if not record.active:
            continue
        name = record.text("adx_name", "(no name)")
        right = record.choice("adx_right", PageRight)
        scope = record.choice("adx_scope", RuleScope, RuleScope.ALL_CONTENT)
        page = record.uuid("adx_webpageid")
        if page is None:
            notices.append(f"{record.where()}: the page rule '{name}' names no page; it has no effect.")
            continue
        if page not in pages:
            record.fault(f"the page rule '{name}' names the page {page}, which does not exist.", "adx_webpageid")
        if right is None or scope is None:
            continue
        names = _names(record, "adx_webpageaccesscontrolrule_webrole", roles, notices)
        limits = frozenset(record.uuids(_RULE_STATES))
        for state in limits:
            if state not in states:
                what = f"the page rule '{name}' names the publishing state {state}, which does not exist."
                record.fault(what, _RULE_STATES)
        found.append(PageRule(name, page, right, scope, names, record.where(), limits))
    return tuple(found)


def read_website_access(folder: Folder, roles: WebRoles, notices: list[str]) -> tuple[WebsiteAccess, ...]:
    """Website access: active website access permissions (A1.7)."""
    return tuple(
        WebsiteAccess(
            record.text("adx_name", "(no name)"),
            frozenset(right for right in WebsiteRight if record.flag(right.value)),
            _names(record, "adx_websiteaccess_webrole", roles, notices),
            record.where(),
        )
        for record in folder.records(ACCESS)
        if record.active
    )


def read_column_profiles(folder: Folder, roles: WebRoles, notices: list[str]) -> tuple[ColumnProfile, ...]:
    """``column-permission-profiles/``: active profiles, with the lines that lie beside each (A1.5)."""
    lines: dict[UUID, dict[str, frozenset[ColumnRight]]] = {}
    profiles = list(folder.records(PROFILE))
    known = {record.uuid(PROFILE.id) for record in profiles}
    for record in folder.records(COLUMN):
        profile, column = record.refer(PROFILE.id, known, "profile"), record.need("adx_columnname")
        if record.active and profile is not None and column:
            rights = frozenset(record.choices("adx_permissions", ColumnRight))
            columns = lines.setdefault(profile, {})
            columns[column] = columns.get(column, frozenset()) | rights
    found = []
    for record in profiles:
        if not record.active:
            continue
        table = record.need("adx_tablename")
        found.append(
            ColumnProfile(
                record.text("adx_profilename") or table,
                table,
                _names(record, "adx_columnpermissionprofile_webrole", roles, notices),
                frozenset(record.choices("adx_allcolumnpermissions", ColumnRight)),
                lines.get(record.id("adx_columnpermissionprofileid"), {}),
                record.where(),
            )
        )
    return tuple(found)


def read_settings(folder: Folder, notices: list[str]) -> tuple[Mapping[str, str], Mapping[str, Record]]:
    """Site settings: values of the active ones, and the row of each, by name in lower case. Of two rows with one name
    the later counts."""
    values: dict[str, str] = {}
    records: dict[str, Record] = {}
    for record in folder.records(SETTING):
        name = record.text("adx_name")
        if name and record.active:
            value = record.text("adx_value")
            first = records.get(name.lower())
            if first is not None and first.text("adx_value") != value:
                values.pop(first.text("adx_name"), None)
                notices.append(f"{record.where()}: the setting {name} is given twice; this row counts.")
            if holds_secret(name, value):
                notices.append(
                    f"{record.where('adx_value')}: the setting {name} holds a secret; take it out of the files."
                )
            values[name] = value
            records[name.lower()] = record
    return values, records


def web_api_columns(settings: Mapping[str, str], records: Mapping[str, Record]) -> Mapping[str, frozenset[str]]:
    """``Webapi/<table>/enabled`` and ``/fields``: the columns that ``/_api`` opens, by table (A2.2).

    A table that is enabled without columns is not open. ``*`` is refused: it opens what is added later, too.
    """
    lowered = {name.lower(): value for name, value in settings.items()}
    found: dict[str, frozenset[str]] = {}
    for name, value in lowered.items():
        parts = name.split("/")
        if len(parts) != 3 or parts[0] != "webapi" or parts[2] != "enabled" or value.lower() != "true":
            continue
        fields = f"webapi/{parts[1]}/fields"
        columns = frozenset(item.strip() for item in lowered.get(fields, "").split(",") if item.strip())
        if "*" in columns:
            records[fields].fault(
                f"the setting Webapi/{parts[1]}/fields is '*', which opens every column, later ones too.",
                "adx_value",
                "List the columns, separated by commas.",
            )
        elif columns:
            found[parts[1]] = columns
    return found


def setting_where(records: Mapping[str, Record], name: str) -> Where | None:
    """Where a setting is written."""
    record = records.get(name.lower())
    return record.where("adx_value") if record else None
