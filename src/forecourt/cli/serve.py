"""``forecourt demo`` and ``forecourt serve``."""

from __future__ import annotations

import gc
import signal
import socket
from pathlib import Path

import click
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from forecourt.app import Forecourt, read_header
from forecourt.cli.copy_metrics import copy_metrics
from forecourt.cli.copying import start_untouched
from forecourt.cli.credentials import APPLICATIONS, FILE, read_credentials
from forecourt.cli.observers import logger, metrics
from forecourt.cli.serving import Serving
from forecourt.cli.workspace import data_folder, example, opened, solution_argument
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import fan_out
from forecourt.settings import Settings, from_environment

#: Seconds for which requests that are running may go on after a stop.
GRACE = 10


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Folder of the embedded database.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port on 127.0.0.1.")
@click.option("--scale", type=click.IntRange(1, 200), default=1, show_default=True, help="Size of the sample data.")
@click.option("--solution", type=click.Path(file_okay=False, path_type=Path), help="Another solution with sample data.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def demo(data: Path | None, port: int, scale: int, solution: Path | None, verbose: bool) -> None:
    """Serves a complete sample company on loopback and prints its sign-ins.

    Its table maps are started when it is served for the first time; `forecourt sync` shows how they stand.

    \b
    Examples:
      forecourt demo
      forecourt demo --port 8080 --data /tmp/contoso
      forecourt demo --scale 10                       ten times the orders
    """
    root = solution if solution is not None else example("contoso")
    settings = from_environment(host="127.0.0.1", port=port, password_grant=True)
    uvloop.run(_run(root, data, settings, scale, verbose, show_sign_ins=True))


@click.command()
@solution_argument
@click.option("--host", default=None, help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Port. Default: 8000.")
@click.option("--base-url", default=None, help="Public origin, https://portal.example.com.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(
    solution: Path, data: Path | None, host: str | None, port: int | None, base_url: str | None, verbose: bool
) -> None:
    """Serves SOLUTION: portal, /_api, /data, /api/data/v9.2 and the token endpoint.

    \b
    Examples:
      forecourt serve examples/contoso
      forecourt serve my-solution --port 8080 --base-url https://portal.example.com
    """
    settings = from_environment(host=host, port=port, base_url=base_url)
    uvloop.run(_run(solution, data, settings, 1, verbose, show_sign_ins=False))


async def _run(
    root: Path, data: Path | None, settings: Settings, scale: int, verbose: bool, *, show_sign_ins: bool
) -> None:
    _require_free(settings)
    registry = CollectorRegistry()
    observer = fan_out(logger(verbose), metrics(registry), copy_metrics(registry))
    async with opened(root, data, settings, observer, scale) as forecourt:
        for finding in (*forecourt.definitions.findings, *forecourt.definitions.notices):
            click.echo(f"warning: {finding}", err=True)
        if show_sign_ins:
            await _start_copies(forecourt)
        serving = Serving(root, forecourt, registry, observer)
        config = uvicorn.Config(
            serving,
            host=settings.host,
            port=settings.port,
            http="httptools",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
        )
        title = forecourt.header.title or forecourt.header.name
        server = _Announced(config, f"Serving {title} on {settings.origin}  (Ctrl+C stops)")
        gc.collect()
        gc.freeze()
        if show_sign_ins:
            _show(root, data_folder(root, data), settings)
            await _show_copies(root, data, forecourt)
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises what it caught once more when it is done; what is open here must be closed after that.
            signal.signal(number, lambda *_: None)
        async with serving:
            await server.serve()


class _Announced(uvicorn.Server):
    """Says that it serves, once it does: whoever waits for the words may ask at once."""

    def __init__(self, config: uvicorn.Config, words: str) -> None:
        super().__init__(config)
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            click.echo(self._words)


def _require_free(settings: Settings) -> None:
    """Says that a port is taken before anything else is started."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise click.ClickException(
                f"{settings.host}:{settings.port} cannot be used ({error.strerror}). Choose another with --port."
            ) from None


def _show(root: Path, folder: Path, settings: Settings) -> None:
    entries = read_credentials(folder)
    click.echo("Sign-ins of the sample company:")
    for entry in entries:
        click.echo(f"  {entry['username']:<44} {entry['password']:<26} {entry['note']}")
    click.echo(f"They are in {folder / FILE}; OAuth clients are in {folder / APPLICATIONS}.")
    user = next((e for e in entries if e["kind"] == "contact" and e["operations_user"]), None)
    if user is not None:
        click.echo(
            f"A contact's token for /data: POST {settings.origin}/{read_header(root).tenant}/oauth2/v2.0/token with "
            f"grant_type=password, client_id=forecourt-cli, username={user['username']} and its password."
        )


async def _start_copies(forecourt: Forecourt) -> None:
    """Starts the maps at the first start. A solution whose maps cannot be started is served without them."""
    try:
        await start_untouched(forecourt)
    except Refusal as refusal:
        click.echo(f"warning: the table maps were not started: {refusal.text}", err=True)


async def _show_copies(root: Path, data: Path | None, forecourt: Forecourt) -> None:
    """How many maps run, and how to look at them."""
    if forecourt.dual_write.maps:
        states = [status.record.state for status in await forecourt.dual_write.status()]
        where = f"{root}" if data is None else f"{root} --data {data}"
        click.echo(
            f"{states.count('running')} of {len(states)} table maps are running and keep Dataverse tables in step "
            f"with the ERP: forecourt sync status {where}"
        )
