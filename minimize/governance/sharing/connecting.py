"""Secrets that pass through: joined to the payload in memory alone, for the one call that needs them, and then forgotten.

They are gated like everything else, row by row, and read with the payload; but what is returned, written, fingerprinted,
counted or recorded is made of the columns beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from minimize.engines.passes import passes
from minimize.errors import ConfigurationError, quietly
from minimize.minimizer import Rereadable
from minimize.plan import Plan
from minimize.pointer import Pointer

Connector = Callable[[pa.Table], object]


@dataclass(slots=True)
class Passing:
    """What the connector is to get; printed, it shows nothing."""

    schema: pa.Schema = field(repr=False)
    keys: frozenset[str]
    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows, secrets included."""
        self.batches.append(batch)

    def handed(self) -> pa.Table:
        """All rows, once: what is handed on is not kept."""
        given, self.batches = self.batches, []
        return pa.Table.from_batches(given, schema=self.schema)


def hand_on(connector: Connector, table: pa.Table) -> None:
    """Calls a connector. Raises ConfigurationError (E212) if it fails: only the recipient can say what arrived."""
    quietly(lambda: connector(table), instead=_connector_failed)


def _connector_failed(error: Exception) -> ConfigurationError:
    message = (
        f"the connector failed ({type(error).__name__}): it is not known what the recipient received; "
        "nothing was returned or written"
    )
    hint = "ask the recipient before you call it again; an act of `share` stays recorded, so that it can be recalled"
    return ConfigurationError(message, code="E212", hint=hint)


def beside(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns beside the secrets, as they were declared."""
    return pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)


def at_once(data: Any) -> Any:
    """Data that can be read a second time without being written down."""
    return data.read_all() if isinstance(data, pa.RecordBatchReader) else data


def check_joined(joined: Plan | None, secrets: Collection[str], source: Rereadable) -> None:
    """Raises ConfigurationError where secrets would be part of a column that leaves, or be set aside on disk to be read twice."""
    nested = [key for key in secrets if not Pointer.parse(key).is_flat]
    if nested:
        hint = "give the secret a column of its own"
        raise ConfigurationError(f"{nested[0]} stands within a column, and would be part of it", hint=hint)
    if joined is not None and passes(joined) > 1 and not source.again:
        raise ConfigurationError("this data can be read only once, and secrets are not set aside", hint="give a table")
