"""Mutants: copies of a solution with one rule removed or weakened, or with one row of its data that decides changed.

``rules`` walks the files of a solution and makes every mutant that its rules allow for; ``mappings`` and ``accounts``
make those of data. A mutant says what it is; whoever runs it says whether ``audit`` saw it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from forecourt.app import Databases, Forecourt, build, load_definitions
from forecourt.cli.auditing.people import identities
from forecourt.cli.auditing.surroundings import surroundings
from forecourt.kernel.errors import DefinitionErrors
from forecourt.kernel.predicate import Exists
from forecourt.kernel.relation import TableName
from forecourt.security.audit import Auditor, Differ, Finding, Identity, Memory, Planes, Report
from forecourt.security.audit.identities import classes
from forecourt.security.audit.questions import Question
from forecourt.security.audit.rights import rights
from forecourt.security.prove.joins import tables_of
from forecourt.security.rules import BASIC_USER
from forecourt.store.database import Database
from support.server import SETTINGS

GLOBAL, CONTACT, ACCOUNT, PARENT, SELF = 756150000, 756150001, 756150002, 756150003, 756150004
RIGHTS = ("read", "write", "create", "delete", "append", "appendto")


@dataclass(frozen=True)
class Mutant:
    """``file`` and ``content``: a file of the solution as it has become, None where it is gone. ``do``, ``undo``: SQL,
    with the plane it is for, where data are what changes; ``tables``: those that it changes."""

    kind: str
    name: str
    file: str = ""
    content: object = None
    do: tuple[tuple[str, str], ...] = ()
    undo: tuple[tuple[str, str], ...] = ()
    tables: frozenset[TableName] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Fate:
    """What became of a mutant. ``audit`` and ``diff``: the finding that says most, None for none; ``refused``: what the
    loader said of the changed files; ``new``: everything that the baseline does not have;
    ``opens``: somebody gains something, or that is not known."""

    mutant: Mutant
    audit: Finding | None
    diff: Finding | None
    refused: str = ""
    new: tuple[Finding, ...] = ()
    opens: bool = True

    @property
    def caught(self) -> bool:
        return self.audit is not None or bool(self.refused)

    @property
    def equivalent(self) -> bool:
        """Nobody gains anything: rows, columns or rights, at any door that ``--diff`` compares."""
        return not self.opens


# ----------------------------------------------------------------------------------------------------- rules


def rules(root: Path) -> Iterator[Mutant]:
    """Every mutant of a solution's rules."""
    for path in sorted(root.glob("operations/policies/*.yaml")):
        yield from _policy(root, path)
    for path in sorted(root.glob("site/table-permissions/*.yml")):
        yield from _permission(root, path)
    yield from _privileges(root)
    yield from _settings(root)
    yield from _security_roles(root)


class _Loader(yaml.CSafeLoader):
    """YAML as definition files mean it: ``on`` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe loader


def _policy(root: Path, path: Path) -> Iterator[Mutant]:
    file, policy = path.relative_to(root).as_posix(), _read(path)
    name = policy["name"]
    yield Mutant("policy removed", name, file)

    def changed(kind: str, detail: str, change: Callable[[Any], None]) -> Mutant:
        copy = deepcopy(policy)
        change(copy)
        return Mutant(kind, f"{name}{': ' if detail else ''}{detail}", file, copy)

    yield changed("policy disabled", "", lambda p: p.update(enabled=False))
    yield changed("policy narrowed to Select", "", lambda p: p.update(operation="Select"))
    context = policy["context"]
    key = "value" if "value" in context else "role"
    yield changed("context misspelt", "", lambda p: p["context"].update({key: context[key][:-1]}))
    for at, item in enumerate(policy.get("query", {}).get("ranges", ())):
        yield changed("range dropped", str(item), lambda p, at=at: p["query"]["ranges"].pop(at))
    for at, join in enumerate(policy.get("query", {}).get("joins", ())):
        for own in join["on"] if len(join["on"]) > 1 else ():
            yield changed(
                "join condition dropped",
                f"{join['table']}.{own}",
                lambda p, at=at, own=own: p["query"]["joins"][at]["on"].pop(own),
            )
    if policy.get("constrain_primary"):
        yield changed(
            "primary table unconstrained", policy["primary_table"], lambda p: p.update(constrain_primary=False)
        )
    for steps, node in _nodes(policy.get("constrained_tables", ()), ()):
        for own in node["relation"] if len(node["relation"]) > 1 else ():
            yield changed(
                "relation condition dropped",
                f"{node['table']}.{own}",
                lambda p, steps=steps, own=own: _at(p, steps)["relation"].pop(own),
            )
        yield changed(
            "table unconstrained", node["table"], lambda p, steps=steps: _at(p, steps).update(constrained=False)
        )


def _nodes(nodes: Any, above: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    for at, node in enumerate(nodes):
        yield (*above, at), node
        yield from _nodes(node.get("tables", ()), (*above, at))


def _at(policy: Any, steps: tuple[int, ...]) -> Any:
    node = policy["constrained_tables"][steps[0]]
    for step in steps[1:]:
        node = node["tables"][step]
    return node


def _permission(root: Path, path: Path) -> Iterator[Mutant]:
    file, permission = path.relative_to(root).as_posix(), _read(path)
    name = permission["adx_entityname"]
    children = [
        other.relative_to(root).as_posix()
        for other in root.glob("site/table-permissions/*.yml")
        if _read(other).get("adx_parententitypermission") == permission["adx_entitypermissionid"]
    ]
    yield Mutant(
        "permission removed" if not children else "permission inactive",
        name,
        file,
        None if not children else {**permission, "statecode": 1},
    )
    roles = {role["adx_name"]: role for role in _read(root / "site/webrole.yml")}
    if permission["adx_scope"] != GLOBAL:
        kept = {k: v for k, v in permission.items() if "relationship" not in k and k != "adx_parententitypermission"}
        if not kept.get("adx_entitypermission_webrole"):
            kept["adx_entitypermission_webrole"] = _root_roles(root, permission)
        kind = "parent dropped" if permission["adx_scope"] == PARENT else "scope widened to Global"
        yield Mutant(kind, name, file, {**kept, "adx_scope": GLOBAL})
    for right in RIGHTS:
        if not permission.get(f"adx_{right}"):
            yield Mutant("right added", f"{name}: {right}", file, {**permission, f"adx_{right}": True})
    for role in roles.values():
        everybody = role.get("adx_authenticatedusersrole") or role.get("adx_anonymoususersrole")
        held = permission.get("adx_entitypermission_webrole") or []
        if everybody and held and role["adx_webroleid"] not in held:
            wider = {**permission, "adx_entitypermission_webrole": [*held, role["adx_webroleid"]]}
            yield Mutant("role list widened", f"{name}: {role['adx_name']}", file, wider)


def _root_roles(root: Path, permission: Any) -> list[str]:
    by_id = {p["adx_entitypermissionid"]: p for p in map(_read, root.glob("site/table-permissions/*.yml"))}
    while permission.get("adx_parententitypermission"):
        permission = by_id[permission["adx_parententitypermission"]]
    return list(permission["adx_entitypermission_webrole"])


def _privileges(root: Path) -> Iterator[Mutant]:
    """Privileges of external roles: columns that are listed, and operations that are not granted."""
    file = "operations/roles.yaml"
    roles = _read(root / file)
    outside = [role for name, role in roles["roles"].items() if role.get("context")]
    names = {privilege for role in outside for privilege in role.get("privileges", ())}
    names |= {p for role in outside for duty in role.get("duties", ()) for p in roles["duties"][duty]["privileges"]}
    for name in sorted(names):
        for entity, grant in roles["privileges"][name]["entities"].items():
            for kind in grant.get("fields", {}):
                copy = deepcopy(roles)
                del copy["privileges"][name]["entities"][entity]["fields"][kind]
                yield Mutant("columns widened", f"{name}, {entity}: {kind}", file, copy)
            for operation in ("create", "update", "delete"):
                if operation not in grant["grant"]:
                    copy = deepcopy(roles)
                    copy["privileges"][name]["entities"][entity]["grant"].append(operation)
                    yield Mutant("operation granted", f"{name}, {entity}: {operation}", file, copy)


def _settings(root: Path) -> Iterator[Mutant]:
    file = "site/sitesetting.yml"
    settings = _read(root / file)
    tables = load_definitions(root).tables.by_name
    for at, setting in enumerate(settings):
        if setting["adx_name"].endswith("/fields"):
            copy = deepcopy(settings)
            copy[at]["adx_value"] = ",".join(sorted(tables[setting["adx_name"].split("/")[1]].entity.fields))
            yield Mutant("Webapi fields widened", setting["adx_name"], file, copy)


def _security_roles(root: Path) -> Iterator[Mutant]:
    """What everybody may do in Dataverse, with one table more: each that some role speaks of."""
    file = "dataverse/roles.yaml"
    roles = _read(root / file)
    tables = {table for role in roles["roles"].values() for table in role.get("tables", {}) if table != "*"}
    for table in sorted(tables):
        copy = deepcopy(roles)
        copy["roles"][BASIC_USER]["tables"][table] = ["read"]
        yield Mutant("security role widened", table, file, copy)


# -------------------------------------------------------------------------------------------------------- data


def mappings(users: list[tuple[str, str]], administrator: str) -> Iterator[Mutant]:
    """Every mapping in turn leads to another user of its kind, and to an administrator. ``users``: (contact, user)."""
    for at, (contact, user) in enumerate(users):
        others = [other for _, other in users if _kind(other) == _kind(user) and other != user]
        for kind, target in (
            ("mapped to another user", others[at % len(others)] if others else ""),
            ("mapped to an administrator", administrator),
        ):
            if target:
                table = "dataverse.msdyn_externalportalusermapping"
                set_to = f"update {table} set msdyn_userid = '{{}}' where msdyn_contactid = '{{}}'"
                yield Mutant(
                    kind,
                    f"{user} to {target}",
                    do=(("dataverse", set_to.format(target, contact)),),
                    undo=(("dataverse", set_to.format(user, contact)),),
                    tables=frozenset({TableName("dataverse", "msdyn_externalportalusermapping")}),
                )


def _kind(user: str) -> str:
    """What sort of person a user of the samples is, by the beginning of its id."""
    return user.removeprefix("aw-").partition("-")[0]


def accounts(people: list[tuple[str, str, str]]) -> Iterator[Mutant]:
    """Every contact in turn belongs to the account of another. ``people``: (contact, user, account)."""
    for at, (contact, user, account) in enumerate(people):
        others = [other for _, name, other in people if other != account and _kind(name) == _kind(user)]
        if others:
            set_to = "update dataverse.contact set parentcustomerid = '{}' where contactid = '{}'"
            yield Mutant(
                "account of the contact changed",
                user,
                do=(("dataverse", set_to.format(others[at % len(others)], contact)),),
                undo=(("dataverse", set_to.format(account, contact)),),
                tables=frozenset({TableName("dataverse", "contact")}),
            )


# ------------------------------------------------------------------------------------------------------ the run


@dataclass
class Range:
    """A solution over its databases, against which mutants are held. ``memory``: answers over the data as they are, so
    that of a mutant of rules only what it changes is asked."""

    root: Path
    databases: Databases
    folder: Path
    forecourt: Forecourt
    people: list[Identity]
    report: Report
    memory: Memory

    @classmethod
    async def open(cls, root: Path, databases: Databases, folder: Path) -> Range:
        forecourt = await build(root, databases, SETTINGS)
        people = await identities(forecourt)
        memory: Memory = {}
        report = await _audited(forecourt, root, people, None, memory)
        return cls(root, databases, folder, forecourt, people, report, memory)

    async def fate(self, mutant: Mutant) -> Fate:
        """Runs audit against the baseline of the solution, and the comparison of both."""
        if mutant.do:
            return await self._of_data(mutant)
        root = self.folder / "mutant"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("__pycache__", "schema.sql"))
        if mutant.content is None:
            (root / mutant.file).unlink()
        else:
            (root / mutant.file).write_text(
                yaml.safe_dump(mutant.content, sort_keys=False, allow_unicode=True), "utf-8"
            )
        try:
            forecourt = await build(root, self.databases, SETTINGS)
        except DefinitionErrors as errors:
            return Fate(mutant, None, None, str(errors.errors[0]))
        people = await identities(forecourt)
        report = await _audited(forecourt, root, people, self.report, self.memory)
        differ = Differ(_planes(self.forecourt), _planes(forecourt), memory=self.memory)
        changes = await differ.run(self.people, people)
        new = self._new(report)
        return Fate(mutant, _most(new), _most(changes.findings), new=new, opens=_gained(changes))

    async def _of_data(self, mutant: Mutant) -> Fate:
        """Everybody as he was is held against everybody as he is. That says all where the rules themselves do not look
        into the tables that have changed; where they do, the mutant counts as one that opens."""
        await self._run(mutant.do)
        try:
            forecourt = await build(self.root, self.databases, SETTINGS)
            people = await identities(forecourt)
            memory = self._elsewhere(mutant.tables)
            report = await _audited(forecourt, self.root, people, self.report, memory)
            differ = Differ(_planes(self.forecourt), _planes(forecourt), memory=memory)
            changes = await differ.run(self.people, people)
        finally:
            await self._run(mutant.undo)
        new, read = self._new(report), mutant.tables & _read_by_rules(forecourt, [*self.people, *people])
        opens = not mutant.tables or bool(read) or _gained(changes)
        return Fate(mutant, _most(new), _most(changes.findings), new=new, opens=opens)

    def _elsewhere(self, changed: frozenset[TableName]) -> Memory:
        """The answers that do not rest on tables whose rows have changed; none where these are not known."""
        if not changed:
            return {}
        planes = _planes(self.forecourt)
        catalogs = [planes.operations.operations.catalog]
        catalogs += [planes.dataverse.plane_of(table).catalog for table in planes.native[:1]]
        views = {view: beneath for catalog in catalogs for view, beneath in catalog.views().items()}
        affected = changed | {view for view, beneath in views.items() if beneath & changed}
        return {asked: answer for asked, answer in self.memory.items() if not _tables(asked.question) & affected}

    async def _run(self, statements: tuple[tuple[str, str], ...]) -> None:
        for plane, sql in statements:
            database: Database = getattr(self.databases, plane)
            await database.script("a mutant", sql)

    def _new(self, report: Report) -> tuple[Finding, ...]:
        known = {finding.fingerprint for finding in self.report.findings}
        return tuple(finding for finding in report.findings if finding.fingerprint not in known)


def _planes(forecourt: Forecourt) -> Planes:
    return Planes(forecourt.operations_gate, forecourt.dataverse_gate)


def _tables(asked: Question) -> set[TableName]:
    """Everything that a question looks into."""
    selects = (*asked.selects, *([] if asked.missing is None else [asked.missing]))
    return set().union(*(tables_of(Exists(select)) for select in selects))


def _gained(changes: Report) -> bool:
    """Whether somebody gains something, or that is not known."""
    return any(finding.code in ("FC7016", "FC7000") for finding in changes.findings)


def _read_by_rules(forecourt: Forecourt, people: list[Identity]) -> set[TableName]:
    """Every table that decides about a row, beside those that the row is made of."""
    found = {}
    for group in classes(people, len(people)):
        for reached in rights(_planes(forecourt), group):
            found[reached.rows] = tables_of(reached.rows) | {source.table for source in reached.entity.sources}
    return set().union(*found.values())


def _most(findings: tuple[Finding, ...]) -> Finding | None:
    """Of findings the one that names most: identity, rows and a row before one that does not."""
    return max(findings, key=lambda f: (bool(f.rows), bool(f.identity), f.severity), default=None)


async def _audited(
    forecourt: Forecourt, root: Path, people: list[Identity], before: Report | None, memory: Memory | None = None
) -> Report:
    known = None if before is None else frozenset(right.fingerprint for right in before.rights)
    around = await surroundings(forecourt, root)
    auditor = Auditor(forecourt.operations_gate, forecourt.dataverse_gate, around=around, known=known, memory=memory)
    return await auditor.run(people, forecourt.definitions.findings)


def as_line(fate: Fate) -> str:
    """One line of the table."""
    if fate.refused:
        return f"refused  {fate.mutant}: {fate.refused}"
    seen = "caught  " if fate.caught else "equal   " if fate.equivalent else "SURVIVED"
    said = [f"{f.code} {f.message} [{f.identity or '-'}; {f.example or '-'}]" for f in (fate.audit, fate.diff) if f]
    return f"{seen} {fate.mutant}" + "".join(f"\n           {text}" for text in said)
