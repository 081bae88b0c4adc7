"""`minimize schema`: JSON Schema for editors."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("kind", type=click.Choice(["policy", "pipeline"]), required=False)
def command(kind: str | None) -> None:
    """The JSON Schema of policy or pipeline files; both, under their names, where none is named."""
    from minimize.policy.schema import json_schema

    body = json_schema(kind) if kind else {name: json_schema(name) for name in ("policy", "pipeline")}
    click.echo(json.dumps(body, indent=2))
