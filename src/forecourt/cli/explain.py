"""``forecourt explain``: why somebody can or cannot do something to a row, and who can."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import click
import msgspec

from forecourt.app import Forecourt
from forecourt.cli.explaining import lines_of_explanation, lines_of_sighting
from forecourt.cli.workspace import opened, solution_argument
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.security.explain import Asked, Explanation, Question, Sighting
from forecourt.security.explain.subject import DOINGS, Doing


@click.command()
@solution_argument
@click.option("--as", "who", help="Operations user id, contact e-mail or id, or 'anonymous'.")
@click.option("--who", "reverse", is_flag=True, help="Everybody who can, instead of one identity.")
@click.option("--table", required=True, help="Entity set, data entity, virtual table or native table.")
@click.option("--key", help="The row: OData key, plain values in order, or the row's GUID.")
@click.option("--column", help="A column of the table, by its name at any door.")
@click.option(
    "--operation", type=click.Choice(DOINGS), default="read", show_default=True, help="What is done to the row."
)
@click.option("--action", help="With --operation call: the action's name.")
@click.option("--door", type=click.Choice([door.value for door in Door]), help="One door; without it, all.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def explain(
    solution: Path,
    data: Path | None,
    who: str | None,
    reverse: bool,
    table: str,
    key: str | None,
    column: str | None,
    operation: str,
    action: str | None,
    door: str | None,
    as_json: bool,
) -> None:
    """Says which rule of which layer of SOLUTION admits or hides a row, why, and what would turn it.

    Without --key it counts the rows that each rule admits. With --who it lists everybody who reaches the row, by which
    rule. A create is asked about with the key of an existing row: a row like that one.

    \b
    Examples:
      forecourt explain examples/contoso --as v-us-101 --table PurchaseOrderHeadersV2
      forecourt explain examples/contoso --as anna.berg@northwind-parts.example \\
          --table mserp_purchpurchaseorderheaderv2entity --key usmf,PO-000024
      forecourt explain examples/contoso --as anna.berg@northwind-parts.example \\
          --table PurchaseOrderHeadersV2 --key usmf,PO-000024 --operation update --door portal
      forecourt explain examples/contoso --who --table PurchaseOrderHeadersV2 --key usmf,PO-000024
    """
    if (who is None) is not reverse:
        raise click.UsageError("Say either --as and an identity, or --who.")
    if reverse and key is None:
        raise click.UsageError("With --who, --key names the row.")
    if (operation == "call") is not (action is not None):
        raise click.UsageError("--action belongs to --operation call.")
    question = Question(cast(Doing, operation), column, action, Door(door) if door is not None else None)
    answer = asyncio.run(_answer(solution, data, who, question, table, key))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    elif isinstance(answer, Sighting):
        click.echo("\n".join(lines_of_sighting(answer)))
    else:
        click.echo("\n".join(lines_of_explanation(answer)))


async def _answer(
    solution: Path, data: Path | None, who: str | None, question: Question, table: str, key: str | None
) -> Explanation | Sighting:
    async with opened(solution, data) as forecourt:
        try:
            explainer = forecourt.explainer
            subject = explainer.subject(table, key)
            if who is None:
                return await forecourt.reverse.who(subject, question, table, key or "")
            return await explainer.explanation(await asked(forecourt, who), subject, question, table, key)
        except Refusal as refusal:
            raise click.ClickException(refusal.text) from None


async def asked(forecourt: Forecourt, who: str) -> Asked:
    """Whom a name stands for. Raises click.ClickException for nobody, or for several people."""
    try:
        found = await forecourt.people.find(who)
    except Refusal as refusal:
        raise click.ClickException(refusal.text) from None
    return found
