"""`minimize completion`: the script with which a shell completes commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

COMPLETION_VARIABLE = "_MINIMIZE_COMPLETE"
"""What the shell's script sets to be told what fits."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """The script that has SHELL complete commands, options and files, for its start-up file."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known to click")
    click.echo(kind(ctx.find_root().command, {}, "minimize", COMPLETION_VARIABLE).source())
