"""Commands for other formats: `import`, `export`, and `check` (records against a JSON Schema)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from minimize.cli import options
from minimize.interop import EXPORTS, FORMATS, IMPORTS
from minimize.interop.convert import export_document, import_into, import_policy
from minimize.interop.documents import ExportRequest
from minimize.interop.json_schema import validate_records


@click.command(name="import")
@click.argument("format_", type=click.Choice(IMPORTS), metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@click.argument("folder", type=click.Path(file_okay=False), metavar="[DIR]", required=False)
@click.option("--object", "choice", metavar="NAME", help="Table or object to import, if the document has several.")
@click.option(
    "--data", type=options.DataPathParameter(exists=True), metavar="DATA", help="Also write a pipeline that reads DATA."
)
@options.as_json
def import_command(
    format_: str, file: str, folder: str | None, choice: str | None, data: str | None, as_json: bool
) -> None:
    """Draft a policy from FILE, with every field dropped. Writes it to DIR, or prints it.

    A comment above each field proposes a treatment.

    FORMAT: jsonschema (draft 4 to 2020-12), odcs (Open Data Contract Standard 3), allowlist (`table: {field: keep|hash}`).
    """
    if folder is None:
        if data is not None:
            raise click.UsageError("--data requires a folder to write to. Pass DIR.")
        text = import_policy(format_, file, choice=choice)
        options.print_result({"policy": text}, as_json, text.rstrip("\n"))
        return
    files = [str(path) for path in import_into(format_, file, folder, choice=choice, data=data)]
    next_ = f"next: review the policy, then run `minimize init {folder} --accept FIELD`"
    body = {"files": files, "format": FORMATS[format_].about}
    options.print_result(body, as_json, "\n".join([*(f"wrote {path}" for path in files), next_]))


@click.command(name="export")
@click.argument("format_", type=click.Choice(EXPORTS), metavar="FORMAT")
@click.argument("path", type=click.Path(), metavar="PATH")
@click.option("--of", "name", metavar="NAME", help="Only this output, or `source` for the incoming records.")
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=options.MADE_BY_HELP)
@click.option("--to", "out", type=click.Path(dir_okay=False), metavar="FILE", help="Write to FILE instead of printing.")
@options.as_json
def export_command(
    format_: str, path: str, name: str | None, pipeline: str | None, out: str | None, as_json: bool
) -> None:
    """Export PATH as a document of FORMAT.

    For jsonschema, odcs and fideslang, PATH is a pipeline, or a policy with `--of source`. For openlineage, PATH is an output
    folder, and its receipts become one event per line. --json prints JSON if the format is normally YAML.
    """
    text = export_document(format_, ExportRequest(path, name, as_json, pipeline))
    if out is None:
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")


@click.command()
@click.argument("data", type=options.DataPathParameter(exists=True))
@click.option(
    "--schema", required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="JSON Schema."
)
@options.as_json
def check_command(data: str, schema: str, as_json: bool) -> int:
    """Validate the records of DATA (NDJSON) against a JSON Schema. Exits with 1 if a record is invalid.

    Prints counts of invalid records, by keyword of the schema. Requires the extra `exchange` of minimize.
    """
    found = validate_records(data, schema)
    failed = found.records - found.valid
    lines = [f"{each.records:>9,}  {each.keyword}  {each.place}".rstrip() for each in found.broken]
    head = f"{found.records:,} records against {found.draft}: {failed:,} invalid"
    options.print_result(asdict(found), as_json, "\n".join([head, *lines]))
    return 1 if failed else 0
