"""A suite of scenarios: what to ask of each door, and the SQL that somebody would write by hand for it.

Texts hold ``{names}``; what stands for them comes from the rows of ``variants``, a query on the sample, so that neither
the server nor PostgreSQL is asked the same thing all the time.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from forecourt.odata import record_id

#: Different questions per scenario; pgbench prepares a statement for each on every connection.
VARIANTS = 16

Variant = Mapping[str, str]


@dataclass(frozen=True)
class Scenario:
    """One question, asked in several ways.

    ``data`` and ``virtual``: path and query of the two doors. ``sql``: the hand-written equivalent, with ``:names``.
    ``variants``: a query whose rows give the names their values; a column ``recid`` gives ``record`` as well, the row
    id of the virtual table, for which ``entity_id`` is needed. ``rows``: how many rows an answer has, None for a single
    object. ``data_id``, ``virtual_id``: the property that tells rows apart; ``sql_id``: the column that equals it.
    ``wanted``: the least ratio of requests to pgbench's transactions. ``filtered``: ``data`` with the policy's
    predicate written into ``$filter``, for somebody whom no policy constrains; '' where there is none.
    """

    name: str
    title: str
    data: str
    virtual: str
    sql: str
    variants: str
    rows: int | None
    data_id: str
    virtual_id: str
    sql_id: str
    wanted: float
    entity_id: int = 0
    filtered: str = ""


@dataclass(frozen=True)
class PortalPage:
    """A page of the portal, asked for by many people.

    ``path``: path and query. ``sql``: what somebody would write by hand for its rows, with ``:names``. ``variants``: a
    query for the values of the names, $1 and $2 the account and the legal entity of a person; its first row counts.
    ``shows``: the name whose value the page has to show. ``links``: how many rows lead to their details, where that is
    known. ``entity_id``: as of a scenario.
    """

    name: str
    title: str
    path: str
    sql: str
    variants: str
    shows: str
    links: int | None = None
    entity_id: int = 0


@dataclass(frozen=True)
class Suite:
    """``user``: the operations user who asks. ``contact``: a query ($1 the user) for the id of a contact mapped to it.

    ``virtual_limit``: how much more a request to a virtual table may cost than one to ``/data``; ``policy_limit``: how
    much more one under the policy may cost than the same of ``unconstrained`` with the predicate written by hand.

    ``people``: a query for who visits the portal: operations user, account, legal entity. ``pages``: of the portal; of
    100 answers 95 may take at most ``pages_limit`` times what the SQL by hand takes. ``edits``: what differs in their
    solution, as (file, text, other text).
    """

    solution: str
    user: str
    contact: str
    scenarios: tuple[Scenario, ...]
    virtual_limit: float
    unconstrained: str = ""
    policy_limit: float = 1.05
    people: str = ""
    pages: tuple[PortalPage, ...] = ()
    edits: tuple[tuple[str, str, str], ...] = ()
    pages_limit: float = 4.0


def suite_folder() -> Path:
    """``bench/`` of the source tree. Raises ClickException where the package is installed without it."""
    folder = Path(__file__).resolve().parents[4] / "bench"
    if not (folder / "scenarios.py").is_file():
        raise click.ClickException("The scenarios are in the source tree: name them with --suite bench/scenarios.py.")
    return folder


def read_suite(path: Path) -> Suite:
    """The ``SUITE`` of a Python file."""
    spec = importlib.util.spec_from_file_location("forecourt_bench_scenarios", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise click.ClickException(f"{path}: no such file of scenarios.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    suite = getattr(module, "SUITE", None)
    if not isinstance(suite, Suite):
        raise click.ClickException(f"{path}: SUITE is missing; write SUITE = Suite(...).")
    return suite


def named(row: Mapping[str, object], entity_id: int) -> Variant:
    """What stands for the names: a row's values, and the row id of the virtual table where there is one."""
    values = {name: str(value) for name, value in row.items()}
    if "recid" in row and entity_id:
        values["record"] = str(record_id.encode(entity_id, int(str(row["recid"]))))
    return values


def spread(rows: Sequence[Variant], count: int = VARIANTS) -> tuple[Variant, ...]:
    """At most ``count`` of the rows, evenly spaced.

    >>> [row["n"] for row in spread([{"n": str(i)} for i in range(10)], 3)]
    ['0', '3', '6']
    """
    if len(rows) <= count:
        return tuple(rows)
    return tuple(rows[at * len(rows) // count] for at in range(count))
