"""Resolving scopes: the sets of a user's policies and constructs and its standing in Dataverse, read once and kept
while their witnesses hold.

The cache is bounded and is never trusted on its own: each statement that uses a cached umbrella checks the rows it
was made from (see :class:`~forecourt.kernel.plan.Witness`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from forecourt.kernel import answers
from forecourt.kernel.plan import Witness
from forecourt.kernel.principal import INTEGRATION, Door, OperationsUser, Principal
from forecourt.kernel.relation import Select, TableName
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.clock import moment_named, next_change
from forecourt.security.constructs import Construct, is_moment
from forecourt.security.contexts import contexts
from forecourt.security.grants import usable_behind
from forecourt.security.rules import BASIC_USER, Operation, Policy, Rules
from forecourt.security.scope import Scope
from forecourt.security.standing import Standing, Standings
from forecourt.security.xds.activity import active
from forecourt.security.xds.sets import (
    bindable,
    lasting,
    member_values,
    members,
    padded,
    set_name,
    sized,
    umbrella,
    umbrella_columns,
    values,
)
from forecourt.store.catalog import Catalog
from forecourt.store.compile import compile_witness
from forecourt.store.database import Database
from forecourt.store.statements import ReadStatement
from forecourt.store.witness import fingerprint

#: Tells the moment, in UTC.
Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The moment."""
    return dt.datetime.now(dt.UTC)


READERS: dict[Kind, Callable[[str], object]] = {
    Kind.STRING: str,
    Kind.INT32: int,
    Kind.INT64: int,
    Kind.GUID: UUID,
    Kind.DECIMAL: Decimal,
    Kind.DATE: dt.date.fromisoformat,
}


class UserBook(Protocol):
    """The operations users. ``witness`` finds the rows a user was read from, None where a file defines all users."""

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None: ...

    def witness(self, user: OperationsUser) -> Witness | None: ...


@dataclass(frozen=True)
class _Sets:
    """Bound sets of a user."""

    sizes: tuple[tuple[str, int | None], ...] = ()
    values: tuple[tuple[str, object], ...] = ()
    witnesses: tuple[Witness, ...] = ()

    def with_(self, other: _Sets) -> _Sets:
        return _Sets((*self.sizes, *other.sizes), (*self.values, *other.values), (*self.witnesses, *other.witnesses))


class Scopes:
    """Resolves scopes against the operations database."""

    def __init__(
        self,
        rules: Rules,
        users: UserBook,
        database: Database,
        catalog: Catalog,
        keep: int = 20_000,
        standings: Standings | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.rules = rules
        self.standings = standings
        self._users = users
        self._database = database
        self._catalog = catalog
        self._keep = keep
        self._clock = clock
        self._known: OrderedDict[tuple[str, str, frozenset[str]], _Sets] = OrderedDict()
        self._scopes: OrderedDict[tuple[str, str, Door, frozenset[str]], Scope] = OrderedDict()
        self._statements: dict[str, tuple[ReadStatement, Witness]] = {}

    def key_of(self, table: object) -> tuple[str, ...]:
        """Primary key columns of a table of the operations database."""
        found = self._catalog.tables.get(table)  # type: ignore[call-overload]
        return found.primary if found is not None else ()

    async def resolve(self, principal: Principal, door: Door, fresh: bool = False) -> Scope:
        """The scope of a principal at a door. ``fresh``: read the user and its umbrellas again."""
        user = principal.operations_user
        if user is None:
            return Scope(principal, door, values=person_values(principal))
        if principal is INTEGRATION:
            return Scope(principal, door)
        if user.contexts != contexts():
            user = dataclasses.replace(user, contexts=contexts())
            principal = dataclasses.replace(principal, operations_user=user)
        direct = (user.id, user.fingerprint, door, user.contexts)
        if principal.contact is None and not fresh and direct in self._scopes:
            self._scopes.move_to_end(direct)
            return self._scopes[direct]
        scope = await self._resolve(principal, user, door, fresh)
        if principal.contact is None:
            self._scopes[direct] = scope
            while len(self._scopes) > self._keep:
                self._scopes.popitem(last=False)
        return scope

    async def _resolve(self, principal: Principal, user: OperationsUser, door: Door, fresh: bool) -> Scope:
        if fresh:
            again = await self._users.get(user.id, fresh=True)
            usable = again is not None and usable_behind(principal, again)
            known = again if again is not None and usable else dataclasses.replace(user, enabled=False)
            user = dataclasses.replace(known, contexts=user.contexts)
            principal = dataclasses.replace(principal, operations_user=user)
        standing = Standing()
        if door is Door.DATAVERSE:
            standing = await self._standing(user, fresh)
            principal = dataclasses.replace(principal, security_roles=standing.roles, dataverse_user=standing.user)
        found = await self._sets(user, fresh)
        witness = self._users.witness(user)
        return Scope(
            principal=principal,
            door=door,
            sizes=found.sizes,
            values=_Person(
                {
                    **person_values(principal),
                    **user_values(user),
                    **dict(found.values),
                    **standing.values,
                    **({witness.param: user.fingerprint} if witness is not None else {}),
                },
                self._clock,
            ),
            witnesses=(*found.witnesses, *((witness,) if witness is not None else ()), *standing.witnesses),
            sets=found.witnesses,
        )

    async def _standing(self, user: OperationsUser, fresh: bool) -> Standing:
        """What the user is in Dataverse; without its tables, what the solution gives to the user's id. Somebody who is
        disabled on the operations side is nobody here."""
        if not user.enabled:
            return Standing()
        if self.standings is not None:
            return await self.standings.get(user, fresh)
        return Standing(roles=self.rules.dataverse.users.get(user.id, frozenset()) | {BASIC_USER})

    async def _sets(self, user: OperationsUser, fresh: bool) -> _Sets:
        """The bound sets of a user's policies, and of the constructs that some policy still has to look at."""
        key = (user.id, user.fingerprint, user.contexts)
        if not fresh and key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found, constructs = _Sets(), dict[str, Construct]()
        given = _Person(user_values(user), self._clock)
        for policy in self._policies(user):
            bound = None
            if bindable(policy, self.key_of):
                bound = await self._umbrella(policy, given)
                found = found.with_(bound)
            if bound is None or bound.sizes[0][1] is None:
                constructs.update({join.construct.name: join.construct for join in policy.constructs})
        for construct in constructs.values():
            if lasting(construct):
                found = found.with_(await self._construct(construct, given))
        self._known[key] = found
        while len(self._known) > self._keep:
            self._known.popitem(last=False)
        return found

    def _policies(self, user: OperationsUser) -> list[Policy]:
        rules = self.rules.operations
        names = {policy.name: policy for operation in Operation for policy in active(rules, user, operation)}
        return list(names.values())

    async def _umbrella(self, policy: Policy, given: Mapping[str, object]) -> _Sets:
        columns = [(column, policy.primary, column) for column in umbrella_columns(policy, self.key_of)]
        names = [column for column, _, _ in columns]
        rows, witness, mark = await self._read(policy.name, umbrella(policy, self.key_of), columns, given)
        size = None if rows is None else padded(len(rows))
        if size is None or rows is None:
            return _Sets(((policy.name, None),))
        return _Sets(((policy.name, size),), (*values(policy, names, rows), (witness.param, mark)), (witness,))

    async def _construct(self, construct: Construct, given: Mapping[str, object]) -> _Sets:
        tables = {source.alias: source.table for source in construct.sources}
        columns = [(name, tables[column.alias], column.name) for name, column in construct.keys]
        name = set_name(construct)
        rows, witness, mark = await self._read(name, members(construct), columns, given)
        size = None if rows is None else sized(construct, len(rows))
        if size is None or rows is None:
            return _Sets(((name, None),))
        return _Sets(((name, size),), (*member_values(construct, rows), (witness.param, mark)), (witness,))

    async def _read(
        self,
        name: str,
        select: Select,
        columns: Sequence[tuple[str, TableName, str]],
        given: Mapping[str, object],
    ) -> tuple[list[tuple[object, ...]] | None, Witness, str]:
        """The rows of a set with their witness and its fingerprint; None where a value has no form to bind.

        ``columns``: (output, table, column).
        """
        if name not in self._statements:
            witness = Witness(select, f"witness.{name}")
            self._statements[name] = (compile_witness(select, self._catalog), witness)
        statement, witness = self._statements[name]
        texts, mark = await witnessed(self._database, statement, given)
        readers = [self._reader(table, column) for _, table, column in columns]
        if None in readers:
            return None, witness, mark
        rows = [
            tuple(None if text is None else read(text) for read, text in zip(readers, row, strict=True) if read)
            for row in texts
        ]
        return rows, witness, mark

    def _reader(self, table: TableName, column: str) -> Callable[[str], object] | None:
        """How a column's text becomes the value to bind; None where no text does so exactly."""
        found = self._catalog.column(table, column)
        return None if found is None else READERS.get(found.kind)


async def witnessed(
    database: Database, statement: ReadStatement, values: Mapping[str, object]
) -> tuple[list[tuple[str | None, ...]], str]:
    """The distinct rows that a witness finds, as text, in order, with their fingerprint."""
    result = await database.read(statement, (), values)
    rows = [tuple(row) for row in result.rows]
    return sorted(set(rows), key=lambda row: tuple(value or "" for value in row)), fingerprint(rows)


def values_of(principal: Principal) -> Mapping[str, object]:
    """What predicates may compare with, of a person and its operations user; umbrellas and standing left out."""
    user = principal.operations_user
    return _Person({**person_values(principal), **(user_values(user) if user is not None else {})})


def user_values(user: OperationsUser) -> Mapping[str, object]:
    """What rules may compare of an operations user, by the names of their Params. What is empty is not known,
    and equal to nothing."""
    return {
        "user.id": user.id,
        "user.email": user.email or None,
        "user.company": user.company or None,
        **{f"user.{name}": value or None for name, value in user.attributes},
    }


def person_values(principal: Principal) -> Mapping[str, object]:
    """The same of a contact and its account; a column that their rows lack is null."""
    contact = principal.contact
    if contact is None:
        return _NOBODY
    return _Person(
        {
            **{f"contact.{name}": value for name, value in contact.columns},
            "contact.contactid": contact.id,
            **{f"account.{name}": value for name, value in contact.account_columns},
            "account.accountid": contact.account,
        }
    )


class _Person(dict[str, object]):
    """Values of a person; one that the person's rows do not have is null, which matches nothing. Also the moment, which
    is told anew to each who asks."""

    def __init__(self, values: Mapping[str, object], clock: Clock = utc_now) -> None:
        super().__init__(values)
        self._clock = clock

    def __missing__(self, name: str) -> object:
        if not is_moment(name):
            return None
        now = self._clock()
        answers.holds_until(next_change(name, now))
        return moment_named(name, now)


_NOBODY = _Person({})
