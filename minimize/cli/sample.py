"""`minimize sample`: generated data to try things on."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.cli.when import DATE


@click.command()
@click.argument("name")
@click.option("--rows", type=click.IntRange(min=0), default=10_000, show_default=True)
@click.option("--out", type=click.Path(file_okay=False), required=True, metavar="DIR")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--date", "dates", multiple=True, type=DATE, metavar="D", help="A batch date, YYYY-MM-DD; may be given again."
)
@click.option(
    "--format", "format_", type=click.Choice(["ndjson.gz", "ndjson", "parquet"]), default="ndjson.gz", show_default=True
)
@options.as_json
def command(name: str, rows: int, out: str, seed: int, dates: tuple[str, ...], format_: str, as_json: bool) -> None:
    """Generated sample data NAME (device_telemetry, usage_events), the same for the same seed."""
    from minimize.samples import generate

    files = [str(path) for path in generate(name, rows, out, seed=seed, dates=dates, format=format_)]
    options.show({"files": files}, as_json, "\n".join(files))
