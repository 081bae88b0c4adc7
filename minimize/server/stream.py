"""Stream of one read: prefetch, start and end in the ledger, rows file by file in bounded batches.

The ledger records the start before the first batch is sent, and the audit log the end. Authorization is checked
between batches.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from minimize.access import AccessDecision
from minimize.errors import MinimizeError, OutputError, iterate_redacted
from minimize.keys import Keyring
from minimize.keys.parquet_encryption import unless_shredded
from minimize.ledger import AuditEvent
from minimize.ledger.access_log import begin_read, finish_read
from minimize.ledger.audit_event import PlainValue
from minimize.output.folder import batch_date_of, partition_values
from minimize.output.reader import DATE_COLUMN, check_key_versions
from minimize.output.stored_file import date_scalar
from minimize.server.authorizer import Caller, Clock, Reauthorization, read_event
from minimize.server.errors import OUTPUT_REPLACED, error_for, mixed_keys_error
from minimize.server.request import ReadRequest
from minimize.server.snapshot import OpenSnapshot, OutputSnapshot
from minimize.server.view import (
    BoundCondition,
    ReadView,
    date_matches,
    folder_matches,
    matching_row_groups,
    tenant_conditions,
)
from minimize.sources.files import prefetch

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
CLIENT_LEFT = "left"
"""The client disconnected."""


@dataclass(frozen=True)
class ReadStream:
    """An authorized read."""

    caller: Caller
    request: ReadRequest
    decision: AccessDecision
    view: ReadView
    reauthorization: Reauthorization
    ledger: Ledger
    keys: Keyring
    clock: Clock

    def batches(self, opened: OpenSnapshot, stack: ExitStack) -> Generator[pa.RecordBatch]:
        """The batches that the caller may see. The first one has no rows and starts the read. The stack is closed at the end.

        Raises MinimizeError, which ends the read.
        """
        most = sum(file.rows for file in opened.snapshot.files)
        unended = self._event(f"at most {most}", ended="lost")
        begin_read(self.ledger, unended, unended.time)
        rows, ended = 0, CLIENT_LEFT
        with stack:
            try:
                yield self.view.empty_batch()
                for batch in iterate_redacted(viewed_batches(opened, self.view)):
                    self.reauthorization.check()
                    rows += batch.num_rows
                    yield batch
                self.reauthorization.check()
                ended = ""
            except MinimizeError as error:
                ended = error.code
                raise
            finally:
                event = replace(self._event(rows, ended=ended or None), id=unended.id)
                finish_read(self.ledger, event, event.time, self.keys)

    def _event(self, rows: PlainValue, ended: str | None) -> AuditEvent:
        return read_event(self.caller, self.decision, self.request.where, self.clock(), rows=rows, ended=ended)


def check_joinable(facts: OutputSnapshot, shape: ReadView) -> None:
    """Raises ConfigurationError (B011) if a column to send was made with two keys or key versions in the files to read."""
    read = [_date_matches(file.path, shape) for file in facts.files]
    schemas = [schema for schema, is_read in zip(facts.schemas, read, strict=True) if is_read]
    try:
        check_key_versions(pa.schema([each for each in schema if each.name in shape.shown]) for schema in schemas)
    except OutputError as error:
        message = error.message
    else:
        return
    raise mixed_keys_error(message)


def viewed_batches(opened: OpenSnapshot, shape: ReadView) -> Iterator[pa.RecordBatch]:
    """The batches of all files in the form of the view. Raises OutputError for a damaged file."""
    for batch in prefetch(_released_batches(opened, shape)):
        found = shape.apply(batch)
        if found is not None:
            yield found


def _released_batches(opened: OpenSnapshot, shape: ReadView) -> Iterator[pa.RecordBatch]:
    """The batches of all files as published."""
    for file in opened.snapshot.files:
        if not _date_matches(file.path, shape) or not _folders_match(file.path, opened, shape):
            continue
        on = batch_date_of(file.path)
        for batch in _detect_replacement(_file_batches(file.path, opened, shape), opened):
            yield _append_date(batch, on) if DATE_COLUMN in shape.schema.names else batch


def _file_batches(path: str, opened: OpenSnapshot, shape: ReadView) -> Iterator[pa.RecordBatch]:
    stored = unless_shredded(partial(opened.file, path, shape.dictionary_columns))
    if stored is None:
        log.warning("%s is skipped: its keys were destroyed", path, extra={"code": "W028"})
        return
    rules = [*shape.released_conditions, *_scope_conditions(opened, shape)]
    groups = matching_row_groups(stored, [rule for rule in rules if rule.column in stored.schema.names])
    if groups:
        yield from stored.batches(groups, shape.columns_to_read)


def _detect_replacement(batches: Iterator[pa.RecordBatch], opened: OpenSnapshot) -> Iterator[pa.RecordBatch]:
    """The batches. If files cannot be kept open, a missing file was replaced; the new file is not read, and B006 is raised."""
    try:
        yield from batches
    except OutputError as error:
        ended = error if opened.is_pinned else error_for(OUTPUT_REPLACED)
    else:
        return
    raise ended


def _scope_conditions(opened: OpenSnapshot, shape: ReadView) -> list[BoundCondition]:
    """The tenants in scope as conditions on row group statistics."""
    tenant = shape.tenant
    if tenant is None or not pa.types.is_string(opened.snapshot.schema.field(tenant).type):
        return []
    return tenant_conditions(shape.tenants, tenant)


def _date_matches(path: str, shape: ReadView) -> bool:
    """Whether the batch date of a file meets the conditions."""
    return date_matches(batch_date_of(path), shape.date_conditions)


def _folders_match(path: str, opened: OpenSnapshot, shape: ReadView) -> bool:
    """Whether the partition folders of a file meet the conditions."""
    folders = partition_values(path)
    rules = [*shape.released_conditions, *_scope_conditions(opened, shape)]
    return all(
        folder_matches(value, opened.snapshot.schema.field(name).type, [rule for rule in rules if rule.column == name])
        for name, value in folders.items()
        if name in opened.snapshot.schema.names
    )


def _append_date(batch: pa.RecordBatch, on: str | None) -> pa.RecordBatch:
    return batch.append_column(DATE_COLUMN, pa.repeat(date_scalar(on), batch.num_rows))
