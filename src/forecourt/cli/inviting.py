"""``forecourt user invite``: the address by which somebody comes to web roles and an account of the portal."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from forecourt.cli.user import contact_named, operations_user_named, plain, require_mappable, run
from forecourt.cli.user import user as user
from forecourt.cli.workspace import opened, solution_argument
from forecourt.identity.mail.languages import PREFERRED
from forecourt.identity.mail.message import is_address
from forecourt.store.database import Transaction

_LANGUAGE = f"select {PREFERRED} from dataverse.contact p where p.contactid = $1"  # noqa: S608 -- no value is in it


@user.command(short_help="Invites somebody to the portal.")
@solution_argument
@click.option("--contact", metavar="ID|EMAIL", help="Whom it is for; else whoever has the address and a mailbox.")
@click.option("--role", "roles", metavar="NAME", multiple=True, help="A web role that it gives.")
@click.option("--account", metavar="ID|NUMBER|NAME", help="The account (company) that the contact becomes one of.")
@click.option("--operations-user", metavar="ID", help="The operations user that the contact then acts as.")
@click.option("--most", metavar="N", type=click.IntRange(0, 100_000), default=1, help="How many may redeem it; 0: any.")
@click.option("--days", metavar="N", type=click.IntRange(1, 365), default=14, help="How long it counts.")
@click.option("--send", is_flag=True, help="Mail it to the contact.")
def invite(
    solution: Path,
    data: Path | None,
    contact: str | None,
    roles: tuple[str, ...],
    account: str | None,
    operations_user: str | None,
    most: int,
    days: int,
    send: bool,
) -> None:
    """Makes an invitation to the portal of SOLUTION, and prints its address once.

    With --send the contact gets it by mail, in their language, from a server that runs with a mail server; nothing is
    printed that lets anybody in.

    \b
    Examples:
      forecourt user invite my-solution --contact ann@example.com --role Vendors
      forecourt user invite my-solution --contact ann@example.com --role Vendors --send
      forecourt user invite my-solution --contact ann@example.com --operations-user vendor-1
      forecourt user invite my-solution --account US-101 --role Vendors --most 5 --days 30
    """

    if send and contact is None:
        raise click.UsageError("--send needs --contact: mail goes to a contact on file.")

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            site = forecourt.definitions.site
            known = {role.name.casefold(): role.id for role in site.web_roles.roles} if site is not None else {}
            for name in roles:
                if name.casefold() not in known:
                    raise click.ClickException(f"The site has no active web role {name}.")
            found = await forecourt.invitations.find_account(account) if account is not None else []
            if account is not None and len(found) != 1:
                raise click.ClickException(f"There is no one active account {account}. Give its id.")
            acting = await operations_user_named(forecourt, operations_user) if operations_user is not None else None
            if acting is not None:
                require_mappable(acting)
            person, email = await contact_named(forecourt, contact) if contact is not None else (None, "")
            if send and not is_address(email):
                raise click.ClickException("The contact has no e-mail address that mail can be sent to.")
            lifetime = dt.timedelta(days=days)

            async def post(transaction: Transaction, code: str) -> None:
                row = await transaction.row(_LANGUAGE, person)
                language = forecourt.letters.languages.of(row or {})
                await forecourt.mail.put(transaction, forecourt.letters.invitation(language, email, code, lifetime))

            code = await forecourt.invitations.create(
                lifetime,
                contact=person,
                account=found[0] if found else None,
                web_roles=[known[name.casefold()] for name in roles],
                operations_user=acting.id if acting is not None else None,
                most=1 if contact is not None else most,
                also=post if send else None,
            )
            if send:
                click.echo(f"An invitation for {plain(email)} waits to be sent.")
                return
            click.echo(f"{forecourt.settings.origin}/Register?invitation={code}")

    run(work())
