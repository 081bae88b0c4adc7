"""`minimize diff`: what changed between two states of policies, and whether it tightens or loosens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.lines import on_one_line

if TYPE_CHECKING:
    from minimize.review.change import Changes


@click.command()
@click.argument("old")
@click.argument("new")
@click.argument("path", required=False)
@click.option("--allow", multiple=True, metavar="CODE", help="A code that may loosen, or `all`; as often as needed.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the changes as Markdown, for a pull request.")
@options.as_json
def command(old: str, new: str, path: str | None, allow: tuple[str, ...], as_markdown: bool, as_json: bool) -> int:
    """What changed from OLD to NEW, graded: tightens, loosens, neutral. Exits with 1 where something loosens.

    OLD and NEW are policies, pipelines, recipients, access files, or folders of these; each may be REVISION:PATH of git.
    `minimize diff main pipelines/` compares with what a path was in a revision, `minimize diff v1 v2 pipelines/` two revisions.
    """
    from minimize.review.comparing import diff
    from minimize.review.showing import markdown

    if as_json and as_markdown:
        raise click.UsageError("--json or --markdown, not both")
    changes = diff(old, new, path, allow=allow)
    if as_json:
        click.echo(json.dumps(changes.as_json(), indent=2))
    elif as_markdown:
        click.echo(markdown(changes))
    else:
        show(changes)
    return 1 if changes.against else 0


def show(changes: Changes) -> None:
    """Prints the changes as a table."""
    from minimize.cli.tables import matrix
    from minimize.review.showing import headline

    if changes.found:
        rows = [
            (
                change.code,
                (
                    f"{change.grade} (allowed)" if changes.is_allowed(change) else change.grade,
                    on_one_line(change.about or ""),
                    on_one_line(change.message),
                    on_one_line(change.place),
                ),
            )
            for change in changes.found
        ]
        matrix("code", ("grade", "about", "change", "where"), rows)
    click.echo(headline(changes))
