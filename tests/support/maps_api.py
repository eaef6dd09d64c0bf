"""The pair of databases served: its maps over /data, for an administrator and for others."""

from __future__ import annotations

import json
from pathlib import Path

from support import pairs
from support.pairs import Pair
from support.server import Answer, Installation, Person

MAPS = "/data/DualWriteProjectConfigurations"

ROLES = """
privileges: {Look: {entities: {PairOrderEntity: {grant: [read]}}}}
roles: {Clerk: {privileges: [Look]}, '-SYSADMIN-': {label: System administrator}}
users:
  - {id: april, name: April Meyer, company: dat, roles: ['-SYSADMIN-']}
  - {id: clerk, name: Clerk, company: dat, roles: [Clerk]}
"""


def served(folder: Path, **maps: str) -> Path:
    """A variant of the pair with an administrator and a clerk."""
    root = pairs.variant(folder, **maps)
    (root / "operations" / "roles.yaml").write_text(ROLES, "utf-8")
    return root


def site_of(root: Path, pair: Pair) -> Installation:
    databases = pair.forecourt.databases
    return Installation(root, pair.forecourt, databases.operations.url, databases.dataverse.url, [])


async def act(person: Person, name: str, action: str, body: object = None) -> Answer:
    """Calls an action of a map, of all for ''."""
    key = f"('{name}')" if name else ""
    target = f"{MAPS}{key}/Microsoft.Dynamics.DataEntities.{action}"
    given = {**await person.headers(target), "content-type": "application/json"}
    return await person.site.ask("POST", target, given, b"" if body is None else json.dumps(body).encode())
