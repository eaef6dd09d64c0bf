"""``solution.yaml``: the head of a solution, which every part reads. Shapes only; files are read at the edges.

Secrets never stand in a solution: a value may be ``${NAME}`` and is taken from the environment when it is used.
"""

from __future__ import annotations

import os
import re
from typing import Literal

import msgspec

from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Where

#: Connection text that means the PostgreSQL that Forecourt starts itself.
EMBEDDED = "embedded"

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every shape of a definition file: unknown keys are errors."""


class LabelsFile(Record, frozen=True):
    """Translations of labels into the language that the file is called by (``de.yaml``, ``fr-CA.yaml``).

    They count for every label under ``operations/`` and ``dataverse/`` that has no texts of its own.
    """

    labels: dict[str, str]


class Publisher(Record, frozen=True):
    name: str
    prefix: str


class LegalEntityDefinition(Record, frozen=True):
    id: str
    name: str
    currency: str = ""


class Connections(Record, frozen=True):
    """``embedded`` or a PostgreSQL URL, usually ``${NAME}``. Both embedded: one database holds both planes."""

    dataverse: str = EMBEDDED
    operations: str = EMBEDDED


class Application(Record, frozen=True):
    """An OAuth client (client credentials) that acts as one operations user."""

    client_id: str
    user: str
    secret: str = ""


class Issuer(Record, frozen=True):
    """An OIDC issuer whose JWTs are accepted: ``claim`` names the operations user's id or e-mail."""

    issuer: str
    audience: str
    jwks_uri: str = ""
    claim: str = "email"
    match: Literal["id", "email"] = "email"


#: Rights of a table permission, as definition files write them.
PublicRight = Literal["read", "write", "create", "delete"]


class Sample(Record, frozen=True):
    """Sample data: SQL files run first, a generator module's rows, SQL files run last."""

    schema: tuple[str, ...] = ()
    generator: str = ""
    finish: tuple[str, ...] = ()


class SolutionHeader(Record, frozen=True):
    """The shape of ``solution.yaml``. ``public``: what visitors and whoever registers are meant to do, by table;
    ``public_rows``: with which rows, by table, as FetchXML."""

    name: str
    title: str = ""
    publisher: Publisher | None = None
    tenant: str = "default"
    external_users: Literal["policy-required", "open"] = "policy-required"
    connections: Connections = Connections()
    legal_entities: tuple[LegalEntityDefinition, ...] = ()
    anonymous_user: str | None = None
    applications: tuple[Application, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    sample: Sample | None = None
    public: dict[str, tuple[PublicRight, ...]] = {}
    public_rows: dict[str, str] = {}


def variable(name: str) -> str | None:
    """The environment variable that a ``${NAME}`` means; None where it is not set."""
    return os.environ.get(name)


def expand(text: str, where: Where) -> str:
    """``${NAME}`` replaced from the environment. Raises DefinitionError naming a variable that is not set."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise DefinitionError(
                where.file, where.line, f"the environment variable {name} is not set.", f"Set it: export {name}=…"
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)
