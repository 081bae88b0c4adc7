"""Exchange formats: each is one module, one row in this table, one test file.

An import gives a policy in which every field is dropped. An export describes a policy, a plan or receipts as far as the
format allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ExchangeFormat:
    """The functions that read and write a format, as dotted paths. They are loaded when they are called."""

    about: str
    reads: str | None = None
    writes: str | None = None
    imported: str = ""
    """What an import accepts, for the documentation; empty for a format that is not imported."""
    exported: str = ""
    """What an export contains, for the documentation; empty for a format that is not exported."""


FORMATS: Final[dict[str, ExchangeFormat]] = {
    "jsonschema": ExchangeFormat(
        "JSON Schema, draft 4 to 2020-12",
        reads="minimize.interop.json_schema.read_json_schema",
        writes="minimize.interop.json_schema.write_json_schema",
        imported="drafts 4 to 2020-12, by the schema's `$schema`",
        exported="2020-12, of an output (`--of NAME`, default `records`) or of the incoming records (`--of source`)",
    ),
    "odcs": ExchangeFormat(
        "Open Data Contract Standard 3.1",
        reads="minimize.interop.odcs.read_contract",
        writes="minimize.interop.odcs.write_contract",
        imported="3.x: an object's properties (`--object NAME`), classification, owner and retention",
        exported="3.1: each output with its form, inputs and classification; or the incoming records (`--of source`)",
    ),
    "allowlist": ExchangeFormat(
        "allow-lists, `table: {field: keep|hash}`",
        reads="minimize.interop.allow_list.read_allow_list",
        imported="`table: {field: keep|hash}` or `table: [field, …]`",
    ),
    "openlineage": ExchangeFormat(
        "OpenLineage events (2-0-2)",
        writes="minimize.interop.openlineage.write_openlineage",
        exported="of an output folder: the events of the runs, with column lineage, the same that the runs emitted",
    ),
    "fideslang": ExchangeFormat(
        "fideslang datasets and systems",
        writes="minimize.interop.fideslang.write_fideslang",
        exported="a dataset of the outputs, and a system with its privacy declaration",
    ),
}
"""Formats by their name on the command line. `reads` is a `DocumentReader`, `writes` a `DocumentWriter`."""


def import_formats() -> list[str]:
    """The names of the formats that can be imported."""
    return [name for name, each in FORMATS.items() if each.reads]


def export_formats() -> list[str]:
    """The names of the formats that can be exported."""
    return [name for name, each in FORMATS.items() if each.writes]


def formats_table() -> str:
    """The table of formats in Markdown."""
    rows = [(f"`{name}`", each.about, each.imported or "–", each.exported or "–") for name, each in FORMATS.items()]
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in ("format | standard | import | export", "--- | --- | --- | ---", *lines))
