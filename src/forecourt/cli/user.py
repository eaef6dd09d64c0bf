"""``forecourt user``: local sign-ins.

An account belongs to a contact (who signs in to the portal) or to an operations user (who works on the operations side
itself). Leaves out mappings (``mapping``) and invitations (``inviting``).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecourt.app import Forecourt
from forecourt.cli.workspace import opened, solution_argument
from forecourt.identity.accounts import Accounts, Credential
from forecourt.identity.clock import utc_now
from forecourt.identity.passwords import generate_password
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import OperationsUser
from forecourt.security.rules import NEVER_BEHIND_PORTAL, PORTAL_USER

_CONTACTS = """
select c.contactid, coalesce(c.fullname, '') as fullname, coalesce(c.emailaddress1, '') as email,
    (select m.msdyn_userid from dataverse.msdyn_externalportalusermapping m
     where m.msdyn_contactid = c.contactid and m.statecode is distinct from 1 limit 1) as mapped
from dataverse.contact c
"""


@click.group()
def user() -> None:
    """Local accounts of SOLUTION, and the operations users that contacts act as.

    \b
    Examples:
      forecourt user list my-solution
      forecourt user add my-solution --contact ann@example.com
      forecourt user add my-solution --operations-user admin admin
      forecourt user map my-solution --contact ann@example.com --operations-user vendor-1
      forecourt user invite my-solution --contact ann@example.com --role Vendors
    """


Command = Callable[..., Any]


def _password_options(command: Command) -> Command:
    """How a password is given: made up, asked for, or read."""
    command = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")(
        command
    )
    return click.option("--prompt", is_flag=True, help="Ask for the password.")(command)


# -------------------------------------------------------------------------------------------------------- accounts


@user.command("list", short_help="Lists the accounts.")
@solution_argument
def list_(solution: Path, data: Path | None) -> None:
    """Lists the accounts of SOLUTION: whose each is, and whether it can sign in.

    \b
    Examples:
      forecourt user list examples/contoso
    """
    run(_list(solution, data))


async def _list(solution: Path, data: Path | None) -> None:
    async with opened(solution, data) as forecourt:
        accounts = await forecourt.accounts.list()
        people = {row["contactid"]: row for row in await system(forecourt, "list contacts", _CONTACTS)}
        if not accounts:
            click.echo(f"{forecourt.header.name} has no accounts. Make one with: forecourt user add")
            return
        table = Table("User name", "Kind", "Who", "Operations user", "State", "Second factor", "Last sign-in (UTC)")
        for account in accounts:
            person = people.get(account.contact_id) if account.contact_id else None
            if account.operations_user is not None:
                found = await forecourt.users.get(account.operations_user)
                who = found.name if found is not None else "(no such operations user)"
                shown = ("operations user", who, account.operations_user)
            elif person is not None:
                shown = ("contact", person["fullname"] or person["email"], person["mapped"] or "(not mapped)")
            else:
                shown = ("contact", "(no such contact)", "")
            last = account.last_sign_in.strftime("%Y-%m-%d %H:%M") if account.last_sign_in else "never"
            cells = (account.username, *shown, _state(account), "on" if account.second_factor else "off", last)
            table.add_row(*(Text(plain(cell)) for cell in cells))
        width = None if sys.stdout.isatty() else 200
        Console(highlight=False, width=width).print(table)


def _state(account: Credential) -> str:
    if not account.enabled:
        return "disabled"
    if account.locked_until is not None and account.locked_until > utc_now():
        return f"locked until {account.locked_until.astimezone(dt.UTC):%H:%M} UTC"
    return "enabled"


@user.command(short_help="Makes an account.")
@solution_argument
@click.argument("username", required=False)
@click.option("--contact", metavar="ID|EMAIL", help="The account is this contact's.")
@click.option("--operations-user", metavar="ID", help="The account is this operations user's.")
@_password_options
def add(
    solution: Path,
    data: Path | None,
    username: str | None,
    contact: str | None,
    operations_user: str | None,
    password_stdin: bool,
    prompt: bool,
) -> None:
    """Makes an account for a contact (USERNAME: its e-mail, unless given) or an operations user.

    Without --prompt and --password-stdin a password is made up and printed once.

    \b
    Examples:
      forecourt user add my-solution --contact ann@example.com
      forecourt user add my-solution --contact 6a3c0c2e-6d3a-4b7e-9d0f-0d8f3f0f1a11 ann
      forecourt user add my-solution --operations-user admin admin --prompt
    """
    if (contact is None) == (operations_user is None):
        raise click.UsageError("Say whose the account is: either --contact or --operations-user.")
    if operations_user is not None and username is None:
        raise click.UsageError("Missing argument 'USERNAME': the name that the operations user signs in with.")
    chosen = _password(password_stdin, prompt)

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            if contact is not None:
                contact_id, email = await contact_named(forecourt, contact)
                name = username or email
                if not name:
                    raise click.ClickException("The contact has no e-mail address: give a USERNAME.")
                made = await forecourt.accounts.create(name, chosen.text, contact_id=contact_id)
            else:
                found = await operations_user_named(forecourt, operations_user or "")
                made = await forecourt.accounts.create(username or found.id, chosen.text, operations_user=found.id)
            click.echo(f"Account {made.username} was made.")
            chosen.show()

    run(work())


@user.command(short_help="Gives an account a new password.")
@solution_argument
@click.argument("username")
@_password_options
def password(solution: Path, data: Path | None, username: str, password_stdin: bool, prompt: bool) -> None:
    """Gives an account a new password, ends its sessions and lifts a lock.

    Without --prompt and --password-stdin a password is made up and printed once.

    \b
    Examples:
      forecourt user password my-solution ann@example.com
      forecourt user password my-solution admin --prompt
      pass show erp/admin | forecourt user password my-solution admin --password-stdin
    """
    chosen = _password(password_stdin, prompt)

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            account = await _account(forecourt, username)
            await forecourt.accounts.set_password(account.id, chosen.text)
            click.echo(f"Account {account.username} has a new password.")
            chosen.show()

    run(work())


@user.command(short_help="Keeps an account from signing in.")
@solution_argument
@click.argument("username")
def disable(solution: Path, data: Path | None, username: str) -> None:
    """Keeps an account from signing in, and ends its sessions.

    \b
    Examples:
      forecourt user disable my-solution ann@example.com
    """
    run(_switch(solution, data, username, Accounts.disable, "is disabled; its sessions have ended"))


@user.command(short_help="Lets a disabled account sign in again.")
@solution_argument
@click.argument("username")
def enable(solution: Path, data: Path | None, username: str) -> None:
    """Lets a disabled account sign in again.

    \b
    Examples:
      forecourt user enable my-solution ann@example.com
    """
    run(_switch(solution, data, username, Accounts.enable, "is enabled"))


@user.command(short_help="Lifts a lock.")
@solution_argument
@click.argument("username")
def unlock(solution: Path, data: Path | None, username: str) -> None:
    """Lifts the lock that wrong passwords have put on an account.

    \b
    Examples:
      forecourt user unlock my-solution ann@example.com
    """
    run(_switch(solution, data, username, Accounts.unlock, "is not locked"))


async def _switch(
    solution: Path, data: Path | None, username: str, change: Callable[[Accounts, UUID], Awaitable[None]], done: str
) -> None:
    async with opened(solution, data) as forecourt:
        account = await _account(forecourt, username)
        await change(forecourt.accounts, account.id)
        click.echo(f"Account {account.username} {done}.")


@user.command("reset-second-factor", short_help="Takes the second factor of an account away.")
@solution_argument
@click.argument("username")
def reset_second_factor(solution: Path, data: Path | None, username: str) -> None:
    """Takes the second factor of an account away, for somebody who has lost both app and recovery codes.

    Its sessions end. Make sure who asks: from now on the password alone signs in, until the person sets up another.

    \b
    Examples:
      forecourt user reset-second-factor my-solution ann@example.com
    """

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            account = await _account(forecourt, username)
            if not account.second_factor:
                raise click.ClickException(f"Account {account.username} has no second factor.")
            await forecourt.factors.reset(account.id)
            click.echo(f"Account {account.username} has no second factor any more; its sessions have ended.")

    run(work())


# ---------------------------------------------------------------------------------------------------------- shared


@dataclass(frozen=True)
class _Password:
    """A password, shown only where it was made up."""

    text: str
    made_up: bool

    def show(self) -> None:
        if self.made_up:
            click.echo(f"Password: {self.text}\nIt is shown this once.")


def _password(password_stdin: bool, prompt: bool) -> _Password:
    if password_stdin and prompt:
        raise click.UsageError("Choose one of --prompt and --password-stdin.")
    if prompt:
        return _Password(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True), False)
    if password_stdin:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.UsageError("stdin holds no password.")
        return _Password(line, False)
    return _Password(generate_password(), True)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a command; a refusal ends it with its text."""
    try:
        asyncio.run(work)
    except Refusal as refusal:
        raise click.ClickException(refusal.text) from None


async def system(forecourt: Forecourt, reason: str, sql: str, *args: object) -> list[Any]:
    """Rows of a system statement on the Dataverse database."""
    return await forecourt.databases.dataverse.system(SystemPlan(reason, sql, args))


async def _account(forecourt: Forecourt, username: str) -> Credential:
    account = await forecourt.accounts.find(username)
    if account is None:
        raise click.ClickException(f"There is no account {plain(username)}. forecourt user list shows all.")
    return account


async def contact_named(forecourt: Forecourt, text: str) -> tuple[UUID, str]:
    """Id and e-mail of the one active contact with this id or e-mail."""
    found = await forecourt.contacts.find(text)
    if not found:
        raise click.ClickException(f"There is no active contact {plain(text)}. Give its id or e-mail address.")
    if len(found) > 1:
        raise click.ClickException(f"Several contacts have the e-mail {plain(text)}; give the contact's id.")
    rows = await system(forecourt, "read a contact", f"{_CONTACTS} where c.contactid = $1", found[0])
    return found[0], rows[0]["email"] if rows else ""


async def operations_user_named(forecourt: Forecourt, user_id: str) -> OperationsUser:
    """The enabled operations user with this id."""
    found = await forecourt.users.get(user_id, fresh=True)
    if found is None:
        raise click.ClickException(f"There is no operations user {plain(user_id)} in roles.yaml or the user tables.")
    if not found.enabled:
        raise click.ClickException(f"Operations user {plain(found.id)} is disabled.")
    return found


def require_mappable(found: OperationsUser) -> None:
    """Raises ClickException, saying why, for a user that a portal may not act as."""
    never = {role.casefold() for role in NEVER_BEHIND_PORTAL}
    held = sorted(role for role in found.roles if role.casefold() in never)
    if held:
        raise click.ClickException(
            f"{plain(found.id)} holds {plain(', '.join(held))}, and policies do not restrain such a user: "
            "the contact would see every row. Map a user without these roles."
        )
    if PORTAL_USER not in found.roles:
        raise click.ClickException(
            f"{plain(found.id)} lacks the role {PORTAL_USER}, so a portal may not act as it. Give it the role if "
            "it is meant for people from outside."
        )


def plain(text: str) -> str:
    """The text without what would move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
