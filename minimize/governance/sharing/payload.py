"""Payload of a share: its digest, the tokens of its subjects, the bound job and source, and the checked batches to send.

The digest is a BLAKE3 of the values. It does not depend on batches, buffers and offsets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, SeenDictionary, decode_dictionary
from minimize.arrow.hashing import stored_offsets, text_bytes, text_offsets
from minimize.arrow.interner import TextInterner
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.engines.base import Job, derive_row_key
from minimize.engines.passes import deduplicates
from minimize.errors import iterate_redacted
from minimize.governance.sharing.connector import PassThroughSecrets, without_secrets
from minimize.governance.sharing.consent_filter import ConsentedSource, TenantCodes, TenantFilter
from minimize.governance.sharing.plan import ResolvedShare, SharePlan
from minimize.governance.sharing.recipient_fields import RecipientKeys
from minimize.identifiers import canonical_column, canonical_text
from minimize.keys import Keyring
from minimize.keys.cryptography import KeyedHash
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger.kinds import disclosure_token_text
from minimize.plan import Plan
from minimize.recipients.rules import payload_differs_error
from minimize.records import Batch
from minimize.runs.minimizer import PreparedPolicy, RowTally, release_batches
from minimize.settings.erasures import RecordedErasures
from minimize.spill import SpillSpace, find_budget
from minimize.stages.generalize import empty_memos
from minimize.stores.durable_files import FileHash
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.verification.declared_forms import DeclaredForms

LONG_LENGTH: Final = 255
_NUMBERS: Final = MappingProxyType({8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()})
ByteArray = npt.NDArray[np.uint8]


class PayloadDigest:
    """BLAKE3 of a payload, column by column: positions of nulls, lengths of the other values, and their bytes.

    Accepts batches of one schema, in order. The same rows give the same digest, regardless of the batch size.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._parts = [[_DigestStream() for _ in _column_streams(_empty_array(each.type))] for each in schema]
        self._rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Adds the next rows."""
        self._rows += batch.num_rows
        for parts, column in zip(self._parts, batch.columns, strict=True):
            for part, piece in zip(parts, _column_streams(column), strict=True):
                part.update(piece)

    @property
    def digest(self) -> str:
        """The digest of all rows so far."""
        names = [[each.name, str(each.type)] for each in self._schema]
        whole = FileHash()
        whole.update(json.dumps([self._rows, names]).encode())
        for parts in self._parts:
            for part in parts:
                whole.update(part.digest)
        return whole.digest


@dataclass(frozen=True, slots=True)
class _NullPositions:
    """Positions of the nulls of a column, and its length."""

    places: npt.NDArray[np.int64]
    values: int


class _DigestStream:
    """One byte stream of a column. Positions of nulls are counted across batches."""

    def __init__(self) -> None:
        self._hash, self._values = FileHash(), 0

    def update(self, piece: ByteArray | _NullPositions) -> None:
        """Adds the next piece."""
        if isinstance(piece, _NullPositions):
            self._hash.update((piece.places + self._values).view(np.uint8).data)
            self._values += piece.values
        else:
            self._hash.update(np.ascontiguousarray(piece).data)

    @property
    def digest(self) -> bytes:
        """The digest of all pieces so far, and of the number of values."""
        return self._hash.digest.encode() + self._values.to_bytes(8, "little")


def digest_table(table: pa.Table) -> str:
    """The digest of a complete payload.

    >>> rows = pa.table({"a": ["x", None, "y"]})
    >>> digest_table(rows) == digest_table(pa.concat_tables([rows.slice(0, 1), rows.slice(1)])) != digest_table(rows.slice(1))
    True
    """
    payload_digest = PayloadDigest(table.schema)
    for batch in table.to_batches():
        payload_digest.update(batch)
    return payload_digest.digest


def _empty_array(kind: pa.DataType) -> pa.Array:
    return pa.array([], kind)


def _column_streams(column: pa.Array) -> Iterator[ByteArray | _NullPositions]:
    """The streams of a column as bytes. Each continues the stream of the previous batch."""
    kind = column.type
    if kind in (pa.string_view(), pa.binary_view()):
        column = column.cast(pa.large_binary())
        kind = column.type
    yield _null_positions(column)
    if pa.types.is_struct(kind):
        for child in column.flatten():
            yield from _column_streams(child)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        yield from _list_lengths(pc.list_value_length(column) if not pa.types.is_map(kind) else _map_lengths(column))
        yield from _column_streams(_list_values(column))
    elif pa.types.is_boolean(kind):
        yield column.fill_null(False).to_numpy(zero_copy_only=False).view(np.uint8)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or _is_large(kind):
        yield from _text_bytes(column)
    else:
        yield _fixed_width_bytes(column)


def _is_large(kind: pa.DataType) -> bool:
    return kind in (pa.large_string(), pa.large_binary())


def _null_positions(column: pa.Array) -> _NullPositions:
    is_null = np.asarray(column.is_null()) if column.null_count else np.empty(0, np.bool_)
    return _NullPositions(np.flatnonzero(is_null).astype(np.int64), len(column))


def _list_lengths(lengths: pa.Array) -> Iterator[ByteArray]:
    """Encodes lengths as one byte each; lengths of 255 and more are added once more, in full."""
    yield from _encode_lengths(np.asarray(lengths.cast(pa.int64()).fill_null(0), np.int64))


def _encode_lengths(lengths: npt.NDArray[np.integer[Any]]) -> Iterator[ByteArray]:
    """Encodes lengths as one byte each; lengths of 255 and more are added once more, in full."""
    if not len(lengths) or lengths.max() < LONG_LENGTH:
        yield lengths.astype(np.uint8)
        yield np.empty(0, np.uint8)
    else:
        yield np.minimum(lengths, LONG_LENGTH).astype(np.uint8)
        yield lengths[lengths >= LONG_LENGTH].astype(np.int64).view(np.uint8)


def _map_lengths(column: pa.MapArray) -> pa.Array:
    return pa.array(np.diff(column.offsets.to_numpy()))


def _list_values(column: pa.Array) -> pa.Array:
    if not pa.types.is_map(column.type):
        return column.flatten()
    first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
    entries = pa.StructArray.from_arrays([column.keys, column.items], ["key", "value"])
    return entries.slice(first, last - first)


def _text_bytes(column: pa.Array) -> Iterator[ByteArray]:
    """The lengths of the texts (0 for nulls) and their concatenated bytes, without bytes hidden under nulls."""
    ends = stored_offsets(column)
    lengths = ends[1:] - ends[:-1]
    if column.null_count:
        is_valid = np.asarray(column.is_valid())
        if lengths[~is_valid].any():
            column = column.drop_null()
            ends = stored_offsets(column)
            lengths[is_valid], lengths[~is_valid] = np.diff(ends), 0
    yield from _encode_lengths(lengths)
    yield text_bytes(column)[ends[0] : ends[-1]] if len(column) else np.empty(0, np.uint8)


def _fixed_width_bytes(column: pa.Array) -> ByteArray:
    """The bytes of fixed-width values. Nulls are zeros, or left out if the type is not numeric."""
    number = None if pa.types.is_null(column.type) else _NUMBERS.get(column.type.bit_width)
    if column.null_count and number is not None:
        dense = column.view(number).fill_null(0)
    else:
        dense = column.drop_null() if column.null_count else column
    if pa.types.is_null(dense.type) or not len(dense):
        return np.empty(0, np.uint8)
    width = dense.type.bit_width // 8
    data = dense.buffers()[1]
    return np.frombuffer(data, np.uint8)[dense.offset * width : (dense.offset + len(dense)) * width]


DISCLOSURE_PURPOSE: Final = "disclosures"


@dataclass(slots=True)
class SubjectTokens:
    """The pairs of tenant and subject seen so far. The printed form shows no values."""

    tenants: dict[str, int] = field(default_factory=dict, repr=False)
    subjects: TextInterner = field(default_factory=lambda: TextInterner(pa.large_string()), repr=False)

    def take(self, tenants: TenantCodes, subjects: pa.Array) -> None:
        """Adds the tenants and subjects of some rows."""
        places = [self.tenants.setdefault(name, len(self.tenants)) for name in tenants.names]
        scopes = np.array([*places, 0], np.int32)[tenants.codes]
        self.subjects.codes(_large_strings(subjects), scopes)

    def tokens_by_tenant(self, keys: Keyring) -> dict[str, bytes]:
        """The bytes of the subject tokens by tenant, sorted and concatenated."""
        if not len(self.subjects):
            return {}
        scopes, texts = self.subjects.scoped_values()
        order, names = np.argsort(scopes, kind="stable"), [*self.tenants]
        forms = _canonical_subjects(texts.take(pa.array(order)))
        data, offsets = text_bytes(forms), text_offsets(forms)
        ends = np.searchsorted(scopes[order], np.arange(len(names)), side="right").tolist()
        tokens, first = {}, 0
        for name, key, end in zip(names, _tenant_keys(_token_secret(keys, None), names), ends, strict=True):
            if end > first:
                tokens[name] = _sort_tags(KeyedHash(key).tags(data, offsets[first : end + 1]))
            first = end
        return tokens


def disclosure_token(keys: Keyring, tenant: str, subject: str, version: int | None = None) -> str:
    """The token of a subject of a tenant in disclosures, under the newest or a given version of the `subject` key.

    Raises KeyringError.
    """
    which = keys.version_of(SUBJECT_KEY) if version is None else version
    (key,), forms = (
        _tenant_keys(_token_secret(keys, which), [canonical_text(tenant)]),
        _canonical_subjects(pa.array([subject], pa.large_string())),
    )
    return disclosure_token_text(which, KeyedHash(key).tags(text_bytes(forms), text_offsets(forms)).tobytes())


def _token_secret(keys: Keyring, version: int | None) -> KeyedHash:
    return KeyedHash(keys.subkey(SUBJECT_KEY, DISCLOSURE_PURPOSE, version))


def _tenant_keys(secret: KeyedHash, tenants: Sequence[str]) -> list[bytes]:
    """Derives a key per tenant, so that a subject has a different token in each tenant."""
    names = [name.encode() for name in tenants]
    offsets = np.cumsum([0, *map(len, names)])
    return [bytes(tag) for tag in secret.tags(np.frombuffer(b"".join(names), np.uint8), offsets)]


def _canonical_subjects(subjects: pa.Array) -> pa.Array:
    """The canonical form of each subject, as for pseudonyms."""
    return canonical_column(subjects)


def _sort_tags(tags: npt.NDArray[np.uint8]) -> bytes:
    high, low = np.ascontiguousarray(tags).view(">u8").reshape(-1, 2).T
    ordered = tags[np.lexsort((low, high))]
    is_first = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return bytes(ordered[is_first].tobytes())


def _large_strings(column: pa.Array) -> pa.Array:
    plain = decode_dictionary(column)
    return plain if plain.type == pa.large_string() else plain.cast(pa.large_string())


@dataclass(frozen=True, slots=True)
class PayloadContext:
    """The job of a payload, its source, and its state between batches."""

    job: Job
    source: ConsentedSource
    bound: PreparedPolicy
    schema: pa.Schema
    """Schema of the payload."""
    forms: DeclaredForms
    """Forms that the values must have."""
    secrets: PassThroughSecrets | None = None
    """Collected batches for the connector, if there are pass-through secrets."""


def payload_context(
    share: ResolvedShare,
    planned: SharePlan,
    plan: Plan,
    tenants: TenantFilter,
    erasures: RecordedErasures,
    consented: ConsentPeriods | None = None,
) -> PayloadContext:
    """Prepares the payload of a planned share.

    Takes the recorded erasures of the ledger, and the times during which tenants consented to receive the records, if another
    third party sent them.
    """
    if planned.source is None:
        raise payload_differs_error("the share was not planned")
    keys, whole = RecipientKeys(share.keyring), planned.connector_plan or plan
    bound = PreparedPolicy.from_plan(whole, keys)
    job = Job(
        whole,
        share.share_time,
        keys,
        None if planned.settings is None else planned.settings.effective_at(share.share_time),
        row_key=derive_row_key(share.keyring),
        memos=empty_memos(whole),
        space=SpillSpace(find_budget(share.workspace.config)),
        bound=None if deduplicates(whole) else bound.stages,
        erased=erasures.effective_at(share.share_time, whole.policy.future),
        consents=consented,
    )
    source = ConsentedSource(planned.source, tenants)
    schema = bound.schema if planned.connector_plan is None else PreparedPolicy.from_plan(plan, keys).schema
    forms = DeclaredForms.for_schema(schema, planned.declared_forms)
    if forms.unchecked:
        raise payload_differs_error(f"the form of {', '.join(forms.unchecked)} cannot be checked")
    passing = None if planned.connector_plan is None else PassThroughSecrets(bound.schema, planned.secrets)
    return PayloadContext(job=job, source=source, bound=bound, schema=schema, forms=forms, secrets=passing)


class PayloadSink(Protocol):
    """Destination of a payload."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Adds the next rows."""
        ...


@dataclass(slots=True)
class PayloadStats:
    """Statistics of a payload: rows by tenant, withheld values and rows, subject tokens, and the digest."""

    schema: pa.Schema
    fingerprint: PayloadDigest
    rows: int = 0
    tenants: Counter[str] = field(default_factory=Counter)
    gated: Counter[str] = field(default_factory=Counter)
    gated_values: Counter[str] = field(default_factory=Counter)
    unparsable: Counter[str] = field(default_factory=Counter)
    emptied_rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    subject_tokens: SubjectTokens = field(default_factory=SubjectTokens)
    seen_subjects: SeenDictionary = field(default_factory=SeenDictionary)

    @classmethod
    def empty(cls, schema: pa.Schema) -> PayloadStats:
        """Statistics without rows, for this schema."""
        return cls(schema, PayloadDigest(schema))


def make_payload(context: PayloadContext, sink: PayloadSink) -> PayloadStats:
    """Makes the payload and writes it to `sink`. Raises NotPermitted if a batch does not have the declared form."""
    stats, plan = PayloadStats.empty(context.schema), context.job.plan
    for batch, columns in iterate_redacted(
        release_batches(context.job, context.source, context.bound, RowTally(left_out=stats.rejected))
    ):
        stats.gated.update(batch.counts.gated)
        closed, unparsable = _null_counts(batch, context)
        stats.gated_values.update(closed)
        stats.unparsable.update(unparsable)
        nonempty = _nonempty_rows(columns, plan)
        stats.emptied_rows += 0 if nonempty is None else int(len(nonempty) - nonempty.sum())
        whole = columns if nonempty is None else columns.filter(pa.array(nonempty))
        if not _has_planned_schema(whole, context.bound.schema):
            raise payload_differs_error("its columns are not those of the plan")
        _count_rows(stats, batch, plan, nonempty)
        stats.rows += whole.num_rows
        sent_rows = whole
        if context.secrets is not None:
            context.secrets.take(whole)
            sent_rows = without_secrets(whole, context.schema)
        misshapen = context.forms.misshapen(sent_rows, _encoded_columns(batch))
        if misshapen:
            raise payload_differs_error(f"{', '.join(misshapen)} does not have the declared form")
        stats.fingerprint.update(sent_rows)
        sink.take(sent_rows)
    return stats


def _null_counts(batch: Batch, context: PayloadContext) -> tuple[dict[str, int], dict[str, int]]:
    """Number of values withheld by gates and of values that no step could treat, by field. Secrets are not counted."""
    secrets = frozenset() if context.secrets is None else context.secrets.keys
    counts = {key: each for key, each in batch.counts.fields.items() if key not in secrets}
    gated = {key: each.gated for key, each in counts.items() if each.gated}
    return gated, {key: each.unparsable for key, each in counts.items() if each.unparsable}


def _encoded_columns(batch: Batch) -> Mapping[str, pa.Array]:
    """The columns before decoding, so that each dictionary value is checked once."""
    return batch.released


def field_values(batch: pa.RecordBatch, key: str) -> pa.Array:
    """The values of a field that occurs once per record."""
    return leaf(batch, Pointer.parse(key)).values


def _count_rows(stats: PayloadStats, batch: Batch, plan: Plan, mask: Bools | None) -> None:
    tenant, subject = plan.policy.tenant, plan.policy.subject
    if tenant is None:
        return
    tenants = _filter_values(field_values(batch.raw, tenant), mask)
    stats.tenants.update(TenantCodes.from_column(tenants).counts())
    if subject is None:
        return
    subjects, rows = (
        _filter_values(field_values(batch.raw, subject), mask),
        _rows_with_new_subjects(batch, plan, stats.seen_subjects) if mask is None else None,
    )
    if rows is not None:
        tenants, subjects = tenants.take(rows), subjects.take(rows)
    stats.subject_tokens.take(TenantCodes.from_column(tenants), subjects)


def _rows_with_new_subjects(batch: Batch, plan: Plan, dictionary: SeenDictionary) -> pa.Array | None:
    """The rows that cover all new subjects, found by their released pseudonyms, which are unique per tenant and subject."""
    policy = plan.policy
    released, steps = batch.released.get(policy.subject or ""), plan.fields[policy.subject or ""].branches[0].steps
    first = steps[0] if steps else None
    is_unique = isinstance(first, Pseudonymize) and first.per == policy.tenant and not first.fold
    is_unique = is_unique and all(isinstance(step, Pseudonymize) for step in steps or ())
    if not is_unique or len(plan.fields[policy.subject or ""].branches) > 1 or released is None:
        return None
    return pa.array(dictionary.new_rows(released)) if pa.types.is_dictionary(released.type) else None


def _filter_values(values: pa.Array, mask: Bools | None) -> pa.Array:
    return values if mask is None else values.filter(pa.array(mask))


def _nonempty_rows(columns: pa.RecordBatch, plan: Plan) -> Bools | None:
    """Mask of the rows with a value other than their tenant. None if all rows have one."""
    names = [name for name in columns.schema.names if name != plan.policy.tenant] or columns.schema.names
    empty = np.ones(columns.num_rows, bool)
    for name in names:
        column = columns.column(name)
        if not column.null_count:
            return None
        empty &= column.is_null().to_numpy(zero_copy_only=False)
    return ~empty if empty.any() else None


def _has_planned_schema(batch: pa.RecordBatch, schema: pa.Schema) -> bool:
    return bool(batch.schema.equals(schema))


@dataclass(slots=True)
class InMemoryPayload:
    """Keeps the payload in memory. The caller receives it after the disclosure is recorded."""

    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Adds the next rows."""
        self.batches.append(batch)

    def all_batches(self) -> Iterator[pa.RecordBatch]:
        """All batches, in order."""
        return iter(self.batches)


@dataclass(frozen=True, slots=True)
class DiscardedPayload:
    """Discards the payload, because a dry run only counts."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Discards the next rows."""
