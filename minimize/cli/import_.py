"""`minimize import`: a policy from a document of another format."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.exchange import FORMATS, IMPORTS


@click.command(name="import")
@click.argument("format_", type=click.Choice(IMPORTS), metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@click.argument("folder", type=click.Path(file_okay=False), metavar="[DIR]", required=False)
@click.option("--object", "choice", metavar="NAME", help="Which of several tables or objects of the document.")
@click.option("--data", type=options.Data(exists=True), metavar="DATA", help="Write a pipeline over DATA, too.")
@options.as_json
def command(format_: str, file: str, folder: str | None, choice: str | None, data: str | None, as_json: bool) -> None:
    """A policy from FILE in which every field is dropped, with what is proposed above each: into DIR, else printed.

    FORMAT: jsonschema (draft 4 to 2020-12), odcs (Open Data Contract Standard 3), allowlist (`table: {field: keep|hash}`).
    """
    from minimize.exchange.doing import import_into, imported

    if folder is None:
        if data is not None:
            raise click.UsageError("--data goes with a folder to write to")
        text = imported(format_, file, choice=choice)
        options.show({"policy": text}, as_json, text.rstrip("\n"))
        return
    files = [str(path) for path in import_into(format_, file, folder, choice=choice, data=data)]
    next_ = f"next: read it, then `minimize init {folder} --accept FIELD`"
    body = {"files": files, "format": FORMATS[format_].about}
    options.show(body, as_json, "\n".join([*(f"wrote {path}" for path in files), next_]))
