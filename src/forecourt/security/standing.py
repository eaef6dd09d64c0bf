"""The standing of a user in Dataverse: its row, business unit, teams and security roles (pages-and-dataverse B4).

A user is the row of ``systemuser`` whose ``domainname`` is the operations user's id. Its roles are those that the
solution gives to everybody and to that id, those of ``systemuserroles``, and those of its teams: the teams that it is
a member of, and the default team of its business unit. A role counts in the unit where it is held, the user's or the
team's; what roles allow is the solution's to say, what rows of ``role`` say beyond a name is not looked at.

What is resolved here is kept and never trusted on its own: the rows that it was made from are witnesses of every
statement that uses it, so that a role taken away or a team left counts at the next request. The tree of business units
is among them only for who holds a privilege that reaches down the tree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid5

from forecourt.kernel.plan import Witness
from forecourt.kernel.predicate import TRUE, And, Column, Compare, Const, Param, all_of
from forecourt.kernel.principal import DataverseUser, OperationsUser
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.security.ownership import OWN, units
from forecourt.security.rules import BASIC_USER, SYSTEM_ADMIN_ROLE, DataverseRules, Depth
from forecourt.store.catalog import Catalog
from forecourt.store.compile import compile_witness
from forecourt.store.database import Database
from forecourt.store.statements import ReadStatement
from forecourt.store.witness import fingerprint

#: Namespace of the ids of rows that Forecourt makes itself: the same in every database.
NAMESPACE = UUID("8d5d0d2a-5b0e-5b0f-9c57-6d6f7265636f")

SCHEMA = "dataverse"
USERS, TEAMS, UNITS, MEMBERS, USER_ROLES, TEAM_ROLES = (
    TableName(SCHEMA, name)
    for name in ("systemuser", "team", "businessunit", "teammembership", "systemuserroles", "teamroles")
)

#: The value that names the user in every one of the selects below.
USER = "user.id"

Enlist = Callable[[OperationsUser], Awaitable[None]]


def id_of(kind: str, name: str) -> UUID:
    """The id of a row that Forecourt makes: of a role, of a user, of the root business unit."""
    return uuid5(NAMESPACE, f"{kind}/{name}")


def _named(alias: str, *columns: str) -> tuple[Output, ...]:
    return tuple(Output(name, Column(alias, name), None) for name in columns)


def _equal(left: tuple[str, str], right: tuple[str, str]) -> Compare:
    return Compare("eq", Column(*left), Column(*right))


_IS_USER = Compare("eq", Column("s", "domainname"), Param(USER))

#: The user's row, once per role of its own.
PERSON = Select(
    (Source("s", USERS), Source("r", USER_ROLES, "left", _equal(("r", "systemuserid"), ("s", "systemuserid")))),
    _IS_USER,
    (*_named("s", "systemuserid", "businessunitid", "isdisabled"), *_named("r", "roleid")),
)
_ROLES_OF_TEAM = Source("r", TEAM_ROLES, "left", _equal(("r", "teamid"), ("t", "teamid")))
_TEAM = (*_named("t", "teamid", "businessunitid"), *_named("r", "roleid"))

#: The teams that it is a member of, once per role of the team.
MEMBERSHIPS = Select(
    (
        Source("s", USERS),
        Source("m", MEMBERS, "inner", _equal(("m", "systemuserid"), ("s", "systemuserid"))),
        Source("t", TEAMS, "inner", _equal(("t", "teamid"), ("m", "teamid"))),
        _ROLES_OF_TEAM,
    ),
    _IS_USER,
    _TEAM,
)

#: The default team of its business unit, whose members are all users of the unit.
DEFAULT_TEAM = Select(
    (
        Source("s", USERS),
        Source("t", TEAMS, "inner", _equal(("t", "businessunitid"), ("s", "businessunitid"))),
        _ROLES_OF_TEAM,
    ),
    all_of(_IS_USER, Compare("eq", Column("t", "isdefault"), Const(True))),
    _TEAM,
)
TREE = Select((Source("u", UNITS),), TRUE, _named("u", "businessunitid", "parentbusinessunitid"))


def _of_everybody(select: Select) -> Select:
    """The select for all users, with whose each row is as its last output."""
    parts = select.where.items if isinstance(select.where, And) else (select.where,)
    where = all_of(*(part for part in parts if part != _IS_USER))
    return replace(select, where=where, outputs=(*select.outputs, *_named("s", "domainname")))


_SELECTS = {"person": PERSON, "teams": MEMBERSHIPS, "default": DEFAULT_TEAM, "tree": TREE}
_WITNESSES = {name: Witness(select, f"witness.dataverse.{name}", "dataverse") for name, select in _SELECTS.items()}

Texts = Sequence[tuple[str | None, ...]]


@dataclass(frozen=True)
class Standing:
    """``user`` None: no user of Dataverse, or a disabled one; it has no role then. ``values`` are bound."""

    user: DataverseUser | None = None
    roles: frozenset[str] = frozenset()
    values: Mapping[str, object] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()


class Standings:
    """Resolves standings against the Dataverse database. ``enlist`` makes the row of a user who has none."""

    def __init__(
        self,
        rules: DataverseRules,
        database: Database,
        catalog: Catalog,
        enlist: Enlist | None = None,
        keep: int = 20_000,
    ) -> None:
        self._rules = rules
        self._database = database
        self._enlist = enlist
        self._keep = keep
        self._known: OrderedDict[str, Standing] = OrderedDict()
        self._names = {id_of("role", name): name for name in (*rules.roles, SYSTEM_ADMIN_ROLE)}
        self._statements: Mapping[str, ReadStatement] = {
            name: compile_witness(select, catalog) for name, select in _SELECTS.items()
        }
        self._all: Mapping[str, ReadStatement] = {
            name: compile_witness(_of_everybody(select), catalog)
            for name, select in _SELECTS.items()
            if select is not TREE
        }

    async def get(self, user: OperationsUser, fresh: bool = False) -> Standing:
        """The standing of an operations user. ``fresh``: as the database has it now."""
        known = self._known.get(user.id)
        if known is not None and known.user is not None and not fresh:
            self._known.move_to_end(user.id)
            return known
        found = await self._resolve(user)
        self._known[user.id] = found
        while len(self._known) > self._keep:
            self._known.popitem(last=False)
        return found

    async def _resolve(self, user: OperationsUser) -> Standing:
        marks: dict[str, object] = {}
        person = await self._rows("person", user, marks)
        if not person and self._enlist is not None:
            await self._enlist(user)
            person = await self._rows("person", user, marks)
        witnesses = [_WITNESSES["person"]]
        if not person or person[0][1] is None or person[0][2] == "true":
            return Standing(values=marks, witnesses=tuple(witnesses))
        teams = [row for name in ("teams", "default") for row in await self._rows(name, user, marks)]
        witnesses += [_WITNESSES["teams"], _WITNESSES["default"]]
        tree: Texts = ()
        if any(self._reaches_down(name) for name, _ in self._held(user.id, person, teams)):
            tree = await self._rows("tree", user, marks)
            witnesses.append(_WITNESSES["tree"])
        found = self._standing(user.id, person, teams, descendants(tree))
        return Standing(found.user, found.roles, {**marks, **found.values}, tuple(witnesses))

    def _held(self, user_id: str, person: Texts, teams: Texts) -> set[tuple[str, UUID]]:
        """The roles of a user with the business unit in which each is held."""
        unit = UUID(person[0][1])
        held = {(name, unit) for name in (BASIC_USER, *self._rules.users.get(user_id, ()))}
        held |= {(name, unit) for row in person if (name := self._name(row[3]))}
        return held | {(name, UUID(row[1])) for row in teams if row[1] and (name := self._name(row[2]))}

    def _standing(self, user_id: str, person: Texts, teams: Texts, beneath: Mapping[UUID, frozenset[UUID]]) -> Standing:
        """A standing without witnesses, from the rows that make it."""
        held = self._held(user_id, person, teams)
        ids = tuple(sorted({UUID(row[0]) for row in teams if row[0]}))
        found = DataverseUser(UUID(person[0][0]), UUID(person[0][1]), ids)
        values = {OWN: [found.id, *found.teams], **self._units(held, beneath)}
        return Standing(found, frozenset(name for name, _ in held), values)

    async def everybody(self) -> Mapping[str, Standing]:
        """The standing of every user of Dataverse by operations user id, without witnesses: of a disabled one, none. In
        five statements, however many users there are: for tools of administrators."""
        rows: dict[str, dict[str, list[tuple[str | None, ...]]]] = {}
        for name, statement in self._all.items():
            for *row, user_id in (tuple(row) for row in (await self._database.read(statement, (), {})).rows):
                rows.setdefault(str(user_id), {}).setdefault(name, []).append(tuple(row))
        tree = (await self._database.read(self._statements["tree"], (), {})).rows
        beneath = descendants([tuple(row) for row in tree])
        found: dict[str, Standing] = {}
        for user_id, parts in rows.items():
            person = parts.get("person", [])
            if not person or person[0][1] is None or person[0][2] == "true":
                found[user_id] = Standing()
            else:
                teams = [*parts.get("teams", []), *parts.get("default", [])]
                found[user_id] = self._standing(user_id, person, teams, beneath)
        return found

    async def _rows(self, name: str, user: OperationsUser, marks: dict[str, object]) -> Texts:
        result = await self._database.read(self._statements[name], (), {USER: user.id})
        rows = [tuple(row) for row in result.rows]
        marks[_WITNESSES[name].param] = fingerprint(rows)
        return rows

    def _name(self, role: str | None) -> str | None:
        return self._names.get(UUID(role)) if role is not None else None

    def _reaches_down(self, name: str) -> bool:
        role = self._rules.roles.get(name)
        return role is not None and any(Depth.PARENT_CHILD in given.values() for given in role.tables.values())

    def _units(
        self, held: Iterable[tuple[str, UUID]], beneath: Mapping[UUID, frozenset[UUID]]
    ) -> dict[str, list[UUID]]:
        """For each privilege that reaches business units, which ones."""
        found: dict[str, set[UUID]] = {}
        for name, unit in held:
            role = self._rules.roles.get(name)
            for table, given in role.tables.items() if role is not None else ():
                for privilege, depth in given.items():
                    if depth in (Depth.BUSINESS_UNIT, Depth.PARENT_CHILD):
                        reached = beneath.get(unit, frozenset()) if depth is Depth.PARENT_CHILD else frozenset()
                        found.setdefault(units(table, privilege), set()).update({unit}, reached)
        return {name: sorted(ids) for name, ids in found.items()}


def descendants(rows: Iterable[Sequence[str | None]]) -> Mapping[UUID, frozenset[UUID]]:
    """Business units under each unit, from rows (unit, its parent); itself left out unless the rows run in a circle."""
    children: dict[UUID, list[UUID]] = {}
    for unit, parent in rows:
        if unit is not None and parent is not None:
            children.setdefault(UUID(parent), []).append(UUID(unit))
    found: dict[UUID, frozenset[UUID]] = {}
    for above, direct in children.items():
        seen: set[UUID] = set()
        pending = list(direct)
        while pending:
            below = pending.pop()
            if below not in seen:
                seen.add(below)
                pending.extend(children.get(below, ()))
        found[above] = frozenset(seen)
    return found
