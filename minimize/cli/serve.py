"""`minimize serve`: starts the data access server."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.server.server import ListenOptions, StopSignals, running_server


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="PIPELINE_OR_OUTPUT…", type=options.DataPathParameter())
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8815,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 selects a free one.",
)
@click.option("--cert", type=click.Path(dir_okay=False), metavar="FILE", help="TLS certificate, PEM.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Private key of the certificate, PEM, readable only by its owner.",
)
@click.option("--insecure-loopback", is_flag=True, help="Listen without TLS on loopback only, for local tests.")
@click.option("--access", type=click.Path(), metavar="FILE", help="Access file. [default: from minimize.yaml]")
@click.option(
    "--readers",
    default=16,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Number of concurrent reads; further reads wait.",
)
@options.keys
@options.only_ledger
@options.as_json
def serve_command(
    places: tuple[str, ...],
    host: str,
    port: int,
    cert: str | None,
    key: str | None,
    insecure_loopback: bool,
    access: str | None,
    readers: int,
    keys: str | None,
    ledger: str | None,
    as_json: bool,
) -> None:
    """Start the data access server: an Arrow Flight server for datasets. Its clients need no keys.

    The access file and the grants decide whether a read is allowed, and which columns and rows the account of the token sees.
    Every decision is recorded in the audit log. The server runs until it is stopped (SIGINT, SIGTERM).
    """
    listening = ListenOptions(host, port, cert, key, insecure_loopback)
    with running_server(places, listening, keys=keys, access=access, ledger=ledger, readers=readers) as found:
        signals = StopSignals()  # before the URL is printed, because its reader may stop the server at once
        body = {"url": found.url, "datasets": list(found.datasets), "lost": found.lost_reads}
        options.print_result(body, as_json, f"{found.url} serves {', '.join(found.datasets)}")
        signals.wait()
