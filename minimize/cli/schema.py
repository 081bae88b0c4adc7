"""`minimize schema`: JSON Schema for editors."""

from __future__ import annotations

import json

import click

from minimize.cli import options


@click.command()
@click.argument(
    "kind", type=click.Choice(["policy", "pipeline", "recipient", "subprocessors", "access"]), required=False
)
@options.as_json
def command(kind: str | None, as_json: bool) -> None:
    """The JSON Schema of one kind of file; those of policies and pipelines, under their names, where none is named."""
    from minimize.governance.access.schema import access_schema
    from minimize.policy.schema import json_schema
    from minimize.recipients.schema import recipient_schema, subprocessors_schema

    both = {"policy": json_schema("policy"), "pipeline": json_schema("pipeline")}
    others = {"recipient": recipient_schema, "subprocessors": subprocessors_schema, "access": access_schema}
    body = others[kind]() if kind in others else both[kind] if kind else both
    click.echo(json.dumps(body, indent=2))
