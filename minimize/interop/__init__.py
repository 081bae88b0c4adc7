"""Exchange formats: each is one module, one row in this table, one test file.

An import gives a policy in which every field is dropped. An export describes a policy, a plan or receipts as far as the
format allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class ExchangeFormat:
    """The functions that read and write a format, as dotted paths. They are loaded when they are called.

    exports  the subject of an export: a pipeline (or a policy), or the receipts of an output
    """

    about: str
    reads: str | None = None
    writes: str | None = None
    exports: Literal["pipeline", "output"] = "pipeline"


FORMATS: Final[Mapping[str, ExchangeFormat]] = MappingProxyType(
    {
        "jsonschema": ExchangeFormat(
            "JSON Schema, draft 4 to 2020-12",
            "minimize.interop.json_schema.read_json_schema",
            "minimize.interop.json_schema.write_json_schema",
        ),
        "odcs": ExchangeFormat(
            "Open Data Contract Standard 3.1",
            "minimize.interop.odcs.read_contract",
            "minimize.interop.odcs.write_contract",
        ),
        "allowlist": ExchangeFormat(
            "allow-lists, `table: {field: keep|hash}`", "minimize.interop.allow_list.read_allow_list"
        ),
        "openlineage": ExchangeFormat(
            "OpenLineage events (2-0-2)", None, "minimize.interop.openlineage.write_openlineage", "output"
        ),
        "fideslang": ExchangeFormat(
            "fideslang datasets and systems", None, "minimize.interop.fideslang.write_fideslang"
        ),
    }
)
"""Formats by their name on the command line. `reads` is a `DocumentReader`, `writes` a `DocumentWriter`."""

IMPORTS: Final = tuple(name for name, each in FORMATS.items() if each.reads)
EXPORTS: Final = tuple(name for name, each in FORMATS.items() if each.writes)
