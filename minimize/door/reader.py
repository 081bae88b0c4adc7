"""What a client can do, whether the door is in another process or in this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from minimize.door.asking import Ask, Reversal, ask_for, reversal_of
from minimize.door.where import Where
from minimize.errors import ConfigurationError


class Way(Protocol):
    """How a request gets to a door."""

    def stream(self, ask: Ask) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read. Raises MinimizeError, also from the batches."""
        ...

    def answer(self, reversal: Reversal) -> pa.Table:
        """Tokens with what they stand for. Raises MinimizeError."""
        ...

    def close(self) -> None:
        """Lets go."""
        ...


class Reader:
    """Reads datasets through a door, as far as roles and grants let whoever asks.

    Takes the way to the door, and the dataset that is meant where none is named.
    """

    def __init__(self, way: Way, dataset: str | None = None) -> None:
        self._way, self._dataset = way, dataset

    def read(
        self,
        dataset: str | None = None,
        columns: Sequence[str] | None = None,
        where: Where = None,
        purpose: str | None = None,
        incident: str | None = None,
        *,
        mixed_keys: bool = False,
    ) -> pa.Table:
        """What may be seen of a dataset, as a table.

        Takes the dataset (a pipeline's name for its records, or `pipeline/output`), columns (all that are open where none are
        named), conditions on columns as they are seen (`{"model": ["A", "B"], "event_time": {">=": time}}`; all must hold), the
        purpose, and the incident of a grant. Raises RefusedError with the reasons against it; ConfigurationError where the
        request is not understood or the door is gone. What was read before an error is not given.
        """
        schema, batches = self._way.stream(self._ask(dataset, columns, where, purpose, incident, mixed_keys))
        return pa.Table.from_batches(map(plain, batches), plain_schema(schema))

    def batches(
        self,
        dataset: str | None = None,
        columns: Sequence[str] | None = None,
        where: Where = None,
        purpose: str | None = None,
        incident: str | None = None,
        *,
        mixed_keys: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """The same in bounded batches, as they come; texts with few distinct values are dictionaries. An error ends them."""
        return self._way.stream(self._ask(dataset, columns, where, purpose, incident, mixed_keys))[1]

    def reidentify(
        self,
        dataset: str | None,
        column: str,
        tokens: Sequence[str],
        *,
        incident: str,
        purpose: str | None = None,
    ) -> pa.Table:
        """What tokens of a tokenized column stand for: `token` and `value`, null where no row in the grant's scope has it.

        Takes up to 256 tokens, and the incident that the grant names. Each value is counted and told to the audit log.
        """
        given = self._named(dataset), column, tuple(tokens), purpose, incident
        return self._way.answer(reversal_of(*given))

    def close(self) -> None:
        """Lets go of the door."""
        self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self,
        dataset: str | None,
        columns: Sequence[str] | None,
        where: Where,
        purpose: str | None,
        incident: str | None,
        mixed_keys: bool,
    ) -> Ask:
        named = None if columns is None else tuple(columns)
        return ask_for(self._named(dataset), named, where, purpose, incident, mixed_keys)

    def _named(self, dataset: str | None) -> str:
        found = self._dataset if dataset is None else dataset
        if found is None:
            raise ConfigurationError("no dataset is named", hint="name a pipeline, or PIPELINE/OUTPUT")
        return found


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with texts that were dictionaries as they are everywhere else."""
    schema = plain_schema(batch.schema)
    arrays = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of such batches."""
    return pa.schema([_plain(field) for field in schema], schema.metadata)


def _plain(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
