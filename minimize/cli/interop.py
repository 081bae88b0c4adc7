"""Commands for other formats: `import`, `export`, and `check` (records against a JSON Schema)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from minimize.cli.options import (
    FILE,
    FOLDER,
    MADE_BY_HELP,
    OPTIONS,
    PATH,
    DataPathParameter,
    TableName,
)
from minimize.cli.printing import with_write_errors
from minimize.cli.verb import examples, verb
from minimize.interop import export_formats, import_formats
from minimize.interop.convert import export_document, import_into, import_policy
from minimize.interop.documents import ExportRequest
from minimize.interop.json_schema import validate_records
from minimize.results import Printable

_EXISTING_FILE: Final = click.Path(exists=True, dir_okay=False)
_EXISTING_DATA: Final = DataPathParameter(exists=True)


@examples(
    "minimize import jsonschema records.schema.json mine", "minimize import odcs contract.yaml mine --object records"
)
@verb(
    "import",
    click.Argument(["format_"], type=TableName(import_formats)),
    click.Argument(["file"], type=_EXISTING_FILE, metavar="FILE"),
    click.Argument(["folder"], type=FOLDER, metavar="[DIR]", required=False),
    click.Option(
        ["--object", "choice"], metavar="NAME", help="Table or object to import, if the document has several."
    ),
    click.Option(["--data"], type=_EXISTING_DATA, metavar="DATA", help="Also write a pipeline that reads DATA."),
)
def import_command(format_: str, file: str, folder: str | None, choice: str | None, data: str | None) -> Printable:
    """Draft a policy from FILE, with every field dropped. Writes it to DIR, or prints it.

    A comment above each field proposes a treatment.
    """
    if folder is not None:
        return import_into(format_, file, folder, choice=choice, data=data)
    if data is not None:
        raise click.UsageError("--data requires a folder to write to. Pass DIR.")
    return import_policy(format_, file, choice=choice)


@examples(
    "minimize export odcs pipelines/device_telemetry --to contract.yaml",
    "minimize export openlineage out/device_telemetry",
)
@verb(
    "export",
    click.Argument(["format_"], type=TableName(export_formats)),
    click.Argument(["path"], type=PATH, metavar="PATH"),
    click.Option(["--of", "name"], metavar="NAME", help="Only this output, or `source` for the incoming records."),
    OPTIONS["--pipeline"](help=MADE_BY_HELP),
    click.Option(["--to"], type=FILE, metavar="FILE", help="Write to FILE instead of printing."),
)
def export_command(
    format_: str, path: str, name: str | None, pipeline: str | None, to: str | None, as_json: bool
) -> None:
    """Export PATH as a document of another format.

    PATH is a pipeline, or a policy with `--of source`. Formats that describe runs take an output folder, and need `run/read`.
    --json prints JSON if the format is normally YAML.
    """
    text = export_document(format_, ExportRequest(path, name, as_json, pipeline))
    if to is None:
        click.echo(text, nl=False)
    else:
        with_write_errors(to, Path(to).write_text, text, "utf-8")
        click.echo(f"wrote {to}")


@examples("minimize check records.ndjson --schema records.schema.json")
@verb(
    "check",
    click.Argument(["data"], type=_EXISTING_DATA),
    click.Option(["--schema"], required=True, type=_EXISTING_FILE, metavar="FILE", help="JSON Schema."),
)
def check_command(data: str, schema: str) -> Printable:
    """Validate the records of DATA (NDJSON) against a JSON Schema. Exits with 1 if a record is invalid.

    Prints counts of invalid records, by keyword of the schema. Requires the extra `exchange` of minimize.
    """
    return validate_records(data, schema)
