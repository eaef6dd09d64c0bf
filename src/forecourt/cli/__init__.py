"""The command line: one module per command group."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click

from forecourt import __version__
from forecourt.cli.audit import audit
from forecourt.cli.bench import bench
from forecourt.cli.check import check
from forecourt.cli.explain import explain
from forecourt.cli.init import init
from forecourt.cli.log import log
from forecourt.cli.mail import mail
from forecourt.cli.mapping import user
from forecourt.cli.native import native
from forecourt.cli.package import package
from forecourt.cli.prove import prove
from forecourt.cli.reload import reload
from forecourt.cli.schema import schema
from forecourt.cli.serve import demo, serve
from forecourt.cli.site import site
from forecourt.cli.sync import sync
from forecourt.cli.sync_audit import sync_audit
from forecourt.cli.sync_verify import sync_repair, sync_resolve, sync_verify
from forecourt.cli.sync_work import sync_work
from forecourt.cli.tables import tables
from forecourt.kernel.errors import DefinitionError, DefinitionErrors, ForecourtError, Refusal

#: Exit codes: 0 fine, 1 finding or refusal, 2 done with something left out, 64 wrong usage.
FINDING, LEFT_OUT, USAGE = 1, 2, 64


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="forecourt")
def forecourt() -> None:
    """Forecourt: external people work with their part of the company's ERP data, and with nothing else.

    \b
    Examples:
      forecourt demo                                  the sample company on http://127.0.0.1:8000
      forecourt check examples/contoso                is the solution well-formed?
      forecourt audit examples/contoso                does any door show more than another?
      forecourt explain examples/contoso --as v-us-101 --table PurchaseOrderHeadersV2
    """


COMMANDS = (
    *(demo, serve, reload, check, audit, explain, prove, init, user, mail, log),
    *(schema, site, sync, package, tables, native, bench),
)
for command in COMMANDS:
    forecourt.add_command(command)
sync.add_command(sync_audit)
sync.add_command(sync_verify)
sync.add_command(sync_repair)
sync.add_command(sync_resolve)
sync.add_command(sync_work)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line; the process ends with its exit code."""
    gc.set_threshold(50_000, 20, 50)  # definitions and plans are many and stay
    try:
        given = list(arguments) if arguments is not None else None
        code = forecourt.main(args=given, standalone_mode=False)  # an Exit comes back as its code
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(FINDING)
    except (DefinitionError, DefinitionErrors) as error:
        click.echo(str(error), err=True)
        sys.exit(FINDING)
    except Refusal as refusal:
        click.echo(f"Error: {refusal.text}", err=True)
        sys.exit(FINDING)
    except ForecourtError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FINDING)
    sys.exit(code if isinstance(code, int) else 0)
