"""`minimize init`: a first policy, in which everything is dropped."""

from __future__ import annotations

import click

from minimize.cli import options


@click.command()
@click.argument("data", type=options.Data(exists=True))
@click.argument("folder", type=click.Path(file_okay=False), metavar="DIR")
@options.as_json
def command(data: str, folder: str, as_json: bool) -> None:
    """Write DIR/policy.yaml and DIR/pipeline.yaml for DATA: every field found is dropped, ready to edit."""
    from minimize.inspection import init

    files = [str(path) for path in init(data, folder)]
    wrote = [f"wrote {path}" for path in files]
    next_ = f"next: give fields a role and a technique, then `minimize lint {folder}`"
    options.show({"files": files}, as_json, "\n".join([*wrote, next_]))
