"""``forecourt user map`` and ``unmap``: which operations user a contact acts as.

A mapping says as which operations user a contact reads virtual tables; only a user that a portal may act as can be
mapped (operations-and-integration 3.1). The change is in the security log, and counts from the contact's next request.
"""

from __future__ import annotations

from pathlib import Path

import click

from forecourt.cli.inviting import user as user
from forecourt.cli.user import contact_named, operations_user_named, plain, require_mappable, run, system
from forecourt.cli.workspace import opened, solution_argument
from forecourt.identity.mappings import MAP_CONTACT

_MAPPED = """
select msdyn_userid from dataverse.msdyn_externalportalusermapping
where msdyn_contactid = $1 and statecode is distinct from 1
"""

_UNMAP = "delete from dataverse.msdyn_externalportalusermapping where msdyn_contactid = $1 returning msdyn_userid"


@user.command("map", short_help="Says as which operations user a contact acts.")
@solution_argument
@click.option("--contact", metavar="ID|EMAIL", required=True, help="The contact.")
@click.option("--operations-user", metavar="ID", required=True, help="The operations user that it acts as.")
def map_(solution: Path, data: Path | None, contact: str, operations_user: str) -> None:
    """Maps a contact to the operations user that it reads live data as.

    Refused for administrators, whom no policy restrains, and for users without the role
    CDSVirtualEntityAuthenticatedPortalUser, whom nobody meant for people from outside.

    \b
    Examples:
      forecourt user map my-solution --contact ann@example.com --operations-user vendor-1
    """

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            contact_id, email = await contact_named(forecourt, contact)
            found = await operations_user_named(forecourt, operations_user)
            require_mappable(found)
            who = plain(email or str(contact_id))
            rows = await system(forecourt, "map a contact", MAP_CONTACT, contact_id, found.id)
            if not rows:
                present = [row[0] for row in await system(forecourt, "find a mapping", _MAPPED, contact_id)]
                if present != [found.id]:
                    raise click.ClickException(
                        f"{who} is mapped to {plain(', '.join(map(str, present)))} already. "
                        "Take that back first: forecourt user unmap"
                    )
            click.echo(f"{who} acts as operations user {plain(found.id)}.")

    run(work())


@user.command(short_help="Takes back the mapping of a contact.")
@solution_argument
@click.option("--contact", metavar="ID|EMAIL", required=True, help="The contact.")
def unmap(solution: Path, data: Path | None, contact: str) -> None:
    """Takes back the mapping of a contact, which then reads no live data.

    \b
    Examples:
      forecourt user unmap my-solution --contact ann@example.com
    """

    async def work() -> None:
        async with opened(solution, data) as forecourt:
            contact_id, email = await contact_named(forecourt, contact)
            who = plain(email or str(contact_id))
            rows = await system(forecourt, "unmap a contact", _UNMAP, contact_id)
            if not rows:
                raise click.ClickException(f"{who} is not mapped to any operations user.")
            click.echo(f"{who} does not act as {plain(', '.join(str(row[0]) for row in rows))} any more.")

    run(work())
