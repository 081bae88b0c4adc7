"""Policies and what they make, in the formats of others: a format is one module, one row here, one test file.

An import gives a policy in which every field is dropped; an export says of a policy, a plan or receipts what the format can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Format:
    """The functions that read and write a format, by their dotted paths; loaded when they are called.

    of  what an export is of: a pipeline (or a policy), or the receipts of an output
    """

    about: str
    reads: str | None = None
    writes: str | None = None
    of: Literal["pipeline", "output"] = "pipeline"


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "jsonschema": Format(
            "JSON Schema, draft 4 to 2020-12",
            "minimize.exchange.json_schema.reading.read",
            "minimize.exchange.json_schema.writing.write",
        ),
        "odcs": Format(
            "Open Data Contract Standard 3.1",
            "minimize.exchange.odcs.reading.read",
            "minimize.exchange.odcs.writing.write",
        ),
        "allowlist": Format("allow-lists, `table: {field: keep|hash}`", "minimize.exchange.allowlist.read"),
        "openlineage": Format("OpenLineage events (2-0-2)", None, "minimize.exchange.openlineage.write", "output"),
        "fideslang": Format("fideslang datasets and systems", None, "minimize.exchange.fideslang.writing.write"),
    }
)
"""By the word of the command line. `reads` and `writes` are functions, loaded when they are called: `base.Read`, `base.Write`."""

IMPORTS: Final = tuple(name for name, each in FORMATS.items() if each.reads)
EXPORTS: Final = tuple(name for name, each in FORMATS.items() if each.writes)
