"""``forecourt site``: a Power Pages site into a solution, and out of it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from forecourt.app import read_header
from forecourt.pages.site.kinds import DataModel
from forecourt.pages.site.survey import Survey, survey
from forecourt.pages.site.transfer import transfer

LEFT_OUT = 2

_MODELS = click.Choice([item.value for item in DataModel])
_model = click.option("--model", type=_MODELS, default=None, help="Data model to write. Default: the site's own.")


@click.group()
def site() -> None:
    """Takes over what 'pac pages download' writes, in both data models, and writes it back.

    Exit codes: 0 everything goes over and works, 1 the site has faults and nothing is written, 2 something is left out
    or has no effect yet; each is named with file and line.

    \b
    Examples:
      forecourt site import downloads/vendor-portal --dry-run
      forecourt site import downloads/vendor-portal my-solution
      forecourt site export my-solution upload
    """


@site.command("import")
@click.argument("source", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("solution", metavar="[SOLUTION]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Report only; write nothing.")
@click.option("--replace", is_flag=True, help="Put the site in the place of the one that SOLUTION has.")
@_model
def import_command(source: Path, solution: Path | None, dry_run: bool, replace: bool, model: str | None) -> int:
    """Takes the site in DIR over into SOLUTION, as its folder 'site'. Without SOLUTION, it only reports.

    DIR is what 'pac pages download' has written, or a code site with its '.powerpages-site'. Values of settings that
    are secrets stay behind; set them anew.

    \b
    Examples:
      forecourt site import downloads/vendor-portal --dry-run
      forecourt site import downloads/vendor-portal my-solution
      forecourt site import code-site my-solution --replace --model standard
    """
    if solution is None and not dry_run:
        dry_run = True
    if solution is not None:
        read_header(solution)
    found = survey(source)
    wanted = DataModel(model) if model else found.model
    _report(found)
    if solution is None or dry_run:
        click.echo("Nothing was written.")
    else:
        target = solution / "site"
        try:
            count = transfer(found, target, wanted, replace)
        except FileExistsError:
            raise click.ClickException(
                f"{target} is there already. --replace puts the new site in its place."
            ) from None
        click.echo(f"{target}: {count} files written. Next: forecourt check {solution}")
    return 0 if found.complete else LEFT_OUT


@site.command("export")
@click.argument("solution", metavar="SOLUTION", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@_model
def export_command(solution: Path, target: Path, model: str | None) -> int:
    """Writes the site of SOLUTION to DIR, as 'pac pages upload' takes it. DIR must be empty, or not there.

    \b
    Examples:
      forecourt site export my-solution upload
      forecourt site export my-solution code-site --model enhanced
    """
    read_header(solution)
    found = survey(solution / "site")
    _report(found)
    try:
        count = transfer(found, target, DataModel(model) if model else found.model, nested=True)
    except FileExistsError:
        raise click.ClickException(f"{target} is there already and not empty. Name another folder.") from None
    click.echo(f"{target}: {count} files written.")
    return LEFT_OUT if found.left_out or found.redacted else 0


def _report(found: Survey) -> None:
    """What there is on stdout, what there is to say of it on stderr."""
    click.echo(f"{found.site.name}: {found.model} data model, {len(found.taken)} files.")
    for words, count in found.counts.items():
        click.echo(f"  {words}: {count}")
    if found.bookkeeping:
        click.echo(f"Files about the download itself, not part of the site: {len(found.bookkeeping)}")
    _say("left out", found.left_out)
    _say("redacted", found.redacted)
    _say("no effect", found.without_effect)
    _say("note", found.notes)


def _say(what: str, items: Iterable[object]) -> None:
    for item in items:
        click.echo(f"{what}: {item}", err=True)
