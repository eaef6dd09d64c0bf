"""For any rules: what is proved of the doors and the table permissions, no rows show otherwise.

Rules, people and rows are those of ``test_security_gate``. Where a proof assumes something of the data, it has to
survive the data of which that is so.
"""

from __future__ import annotations

import random
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from test_security_gate import ENTITIES, LINE, LINK, ORDERS, VENDOR, VIRTUAL, Drawn, drawn, rows

from forecourt.kernel.model import Model
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import Contact, Principal
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.security.audit.identities import Identity
from forecourt.security.enforce import Enforcer
from forecourt.store.catalog import Catalog, Table, TableColumn
from forecourt.store.memory import evaluate

pytest.importorskip("z3", reason="z3-solver, of requirements/dev.txt, is not installed")

from forecourt.security.prove.decide import Proof, decide
from forecourt.security.prove.questions import Questioner, kinds

#: One worker: the last test counts what the others did.
pytestmark = pytest.mark.xdist_group("proofs of rules")

CODE, AREA = "account.accountnumber", "account.company"


def _table(name: TableName, numbers: str, texts: str, nullable: str) -> Table:
    types = {**dict.fromkeys(numbers.split(), "int4"), **dict.fromkeys(texts.split(), "text")}
    columns = {each: TableColumn(each, type_, nullable=each in nullable.split()) for each, type_ in types.items()}
    return Table(name, columns, primary=("id",))


CATALOG = Catalog(
    {
        VENDOR: _table(VENDOR, "id party", "area code", "code party"),
        ORDERS: _table(ORDERS, "id vendor amount", "area", "vendor amount"),
        LINE: _table(LINE, "id orders quantity", "", "quantity"),
        LINK: _table(LINK, "id party closed", "who", "party"),
    }
)


def key_of(table: object) -> tuple[str, ...]:
    return CATALOG.tables[table].primary  # type: ignore[index]


FOUND: Counter[str] = Counter()


def true(item: Predicate, tables: dict[TableName, list[dict[str, object]]], values: dict[str, object]) -> bool:
    """A closed predicate, over one row of its own."""
    one = TableName("t", "one")
    select = Select((Source("@one", one),), item, count=True)
    return evaluate(select, {**tables, one: [{}]}, (), values) == [(1,)]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
def test_a_proof_about_rules_survives_rows(case: Drawn) -> None:
    pick = random.Random(case.seed)
    contact = case.principal.contact or Contact(UUID(int=7), "x", "x", UUID(int=8))
    portal = Principal(contact, frozenset({"Vendors"}), case.user)
    identity = Identity("somebody", Principal(operations_user=case.user), portal)
    enforcers = (Enforcer(case.rules, Model(model), key_of) for model in (ENTITIES, VIRTUAL))
    for question in Questioner(*enforcers).all(kinds([identity])):
        answer = decide(question.leak, question.assumptions, CATALOG)
        FOUND[type(answer).__name__] += 1
        if not isinstance(answer, Proof):
            continue
        for _ in range(6):
            tables = rows(pick.randrange(2**32))
            values: dict[str, object] = {
                "user.id": pick.choice(("ann", "ben", "cat")),
                "user.company": pick.choice(("a", "b")),
                CODE: pick.choice(("V1", "V2", None)),
                AREA: pick.choice(("a", "b", None)),
                "contact.code": pick.choice(("V1", "V2", None)),
                "contact.contactid": None,
            }
            if all(true(item.holds, tables, values) for item in answer.assumptions):
                FOUND["tried"] += 1
                assert not true(question.leak, tables, values), question.text


def test_something_was_proved_and_tried() -> None:
    assert FOUND["Proof"] > 5
    assert FOUND["Candidate"] > 5
    assert FOUND["tried"] > 30
