"""Native access: database roles under which people ask the operations database itself, by plain SQL.

Each is mapped to an operations user and sees the rows and the fields that ``/data?cross-company=true`` gives to that
user (design 4: the door "SQL under a mapped database role"). What the database enforces comes from ``security/native``;
how it does, from ``store/native``. Reading only: business logic guards writes, and no plain SQL goes through it.
"""

from __future__ import annotations

from forecourt.kernel.errors import Refusal
from forecourt.kernel.row_security import Directory, Login
from forecourt.operations.solution import OperationsSolution
from forecourt.operations.users import OFF, Users, users_select
from forecourt.security.native import login, protection, tables_of
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.database import Database
from forecourt.store.native.pieces import ENTITIES, HELPERS
from forecourt.store.native.service import Native, Plan
from forecourt.store.native.steps import Step


class NativeAccess:
    """Native access of one solution. ``database``: the operations database, as somebody who owns its tables.

    ``protection``: what the database is to enforce.
    """

    def __init__(self, solution: OperationsSolution, users: Users, database: Database, catalog: Catalog) -> None:
        self._solution = solution
        self._users = users
        self._catalog = catalog
        tables = solution.user_tables
        directory = Directory(
            select=None if tables is None else users_select(tables),
            declared=tuple(solution.users[name] for name in sorted(solution.users)),
            off=tuple(sorted(value for value in OFF if value is not None)),
        )
        self.protection = protection(solution.rules, solution.model, directory, self._key_of)
        self._native = Native(database, catalog, self.protection, tables_of(self.protection))

    @classmethod
    async def open(cls, solution: OperationsSolution, users: Users, database: Database) -> NativeAccess:
        """Over the tables that the database has now, its own schemas left out."""
        catalog = await read_catalog(database)
        kept = {name: table for name, table in catalog.tables.items() if name.schema not in (HELPERS, ENTITIES)}
        return cls(solution, users, database, Catalog(kept, catalog.version))

    async def plan(self) -> Plan:
        """What applying would do. Changes nothing. Raises Refusal FC6006."""
        return await self._native.plan(await self._logins())

    async def apply(self) -> Plan:
        """Brings the database to the rules; what was done. Raises Refusal FC6006."""
        return await self._native.apply(await self._logins())

    async def drop(self) -> tuple[Step, ...]:
        """Takes everything away again; what was done."""
        return await self._native.drop()

    async def map(self, role: str, user_id: str) -> Plan:
        """Maps a database role to a user. Raises Refusal FC6006 for an unknown user or an unfit role."""
        if await self._users.get(user_id, fresh=True) is None:
            raise Refusal("FC6006", f"There is no operations user {user_id}.", source=user_id)
        others = [pair for pair in await self._native.logins() if pair[0] != role]
        return await self._native.map(role, user_id, await self._of((*others, (role, user_id))))

    async def unmap(self, role: str) -> Plan:
        """Takes a role's user away. Raises Refusal FC6006 if it is not mapped."""
        return await self._native.unmap(role, await self._logins())

    async def _logins(self) -> list[Login]:
        return await self._of(await self._native.logins())

    async def _of(self, pairs: tuple[tuple[str, str], ...]) -> list[Login]:
        """Logins with the columns that their users may name now. A user who is gone may name none."""
        found = []
        for role, user_id in pairs:
            user = await self._users.get(user_id, fresh=True)
            if user is None:
                found.append(Login(role, user_id))
            else:
                found.append(login(self._solution.rules, self._solution.model, user, role, self._key_of))
        return found

    def _key_of(self, table: object) -> tuple[str, ...]:
        known = self._catalog.tables.get(table)  # type: ignore[call-overload]
        return () if known is None else tuple(known.primary)
