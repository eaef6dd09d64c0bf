"""Configurations drawn at random: roles, policies, security roles, permissions, columns, pages of a small portal.

The databases stay the same (``TEMPLATE``), the definitions over them differ: a folder for each seed. Every draw is a
valid solution; whether anybody reads anything under it is left to chance.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from forecourt.identity.principals import PORTAL_USER
from forecourt.kernel.principal import Door
from forecourt.security.rules import Scope
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from support import policied_erp, small_erp
from support.server import ensure_template, installed
from support.small_portal import ROLES, Content, Permission, Profile, Rule, SmallPortal, SmallSite, put, solution

TEMPLATE = "drawn_configuration_template"
USERS = ("u0", "u1", "u2", "u3", "u4")
WEB_ROLES = ("Members", "Managers", "Restricted")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "SmallCustomerEntity": ("Name", "Email", "Note", "CreditLimit", "OnHold", "Since", "Points", "Vip"),
    "SmallOrderEntity": ("Account", "Quantity", "Price", "Total", "Status", "Trace"),
    "SmallLogEntity": ("Text",),
    "OpenOrderEntity": ("Account",),
    "EveryOrderEntity": ("Account",),
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cts_thing": ("cts_name", "cts_code", "cts_memo", "cts_whole", "cts_choice", "cts_buyer", "cts_parent"),
    "cts_part": ("cts_name", "cts_thing", "cts_maker"),
    "contact": ("lastname", "emailaddress1", "parentcustomerid"),
    "account": ("name", "accountnumber"),
    "annotation": ("subject", "notetext", "filename", "documentbody", "objectid"),
    "mserp_smallorderentity": ("mserp_dataareaid", "mserp_salesordernumber", "mserp_account", "mserp_quantity"),
}
#: How a permission of a table may hang on people, and on permissions of other tables.
LINKS: Mapping[str, tuple[tuple[Scope, str], ...]] = {
    "cts_thing": (
        (Scope.CONTACT, "cts_thing_contact"),
        (Scope.CONTACT, "cts_thing_contacts"),
        (Scope.ACCOUNT, "cts_thing_account"),
    ),
    "cts_part": ((Scope.ACCOUNT, "cts_account_parts"),),
    "contact": ((Scope.SELF, ""), (Scope.ACCOUNT, "contact_customer_accounts")),
    "account": ((Scope.CONTACT, "contact_customer_accounts"),),
    "annotation": (),
    "mserp_smallorderentity": (),
}
BENEATH: Mapping[str, Mapping[str, str]] = {
    "cts_thing": {"cts_thing": "cts_thing_things", "contact": "cts_thing_contact", "account": "cts_thing_account"},
    "cts_part": {"cts_thing": "cts_thing_parts", "account": "cts_account_parts"},
    "contact": {"account": "contact_customer_accounts"},
    "annotation": {"contact": "Contact_Annotation", "account": "Account_Annotation"},
}
CUSTOM = (
    '<fetch><entity name="cts_thing"><attribute name="cts_memo"/><filter>'
    '<condition attribute="cts_choice" operator="eq" value="1"/></filter></entity></fetch>'
)
LIQUID = (
    "{% fetchxml q %}<fetch><entity name='cts_thing'><attribute name='cts_name'/><attribute name='cts_memo'/>"
    "<link-entity name='cts_part' from='cts_thing' to='cts_thingid' link-type='outer' alias='p'>"
    "<attribute name='cts_name'/></link-entity></entity></fetch>{% endfetchxml %}"
    "[{{ q.results.entities.size }}]{% for row in q.results.entities %}({{ row.cts_name }}|{{ row.cts_memo }})"
    "{% endfor %}{% entitylist name:'Things' %}{% entityview %}[{{ entityview.total_records }}]"
    "{% for row in entityview.records %}({{ row.cts_name }}){% endfor %}{% endentityview %}{% endentitylist %}"
)
DOWNLOADS = {"adx_settings": json.dumps({"ViewActions": [{"Type": "DownloadAction"}]})}
GRANTS = ("read", "create", "update", "delete")


def some(pick: random.Random, items: Sequence[Any], share: float = 0.6) -> list[Any]:
    return [item for item in items if pick.random() < share]


# ---------------------------------------------------------------------------------------------- operations


def _permission(pick: random.Random, entity: str) -> dict[str, Any]:
    """What a privilege says of an entity."""
    granted = [name for name in GRANTS if pick.random() < (0.9 if name == "read" else 0.5)]
    found: dict[str, Any] = {"grant": granted or [pick.choice(GRANTS)]}
    if pick.random() < 0.15:
        found["deny"] = [pick.choice(GRANTS)]
    if pick.random() < 0.4:
        kind = pick.choice(("read", "update", "deny_read", "deny_update"))
        found["fields"] = {kind: some(pick, FIELDS[entity], 0.5 if kind in ("read", "update") else 0.25)}
    if pick.random() < 0.2:
        found["modes"] = pick.choice(("DataServices", "DataManagement"))
    return found


def operations_roles(pick: random.Random) -> dict[str, Any]:
    """Privileges, roles (some with a context that policies look for) and users."""
    privileges = {
        f"P{number}": {"entities": {name: _permission(pick, name) for name in some(pick, list(FIELDS), 0.7)}}
        for number in range(3)
    }
    contexts = {
        "Outside": "Own",
        "Regional": "Region",
        "Timed": "Until",
        "Excluded": "Not",
        "Reader": None,
        "Free": None,
    }
    roles: dict[str, Any] = {PORTAL_USER: {}}
    for name, context in contexts.items():
        roles[name] = {"privileges": pick.sample(sorted(privileges), pick.randint(1, 2))}
        if context:
            roles[name]["context"] = context
    users: list[dict[str, Any]] = [{"id": "admin", "roles": ["-SYSADMIN-"], "company": "usmf"}]
    for user in USERS:
        held = pick.sample(sorted(contexts), pick.randint(1, 2))
        if pick.random() < 0.5:
            held.append("SystemExternalUser")
        spread: Any = [*held, PORTAL_USER]
        if pick.random() < 0.25:
            spread = {name: pick.choice(([], ["usmf"], ["demf"])) if name in contexts else [] for name in spread}
        users.append({"id": user, "roles": spread, "company": pick.choice(("usmf", "demf"))})
    return {"privileges": privileges, "roles": roles, "users": users}


def _read(path: str) -> dict[str, Any]:
    """A definition of ``policied_erp``; ``on`` is a word there, and no truth."""
    return dict(yaml.safe_load(policied_erp.FILES[path].replace(" on:", " 'on':")))


def policies(pick: random.Random) -> dict[str, dict[str, Any]]:
    """Some of the policies of ``policied_erp``, with other operations, ranges and reach."""
    found = {}
    for path in policied_erp.FILES:
        if not path.startswith("policies/") or pick.random() < 0.2:
            continue
        policy = _read(path)
        if pick.random() < 0.25:
            policy["operation"] = pick.choice(("Select", "InsertUpdateDelete", "Update"))
        if policy["name"] in ("Region", "Not"):
            ranges = [{"column": "dataareaid", "equals": "$user.company"}, {"column": "quantity", "lt": 60}]
            policy["query"] = {"ranges": pick.sample(ranges, pick.randint(1, 2))}
            policy["not_exists"] = pick.random() < 0.3
        if policy["name"] == "Own" and pick.random() < 0.3:
            policy["constrain_primary"] = False
        found[path] = policy
    return found


# ------------------------------------------------------------------------------------------------- Dataverse


def security_roles(pick: random.Random) -> dict[str, Any]:
    """Security roles with depths, and who holds one."""
    depths = ("user", "business_unit", "parent_child", "organization")
    roles = {
        name: {
            "tables": {
                table: {
                    right: pick.choice(depths)
                    for right in ("read", "create", "write", "delete", "append", "append_to")
                    if pick.random() < (0.9 if right == "read" else 0.5)
                }
                for table in some(pick, [name for name in COLUMNS if not name.startswith("mserp_")], 0.6)
            }
        }
        for name in ("Keeper", "Giver", "Friend")
    }
    roles["Basic"] = {"tables": {"*": ["read", "write", "create"]}}
    holders = {user: [pick.choice(sorted(roles)), "Basic"] for user in USERS if pick.random() < 0.7}
    return {"roles": roles, "users": {name: sorted(set(held)) for name, held in holders.items()}}


def site(pick: random.Random) -> SmallSite:
    """A forest of table permissions, column permissions, pages with rules, what ``/_api`` opens."""
    found: list[Permission] = []
    for number in range(pick.randint(4, 10)):
        table = pick.choice(sorted(COLUMNS))
        above = [item for item in found if item.table in BENEATH.get(table, {})]
        options: list[tuple[Scope, str, str]] = [(Scope.GLOBAL, "", "")]
        options += [(scope, link, "") for scope, link in LINKS[table]] * 2
        options += [(Scope.PARENT, BENEATH[table][item.table], item.name) for item in above] * 2
        if table == "cts_thing":
            options.append((Scope.CUSTOM, "", ""))
        scope, link, parent = pick.choice(options)
        found.append(
            Permission(
                f"permission {number}",
                table,
                scope,
                "r" * (pick.random() < 0.9) + "".join(some(pick, "wcdat", 0.5)),
                roles=tuple(pick.sample(ROLES, pick.randint(0 if parent else 1, 3))),
                link=link,
                parent=parent,
                fetch=CUSTOM if scope is Scope.CUSTOM else "",
                active=pick.random() < 0.95,
            )
        )
    profiles = [
        Profile(
            f"profile {table}",
            table,
            {name: pick.choice(("", "r", "ru", "cru", "c")) for name in some(pick, COLUMNS[table], 0.5)},
            others=pick.choice(("", "r", "cru")),
            roles=(pick.choice(WEB_ROLES),),
        )
        for table in some(pick, ("cts_thing", "contact", "account", "cts_part"), 0.3)
    ]
    pages = (
        Content("Things", shows="list"),
        Content("Thing", shows="form"),
        Content("New", shows="new"),
        Content("Part", shows="part"),
        Content("About", copy=LIQUID),
    )
    rules = [
        Rule(f"rule {page}", page, pick.choice((1, 2)), (pick.choice(ROLES),))
        for page in some(pick, ("Things", "Thing", "New", "About"), 0.2)
    ]
    opened = {name: ",".join(some(pick, columns, 0.8)) for name, columns in COLUMNS.items() if pick.random() < 0.8}
    return SmallSite(
        found,
        profiles,
        rules,
        pages,
        web_api={name: value for name, value in opened.items() if value},
        listing=DOWNLOADS,
    )


def drawn(folder: Path, seed: int) -> Path:
    """The solution of a seed."""
    pick = random.Random(seed)
    return written(folder, site(pick), operations_roles(pick), policies(pick), security_roles(pick))


def plain(folder: Path) -> Path:
    """A solution in which every layer hides something from everybody: rows of others, notes of others, things.
    Parts are open to the last user."""
    privileges = {"Look": {"entities": {name: {"grant": ["read"]} for name in FIELDS}}}
    roles = {PORTAL_USER: {}, "Outside": {"privileges": ["Look"], "context": "Own"}}
    users = [{"id": user, "roles": ["Outside", PORTAL_USER], "company": "usmf"} for user in USERS]
    own = {"policies/Own.yaml": _read("policies/Own.yaml")}
    keeper = {"tables": {name: {"read": "user"} for name in ("annotation", "cts_thing")}}
    permission = Permission(
        "own things", "cts_thing", Scope.CONTACT, "r", ("Authenticated Users",), "cts_thing_contact"
    )
    return written(
        folder,
        SmallSite((permission,), pages=(Content("Things", shows="list"),), listing=DOWNLOADS),
        {"privileges": privileges, "roles": roles, "users": users},
        own,
        {
            "roles": {"Keeper": keeper, "Teller": {"tables": {"cts_part": {"read": "organization"}}}},
            "users": {**{user: ["Keeper"] for user in USERS}, USERS[-1]: ["Keeper", "Teller"]},
        },
    )


def written(
    folder: Path,
    pages: SmallSite,
    roles: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    security: Mapping[str, Any],
) -> Path:
    """A solution of these definitions; its folder."""
    root = solution(folder, pages)
    operations = root / "operations"
    (operations / "orders.py").unlink()
    put(operations / "roles.yaml", roles)
    construct = "constructs/MyAccounts.yaml"
    for path, policy in {**found, construct: _read(construct)}.items():
        put(operations / path, policy)
    for name in ("Open", "Every"):
        text = policied_erp.ENTITY.format(name=name, table=f"{name.lower()}order" + "s" * (name == "Open"))
        (operations / "entities" / f"{name}.yaml").write_text(text)
    put(root / "dataverse" / "roles.yaml", security)
    return root


# -------------------------------------------------------------------------------------------------- the rows

_ROWS = """
insert into erp.party (name, email) select 'Party ' || n, n || '@party.example' from generate_series(1, 6) n;
insert into erp.cust (dataareaid, accountnum, party, credit, blocked, points)
    select area, account, 1 + ord, ord * 100, ord % 3, ord * 7
    from unnest(array['usmf', 'demf']) area, unnest(array['A', 'B', 'C']) with ordinality o(account, ord);
insert into erp.custnote select recid, case recid % 2 when 0 then 'public ' else 'secret ' end || accountnum
    from erp.cust;
insert into erp.orders (dataareaid, salesid, account, quantity, price, status, trace)
    select dataareaid, accountnum || n, accountnum, n * 13, n, 1 + 2 * (n % 2), 'order ' || n
    from erp.cust, generate_series(1, 6) n;
insert into erp.log (dataareaid, text) select 'usmf', 'line ' || n from generate_series(1, 5) n;
insert into erp.mine (who, area, account) values ('u0', 'usmf', 'A'), ('u1', 'usmf', 'B'), ('u1', 'demf', 'A'),
    ('u2', 'demf', 'C'), ('u3', 'usmf', 'C');
"""


async def ensure_loaded(server: EmbeddedServer, folder: Path) -> None:
    """The template with its rows: customers and orders, things and parts, people with web roles and mappings."""
    await small_erp.ensure_loaded(server)

    async def load(address: str) -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(policied_erp.SCHEMA + _ROWS)
        finally:
            await connection.close()
        os.environ["SMALL_ERP"] = address
        async with installed(plain(folder), address) as installation:
            await _people(SmallPortal(installation))

    await ensure_template(server, TEMPLATE, load, small_erp.TEMPLATE)


async def _people(small: SmallPortal) -> None:
    pick = random.Random(1)
    for number in range(6):
        roles = pick.sample(WEB_ROLES, pick.randint(1, 2))
        person = await small.person(f"person{number}", *roles, account=pick.choice(("", "North", "South", "South")))
        if number < 4:
            await small.site.dataverse(
                "insert into dataverse.msdyn_externalportalusermapping (msdyn_contactid, msdyn_userid) values ($1, $2)",
                person.contact,
                USERS[number],
            )
    contacts = [person.contact for person in small.people.values()]
    owners = [*contacts, *small.accounts.values(), None]
    things: list[str] = []
    for number in range(24):
        above = {"cts_parent": uuid.UUID(pick.choice(things))} if things and pick.random() < 0.3 else {}
        more = {"cts_memo": f"memo {number}", "cts_whole": number, "cts_choice": 1 + number % 2, **above}
        things.append(await small.thing(f"Thing {number}", pick.choice(owners), cts_code=f"C{number}", **more))
        if pick.random() < 0.4:
            await small.share(things[-1], pick.choice(list(small.people.values())))
        for part in range(pick.randint(0, 2)):
            await small.part(f"Part {number}-{part}", things[-1])
    for number, above in enumerate((*contacts, *small.accounts.values()) * 2):
        await small.site.dataverse(
            "insert into dataverse.annotation (subject, notetext, filename, documentbody, isdocument, objectid) "
            "values ($1, $2, $3, $4, true, $5)",
            f"Note {number}",
            f"About {number}",
            f"file-{number}.txt",
            f"RmlsZSA{number}",
            uuid.UUID(str(above)),
        )
    await _owned(small, pick)


async def _owned(small: SmallPortal, pick: random.Random) -> None:
    """Gives most notes, things and parts to users who come to Dataverse."""
    forecourt = small.site.forecourt
    for user in USERS:
        principal = await forecourt.principals.for_operations_user(user)
        await forecourt.dataverse_gate.scope(principal, Door.DATAVERSE, fresh=True)  # makes the user's row
    for table in ("annotation", "cts_thing", "cts_part"):
        for (row,) in await small.site.dataverse(f"select {table}id from dataverse.{table} order by 1"):
            owner = id_of("systemuser", f"user/{pick.choice((*USERS, USERS[0]))}")
            if pick.random() < 0.8:
                await small.site.dataverse(
                    f"update dataverse.{table} set ownerid = $1 where {table}id = $2", owner, row
                )
