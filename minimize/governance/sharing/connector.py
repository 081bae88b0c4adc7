"""Pass-through secrets: joined to the payload in memory for one call of the recipient's connector, then dropped.

Secrets are gated row by row like all other fields. No result, file, digest, count or record contains them.
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
    """The batches for the connector. The printed form shows no values."""

    schema: pa.Schema = field(repr=False)
    keys: frozenset[str]
    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Adds the next rows, including secrets."""
        self.batches.append(batch)

    def pop_table(self) -> pa.Table:
        """Returns all rows, and removes them from this object."""
        batches, self.batches = self.batches, []
        return pa.Table.from_batches(batches, schema=self.schema)


def call_connector(connector: Connector, table: pa.Table) -> None:
    """Calls a connector. Raises ConfigurationError (E212) if it fails. Only the recipient knows which data arrived."""
    call_redacted(lambda: connector(table), replacement=_connector_failed)


def _connector_failed(error: Exception) -> ConfigurationError:
    message = (
        f"the connector failed ({type(error).__name__}); it is unknown which data the recipient received; "
        "nothing was returned or written"
    )
    hint = (
        "Ask the recipient before you call it again. The disclosure of `share` stays recorded, so it can be recalled."
    )
    return ConfigurationError(message, code="E212", hint=hint)


def without_secrets(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of the declared schema, without secrets."""
    return pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)


def as_rereadable(data: Any) -> Any:
    """The data in a form that can be read twice without temporary files."""
    return data.read_all() if isinstance(data, pa.RecordBatchReader) else data


def check_secrets(joined: Plan | None, secrets: Collection[str], source: RereadableSource) -> None:
    """Raises ConfigurationError if secrets would be part of a sent column, or if the data can be read only once."""
    nested = [key for key in secrets if not Pointer.parse(key).is_flat]
    if nested:
        hint = "Put the secret into its own column."
        raise ConfigurationError(f"{nested[0]} is nested in another column, which would contain the secret", hint=hint)
    if joined is not None and count_passes(joined) > 1 and not source.is_rereadable:
        raise ConfigurationError(
            "this data can be read only once, and secrets are never written to disk", hint="Pass a table."
        )
