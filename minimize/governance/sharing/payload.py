"""Payload of a share: tokens of the subjects, the bound job and source, the batches that leave, counted and checked.

Every batch is digested, counted by tenant, and compared with the declared forms before it is passed to a sink. The
token of a subject differs by tenant, so one subject of two tenants has two tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.batch import Batch
from minimize.arrow.hashing import known_entries, text_bytes, text_offsets
from minimize.arrow.interner import TextInterner
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.engines.base import Job, derive_row_key
from minimize.engines.passes import deduplicates
from minimize.errors import iterate_redacted
from minimize.governance.sharing.connector import PassThroughSecrets, without_secrets
from minimize.governance.sharing.consent_filter import ConsentedSource, TenantCodes, TenantFilter
from minimize.governance.sharing.payload_digest import PayloadDigest
from minimize.governance.sharing.plan import ResolvedShare, SharePlan
from minimize.governance.sharing.recipient_policy import RecipientKeys
from minimize.identifiers import canonical_column, canonical_text
from minimize.keys import Keyring
from minimize.keys.ciphers import Cmac
from minimize.ledger.disclosures import disclosure_token_text
from minimize.ledger.subject_tokens import SUBJECT_KEY
from minimize.plan import Plan
from minimize.recipients.rules import payload_differs_error
from minimize.runs.minimizer import PreparedPolicy, RowTally, release_batches
from minimize.settings.erasures import RecordedErasures
from minimize.spill import SpillSpace, find_budget
from minimize.stages.generalize import empty_memos
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.verification.declared_forms import DeclaredForms

DISCLOSURE_PURPOSE: Final = "disclosures"


@dataclass(slots=True)
class SubjectTokens:
    """The pairs of tenant and subject that were seen; what is printed of them is nothing."""

    tenants: dict[str, int] = field(default_factory=dict, repr=False)
    subjects: TextInterner = field(default_factory=lambda: TextInterner(pa.large_string()), repr=False)

    def take(self, tenants: TenantCodes, subjects: pa.Array) -> None:
        """Takes in the tenants and subjects of some rows."""
        places = [self.tenants.setdefault(name, len(self.tenants)) for name in tenants.names]
        scopes = np.array([*places, 0], np.int32)[tenants.codes]
        self.subjects.codes(_large_strings(subjects), scopes)

    def tokens_by_tenant(self, keys: Keyring) -> dict[str, bytes]:
        """Per tenant what the tokens of its subjects hold, ascending, one after the other."""
        if not len(self.subjects):
            return {}
        scopes, texts = self.subjects.scoped_values()
        order, names = np.argsort(scopes, kind="stable"), [*self.tenants]
        forms = _canonical_subjects(texts.take(pa.array(order)))
        data, offsets = text_bytes(forms), text_offsets(forms)
        ends = np.searchsorted(scopes[order], np.arange(len(names)), side="right").tolist()
        found, first = {}, 0
        for name, own, end in zip(names, _tenant_keys(_token_secret(keys, None), names), ends, strict=True):
            if end > first:
                found[name] = _sort_tags(Cmac(own).tags(data, offsets[first : end + 1]))
            first = end
        return found


@dataclass(slots=True)
class SeenDictionary:
    """Which entries of a dictionary were seen, from batch to batch as long as it only grows; another begins anew."""

    last_dictionary: pa.Array | None = field(default=None, repr=False)
    marks: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)

    def new_rows(self, column: pa.DictionaryArray) -> npt.NDArray[np.int64]:
        """The rows that say something new: of each entry that was not seen before the first, and those without one."""
        self._align(column.dictionary)
        codes = np.asarray(column.indices.fill_null(-1) if column.null_count else column.indices)
        rows = np.flatnonzero(np.append(~self.marks, True)[codes])
        left = codes[rows]
        self.marks[left[left >= 0]] = True
        return rows[first_occurrences(pa.array(left, mask=left < 0))]

    def _align(self, entries: pa.Array) -> None:
        """Takes in the dictionary of the next batch."""
        known = known_entries(self.last_dictionary, entries)
        self.marks = np.append(self.marks[:known], np.zeros(len(entries) - known, np.bool_))
        self.last_dictionary = entries


def disclosure_token(keys: Keyring, tenant: str, subject: str, version: int | None = None) -> str:
    """The token by which a subject of a tenant stands in disclosures, under the newest version of the `subject` key, or another.

    Raises KeyringError.
    """
    which = keys.version_of(SUBJECT_KEY) if version is None else version
    (own,), forms = (
        _tenant_keys(_token_secret(keys, which), [canonical_text(tenant)]),
        _canonical_subjects(pa.array([subject], pa.large_string())),
    )
    return disclosure_token_text(which, Cmac(own).tags(text_bytes(forms), text_offsets(forms)).tobytes())


def first_occurrences(codes: pa.Array) -> npt.NDArray[np.int64]:
    """The rows that say it all: of each code the first, and those without one.

    >>> first_occurrences(pa.array([1, 0, 1, None, 0])).tolist()
    [0, 1, 3]
    """
    found = np.asarray(codes.fill_null(-1) if codes.null_count else codes)
    first = np.full(int(found.max(initial=-1)) + 2, -1, np.int64)
    first[found[::-1]] = np.arange(len(found))[::-1]
    telling = found < 0
    telling[first[:-1][first[:-1] >= 0]] = True
    return np.flatnonzero(telling)


def _token_secret(keys: Keyring, version: int | None) -> Cmac:
    return Cmac(keys.subkey(SUBJECT_KEY, DISCLOSURE_PURPOSE, version))


def _tenant_keys(secret: Cmac, tenants: Sequence[str]) -> list[bytes]:
    """The key of each tenant: one subject of two tenants has two tokens."""
    names = [name.encode() for name in tenants]
    offsets = np.cumsum([0, *map(len, names)])
    return [bytes(tag) for tag in secret.tags(np.frombuffer(b"".join(names), np.uint8), offsets)]


def _canonical_subjects(subjects: pa.Array) -> pa.Array:
    """One form of each: what a pseudonym takes for the same subject is the same here."""
    return canonical_column(subjects)


def _sort_tags(tags: npt.NDArray[np.uint8]) -> bytes:
    high, low = np.ascontiguousarray(tags).view(">u8").reshape(-1, 2).T
    ordered = tags[np.lexsort((low, high))]
    other = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return bytes(ordered[other].tobytes())


def _large_strings(column: pa.Array) -> pa.Array:
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain if plain.type == pa.large_string() else plain.cast(pa.large_string())


@dataclass(frozen=True, slots=True)
class PayloadContext:
    """The job, what it reads, and what stays from batch to batch.

    schema   of what leaves
    forms    what it must look like
    secrets  what the connector gets, where secrets pass through it
    """

    job: Job
    source: ConsentedSource
    bound: PreparedPolicy
    schema: pa.Schema
    forms: DeclaredForms
    secrets: PassThroughSecrets | None = None


def payload_context(
    share: ResolvedShare,
    planned: SharePlan,
    plan: Plan,
    tenants: TenantFilter,
    erasures: RecordedErasures,
    consented: ConsentPeriods | None = None,
) -> PayloadContext:
    """What the payload of a planned act is made with.

    Takes what the ledger tells of those whose records must not come back, and, of records that another third party sent, when
    tenants agreed to receive them.
    """
    if planned.source is None:
        raise payload_differs_error("it was not planned")
    keys, whole = RecipientKeys(share.keys), planned.connector_plan or plan
    bound = PreparedPolicy.from_plan(whole, keys)
    job = Job(
        whole,
        share.share_time,
        keys,
        None if planned.settings is None else planned.settings.effective_at(share.share_time),
        row_key=derive_row_key(share.keys),
        memos=empty_memos(whole),
        space=SpillSpace(find_budget(share.folder)),
        bound=None if deduplicates(whole) else bound.stages,
        erased=erasures.effective_at(share.share_time, whole.policy.future),
        consents=consented,
    )
    source = ConsentedSource(planned.source, tenants)
    schema = bound.schema if planned.connector_plan is None else PreparedPolicy.from_plan(plan, keys).schema
    forms = DeclaredForms.for_schema(schema, planned.declared_forms)
    if forms.unchecked:
        raise payload_differs_error(f"nobody can tell the form of {', '.join(forms.unchecked)}")
    passing = None if planned.connector_plan is None else PassThroughSecrets(bound.schema, planned.secrets)
    return PayloadContext(job, source, bound, schema, forms, passing)


Mask = npt.NDArray[np.bool_]


class PayloadSink(Protocol):
    """Takes the payload in."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows."""
        ...


@dataclass(slots=True)
class PayloadStats:
    """What was made: rows by tenant, what was held back and why, whose it is, and its fingerprint."""

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
        """Nothing yet, of this schema."""
        return cls(schema, PayloadDigest(schema))


def make_payload(context: PayloadContext, taker: PayloadSink) -> PayloadStats:
    """Makes the payload, and gives it to a taker. Raises NotPermitted where a batch is not what was declared."""
    made, plan = PayloadStats.empty(context.schema), context.job.plan
    for batch, columns in iterate_redacted(
        release_batches(context.job, context.source, context.bound, RowTally(left_out=made.rejected))
    ):
        made.gated.update(batch.counts.gated)
        closed, unparsable = _null_counts(batch, context)
        made.gated_values.update(closed)
        made.unparsable.update(unparsable)
        kept = _nonempty_rows(columns, plan)
        made.emptied_rows += 0 if kept is None else int(len(kept) - kept.sum())
        whole = columns if kept is None else columns.filter(pa.array(kept))
        if not _has_planned_schema(whole, context.bound.schema):
            raise payload_differs_error("its columns are not those of the plan")
        _count_rows(made, batch, plan, kept)
        made.rows += whole.num_rows
        left = whole
        if context.secrets is not None:
            context.secrets.take(whole)
            left = without_secrets(whole, context.schema)
        misshapen = context.forms.misshapen(left, _encoded_columns(batch))
        if misshapen:
            raise payload_differs_error(f"{', '.join(misshapen)} does not have the form that was declared")
        made.fingerprint.update(left)
        taker.take(left)
    return made


def _null_counts(batch: Batch, context: PayloadContext) -> tuple[dict[str, int], dict[str, int]]:
    """By field the values that gates hold back, and those that no step could treat; of secrets not even that."""
    secrets = frozenset() if context.secrets is None else context.secrets.keys
    counts = {key: each for key, each in batch.counts.fields.items() if key not in secrets}
    gated = {key: each.gated for key, each in counts.items() if each.gated}
    return gated, {key: each.unparsable for key, each in counts.items() if each.unparsable}


def _encoded_columns(batch: Batch) -> Mapping[str, pa.Array]:
    """Columns as they were before they were decoded: what is in a dictionary is judged once."""
    return batch.released


def field_values(batch: pa.RecordBatch, key: str) -> pa.Array:
    """The values of a field that stands once in a record."""
    return leaf(batch, Pointer.parse(key)).values


def _count_rows(stats: PayloadStats, batch: Batch, plan: Plan, mask: Mask | None) -> None:
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
    """The rows whose subjects are all that are new, where its released pseudonyms tell: they are one for each, and tenant."""
    policy = plan.policy
    released, steps = batch.released.get(policy.subject or ""), plan.fields[policy.subject or ""].branches[0].steps
    first = steps[0] if steps else None
    tells = isinstance(first, Pseudonymize) and first.per == policy.tenant and not first.fold
    tells = tells and all(isinstance(step, Pseudonymize) for step in steps or ())
    if not tells or len(plan.fields[policy.subject or ""].branches) > 1 or released is None:
        return None
    return pa.array(dictionary.new_rows(released)) if pa.types.is_dictionary(released.type) else None


def _filter_values(values: pa.Array, mask: Mask | None) -> pa.Array:
    return values if mask is None else values.filter(pa.array(mask))


def _nonempty_rows(columns: pa.RecordBatch, plan: Plan) -> Mask | None:
    """Which rows hold anything beside their tenant; None where all do."""
    told = [name for name in columns.schema.names if name != plan.policy.tenant] or columns.schema.names
    empty = np.ones(columns.num_rows, bool)
    for name in told:
        column = columns.column(name)
        if not column.null_count:
            return None
        empty &= column.is_null().to_numpy(zero_copy_only=False)
    return ~empty if empty.any() else None


def _has_planned_schema(batch: pa.RecordBatch, schema: pa.Schema) -> bool:
    return bool(batch.schema.equals(schema))


@dataclass(slots=True)
class InMemoryPayload:
    """Keeps the payload for the caller, who does not see it before it is recorded."""

    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows."""
        self.batches.append(batch)

    def all_batches(self) -> Iterator[pa.RecordBatch]:
        """Every batch, in order."""
        return iter(self.batches)


@dataclass(frozen=True, slots=True)
class DiscardedPayload:
    """Lets the payload go: a dry run counts alone."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows, and lets them go."""
