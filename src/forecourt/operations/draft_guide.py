"""The README of a drafted solution, for :mod:`forecourt.operations.draft`: how to serve it, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence

from forecourt.operations.draft_entities import EntityDraft
from forecourt.operations.draft_files import virtual_name

_TEXT = """\
# {title}

A Forecourt solution, drafted from an existing PostgreSQL database: {counts}.
The database is attached as it is: no table of it is altered and no row of it is copied.

## Serve it

```sh
export {variable}='postgresql://user:password@host/database'
forecourt check . --database
forecourt user add . --operations-user admin admin
FORECOURT_PASSWORD_GRANT=1 forecourt serve .
```

`user add` prints the password of the administrator once. `FORECOURT_PASSWORD_GRANT` lets people get tokens by password,
which is for local use only; programs get theirs with a client secret (`applications` in `solution.yaml`):

```sh
TOKEN=$(curl -s http://127.0.0.1:8000/{tenant}/oauth2/v2.0/token -d grant_type=password -d client_id=forecourt-cli \\
  -d username=admin --data-urlencode 'password=...' -d scope=http://127.0.0.1:8000/.default \\
  | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
curl -H "Authorization: Bearer $TOKEN" 'http://127.0.0.1:8000/data/{collection}?$top=3{cross}'
```
{companies}
## What comes next

Nobody from outside sees anything yet. That is on purpose: rights are given, never assumed.

1. **Read the entities** in `operations/entities/`. Names and labels were made from the names of tables and columns: say
   them as people say them. Remove the fields that nobody needs and the entities that nobody asks for (and what
   `operations/roles.yaml` and `dataverse/tables/` say of them). Join tables, define enums, mark what nobody may change
   with `editable: false`.
2. **Choose the umbrella**: the table whose rows stand for the people outside, such as vendors or customers, and the way
   from a user to their row.
3. **Write policies** in `operations/policies/`, one for each kind of people outside. A policy constrains the umbrella
   table and every table that can be reached from it:

   ```yaml
   # operations/policies/VendorPolicy.yaml: a vendor's users see their vendor, and what belongs to it.
   name: VendorPolicy
   primary_table: public.vendor
   context: {{type: RoleProperty, value: VendorPolicy}}
   query:
     ranges: [{{column: email, equals: $user.email}}]
   constrained_tables:
     - {{table: public.purchase_order, relation: {{vendor_id: id}}}}
   ```

4. **Add external roles and users** to `operations/roles.yaml`. The role carries the policy's context; a user that a
   contact is mapped to holds `SystemExternalUser` and `CDSVirtualEntityAuthenticatedPortalUser` too, and is no
   administrator:

   ```yaml
   roles:
     VendorExternal: {{label: Vendor (external), context: VendorPolicy, privileges: [PurchaseOrderView]}}
   users:
     - {{id: vendor-1, email: ann@example.com, roles: [VendorExternal, SystemExternalUser,
        CDSVirtualEntityAuthenticatedPortalUser]}}
   ```

5. **Finish the virtual tables** in `dataverse/tables/`: {virtual}. Give them forms, further views, and relationships to
   `contact` and `account`, which table permissions stand on. An entity without a record id (one integer column that is
   unique and never null) has none.
6. **Make contacts and map them**: a contact is a row of `dataverse.contact` in the Dataverse database (columns
   `contactid`, `firstname`, `lastname`, `fullname`, `emailaddress1`). Then give it a sign-in and an operations user:

   ```sh
   forecourt user add . --contact ann@example.com
   forecourt user map . --contact ann@example.com --operations-user vendor-1
   ```

7. **Add a site** in `site/`, in the layout that `pac pages download` writes.
8. **Prove it**: `forecourt audit .` compares every door for every person from outside.

`{prefix}Reader` in `operations/roles.yaml` reads everything. It is for people inside.
"""

_COMPANIES = """
Without `cross-company=true`, `/data` answers for one company: the user's own. Write it to the user in
`operations/roles.yaml` (`company: usmf`), and the companies to `legal_entities` in `solution.yaml`.
"""


def guide(
    name: str,
    title: str,
    prefix: str,
    variable: str,
    entities: Sequence[EntityDraft],
    virtual: Sequence[EntityDraft],
    left_out: Sequence[str],
) -> str:
    """``README.md``."""
    companies = any(entity.company is not None for entity in entities)
    text = _TEXT.format(
        title=title,
        counts=f"{_count(len(entities), 'data entity', 'data entities')}, "
        f"{_count(len(virtual), 'virtual table', 'virtual tables')}",
        variable=variable,
        tenant=name,
        prefix=prefix,
        collection=entities[0].collection if entities else "",
        cross="&cross-company=true" if companies else "",
        companies=_COMPANIES if companies else "",
        virtual=f"`{virtual_name(virtual[0])}` and the others" if virtual else "none was drafted",
    )
    if left_out:
        text += "\n## Left out\n\n" + "".join(f"- {_code(*item.rpartition(': '))}\n" for item in left_out)
    return text


def _code(table: str, _: str, reason: str) -> str:
    """The table as code, whatever backticks its name holds."""
    fence = "`" * (1 + max((len(run) for run in _backticks(table)), default=0))
    blank = " " if "`" in table else ""
    return f"{fence}{blank}{table}{blank}{fence}: {reason}"


def _backticks(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
