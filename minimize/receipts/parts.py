"""Parts of a receipt, in the order in which its JSON shows them.

Canonical form of receipts: digests, run ids, and the canonical bytes of JSON (RFC 8785).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import rfc8785

from minimize.records import FileRef
from minimize.results import OMIT_IF_NONE

ReceiptKind = Literal[
    "run", "replay", "expire", "retract", "correct", "delete", "restrict", "lift", "rotate", "adopt", "void"
]
ANNOTATING_KINDS: Final[frozenset[ReceiptKind]] = frozenset({"adopt", "void"})
"""Kinds of receipts that record a decision about an output and change none of its files."""
RetractionSource = Literal["source", "output"]
"""The origin of the rows of a retraction."""


@dataclass(frozen=True, slots=True)
class ReceiptApproval:
    """The person who approved the content of a policy, and the day."""

    by: str
    on: str


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The policy of a run; the digest is over the file's bytes. `approved` is absent if this content was not approved."""

    name: str
    version: int
    digest: str
    approved: ReceiptApproval | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class BackfillRef:
    """The backfill that a run was part of; the digest is over the file's bytes."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class DigestRef:
    """The digest of a plan, of settings or of an erasure list."""

    digest: str


@dataclass(frozen=True, slots=True)
class RegionRef:
    """The region whose rows an output contains; the digest is over the file of tenants."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """The paths of a run's files, relative to the output folder, if they cannot be found from the output: the pipeline, and the
    paths that replaced its source and settings."""

    pipeline: str | None = field(default=None, metadata=OMIT_IF_NONE)
    input: str | None = field(default=None, metadata=OMIT_IF_NONE)
    settings: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that was read: its path relative to the source's root, and its batch date if a run had several.

    `rows` is None if the count is sealed.
    """

    path: str
    digest: str
    rows: int | None = field(metadata=OMIT_IF_NONE)
    date: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class ReceiptRowCounts:
    """Counts of the rows read, by result. They balance: `read` is the sum of the others.

    If the exact counts are sealed, `read` is rounded and the others are None (see `shown_counts`).
    """

    read: int = 0
    written: int | None = field(default=0, metadata=OMIT_IF_NONE)
    gated: int | None = field(default=0, metadata=OMIT_IF_NONE)
    quarantined: int | None = field(default=0, metadata=OMIT_IF_NONE)
    suppressed: int | None = field(default=0, metadata=OMIT_IF_NONE)
    deduplicated: int | None = field(default=0, metadata=OMIT_IF_NONE)

    @property
    def is_sealed(self) -> bool:
        """Whether the exact counts are sealed."""
        return self.written is None

    @property
    def by_result(self) -> dict[str, int]:
        """The counts that are shown, by name."""
        return _known_counts(self)


@dataclass(frozen=True, slots=True)
class RiskEntry:
    """The measured disclosure risk of the records: statistics of the worst combination, never a value and never which one it is.

    With several batch dates, the statistics are those of the worst date, and `dates` has those of each.
    """

    k: int | None = None
    """The number of persons (or rows, if the bound counts them) of the smallest combination; None without records."""
    l: float | None = field(default=None, metadata=OMIT_IF_NONE)  # noqa: E741 - the established name
    """The number of distinct sensitive values of the combination that has fewest."""
    t: float | None = field(default=None, metadata=OMIT_IF_NONE)
    """The distance between the sensitive values of a combination and of all records, at most."""
    measures: Mapping[str, float] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Further measures that the bound requires, by name."""
    suppressed: int = 0
    """Records that were removed because they miss the bound."""
    levels: Mapping[str, int] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The level that a search chose for each field with `auto`; 0 is the finest."""
    loss: float | None = field(default=None, metadata=OMIT_IF_NONE)
    """The share of detail that the levels and the removed records cost, from 0 to 1."""
    lower_bound: float | None = field(default=None, metadata=OMIT_IF_NONE)
    """A loss that no other choice of levels falls below."""
    proven: bool | None = field(default=None, metadata=OMIT_IF_NONE)
    """Whether no other choice of levels has a smaller loss."""
    dates: Mapping[str, RiskEntry] | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class GatedRows:
    """Counts of gated rows by reason; the sum is `rows.gated`. `consent`, `restricted`, `region` and `risk` are absent if they
    gated no row. All are absent if the counts are sealed."""

    setting: int | None = field(default=0, metadata=OMIT_IF_NONE)
    condition: int | None = field(default=0, metadata=OMIT_IF_NONE)
    retention: int | None = field(default=0, metadata=OMIT_IF_NONE)
    erased: int | None = field(default=0, metadata=OMIT_IF_NONE)
    consent: int | None = field(default=None, metadata=OMIT_IF_NONE)
    restricted: int | None = field(default=None, metadata=OMIT_IF_NONE)
    region: int | None = field(default=None, metadata=OMIT_IF_NONE)
    risk: int | None = field(default=None, metadata=OMIT_IF_NONE)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Self:
        """The counts of a run, by reason."""
        always = {reason: counts.get(reason, 0) for reason in ("setting", "condition", "retention", "erased")}
        names = ("consent", "restricted", "region", "risk")
        return cls(**always, **{reason: counts.get(reason) or None for reason in names})

    @property
    def reasons(self) -> dict[str, int]:
        """The rows by reason. A reason that is absent in the receipt is absent here."""
        return _known_counts(self)


def _known_counts(counts: ReceiptRowCounts | GatedRows) -> dict[str, int]:
    values = ((part.name, getattr(counts, part.name)) for part in fields(counts))
    return {name: count for name, count in values if count is not None}


@dataclass(frozen=True, slots=True)
class DecidingFunctionReceipt:
    """The third party and the function of its manifest whose consents decided on the records of a run.

    It is the function by which it sent them, or the only one that they are collected for.
    """

    recipient: str
    function: str
    manifest: str
    """The digest of the manifest's file."""
    contract: str | None
    """The reference of the organization's contract with a processor; None for an independent controller, whose contracts with
    tenants are part of `consents`."""
    consents: str
    """The digest of the required consent terms, and of the consents that decided."""


@dataclass(frozen=True, slots=True)
class FieldReceipt:
    """The treatment of one field: counts of non-null input values of written records.

    `values` is None if they were not counted: the field is dropped and was not read. All counts are None if they are sealed.
    `outputs` are those with its values, or with statistics or groups of them; None in receipts of earlier versions.
    """

    did: str | tuple[str, ...]
    values: int | None = 0
    changed: int | None = field(default=0, metadata=OMIT_IF_NONE)
    gated: int | None = field(default=0, metadata=OMIT_IF_NONE)
    unparsable: int | None = field(default=0, metadata=OMIT_IF_NONE)
    dropped: int | None = field(default=0, metadata=OMIT_IF_NONE)
    outputs: tuple[str, ...] | None = field(default=None, metadata=OMIT_IF_NONE)

    @property
    def is_sealed(self) -> bool:
        """Whether the counts are sealed."""
        return self.changed is None

    @property
    def is_treated(self) -> bool:
        """Whether a technique is applied to its values in records."""
        return self.did not in ("drop", "keep")

    @property
    def is_unchanged(self) -> bool:
        """Whether its technique has left every value as it was. Not known if the counts are sealed."""
        treated = (self.values or 0) - (self.gated or 0) - (self.unparsable or 0) - (self.dropped or 0)
        return self.is_treated and treated > 0 and self.changed == 0


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """One file of an output: its path relative to the output folder; `keys` are those under which its columns are encrypted.

    `index` is copied from `WrittenOutput` when files in force are computed; a receipt's JSON has it there.
    """

    path: str
    rows: int
    digest: str
    index: FileRef | None = field(default=None, metadata=OMIT_IF_NONE)
    keys: tuple[str, ...] | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class CompanionFile:
    """A file that is published together with a file of an output (`of`): an index."""

    path: str
    digest: str
    of: str


@dataclass(frozen=True, slots=True)
class NoiseEntry:
    """The noise of an aggregate's statistics: the standard deviation of each draw of a count, by how much a noisy count exceeds
    the threshold, the version of the tables of thresholds, and the name of the source, by which releases are counted."""

    sd: str
    margin: int
    tables: int
    source: str


@dataclass(frozen=True, slots=True)
class ReleaseEntry:
    """The release of a date: its number, from 1, and a keyed mark that only equal data give again."""

    number: int
    mark: str


@dataclass(frozen=True, slots=True)
class WrittenOutput:
    """The files and counts of one output name. `index` is for records, the fields listed here are for aggregates."""

    category: str
    rows: int
    groups_suppressed: int | None = field(default=None, metadata=OMIT_IF_NONE)
    rows_suppressed: int | None = field(default=None, metadata=OMIT_IF_NONE)
    too_late: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """Rows of event days that were already published when the rows arrived."""
    too_early: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """Rows with a time so far in the future that no event day waits for them."""
    event_days: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Per batch of the run, the number of its rows per waiting event day."""
    days: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Per published event day, the number of its rows per batch."""
    unpublished: Mapping[str, str] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Event days that could not be published, with reasons."""
    files: tuple[ReceiptFile, ...] = ()
    index: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    sketches: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The contribution sketches of each file of an aggregate; earlier versions only."""
    groups_past: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """Groups that were past the aggregate's retention, with `rows_past` rows; absent if there were none."""
    rows_past: int | None = field(default=None, metadata=OMIT_IF_NONE)
    noise: NoiseEntry | None = field(default=None, metadata=OMIT_IF_NONE)
    """The noise of an aggregate's statistics; absent if they are exact."""
    exact_of: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The name of the source of exact statistics, by which publications of a date are found; absent for others."""
    releases: Mapping[str, ReleaseEntry] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The release of each date; the date of a table without dates is empty."""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """Number of records that could not be processed, by stable code, and the files that point to them."""

    rows: int = 0
    by_code: Mapping[str, int] = field(default_factory=dict)
    files: tuple[ReceiptFile, ...] = ()
    above_limit: bool | None = field(default=None, metadata=OMIT_IF_NONE)
    """Whether they are more than the pipeline's `warn_above`; stated if the number of rows read is sealed."""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The head of the audit log when the receipt was signed: the number of entries, the digest of the last one, and the identity
    of the ledger. Receipts of older versions name no ledger."""

    sequence: int
    head: str
    ledger: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class LedgerAdoption:
    """The adoption of another ledger by an output: the reason, and the ledger that its receipts named before."""

    reason: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """An Ed25519 signature over the canonical JSON of the rest of the receipt; `value` is base64."""

    algorithm: str
    key: str
    value: str


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_LARGEST_INTEGER: Final = 2**53 - 1


def new_run_id(started: datetime, suffix: str | None = None) -> str:
    """A unique id that sorts by the second of the run's start and is safe as a file name.

    Takes the run's start (with a time zone), and the 12 hexadecimal digits at the end of the id if the caller must know it
    earlier.

    >>> new_run_id(datetime(2026, 11, 25, 8, 30, tzinfo=UTC), "0123456789ab")
    '20261125T083000Z-0123456789ab'
    """
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6) if suffix is None else suffix}"


def sha256_text(content: bytes) -> str:
    """The digest of these bytes as in receipts: `sha256:` and hexadecimal digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a JSON object (RFC 8785): equal objects have equal bytes.

    The encoder of Python writes the same bytes if there is no float and every key is ASCII. It takes an eighth of the time, which
    is more than half of reading a receipt.

    >>> canonical_json({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    return _ENCODER.encode(document).encode() if _is_plain(document) else bytes(rfc8785.dumps(document))


def _is_plain(value: Any) -> bool:
    """Whether Python and RFC 8785 write a value alike. Keys of ASCII have the same order as UTF-16 and as code points."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_LARGEST_INTEGER <= value <= _LARGEST_INTEGER)
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(map(_is_plain, value.values()))
    return kind is list and all(map(_is_plain, value))
