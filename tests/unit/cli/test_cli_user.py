"""``forecourt user``: accounts and mappings of a solution, and who may not be mapped."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from forecourt.cli import main

ROLES = """
users:
  - {id: admin, name: Administrator, roles: ['-SYSADMIN-']}
  - {id: security, roles: [SysSecSecurityAdministrator, CDSVirtualEntityAuthenticatedPortalUser]}
  - {id: clerk, roles: [SystemUser]}
  - {id: gone, roles: [SystemExternalUser, CDSVirtualEntityAuthenticatedPortalUser], enabled: false}
  - {id: vendor-1, name: Vendor one, roles: [SystemExternalUser, CDSVirtualEntityAuthenticatedPortalUser]}
  - {id: vendor-2, roles: [SystemExternalUser, CDSVirtualEntityAuthenticatedPortalUser]}
"""

ANN, BOB, TWIN, TWIN2, NAMELESS = (uuid4() for _ in range(5))


class Desk:
    """A solution over a database of its own, and the command line to it."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.url, self.capsys, self.patch = folder, url, capsys, patch

    async def __call__(self, verb: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        def work() -> int:
            try:
                main(["user", verb, str(self.folder), *arguments])
            except SystemExit as done:
                return int(str(done.code))
            raise AssertionError("the command did not end")

        self.patch.setattr("sys.stdin", io.StringIO(stdin))
        self.capsys.readouterr()
        code = await asyncio.to_thread(work)
        out, err = self.capsys.readouterr()
        return code, out, err

    async def sql(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(text, *arguments))
        finally:
            await connection.close()


@pytest.fixture
async def desk(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.setenv("DESK_URL", database_url)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "desk"
    (folder / "operations").mkdir(parents=True)
    (folder / "solution.yaml").write_text(
        "name: desk\nconnections: {dataverse: '${DESK_URL}', operations: '${DESK_URL}'}\n"
    )
    (folder / "operations" / "roles.yaml").write_text(ROLES)
    desk = Desk(folder, database_url, capsys, monkeypatch)
    assert (await desk("list"))[0] == 0
    for contact, name, email in (
        (ANN, "Ann Adams", "Ann@example.com"),
        (BOB, "Bob [bold]\x1b[31m", "bob@example.com"),
        (TWIN, "Twin", "twin@example.com"),
        (TWIN2, "Twin", "twin@example.com"),
        (NAMELESS, "No mail", None),
    ):
        await desk.sql(
            "insert into dataverse.contact (contactid, fullname, emailaddress1) values ($1, $2, $3)",
            contact,
            name,
            email,
        )
    return desk


def password_in(out: str) -> str:
    found = re.search(r"^Password: (\S+)$", out, re.M)
    assert found
    return found[1]


async def test_an_account_is_made_with_a_password_that_is_shown_once(desk: Desk) -> None:
    code, out, _ = await desk("add", "--contact", "ann@EXAMPLE.com")
    assert code == 0
    assert "Account Ann@example.com was made." in out
    assert len(password_in(out)) == 19
    rows = await desk.sql("select username, contact_id, operations_user from forecourt.credential")
    assert [tuple(row) for row in rows] == [("Ann@example.com", ANN, None)]
    code, _, err = await desk("add", "--contact", str(ANN), "other")
    assert (code, "already has an account" in err) == (1, True)
    out = (await desk("list"))[1]
    assert "Ann Adams" in out
    assert "(not mapped)" in out
    assert "Password" not in out


async def test_a_second_factor_is_shown_and_taken_away(desk: Desk) -> None:
    assert (await desk("add", "--contact", "ann@example.com"))[0] == 0
    code, _, err = await desk("reset-second-factor", "ann@example.com")
    assert (code, "has no second factor" in err) == (1, True)
    assert await desk.sql("update forecourt.credential set second_factor = true returning id")
    assert re.search(r"enabled +│ on ", (await desk("list"))[1])
    code, out, _ = await desk("reset-second-factor", "ANN@example.com")
    assert code == 0 and "has no second factor any more" in out
    assert [row[0] for row in await desk.sql("select second_factor from forecourt.credential")] == [False]


async def test_an_operations_user_signs_in_under_a_name_of_its_own(desk: Desk) -> None:
    assert (await desk("add", "--operations-user", "admin", "root", "--password-stdin", stdin="Correct-Horse-1\n"))[
        0
    ] == 0
    rows = await desk.sql("select username, operations_user from forecourt.credential")
    assert [tuple(row) for row in rows] == [("root", "admin")]
    out = (await desk("list"))[1]
    assert re.search(r"root .*operations user .*Administrator .*admin .*enabled .*never", out)
    assert (await desk("add", "--operations-user", "nobody", "x"))[0] == 1
    assert (await desk("add", "--operations-user", "gone", "x"))[0] == 1


async def test_wrong_usage_is_told_apart_from_a_refusal(desk: Desk) -> None:
    for arguments in (
        (),
        ("--contact", str(ANN), "--operations-user", "admin"),
        ("--operations-user", "admin"),
        ("--contact", str(ANN), "--prompt", "--password-stdin"),
        ("--contact", str(ANN), "--password-stdin"),
    ):
        assert (await desk("add", *arguments))[0] == 64, arguments
    for arguments, said in (
        (("--contact", "nobody@example.com"), "no active contact"),
        (("--contact", "twin@example.com"), "give the contact's id"),
        (("--contact", str(NAMELESS)), "give a USERNAME"),
    ):
        code, _, err = await desk("add", *arguments)
        assert (code, said in err) == (1, True), err
    code, _, err = await desk("add", "--contact", str(ANN), "--password-stdin", stdin="short\n")
    assert (code, "at least 8 characters" in err, "short" in err) == (1, True, False)
    assert await desk.sql("select from forecourt.credential") == []


async def test_a_new_password_replaces_the_old_one_and_lifts_the_lock(desk: Desk) -> None:
    await desk("add", "--contact", str(ANN), "ann")
    await desk.sql("update forecourt.credential set locked_until = now() + interval '1 hour', failed_count = 5")
    before = await desk.sql("select password_hash, security_stamp from forecourt.credential")
    assert "locked until" in (await desk("list"))[1]
    code, out, _ = await desk("password", "ANN")
    assert (code, bool(password_in(out))) == (0, True)
    after = await desk.sql("select password_hash, security_stamp, locked_until from forecourt.credential")
    assert before[0][0] != after[0][0]
    assert before[0][1] != after[0][1]
    assert after[0][2] is None
    assert (await desk("password", "nobody"))[0] == 1


async def test_an_account_is_disabled_enabled_and_unlocked(desk: Desk) -> None:
    await desk("add", "--contact", str(ANN), "ann")
    await desk.sql("update forecourt.credential set locked_until = now() + interval '1 hour'")
    for verb, said in (("unlock", "is not locked"), ("disable", "is disabled"), ("enable", "is enabled")):
        code, out, _ = await desk(verb, "ann")
        assert (code, said in out) == (0, True)
        row = (await desk.sql("select enabled, locked_until from forecourt.credential"))[0]
        assert tuple(row) == (verb != "disable", None)
        assert (await desk(verb, "nobody"))[0] == 1
    await desk("disable", "ann")
    assert "disabled" in (await desk("list"))[1]


async def mappings(desk: Desk) -> list[tuple[UUID, str, int]]:
    rows = await desk.sql(
        "select msdyn_contactid, msdyn_userid, statecode from dataverse.msdyn_externalportalusermapping"
    )
    return [tuple(row) for row in rows]


async def test_a_contact_is_mapped_to_one_portal_user_and_unmapped(desk: Desk) -> None:
    code, out, _ = await desk("map", "--contact", "ann@example.com", "--operations-user", "vendor-1")
    assert (code, "acts as operations user vendor-1" in out) == (0, True)
    assert await mappings(desk) == [(ANN, "vendor-1", 0)]
    assert (await desk("map", "--contact", "ann@example.com", "--operations-user", "vendor-1"))[0] == 0
    code, _, err = await desk("map", "--contact", str(ANN), "--operations-user", "vendor-2")
    assert (code, "is mapped to vendor-1 already" in err) == (1, True)
    assert await mappings(desk) == [(ANN, "vendor-1", 0)]
    await desk("add", "--contact", str(ANN))
    assert "vendor-1" in (await desk("list"))[1]
    assert (await desk("unmap", "--contact", "ann@example.com"))[0] == 0
    assert await mappings(desk) == []
    code, _, err = await desk("unmap", "--contact", "ann@example.com")
    assert (code, "is not mapped" in err) == (1, True)


async def test_an_inactive_mapping_is_taken_over(desk: Desk) -> None:
    await desk("map", "--contact", str(ANN), "--operations-user", "vendor-1")
    await desk.sql("update dataverse.msdyn_externalportalusermapping set statecode = 1")
    assert (await desk("map", "--contact", str(ANN), "--operations-user", "vendor-2"))[0] == 0
    assert await mappings(desk) == [(ANN, "vendor-2", 0)]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("admin", "holds -SYSADMIN-, and policies do not restrain such a user"),
        ("security", "holds SysSecSecurityAdministrator"),
        ("clerk", "lacks the role CDSVirtualEntityAuthenticatedPortalUser"),
        ("gone", "is disabled"),
        ("nobody", "no operations user nobody"),
    ],
)
async def test_users_that_a_portal_may_not_act_as_are_refused(desk: Desk, user: str, said: str) -> None:
    code, _, err = await desk("map", "--contact", "ann@example.com", "--operations-user", user)
    assert (code, said in err) == (1, True), err
    assert await mappings(desk) == []


async def test_what_a_contact_is_called_cannot_move_the_terminal_or_style_the_table(desk: Desk) -> None:
    await desk("add", "--contact", str(BOB))
    out = (await desk("list"))[1]
    assert "Bob [bold]" in out
    assert "\x1b" not in out


async def test_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("list", "add", "password", "disable", "enable", "unlock", "map", "unmap"):
        with pytest.raises(SystemExit) as done:
            main(["user", verb, "--help"])
        assert done.value.code == 0
        assert f"forecourt user {verb} " in capsys.readouterr().out
