"""Secrets that pass through: joined to the payload in memory for one call of the recipient's connector, then dropped.

Secrets are gated row by row like all other fields. What is returned, written, digested, counted or recorded never
contains them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.engines.passes import count_passes
from minimize.errors import ConfigurationError, call_redacted
from minimize.plan import Plan
from minimize.runs.minimizer import RereadableSource

Connector = Callable[[pa.Table], object]


@dataclass(slots=True)
class PassThroughSecrets:
    """What the connector is to get; printed, it shows nothing."""

    schema: pa.Schema = field(repr=False)
    keys: frozenset[str]
    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows, secrets included."""
        self.batches.append(batch)

    def pop_table(self) -> pa.Table:
        """All rows, once: what is handed on is not kept."""
        given, self.batches = self.batches, []
        return pa.Table.from_batches(given, schema=self.schema)


def call_connector(connector: Connector, table: pa.Table) -> None:
    """Calls a connector. Raises ConfigurationError (E212) if it fails: only the recipient can say what arrived."""
    call_redacted(lambda: connector(table), replacement=_connector_failed)


def _connector_failed(error: Exception) -> ConfigurationError:
    message = (
        f"the connector failed ({type(error).__name__}): it is not known what the recipient received; "
        "nothing was returned or written"
    )
    hint = "ask the recipient before you call it again; an act of `share` stays recorded, so that it can be recalled"
    return ConfigurationError(message, code="E212", hint=hint)


def without_secrets(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns beside the secrets, as they were declared."""
    return pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)


def as_rereadable(data: Any) -> Any:
    """Data that can be read a second time without being written down."""
    return data.read_all() if isinstance(data, pa.RecordBatchReader) else data


def check_secrets(joined: Plan | None, secrets: Collection[str], source: RereadableSource) -> None:
    """Raises ConfigurationError where secrets would be part of a column that leaves, or be set aside on disk to be read twice."""
    nested = [key for key in secrets if not Pointer.parse(key).is_flat]
    if nested:
        hint = "give the secret a column of its own"
        raise ConfigurationError(f"{nested[0]} stands within a column, and would be part of it", hint=hint)
    if joined is not None and count_passes(joined) > 1 and not source.is_rereadable:
        raise ConfigurationError("this data can be read only once, and secrets are not set aside", hint="give a table")
