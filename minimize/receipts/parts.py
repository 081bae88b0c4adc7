"""Parts of a receipt, in the order in which its JSON shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from minimize.times import time_text

ReceiptKind = Literal["run", "replay", "expire", "retract", "correct", "delete", "rotate", "adopt", "void"]
ANNOTATING_KINDS: Final[frozenset[ReceiptKind]] = frozenset({"adopt", "void"})
"""Kinds of receipts that record a decision about an output and change none of its files."""
RetractionSource = Literal["source", "output"]
"""What a retraction was made from."""
OMIT_IF_NONE: Final = {"omit": True}


@dataclass(frozen=True, slots=True)
class ReceiptApproval:
    """Who approved a policy as it was, and on which day."""

    by: str
    on: str


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The policy that a run followed; the digest is over the file's bytes. `approved` is absent where it was not approved as it
    was then."""

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
    """The digest of a plan, of settings or of a list of erasures."""

    digest: str


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """Where the files of a run lay, relative to the output folder, where it does not tell by itself: the pipeline's, and what
    was given instead of its source and settings."""

    pipeline: str | None = field(default=None, metadata=OMIT_IF_NONE)
    input: str | None = field(default=None, metadata=OMIT_IF_NONE)
    settings: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that was read: its path relative to the source's root, and its batch date where a run had several."""

    path: str
    digest: str
    rows: int
    date: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What became of the rows read. They balance: `read` is the sum of the others."""

    read: int = 0
    written: int = 0
    gated: int = 0
    quarantined: int = 0
    suppressed: int = 0
    deduplicated: int = 0


@dataclass(frozen=True, slots=True)
class GatedRows:
    """Why whole rows were gated; the sum is `rows.gated`. `consent` is absent where no row was gated by it."""

    setting: int = 0
    condition: int = 0
    retention: int = 0
    erased: int = 0
    consent: int | None = field(default=None, metadata=OMIT_IF_NONE)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Self:
        """The counts of a run, by reason."""
        always = {reason: counts.get(reason, 0) for reason in ("setting", "condition", "retention", "erased")}
        return cls(**always, consent=counts.get("consent") or None)

    @property
    def reasons(self) -> dict[str, int]:
        """The rows by reason, all reasons."""
        return {part.name: getattr(self, part.name) or 0 for part in fields(self)}


@dataclass(frozen=True, slots=True)
class ReceivedFrom:
    """The third party that sent the records of a run, and the function of its manifest by which it did.

    manifest  the digest of the manifest's file
    contract  the reference of the contract in force
    consents  the digest of the terms that were asked for, and of the acts that decided
    """

    recipient: str
    function: str
    manifest: str
    contract: str | None
    consents: str


@dataclass(frozen=True, slots=True)
class FieldReceipt:
    """What was done to one field, as counts of non-null values of written records as they came in.

    `values` is None where nobody counted: the field is dropped, and was not looked at.
    """

    did: str | tuple[str, ...]
    values: int | None = 0
    changed: int = 0
    gated: int = 0
    unparsable: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file, by its path relative to the output folder: replaced, removed, or standing beside another."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """One file of an output: its path relative to the output folder; `keys` are those that its columns are encrypted under.

    `index` and `sketches` are filled in from `WrittenOutput` when files in force are worked out; a receipt's JSON has them there.
    """

    path: str
    rows: int
    digest: str
    index: FileRef | None = field(default=None, metadata=OMIT_IF_NONE)
    keys: tuple[str, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    sketches: FileRef | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class CompanionFile:
    """A file that is published together with a file of an output (`of`): an index, or sketches. Sketches may outlive it."""

    path: str
    digest: str
    of: str


@dataclass(frozen=True, slots=True)
class WrittenOutput:
    """What was written under one name. What stands in the middle is for aggregates, `index` is for records.

    groups_past  groups that were past the aggregate's retention, with `rows_past` rows; absent where there were none
    deferred     rows whose new figures wait until more subjects have changed
    sketches     the contribution sketches of each file of an aggregate: what it and earlier files published
    too_late     rows of event days that were published before they came
    too_early    rows whose clock ran so far ahead that no event day waits for them
    event_days   per batch of the run the rows that it had of each event day that waits
    days         per event day that was published the rows that each batch had of it
    unpublished  event days that could not be published, and why
    """

    category: str
    rows: int
    groups_suppressed: int | None = field(default=None, metadata=OMIT_IF_NONE)
    rows_suppressed: int | None = field(default=None, metadata=OMIT_IF_NONE)
    deferred: int | None = field(default=None, metadata=OMIT_IF_NONE)
    too_late: int | None = field(default=None, metadata=OMIT_IF_NONE)
    too_early: int | None = field(default=None, metadata=OMIT_IF_NONE)
    event_days: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=OMIT_IF_NONE)
    days: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=OMIT_IF_NONE)
    unpublished: Mapping[str, str] | None = field(default=None, metadata=OMIT_IF_NONE)
    files: tuple[ReceiptFile, ...] = ()
    index: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    sketches: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    groups_past: int | None = field(default=None, metadata=OMIT_IF_NONE)
    rows_past: int | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """How many records could not be processed, by stable code, and the files that point to them."""

    rows: int = 0
    by_code: Mapping[str, int] = field(default_factory=dict)
    files: tuple[ReceiptFile, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The head of the audit log when the receipt was signed: how many entries it had, the digest of the last, and the identity
    of the ledger. Receipts of older versions name no ledger."""

    sequence: int
    head: str
    ledger: str | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class LedgerAdoption:
    """That an output is continued with another ledger: why, and the ledger that its receipts named before."""

    reason: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """An Ed25519 signature over the canonical JSON of everything else; `value` is base64."""

    algorithm: str
    key: str
    value: str


def as_jsonable(value: Any) -> Any:
    """A part as JSON: dataclasses as objects in their order, times as text, tuples as lists."""
    if is_dataclass(value):
        return {
            part.name.rstrip("_"): as_jsonable(getattr(value, part.name))
            for part in fields(value)
            if not (part.metadata.get("omit") and getattr(value, part.name) is None)
        }
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return {key: as_jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_jsonable(each) for each in value]
    return value
