"""`minimize init`: a first policy, in which everything is dropped, and proposals that somebody may accept."""

from __future__ import annotations

from pathlib import Path

import click

from minimize.cli import options


@click.command()
@click.argument("data", type=options.Data(exists=True))
@click.argument("folder", type=click.Path(file_okay=False), metavar="[DIR]", required=False)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="FIELD",
    help="Take on what is proposed for FIELD (or `tenant`, `subject`, `time`, `record`, or `all`); may stand again.",
)
@options.as_json
def command(data: str, folder: str | None, accepted: tuple[str, ...], as_json: bool) -> None:
    """Write DIR/policy.yaml and DIR/pipeline.yaml for DATA: every field found is dropped, with a proposal above it.

    With --accept and one folder alone, proposals of the policy in that folder become what it says.
    """
    from minimize.drafting.accept import accept
    from minimize.drafting.first import init

    if folder is None and not accepted:
        raise click.UsageError("name the folder to write to, too: minimize init DATA DIR")
    files = [] if folder is None else [str(path) for path in init(data, folder)]
    target = data if folder is None else folder
    taken = accept(Path(target), accepted) if accepted else []
    said = [
        *(f"wrote {path}" for path in files),
        *([f"accepted {', '.join(taken)}"] if taken else []),
        _next(target, taken),
    ]
    options.show({"files": files, "accepted": taken}, as_json, "\n".join(said))


def _next(target: str, taken: list[str]) -> str:
    if taken:
        return f"next: `minimize lint {target}`, `minimize plan {target} --preview 3`"
    return (
        f"next: read {target}/policy.yaml, then `minimize init {target} --accept FIELD`, and `minimize lint {target}`"
    )
