"""``forecourt explain``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec
from rich.table import Table

from forecourt.app import Forecourt
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.security.explain import Explainer, Verdict


@click.command()
@solution_argument
@click.option("--as", "who", required=True, help="Operations user id, contact e-mail or id, or 'anonymous'.")
@click.option("--table", required=True, help="Entity set, data entity or virtual table.")
@click.option("--key", help="The row: OData key, plain values in order, or the virtual row's GUID.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def explain(solution: Path, data: Path | None, who: str, table: str, key: str | None, as_json: bool) -> None:
    """Says which rule of which layer of SOLUTION admits or hides a row, or how many rows each admits.

    \b
    Examples:
      forecourt explain examples/contoso --as v-us-101 --table PurchaseOrderHeadersV2
      forecourt explain examples/contoso --as anna.berg@northwind-parts.example \\
          --table mserp_purchpurchaseorderheaderv2entity --key usmf,PO-000024
    """
    verdicts = asyncio.run(_explain(solution, data, who, table, key))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(verdicts), indent=2).decode())
        return
    shown = Table(title=f"{who} and {table}" + (f" ({key})" if key else ""), title_justify="left")
    for name in ("Layer", "Rule", "Admits" if key else "Rows", "Why", "Where"):
        shown.add_column(name, overflow="fold")
    for verdict in verdicts:
        word = "–" if verdict.admits is None else "yes" if verdict.admits else "no"
        cell = word if key or verdict.rows is None else str(verdict.rows)
        shown.add_row(verdict.layer, verdict.rule, cell, verdict.detail, verdict.where)
    out = type(console)(highlight=False, width=None if sys.stdout.isatty() else 200)
    out.print(shown)


async def _explain(solution: Path, data: Path | None, who: str, table: str, key: str | None) -> list[Verdict]:
    async with opened(solution, data) as forecourt:
        explainer = Explainer(forecourt.operations_gate, forecourt.dataverse_gate)
        try:
            subject = explainer.subject(table, key)
            return await explainer.explain(await _who(forecourt, who), subject)
        except Refusal as refusal:
            raise click.ClickException(refusal.text) from None


async def _who(forecourt: Forecourt, who: str) -> Principal:
    if who == "anonymous":
        return await forecourt.principals.anonymous()
    contacts = await forecourt.contacts.find(who)
    if len(contacts) > 1:
        raise click.ClickException(f"Several contacts have the e-mail {who}; give the contact's id.")
    if contacts:
        return await forecourt.principals.for_contact(contacts[0])
    user = await forecourt.users.get(who)
    if user is None:
        raise click.ClickException(f"'{who}' is neither a contact nor an operations user.")
    return Principal(operations_user=user)
