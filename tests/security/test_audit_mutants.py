"""Rules removed or weakened, a few of each kind: audit names what opened. ``make mutants`` does all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.cli.auditing.surroundings import surroundings
from forecourt.security.audit import Planes
from forecourt.security.audit.copies import Copies
from forecourt.security.audit.doors import Doors
from forecourt.security.audit.identities import classes
from forecourt.store.embedded import EmbeddedServer
from support.mutant_ranges import contoso_range
from support.mutants import Mutant, Range

pytestmark = [pytest.mark.xdist_group("mutants"), pytest.mark.slow]

#: Parts of the names of mutants that show rows to somebody, and the code under which audit tells of it first.
OPENED = (
    ("range dropped: VendProfileAccount: {'column': 'DirPersonUser.user_'", "FC7001"),
    ("range dropped: VendProfileAccount: {'column': 'ContactPerson.inactive'", "FC7001"),
    ("relation condition dropped: VendProfileAccount: erp.purchtable.dataareaid", "FC7001"),
    ("scope widened to Global: Everybody: account of the own contact", "FC7010"),
    ("scope widened to Global: Customer: copied sales orders", "FC7010"),
    ("scope widened to Global: Vendor: own purchase orders", "FC7006"),
    ("permission removed: Worker: own record", "FC7001"),
    ("mapped to another user: v-us-101", "FC7001"),
    ("account of the contact changed: v-us-101", "FC7001"),
    ("legal entities widened: v-fr-101", "FC7001"),
)

#: Mutants that open no row by themselves, and the code.
SAID = (
    ("mapped to an administrator: v-us-101", "FC7004"),
    ("context misspelt: HcmWorkerSelf", "FC7005"),
    ("columns widened: VendVendorExternalView", "FC7008"),
    ("Webapi fields widened: Webapi/account/fields", "FC7009"),
)


@pytest.fixture(scope="module")
async def field(
    postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Range, list[Mutant]]]:
    async with contoso_range(postgres, tmp_path_factory.mktemp("mutants")) as found:
        yield found


def mutant(field: tuple[Range, list[Mutant]], text: str) -> Mutant:
    return next(item for item in field[1] if str(item).startswith(text))


async def test_the_sample_is_clean_with_the_rows_that_were_added(field: tuple[Range, list[Mutant]]) -> None:
    assert field[0].report.findings == ()
    assert len(field[1]) > 200


@pytest.mark.parametrize(("text", "code"), OPENED)
async def test_what_opened_is_named_with_identity_count_and_row(
    field: tuple[Range, list[Mutant]], text: str, code: str
) -> None:
    fate = await field[0].fate(mutant(field, text))
    assert fate.audit is not None
    assert fate.audit.identity
    assert fate.audit.rows
    assert fate.audit.example
    assert code in {finding.code for finding in fate.new}
    if not fate.mutant.do:
        assert fate.diff is not None or code == "FC7006", "what the source still hides changes nothing for anybody"


@pytest.mark.parametrize(("text", "code"), SAID)
async def test_what_is_wrong_is_said_though_no_row_is_open(
    field: tuple[Range, list[Mutant]], text: str, code: str
) -> None:
    fate = await field[0].fate(mutant(field, text))
    assert code in {finding.code for finding in fate.new}


async def test_no_comparison_of_the_sample_goes_through_rows_person_by_person(
    field: tuple[Range, list[Mutant]],
) -> None:
    """Pairs of people and rows are found by joining: the plan does not depend on how many there are of both."""
    found = field[0].forecourt
    planes = Planes(found.operations_gate, found.dataverse_gate)
    around = await surroundings(found, field[0].root)
    asked = [
        check.asked
        for group in classes(field[0].people, 1000)
        for check in (*Doors(planes).checks(group), *Copies(planes, around.copies).checks(group))
    ]
    assert len(asked) > 40
    assert {question.way for question in asked} == {"joined", "contained"}
