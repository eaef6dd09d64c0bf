"""The operations users: those that ``roles.yaml`` lists, and those that the ERP database keeps in its own tables.

A user of the tables is read with all that decides about it in one query; a fingerprint of what decides stays with it,
and its witness lets every statement check that it is still so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forecourt.kernel.plan import Witness
from forecourt.kernel.predicate import TRUE, Column, Compare, Const, Match, Param, Predicate, all_of
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.operations.definitions import UserTables
from forecourt.security.rules import EXTERNAL_USER, NEVER_BEHIND_PORTAL, PORTAL_ANONYMOUS, PORTAL_USER
from forecourt.security.scopes import witnessed
from forecourt.store.catalog import Catalog
from forecourt.store.compile import compile_select, compile_witness
from forecourt.store.database import Database
from forecourt.store.statements import ReadStatement
from forecourt.store.witness import fingerprint

#: Values of an "enabled" column that mean no.
OFF = frozenset({None, "", "0", "f", "false", "no", "n"})


#: Outputs that decide what a user may do; name and language do not.
DECIDING = ("email", "company", "enabled", "role", "legal_entity")


def table(text: str) -> TableName:
    schema, _, name = text.partition(".")
    return TableName(schema, name)


def users_select(tables: UserTables) -> Select:
    """One row per role and legal entity of the user ``user.id``; without roles one row with nulls."""
    users, roles, companies = tables.users, tables.roles, tables.companies
    named = {
        "id": users.id,
        "name": users.name,
        "email": users.email,
        "company": users.company,
        "enabled": users.enabled,
        "language": users.language,
    }
    outputs = [Output(name, Column("u", column), None) for name, column in named.items() if column is not None]
    outputs.append(Output("role", Column("r", roles.role), None))
    sources = [
        Source("u", table(users.table)),
        Source("r", table(roles.table), "left", Compare("eq", Column("r", roles.user), Column("u", users.id))),
    ]
    if companies is not None:
        sources.append(
            Source(
                "c",
                table(companies.table),
                "left",
                all_of(
                    Compare("eq", Column("c", companies.user), Column("u", users.id)),
                    Compare("eq", Column("c", companies.role), Column("r", roles.role)),
                ),
            )
        )
        outputs.append(Output("legal_entity", Column("c", companies.company), None))
    where = Compare("eq", Column("u", users.id), Param("user.id"))
    return Select(tuple(sources), where, tuple(outputs))


class Users:
    """The directory. ``declared`` users win over a table's of the same id."""

    def __init__(
        self,
        declared: Mapping[str, OperationsUser],
        tables: UserTables | None,
        database: Database,
        catalog: Catalog,
        keep: int = 20_000,
    ) -> None:
        self._declared = declared
        self._tables = tables
        self._database = database
        self._catalog = catalog
        self._keep = keep
        self._known: OrderedDict[str, OperationsUser] = OrderedDict()
        self._witness: Witness | None = None
        self._statement: ReadStatement | None = None
        self._names: tuple[str, ...] = ()
        if tables is not None:
            select = users_select(tables)
            self._names = tuple(output.name for output in select.outputs)
            deciding = tuple(output for output in select.outputs if output.name in DECIDING)
            self._witness = Witness(replace(select, outputs=deciding), "witness.user")
            self._statement = compile_witness(select, catalog)

    def witness(self, user: OperationsUser) -> Witness | None:
        """The rows that the user was read from; None for a declared user."""
        return self._witness if user.fingerprint else None

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None:
        """The user with this id, None where there is none. ``fresh``: as the database has it now."""
        if user_id in self._declared:
            return self._declared[user_id]
        if self._statement is None:
            return None
        if not fresh and user_id in self._known and _settled(self._known[user_id]):
            self._known.move_to_end(user_id)
            return self._known[user_id]
        rows, _ = await witnessed(self._database, self._statement, {"user.id": user_id})
        if not rows:
            self._known.pop(user_id, None)
            return None
        found = [dict(zip(self._names, row, strict=True)) for row in rows]
        deciding = [name for name in self._names if name in DECIDING]
        user = _user(found, fingerprint([tuple(row[name] for name in deciding) for row in found]))
        self._known[user_id] = user
        while len(self._known) > self._keep:
            self._known.popitem(last=False)
        return user

    async def by_email(self, email: str) -> OperationsUser | None:
        """The one user with this e-mail, ignoring case; None for none, for more than one, and for an empty e-mail."""
        if not email.strip():
            return None
        wanted = email.casefold()
        found = [user.id for user in self._declared.values() if user.email.casefold() == wanted]
        if self._tables is not None and self._tables.users.email is not None and "*" not in email:
            users = self._tables.users
            same = Match("wildcard", Column("u", str(users.email)), Param("email"))
            found += await self._ids(table(users.table), users.id, same, {"email": email})
        return await self.get(found[0]) if len(set(found)) == 1 else None

    async def everybody(self) -> list[OperationsUser]:
        """All users, disabled ones too, by id; those of the tables in one statement."""
        found = dict(self._declared)
        if self._tables is not None:
            select = replace(users_select(self._tables), where=TRUE)
            rows = (await self._database.read(compile_witness(select, self._catalog), (), {})).rows
            deciding = [name for name in self._names if name in DECIDING]
            by_id: dict[str, list[dict[str, str | None]]] = {}
            for row in rows:
                record = dict(zip(self._names, row, strict=True))
                by_id.setdefault(str(record["id"]), []).append(record)
            for user_id, records in by_id.items():
                mark = fingerprint([tuple(record[name] for name in deciding) for record in records])
                found.setdefault(user_id, _user(records, mark))
        return [found[user_id] for user_id in sorted(found)]

    async def external(self) -> list[OperationsUser]:
        """Every enabled external user, by id: whom audit asks about."""
        ids = [user.id for user in self._declared.values() if user.external]
        if self._tables is not None:
            roles = self._tables.roles
            holds = Compare("eq", Column("u", roles.role), Const(EXTERNAL_USER))
            ids += await self._ids(table(roles.table), roles.user, holds, {})
        found = [await self.get(user_id, fresh=True) for user_id in dict.fromkeys(ids)]
        return [user for user in found if user is not None and user.enabled and user.external]

    async def held(self) -> list[tuple[str, frozenset[str]]]:
        """Every enabled user of the tables with the roles it holds, those left out that a file declares."""
        if self._tables is None:
            return []
        users, roles = self._tables.users, self._tables.roles
        named = [Output("id", Column("u", users.id), None), Output("role", Column("r", roles.role), None)]
        if users.enabled is not None:
            named.append(Output("enabled", Column("u", users.enabled), None))
        link = Compare("eq", Column("r", roles.user), Column("u", users.id))
        sources = (Source("u", table(users.table)), Source("r", table(roles.table), "inner", link))
        select = Select(sources, outputs=tuple(named))
        found: dict[str, set[str]] = {}
        for row in (await self._database.read(compile_select(select, self._catalog), (), {})).rows:
            on = users.enabled is None or (str(row[2]).lower() not in OFF and row[2] is not None)
            if on and str(row[0]) not in self._declared:
                found.setdefault(str(row[0]), set()).add(str(row[1]))
        return [(user, frozenset(held)) for user, held in sorted(found.items())]

    async def ids(self) -> list[str]:
        """The ids of all users, declared ones first."""
        found = list(self._declared)
        if self._tables is not None:
            found += await self._ids(table(self._tables.users.table), self._tables.users.id, TRUE, {})
        return list(dict.fromkeys(found))

    async def _ids(self, name: TableName, column: str, where: Predicate, values: Mapping[str, object]) -> list[str]:
        select = Select((Source("u", name),), where, (Output("id", Column("u", column), None),))
        rows = (await self._database.read(compile_select(select, self._catalog), (), values)).rows
        return sorted(str(row[0]) for row in rows)


def _settled(user: OperationsUser) -> bool:
    """Whether a user may be taken from the cache. One who is refused before any statement runs (disabled, an
    administrator, somebody outside without the portal's role) is read anew: no witness would notice a change.
    """
    portal = PORTAL_USER in user.roles or PORTAL_ANONYMOUS in user.roles
    return user.enabled and not user.roles & NEVER_BEHIND_PORTAL and (portal or not user.external)


def _user(rows: Sequence[Mapping[str, object]], mark: str) -> OperationsUser:
    first = rows[0]
    companies: dict[str, set[str]] = {}
    roles: set[str] = set()
    for row in rows:
        if row.get("role") is None:
            continue
        role = str(row["role"])
        roles.add(role)
        if row.get("legal_entity") is not None:
            companies.setdefault(role, set()).add(str(row["legal_entity"]))
    enabled = "enabled" not in first or str(first["enabled"]).lower() not in OFF
    return OperationsUser(
        id=str(first["id"]),
        name=str(first.get("name") or first["id"]),
        email=str(first.get("email") or ""),
        company=str(first.get("company") or ""),
        roles=frozenset(roles),
        companies=tuple(sorted((role, frozenset(ids)) for role, ids in companies.items())),
        external=EXTERNAL_USER in roles,
        enabled=enabled and first.get("enabled", "1") is not None,
        language=str(first.get("language") or "en-US"),
        fingerprint=mark,
    )
