"""`minimize export`: what a policy, a plan or receipts say, in the formats of others."""

from __future__ import annotations

from pathlib import Path

import click

from minimize.cli import options
from minimize.exchange import EXPORTS
from minimize.exchange.base import Asked


@click.command(name="export")
@click.argument("format_", type=click.Choice(EXPORTS), metavar="FORMAT")
@click.argument("path", type=click.Path(), metavar="PATH")
@click.option("--of", "name", metavar="NAME", help="Of this output alone, or of `source`: the records as they come in.")
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help="What made the output, if it does not tell.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write here instead of printing.")
@options.as_json
def command(format_: str, path: str, name: str | None, pipeline: str | None, out: str | None, as_json: bool) -> None:
    """What PATH says, as a document of FORMAT.

    jsonschema, odcs and fideslang are of a pipeline (or a policy, with `--of source`); openlineage is of an output folder, one
    event a line, from its receipts. --json gives JSON where a format is YAML otherwise.
    """
    from minimize.exchange.doing import exported

    text = exported(format_, Asked(path, name, as_json, pipeline))
    if out is None:
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")
