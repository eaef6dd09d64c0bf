"""The security log: what matters to security is in it before an answer leaves, and nobody changes it unnoticed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from forecourt.cli.rule_files import rule_digests
from forecourt.kernel.errors import Unavailable
from forecourt.kernel.observe import Denied, Fault, Observation, Sealed, SignIn
from forecourt.kernel.security_log import Filter, Logged
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.seals import Anchor, Seals, Verdict, anchor
from forecourt.store.security_log import KEPT, SecurityLog
from support.server import Installation, send
from support.small_erp import ROOT, small_erp

A = "/api/data/v9.2"
EVERYTHING = Filter()


@pytest.fixture
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as opened:
        yield opened
        assert not opened.faults


async def logged(site: Installation, kind: str, wanted: Filter = EVERYTHING) -> list[Logged]:
    """The events of a kind, the oldest first."""
    return list(reversed(await site.forecourt.security_log.read(replace(wanted, kinds=(kind,)))))


async def verdict(site: Installation, *anchors: Anchor, log: str = "security") -> Verdict:
    return next(found for found in await site.forecourt.seals.verify(anchors) if found.log == log)


async def forge(site: Installation, statement: str) -> None:
    """What only the owner of the database can do: a trigger off, a statement, the trigger on again."""
    for table in ("security_log", "log_seal"):
        await site.dataverse(f"alter table forecourt.{table} disable trigger user")
    await site.dataverse(statement)
    for table in ("security_log", "log_seal"):
        await site.dataverse(f"alter table forecourt.{table} enable trigger user")


# ----------------------------------------------------------------------------------------------- what is in it


async def test_a_sign_in_is_kept_before_its_token_leaves(site: Installation) -> None:
    clerk = await site.operations_user("clerk")
    await clerk.token()
    found = (await logged(site, "sign-in"))[-1].event
    assert (found.actor, found.subject, found.outcome) == (clerk.username, "password", "ok")


async def test_a_wrong_password_is_kept_and_is_not_in_the_log(site: Installation) -> None:
    clerk = await site.operations_user("clerk")
    with pytest.raises(AssertionError):
        await replace(clerk, password="a wrong one", _token="").token()
    assert (await logged(site, "sign-in"))[-1].event.outcome == "refused"
    rows = await site.dataverse("select count(*) from forecourt.security_log l where l::text like '%a wrong one%'")
    assert rows[0][0] == 0


async def test_denials_are_kept_and_the_same_one_counts_up(site: Installation) -> None:
    reader = await site.operations_user("reader")
    for _ in range(3):
        answer = await send(reader, "POST", "/data/SmallCustomers", {"CustomerAccount": "X1", "Name": "X"})
        assert answer.status == 403, answer.text
    await site.forecourt.security_log.flush()
    found = {item.event.subject: item for item in await logged(site, "denial") if item.event.actor == "reader"}
    assert found.keys() >= {"/data/SmallCustomers"}, "the path that was asked for"
    assert all(item.event.outcome == "FC3001" and item.count % 3 == 0 for item in found.values())


async def test_impersonation_is_kept_with_who_asked_and_as_whom(site: Installation) -> None:
    admin, clerk = await site.operations_user("admin"), await site.operations_user("clerk")
    assert (await clerk.get(f"{A}/WhoAmI")).status == 200
    user = id_of("systemuser", "user/clerk")
    assert (await admin.get(f"{A}/WhoAmI", {"MSCRMCallerID": str(user)})).status == 200
    (found,) = await logged(site, "impersonation")
    assert (found.event.actor, found.event.subject, found.event.door) == ("admin", "clerk", "dataverse")


async def test_a_mapping_is_kept_with_who_made_it_and_for_whom_whichever_way_it_comes(site: Installation) -> None:
    admin = await site.operations_user("admin")
    contact = await site.dataverse(
        "insert into dataverse.contact (contactid, lastname) values (gen_random_uuid(), 'Ann') returning contactid"
    )
    person = str(contact[0][0])
    made = await send(
        admin,
        "POST",
        f"{A}/msdyn_externalportalusermappings",
        {"msdyn_userid": "clerk", "msdyn_contactid@odata.bind": f"/contacts({person})"},
    )
    assert made.status == 204, made.text
    await site.dataverse("update dataverse.msdyn_externalportalusermapping set msdyn_userid = 'admin'")
    await site.dataverse("delete from dataverse.msdyn_externalportalusermapping")
    first, second, third = [
        item for item in await logged(site, "membership") if item.event.subject == "msdyn_externalportalusermapping"
    ]
    assert (first.event.actor, first.event.outcome) == ("admin", "added")
    assert first.detail["after"] == {"msdyn_contactid": person, "msdyn_userid": "clerk", "statecode": 0}
    assert second.event.outcome == "changed" and second.detail["changed"] == ["msdyn_userid"]
    assert second.event.actor.startswith("database role ")
    assert third.event.outcome == "removed" and third.detail["before"]["msdyn_userid"] == "admin"  # type: ignore[index]


async def test_what_a_transaction_did_not_keep_is_not_in_the_log(site: Installation) -> None:
    connection = await asyncpg.connect(site.dataverse_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "insert into dataverse.adx_webrole_contact (adx_webroleid, contactid) "
        "select gen_random_uuid(), contactid from dataverse.contact limit 1"
    )
    await transaction.rollback()
    await connection.close()
    assert not [i for i in await logged(site, "membership") if i.event.subject == "adx_webrole_contact"]


async def test_a_contact_that_moves_to_another_account_is_kept_and_a_new_phone_number_is_not(
    site: Installation,
) -> None:
    await site.dataverse("insert into dataverse.account (accountid, name) values (gen_random_uuid(), 'A')")
    await site.dataverse("insert into dataverse.contact (contactid, lastname) values (gen_random_uuid(), 'Ann')")
    await site.dataverse("update dataverse.contact set telephone1 = '1'")
    assert not await logged(site, "membership")
    await site.dataverse("update dataverse.contact set parentcustomerid = (select accountid from dataverse.account)")
    (found,) = await logged(site, "membership")
    assert found.detail["changed"] == ["parentcustomerid"]


async def test_a_new_password_is_kept_by_name_alone(site: Installation) -> None:
    clerk = await site.operations_user("clerk")
    account = await site.dataverse("select id, password_hash from forecourt.credential")
    await site.forecourt.accounts.set_password(account[0]["id"], "another password 1!")
    found = (await logged(site, "account"))[-1]
    assert (found.event.subject, found.detail["changed"]) == ("credential", ["password_hash"])
    kept = json.dumps(dict(found.detail))
    assert clerk.username in kept and "argon2" not in kept


async def test_a_rule_that_changes_is_kept_once_for_all_processes(site: Installation, tmp_path: Path) -> None:
    log, digests = site.forecourt.security_log, rule_digests(ROOT)
    assert "operations/roles.yaml" in digests
    await asyncio.gather(log.note_rules(digests), log.note_rules(digests))
    assert {item.event.outcome for item in await logged(site, "rule")} == {"in force"}
    assert len(await logged(site, "rule")) == len(digests)
    changed = {**digests, "operations/roles.yaml": "0" * 64, "operations/policies/New.yaml": "1" * 64}
    gone = changed.pop("solution.yaml")
    await asyncio.gather(log.note_rules(changed), log.note_rules(changed))
    found = {item.event.subject: item for item in (await logged(site, "rule"))[len(digests) :]}
    assert {name: item.event.outcome for name, item in found.items()} == {
        "operations/roles.yaml": "changed",
        "operations/policies/New.yaml": "added",
        "solution.yaml": "removed",
    }
    assert found["solution.yaml"].detail == {"before": gone}


async def test_events_are_found_by_person_time_and_page(site: Installation) -> None:
    log = site.forecourt.security_log
    for name in ("ann", "bob", "Annette"):
        log.observe(SignIn(name, "password", "ok"))
        await log.flush()
    found = await log.read(Filter(kinds=("sign-in",), person="ANN"))
    assert [item.event.actor for item in found] == ["Annette", "ann"]
    assert [item.event.actor for item in await log.read(Filter(person="ann", before=found[0].number))] == ["ann"]
    assert not await log.read(Filter(person="ann", until=found[-1].at))
    assert len(await log.read(Filter(person="ann", since=found[0].at, limit=1))) == 1


# ------------------------------------------------------------------------------------------------ nothing is lost


async def test_events_wait_for_a_database_that_is_away(site: Installation) -> None:
    class Away:
        """The log's database, out of reach until told otherwise."""

        def __init__(self) -> None:
            self.back = False

        async def system(self, plan: object) -> list[object]:
            if not self.back:
                raise Unavailable("away")
            return list(await site.forecourt.databases.dataverse.system(plan))  # type: ignore[arg-type]

    away, told = Away(), list[Observation]()
    log = SecurityLog(away, told.append)  # type: ignore[arg-type]
    log.observe(SignIn("eve", "password", "refused"))
    await log.settle()
    assert isinstance(told[0], Fault)
    log.observe(SignIn("eve", "password", "refused"))
    away.back = True
    await log.settle()
    (found,) = await logged(site, "sign-in", Filter(person="eve"))
    assert found.count == 2


async def test_more_kinds_of_denials_than_are_listed_are_counted(site: Installation) -> None:
    log = site.forecourt.security_log
    for number in range(KEPT + 7):
        log.observe(Denied("operations", "eve", "FC3001", f"/data/{number}"))
    await log.flush()
    rows = await site.dataverse("select sum(count), count(*) from forecourt.security_log where kind = 'denial'")
    assert tuple(rows[0]) == (KEPT + 7, KEPT + 1)


# ----------------------------------------------------------------------------------------------- tamper-evidence


@pytest.mark.parametrize(
    "statement",
    [
        "update forecourt.security_log set actor = 'nobody'",
        "delete from forecourt.security_log",
        "truncate forecourt.security_log",
        "update forecourt.log_seal set count = 0",
        "delete from forecourt.log_seal",
        "truncate forecourt.log_seal",
    ],
)
async def test_the_log_and_its_seals_are_only_ever_added_to(site: Installation, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
        await site.dataverse(statement)


async def filled(site: Installation, entries: int = 6) -> None:
    """Entries, two under each seal."""
    for number in range(entries):
        site.forecourt.security_log.observe(SignIn(f"person {number}", "password", "ok"))
        await site.forecourt.security_log.flush()
        if number % 2:
            await site.forecourt.seals.seal()


async def test_an_untouched_log_verifies_and_tells_what_is_not_sealed_yet(site: Installation) -> None:
    await filled(site, 7)
    found = await verdict(site)
    assert (found.waiting, found.breaches, found.sealed % 2) == (1, (), 0)
    assert found.head is not None and found.head.number == found.seals == 3
    assert (await verdict(site, found.head)).breaches == ()
    assert anchor(str(found.head)) == found.head


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("update forecourt.security_log set outcome = 'refused' where actor = 'person 2'", "an entry under it"),
        ("update forecourt.security_log set at = at + interval '1 s' where actor = 'person 2'", "an entry under it"),
        ("update forecourt.security_log set detail = '{\"x\": 1}' where actor = 'person 2'", "an entry under it"),
        ("delete from forecourt.security_log where actor = 'person 2'", "it covers 2 entries, and 1 are there"),
        ("update forecourt.log_seal set hash = sha256('x') where number = 2", "an entry under it, or the seal"),
        ("delete from forecourt.log_seal where number = 2", "a seal before it is missing"),
        (
            "with gone as (delete from forecourt.security_log where actor = 'person 2' returning id) "
            "update forecourt.log_seal set count = 1, entries = entries - (select int8multirange(int8range(id, id, "
            "'[]')) from gone) where number = 2",
            "an entry under it, or the seal",
        ),
    ],
)
async def test_whoever_owns_the_database_cannot_change_an_entry_unnoticed(
    site: Installation, statement: str, told: str
) -> None:
    await filled(site)
    assert (await verdict(site)).breaches == ()
    await forge(site, statement)
    assert any(told in breach.what for breach in (await verdict(site)).breaches)


async def test_a_seal_that_is_made_anew_breaks_the_chain_behind_it(site: Installation) -> None:
    await filled(site)
    await forge(site, "update forecourt.security_log set outcome = 'refused' where actor = 'person 2'")
    row = (await site.dataverse("select * from forecourt.log_seal where number = 2"))[0]
    await forge(site, "delete from forecourt.log_seal where number >= 2 and log = 'security'")
    await site.forecourt.seals.seal()  # one seal over all that is open
    again = (await site.dataverse("select * from forecourt.log_seal where number = 2"))[0]
    assert again["hash"] != row["hash"]
    assert (await verdict(site)).breaches == ()  # which is why an anchor is kept elsewhere
    noted = Anchor("security", 2, row["hash"].hex())
    (breach,) = (await verdict(site, noted)).breaches
    assert breach.seal == 2 and "is another one" in breach.what


async def test_an_anchor_shows_that_the_end_of_a_log_was_cut_off(site: Installation) -> None:
    await filled(site)
    head = (await verdict(site)).head
    assert head is not None
    await forge(site, "delete from forecourt.security_log where actor >= 'person 4'")
    await forge(site, "delete from forecourt.log_seal where number = 3")
    assert (await verdict(site)).breaches == ()
    (breach,) = (await verdict(site, head)).breaches
    assert "was removed" in breach.what


async def test_an_entry_that_is_committed_late_is_sealed_late(site: Installation) -> None:
    connection = await asyncpg.connect(site.dataverse_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "insert into forecourt.security_log (kind, actor, subject) values ('sign-in', 'late', 'password')"
    )
    await filled(site, 4)
    assert (await verdict(site)).waiting == 0
    await transaction.commit()
    await connection.close()
    assert (await verdict(site)).waiting == 1
    assert await site.forecourt.seals.seal() == 1
    found = await verdict(site)
    assert (found.waiting, found.breaches, found.seals) == (0, (), 3)


async def test_processes_that_seal_at_once_make_one_chain(site: Installation) -> None:
    told: list[Observation] = []
    others = [Seals(site.forecourt.databases.dataverse, told.append) for _ in range(4)]
    for number in range(5):
        site.forecourt.security_log.observe(SignIn(f"person {number}", "password", "ok"))
        await site.forecourt.security_log.flush()
        await asyncio.gather(*(other.seal() for other in others))
    found = await verdict(site)
    assert (found.waiting, found.breaches, found.seals) == (0, (), 5)
    assert [anchor(item.anchor).number for item in told if isinstance(item, Sealed)] == [1, 2, 3, 4, 5]


async def test_the_integration_log_is_sealed_too(site: Installation) -> None:
    insert = """insert into forecourt.integration_log
        (work, principal, map, engine, direction, target, operation, rows, fields, keys, caused_by)
        values (1, 'Integration', 'm', 'live', 'to_dataverse', 't', 'create', 1, '{a}', '[["1"]]', 'ann')"""
    await site.dataverse(insert)
    await site.forecourt.seals.seal()
    found = await verdict(site, log="integration")
    assert (found.seals, found.sealed, found.breaches) == (1, 1, ())
    await site.dataverse("alter table forecourt.integration_log disable trigger user")
    await site.dataverse("update forecourt.integration_log set caused_by = 'bob'")
    await site.dataverse("alter table forecourt.integration_log enable trigger user")
    (breach,) = (await verdict(site, log="integration")).breaches
    assert "an entry under it" in breach.what
