"""`minimize check`: records held against a JSON Schema, before anything is made of them."""

from __future__ import annotations

from dataclasses import asdict

import click

from minimize.cli import options


@click.command()
@click.argument("data", type=options.Data(exists=True))
@click.option("--schema", required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@options.as_json
def command(data: str, schema: str, as_json: bool) -> int:
    """How many records of DATA (NDJSON) do not obey the JSON Schema in FILE, and which of its keywords; exit 1 if any does not.

    Wants jsonschema-rs: pip install 'minimize[exchange]'.
    """
    from minimize.exchange.checking import check

    found = check(data, schema)
    failed = found.records - found.valid
    lines = [f"{each.records:>9,}  {each.keyword}  {each.place}".rstrip() for each in found.broken]
    head = f"{found.records:,} records against {found.draft}: {failed:,} do not obey it"
    options.show(asdict(found), as_json, "\n".join([head, *lines]))
    return 1 if failed else 0
