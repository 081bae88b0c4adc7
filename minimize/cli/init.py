"""`minimize init`: a first policy, in which everything is dropped."""

from __future__ import annotations

import click


@click.command()
@click.argument("data", type=click.Path(exists=True))
@click.argument("folder", type=click.Path(file_okay=False), metavar="DIR")
def command(data: str, folder: str) -> None:
    """Write DIR/policy.yaml and DIR/pipeline.yaml for DATA: every field found is dropped, ready to edit."""
    from minimize.inspection import init

    for path in init(data, folder):
        click.echo(f"wrote {path}")
    click.echo(f"next: give fields a role and a technique, then `minimize lint {folder}`")
