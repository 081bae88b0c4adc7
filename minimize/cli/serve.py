"""`minimize serve`: starts the data access server."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.server.server import ListenOptions, StopSignals, running_server


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="PIPELINE_OR_OUTPUT…", type=options.DataPathParameter())
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8815, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--cert", type=click.Path(dir_okay=False), metavar="FILE", help="The certificate, PEM.")
@click.option("--key", type=click.Path(dir_okay=False), metavar="FILE", help="Its private key, PEM, its owner's alone.")
@click.option("--insecure-loopback", is_flag=True, help="Without TLS, on loopback alone: to try things on.")
@click.option("--access", type=click.Path(), metavar="FILE", help="The access file (else minimize.yaml).")
@click.option(
    "--readers", default=16, show_default=True, type=click.IntRange(1, 1000), help="Reads at once; others wait."
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
    """Open the door to datasets: an Arrow Flight server that alone holds the keys.

    Every read is decided by the access file and the grants, its columns and rows by whoever comes with a token, and the audit
    log is told of it, whether it is let through or not. The server runs until it is stopped (SIGINT, SIGTERM).
    """
    listening = ListenOptions(host, port, cert, key, insecure_loopback)
    with running_server(places, listening, keys=keys, access=access, ledger=ledger, readers=readers) as found:
        signals = StopSignals()  # before the URL is printed: who reads it may stop the server at once
        body = {"url": found.url, "datasets": list(found.datasets), "lost": found.lost_reads}
        options.print_result(body, as_json, f"{found.url} opens {', '.join(found.datasets)}")
        signals.wait()
