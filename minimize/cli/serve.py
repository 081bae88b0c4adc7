"""`minimize serve`: starts the data access server."""

from __future__ import annotations

from typing import Any

import click

from minimize.cli.options import FILE, PATH, DataPathParameter
from minimize.cli.printing import print_result
from minimize.cli.verb import examples, verb
from minimize.server.server import ListenOptions, StopSignals, running_server


@examples(
    "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert server.pem --key server.key",
    "minimize access token --for 8h",
    'python -c \'import minimize; print(minimize.connect("grpc+tls://HOST:8815", token="mzd_…", ca="ca.pem")\n'
    '      .read("device_telemetry", columns=["model"], purpose="customer_support"))\'',
)
@verb(
    "serve",
    click.Argument(["places"], nargs=-1, required=True, metavar="PIPELINE_OR_OUTPUT…", type=DataPathParameter()),
    click.Option(["--host"], default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.Option(
        ["--port"],
        default=8815,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 selects a free one.",
    ),
    click.Option(["--cert"], type=FILE, metavar="FILE", help="TLS certificate, PEM."),
    click.Option(
        ["--key"],
        type=FILE,
        metavar="FILE",
        help="Private key of the certificate, PEM, readable only by its owner.",
    ),
    click.Option(["--insecure-loopback"], is_flag=True, help="Listen without TLS on loopback only, for local tests."),
    click.Option(["--access"], type=PATH, metavar="FILE", help="Access file. [default: from minimize.yaml]"),
    click.Option(
        ["--readers"],
        default=16,
        show_default=True,
        type=click.IntRange(1, 1000),
        help="Number of concurrent reads; further reads wait.",
    ),
    "--keys",
    "--ledger",
)
def serve_command(
    places: tuple[str, ...],
    host: str,
    port: int,
    cert: str | None,
    key: str | None,
    insecure_loopback: bool,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Start the data access server: an Arrow Flight server for datasets. Its clients need no keys.

    The access file and the grants decide whether a read is allowed, and which columns and rows the account of the token sees.
    Every decision is recorded in the audit log. The server runs until it is stopped (SIGINT, SIGTERM).
    """
    listening = ListenOptions(host, port, cert, key, insecure_loopback)
    with running_server(places, listening, **arguments) as server:
        signals = StopSignals()  # before the URL is printed, because its reader may stop the server at once
        print_result(server, as_json)
        signals.wait()
