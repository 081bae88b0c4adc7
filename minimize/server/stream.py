"""Stream of one read: prefetch, start and end in the ledger, rows file by file in bounded batches.

The ledger records the start before the first batch is sent, and the audit log the end. Authorization is checked
between batches.

Re-identification: reverse tokens of a `tokenize`d column.

A token alone does not identify its subject. It is searched in the rows that the grant permits, and reversed only if it is
found there, with the key version and the `per` value of its row.
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
from minimize.datasets.reader import DATE_COLUMN, check_key_versions
from minimize.errors import MinimizeError, OutputError, iterate_redacted
from minimize.keys import Keyring
from minimize.keys.parquet_encryption import unless_shredded
from minimize.ledger import AuditEvent
from minimize.ledger.access_log import begin_read, finish_read
from minimize.ledger.audit_event import PlainValue
from minimize.output.folder import batch_date_of, partition_values
from minimize.output.stored_file import date_scalar
from minimize.server.authorizer import Caller, Reauthorization, read_event
from minimize.server.request import OUTPUT_REPLACED, ReadRequest, error_for, mixed_keys_error
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
from minimize.times import Clock

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Final

from minimize.keys.keyring import SUBJECT_KEY
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.server.request import IN, FilterCondition, ReidentifyRequest, column_error
from minimize.server.snapshot import FIELD_METADATA, unchanged_column
from minimize.server.view import bind_view
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize

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
                finish_read(self.ledger, event, event.time)

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
        viewed = shape.apply(batch)
        if viewed is not None:
            yield viewed


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


KEY_METADATA: Final = b"minimize:key"
VALUE_PURPOSE: Final = "door/value"
ANSWER_SCHEMA: Final = pa.schema([pa.field("token", pa.string()), pa.field("value", pa.string())])


@dataclass(frozen=True, slots=True)
class TokenizedColumn:
    """Tokenization of a column of one file: its field, the technique, the key version, and the column of its `per`."""

    field: str
    technique: Tokenize
    version: int
    per: str | None


def reverse_tokens(
    opened: OpenSnapshot, decision: AccessDecision, column: str, tokens: Sequence[str], keys: Keyring
) -> dict[str, str]:
    """Original values by token, for tokens in rows in scope. Other tokens are left out.

    Raises RefusedError (B004) if the column was not tokenized or is shown in another form; KeyringError if a key version is
    missing.
    """
    if decision.views.get(column):
        raise column_error("tokens of a column that a view shows in another form cannot be reversed")
    condition = FilterCondition(column=column, operator=IN, values=tuple(tokens))
    token_view = bind_view(opened.snapshot, decision, (column,), (condition,), decision.decided_at)
    value_by_token: dict[str, str] = {}
    for opened_file, sealed in _tokenized_files(opened, column):
        view = token_view if sealed.per is None else _with_per_column(token_view, sealed.per)
        for batch in viewed_batches(opened_file, view):
            value_by_token |= _reverse_batch(batch, column, sealed, keys, token_view)
    return {token: value_by_token[token] for token in tokens if token in value_by_token}


def answer_table(tokens: Sequence[str], value_by_token: Mapping[str, str]) -> pa.Table:
    """Each token with its value; null if it was not found."""
    return pa.table(
        [pa.array(tokens, pa.string()), pa.array(map(value_by_token.get, tokens), pa.string())], schema=ANSWER_SCHEMA
    )


def value_digest(keys: Keyring, reversal: ReidentifyRequest, token: str) -> str:
    """Name of a value in the audit log: a keyed digest of dataset, column and token."""
    version = keys.version_of(SUBJECT_KEY)
    content = json.dumps([reversal.dataset, reversal.column, token]).encode()
    return f"{SUBJECT_KEY}/{version}:{hmac.digest(keys.subkey(SUBJECT_KEY, VALUE_PURPOSE, version), content, 'sha256').hex()}"


def _tokenized_files(opened: OpenSnapshot, column: str) -> Iterator[tuple[OpenSnapshot, TokenizedColumn]]:
    """Each file that has the column, as a snapshot of its own, with the tokenization of the column."""
    facts = opened.snapshot
    for file, schema in zip(facts.files, facts.schemas, strict=True):
        if column in schema.names:
            sealed = _tokenized_column(schema, schema.field(column), facts.policies[file.path])
            yield replace(opened, snapshot=replace(facts, files=(file,), schemas=(schema,))), sealed


def _tokenized_column(schema: pa.Schema, column: pa.Field, policy: Policy) -> TokenizedColumn:
    metadata = column.metadata or {}
    key = metadata.get(FIELD_METADATA, b"").decode()
    ways = (
        []
        if key not in policy.fields
        else [way[-1] for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
    )
    tokenized = {way for way in ways if isinstance(way, Tokenize)}
    technique = tokenized.pop() if len(tokenized) == 1 else None
    if technique is None:
        raise column_error("the column was not tokenized, so its values cannot be reversed")
    versions = dict(each.split("/") for each in metadata.get(KEY_METADATA, b"").decode().split(",") if each)
    per = None if technique.per is None else unchanged_column(schema, technique.per)
    if technique.key not in versions or (technique.per is not None and per is None):
        raise column_error("the tokens cannot be reversed: the output does not name the key or the `per` column")
    return TokenizedColumn(key, technique, int(versions[technique.key]), per)


def _with_per_column(view: ReadView, per: str) -> ReadView:
    """The view with the `per` column of the tokens, which is not sent."""
    field = view.released.field(per)
    return replace(view, shown=(*view.shown, per), schema=view.schema.append(field))


def _reverse_batch(
    batch: pa.RecordBatch, column: str, sealed: TokenizedColumn, keys: Keyring, view: ReadView
) -> dict[str, str]:
    tokens = batch.column(column)
    plain = tokens.cast(pa.string())
    companions = {} if sealed.per is None else {sealed.technique.per or "": batch.column(sealed.per)}
    context = Context(sealed.field, view.decided_at, keys, companions)
    values = sealed.technique.detokenize(plain, context, sealed.version).values
    pairs = zip(plain.to_pylist(), values.to_pylist(), strict=True)
    return {token: value for token, value in pairs if token is not None and value is not None}
