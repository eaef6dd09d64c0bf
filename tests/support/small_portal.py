"""A small portal over the small ERP's Dataverse tables: its site is written by the test, its people are made by it.

``cts_thing`` has a customer lookup (``cts_buyer``), a parent, pairs with contacts, a unique code, and ``cts_part``
beneath it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from forecourt.identity.passwords import generate_password
from forecourt.identity.principals import PORTAL_USER
from forecourt.security.rules import ColumnRight, Scope
from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.server import SETTINGS, Installation, Person
from support.small_erp import ROOT, small_erp

ROLES = ("Members", "Managers", "Restricted", "Anonymous Users", "Authenticated Users")
PUBLISHED, DRAFT = "Published", "Draft"

#: What ``/_api`` opens, unless a test says otherwise.
WEB_API = {
    "cts_thing": "cts_name,cts_code,cts_memo,cts_whole,cts_choice,cts_buyer,cts_parent",
    "cts_part": "cts_name,cts_thing",
    "contact": "lastname,emailaddress1,parentcustomerid",
    "account": "name,accountnumber",
}

VIEWS = """
views:
  - id: 00000000-0000-0000-0000-0000000000f1
    name: Things
    columns: [cts_name, cts_memo, cts_whole]
    order: [{column: cts_memo}]
forms:
  - name: Thing
    sections:
      - {label: Thing, columns: [cts_name, cts_memo, cts_whole]}
    subgrids:
      - {relation: cts_thing_parts, view: Parts}
  - name: New thing
    sections:
      - {label: Thing, columns: [cts_name, cts_memo, cts_code, cts_number]}
      - label: Numbers
        columns: [cts_whole, cts_big, cts_decimal, cts_double, cts_money]
      - label: Times
        columns: [cts_date, cts_moment, cts_day, cts_clock]
      - {label: Choices, columns: [cts_choice, cts_choices, cts_yesno, cts_parent, cts_buyer, cts_unique]}
"""

PARTS = """
views:
  - id: 00000000-0000-0000-0000-0000000000f2
    name: Parts
    columns: [cts_name, cts_thing]
forms:
  - name: New part
    sections:
      - {columns: [cts_name, cts_thing]}
"""

ORDER = """
forms:
  - name: Order
    sections:
      - {label: Order, columns: [mserp_dataareaid, mserp_account, mserp_quantity, mserp_price, mserp_trace]}
"""


def id_of(kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))


#: The built-in form of contacts, for oneself: a maker's profile page.
PROFILE_FORM: Mapping[str, object] = {
    "adx_entityformid": id_of("form", "profile"),
    "adx_name": "Profile",
    "adx_entityname": "contact",
    "adx_formname": "Profile Web Form",
    "adx_mode": 100000001,
    "adx_entitysourcetype": 756150002,
}


@dataclass(frozen=True)
class Permission:
    """``rights``: letters of ``read write create delete append to``, as ``rwcdat``; ``link``: the relationship."""

    name: str
    table: str
    scope: Scope
    rights: str = "r"
    roles: tuple[str, ...] = ("Members",)
    link: str = ""
    parent: str = ""
    fetch: str = ""
    active: bool = True

    def row(self) -> dict[str, Any]:
        links = {Scope.CONTACT: "adx_contactrelationship", Scope.ACCOUNT: "adx_accountrelationship"}
        found: dict[str, Any] = {
            "adx_entitypermissionid": id_of("permission", self.name),
            "adx_entityname": self.name,
            "adx_entitylogicalname": self.table,
            "adx_scope": int(self.scope),
            "adx_entitypermission_webrole": [id_of("role", role) for role in self.roles],
            "statecode": 0 if self.active else 1,
        }
        for letter, right in zip("rwcdat", ("read", "write", "create", "delete", "append", "appendto"), strict=True):
            found[f"adx_{right}"] = letter in self.rights
        if self.link:
            found[links.get(self.scope, "adx_parentrelationship")] = self.link
        if self.parent:
            found["adx_parententitypermission"] = id_of("permission", self.parent)
        if self.fetch:
            found["adx_fetchxml"] = self.fetch
        return found


@dataclass(frozen=True)
class Profile:
    """``columns``: letters ``cru`` by column; ``others``: those of all others."""

    name: str
    table: str
    columns: Mapping[str, str]
    others: str = ""
    roles: tuple[str, ...] = ("Restricted",)


@dataclass(frozen=True)
class Rule:
    """A page rule. ``right``: 1 Grant Change, 2 Restrict Read."""

    name: str
    page: str
    right: int
    roles: tuple[str, ...]
    scope: int = 1
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """A page of the site. ``shows``: ``list`` of things, ``form`` of a thing, ``new`` to make one, ``part`` to make a
    part of one, ``steps <name>`` of the multistep form of that name."""

    name: str
    parent: str = "Home"
    state: str = PUBLISHED
    active: bool = True
    shows: str = ""
    copy: str = ""


@dataclass(frozen=True)
class SmallSite:
    permissions: Sequence[Permission] = ()
    profiles: Sequence[Profile] = ()
    rules: Sequence[Rule] = ()
    pages: Sequence[Content] = ()
    access: Sequence[Mapping[str, Any]] = ()
    files: Sequence[tuple[str, str]] = ()
    new_form: Mapping[str, Any] = field(default_factory=dict)
    listing: Mapping[str, Any] = field(default_factory=dict)
    markers: Mapping[str, str] = field(default_factory=dict)
    web_api: Mapping[str, str] = field(default_factory=lambda: WEB_API)
    settings: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """The site as ``pac pages download`` writes it."""
        put(root / "website.yml", {"adx_websiteid": id_of("site", "small"), "adx_name": "Small"})
        roles = [
            {
                "adx_webroleid": id_of("role", name),
                "adx_name": name,
                "adx_authenticatedusersrole": name == "Authenticated Users",
                "adx_anonymoususersrole": name == "Anonymous Users",
            }
            for name in ROLES
        ]
        put(root / "webrole.yml", roles)
        states = [
            {"adx_publishingstateid": id_of("state", name), "adx_name": name, "adx_isvisible": name == PUBLISHED}
            for name in (PUBLISHED, DRAFT)
        ]
        put(root / "publishingstate.yml", states)
        settings = [
            {"adx_sitesettingid": id_of("setting", name), "adx_name": name, "adx_value": value}
            for table, columns in self.web_api.items()
            for name, value in ((f"Webapi/{table}/enabled", "true"), (f"Webapi/{table}/fields", columns))
        ]
        settings += [
            {"adx_sitesettingid": id_of("setting", name), "adx_name": name, "adx_value": value}
            for name, value in self.settings.items()
        ]
        put(root / "sitesetting.yml", settings)
        for permission in self.permissions:
            put(root / "table-permissions" / f"{permission.name}.tablepermission.yml", permission.row())
        for profile in self.profiles:
            self._profile(root / "column-permission-profiles" / profile.name, profile)
        rules = [
            {
                "adx_webpageaccesscontrolruleid": id_of("rule", rule.name),
                "adx_name": rule.name,
                "adx_webpageid": id_of("page", rule.page),
                "adx_right": rule.right,
                "adx_scope": rule.scope,
                "adx_webpageaccesscontrolrule_webrole": [id_of("role", role) for role in rule.roles],
                "adx_accesscontrolrule_publishingstate": [id_of("state", state) for state in rule.states],
            }
            for rule in self.rules
        ]
        put(root / "webpagerule.yml", rules)
        markers = [
            {"adx_sitemarkerid": id_of("marker", name), "adx_name": name, "adx_pageid": id_of("page", page)}
            for name, page in self.markers.items()
        ]
        put(root / "sitemarker.yml", markers)
        put(root / "websiteaccess.yml", list(self.access))
        for page in (Content("Home", ""), *self.pages):
            self._page(root / "web-pages" / page.name.lower(), page)
        for page_name, name in self.files:
            row = {
                "adx_webfileid": id_of("file", name),
                "adx_name": name,
                "adx_partialurl": name,
                "adx_parentpageid": id_of("page", page_name),
            }
            put(root / "web-files" / f"{name}.webfile.yml", row)
            (root / "web-files" / name).write_text(f"the file {name}", "utf-8")
        listing = {
            "adx_entitylistid": id_of("list", "things"),
            "adx_name": "Things",
            "adx_entityname": "cts_thing",
            "adx_view": "00000000-0000-0000-0000-0000000000f1",
            "adx_searchenabled": True,
            "adx_entitypermissionsenabled": False,
            **self.listing,
        }
        put(root / "lists" / "Things.list.yml", listing)
        form = {
            "adx_entityformid": id_of("form", "thing"),
            "adx_name": "Thing",
            "adx_entityname": "cts_thing",
            "adx_formname": "Thing",
            "adx_mode": 100000001,
            "adx_entitypermissionsenabled": False,
            "adx_settings": json.dumps({"Actions": [{"Type": "DeleteAction"}]}),
        }
        put(root / "basic-forms" / "thing" / "Thing.basicform.yml", form)
        new = {
            "adx_entityformid": id_of("form", "new"),
            "adx_name": "New thing",
            "adx_entityname": "cts_thing",
            "adx_formname": "New thing",
            "adx_mode": 100000000,
            "adx_entitypermissionsenabled": True,
            **self.new_form,
        }
        put(root / "basic-forms" / "new" / "New.basicform.yml", new)
        part = {
            "adx_entityformid": id_of("form", "part"),
            "adx_name": "New part",
            "adx_entityname": "cts_part",
            "adx_formname": "New part",
            "adx_mode": 100000000,
            "adx_setentityreference": True,
            "adx_referencetargetlookupattributelogicalname": "cts_thing",
            "adx_referencequerystringname": "thing",
            "adx_redirectwebpage": id_of("page", "Things"),
        }
        put(root / "basic-forms" / "part" / "Part.basicform.yml", part)
        for name, row in self.more.items():
            put(root / name, row)

    def _profile(self, folder: Path, profile: Profile) -> None:
        letters = {"c": ColumnRight.CREATE, "r": ColumnRight.READ, "u": ColumnRight.UPDATE}
        row: dict[str, Any] = {
            "adx_columnpermissionprofileid": id_of("profile", profile.name),
            "adx_profilename": profile.name,
            "adx_tablename": profile.table,
            "adx_columnpermissionprofile_webrole": [id_of("role", role) for role in profile.roles],
        }
        if profile.others:
            row["adx_allcolumnpermissions"] = [int(letters[letter]) for letter in profile.others]
        put(folder / f"{profile.name}.columnpermissionprofile.yml", row)
        lines = [
            {
                "adx_columnpermissionid": id_of("column", f"{profile.name}/{column}"),
                "adx_columnpermissionprofileid": id_of("profile", profile.name),
                "adx_columnname": column,
                "adx_permissions": [int(letters[letter]) for letter in rights],
            }
            for column, rights in profile.columns.items()
        ]
        put(folder / f"{profile.name}.columnpermissionprofile.columnpermission.yml", lines)

    def _page(self, folder: Path, page: Content) -> None:
        row: dict[str, Any] = {
            "adx_webpageid": id_of("page", page.name),
            "adx_name": page.name,
            "adx_partialurl": "/" if page.name == "Home" else page.name.lower(),
            "adx_isroot": True,
            "adx_publishingstateid": id_of("state", page.state),
            "statecode": 0 if page.active else 1,
        }
        if page.parent:
            row["adx_parentpageid"] = id_of("page", page.parent)
        if page.shows == "list":
            row["adx_entitylist"] = id_of("list", "things")
        if page.shows == "form":
            row["adx_entityform"] = id_of("form", "thing")
        if page.shows in {"new", "part"}:
            row["adx_entityform"] = id_of("form", page.shows)
        if page.shows.startswith("steps "):
            row["adx_webform"] = id_of("steps", page.shows.removeprefix("steps "))
        if page.copy:
            row["adx_copy"] = page.copy
        put(folder / f"{page.name}.webpage.yml", row)


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), "utf-8")


def solution(folder: Path, site: SmallSite, more: Mapping[str, str] = {}) -> Path:
    """The small ERP's solution with the site, in a folder of its own. ``more``: further YAML of its tables."""
    root = folder / "small"
    shutil.copytree(ROOT, root)
    thing = root / "dataverse" / "tables" / "cts_thing.yaml"
    thing.write_text(thing.read_text("utf-8") + VIEWS, "utf-8")
    part = root / "dataverse" / "tables" / "cts_part.yaml"
    part.write_text(part.read_text("utf-8") + PARTS, "utf-8")
    for name, text in more.items():
        file = root / "dataverse" / "tables" / f"{name}.yaml"
        file.write_text((file.read_text("utf-8") if file.exists() else "") + text, "utf-8")
    order = root / "dataverse" / "tables" / "small_order.yaml"
    order.write_text(order.read_text("utf-8") + ORDER, "utf-8")
    roles = root / "operations" / "roles.yaml"
    text = roles.read_text("utf-8").replace("roles:\n  Clerk:", f"roles:\n  {PORTAL_USER}: {{}}\n  Clerk:")
    for user in ("Clerk", "Reader"):
        text = text.replace(f"roles: [{user}]", f"roles: [{user}, {PORTAL_USER}]")
    roles.write_text(text, "utf-8")
    site.write(root / "site")
    return root


def steps(name: str, form: Mapping[str, Any], *rows: Mapping[str, Any]) -> dict[str, object]:
    """Files of a multistep form: the form, and its steps, the first one first. Steps name others by name."""
    folder = f"advanced-forms/{name}"
    found: dict[str, object] = {
        f"{folder}/{name}.advancedform.yml": {
            "adx_webformid": id_of("steps", name),
            "adx_name": name,
            "adx_startstep": step_id(name, rows[0]["adx_name"]),
            **form,
        }
    }
    links = ("adx_nextstep", "adx_conditiondefaultnextstep", "adx_entitysourcestep", "adx_referenceentitystep")
    for row in rows:
        own = row["adx_name"]
        found[f"{folder}/advanced-form-steps/{own}/{own}.advancedformstep.yml"] = {
            "adx_webformstepid": step_id(name, own),
            "adx_webform": id_of("steps", name),
            **{key: step_id(name, value) if key in links else value for key, value in row.items()},
        }
    return found


def step_id(form: str, step: str) -> str:
    return id_of("step", f"{form}/{step}")


@dataclass
class SmallPortal:
    """The installation with its people. ``accounts``: ids by name."""

    site: Installation
    accounts: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)

    async def person(self, name: str, *roles: str, account: str = "") -> Person:
        """A contact that signs in, with web roles, maybe of an account."""
        if account and account not in self.accounts:
            self.accounts[account] = str(
                (
                    await self.site.dataverse(
                        "insert into dataverse.account (name) values ($1) returning accountid", account
                    )
                )[0][0]
            )
        rows = await self.site.dataverse(
            "insert into dataverse.contact (lastname, fullname, emailaddress1, parentcustomerid) "
            "values ($1, $1, $2, $3) returning contactid",
            name,
            f"{name}@example.com",
            uuid.UUID(self.accounts[account]) if account else None,
        )
        contact = rows[0][0]
        for role in roles:
            await self.site.dataverse(
                "insert into dataverse.adx_webrole_contact (adx_webroleid, contactid) values ($1, $2)",
                uuid.UUID(id_of("role", role)),
                contact,
            )
        password = generate_password()
        await self.site.forecourt.accounts.create(name, password, contact_id=contact)
        self.people[name] = Person(self.site, name, password, None, contact)
        return self.people[name]

    async def thing(self, name: str, buyer: object = None, **columns: object) -> str:
        """A row of ``cts_thing`` made by plain SQL."""
        given = {"cts_name": name, **columns}
        if buyer is not None:
            given["cts_buyer"] = uuid.UUID(str(buyer))
        places = ", ".join(f"${place}" for place in range(1, len(given) + 1))
        sql = f"insert into dataverse.cts_thing ({', '.join(given)}) values ({places}) returning cts_thingid"
        return str((await self.site.dataverse(sql, *given.values()))[0][0])

    async def part(self, name: str, thing: str) -> str:
        sql = "insert into dataverse.cts_part (cts_name, cts_thing) values ($1, $2) returning cts_partid"
        return str((await self.site.dataverse(sql, name, uuid.UUID(thing)))[0][0])

    async def share(self, thing: str, person: Person) -> None:
        await self.site.dataverse(
            "insert into dataverse.cts_thing_contacts (cts_thingid, contactid) values ($1, $2)",
            uuid.UUID(thing),
            person.contact,
        )

    async def stored(self, thing: str) -> dict[str, Any]:
        rows = await self.site.dataverse("select * from dataverse.cts_thing where cts_thingid = $1", uuid.UUID(thing))
        return dict(rows[0]) if rows else {}


@asynccontextmanager
async def small_portal(
    server: EmbeddedServer,
    folder: Path,
    site: SmallSite,
    settings: Settings = SETTINGS,
    more: Mapping[str, str] = {},
) -> AsyncIterator[SmallPortal]:
    async with small_erp(server, solution(folder, site, more), settings) as installation:
        yield SmallPortal(installation)
        assert not installation.faults
