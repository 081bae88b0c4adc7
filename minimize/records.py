"""Records: what passes between source, stages, sink and receipt, and the codes of quarantined records.

A batch contains the raw columns, the masks and the columns released so far. The masks are computed once, before any other
stage, from the raw columns. Only the released part can reach a sink.

A field's *leaf* is the flat array of its values: one per record for a plain or struct-nested field, one per innermost
element for a field below lists or maps. `nested` takes leaves out of a batch and puts them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self, TypeVar

import pyarrow as pa

from minimize.arrow.pointers import STAR, Pointer
from minimize.stores import Location

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """Counts of what happened to the values of one field: non-null values as read, in the records that were kept."""

    values: int = 0
    changed: int = 0
    gated: int = 0
    unparsable: int = 0
    dropped: int = 0

    def __add__(self, counts: FieldCounts) -> FieldCounts:
        return FieldCounts(
            self.values + counts.values,
            self.changed + counts.changed,
            self.gated + counts.gated,
            self.unparsable + counts.unparsable,
            self.dropped + counts.dropped,
        )


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """Counts of what the stages did. They can be added over batches in any order.

    `gated` counts whole records by reason: `setting`, `condition`, `retention`, `erased`, `consent`.
    """

    gated: Mapping[str, int] = field(default_factory=dict)
    deduplicated: int = 0
    fields: Mapping[str, FieldCounts] = field(default_factory=dict)
    suppressed: int = 0
    """Records that were removed because they miss the bound on disclosure risk."""

    def __add__(self, counts: BatchCounts) -> BatchCounts:
        gated = {key: self.gated.get(key, 0) + counts.gated.get(key, 0) for key in {**self.gated, **counts.gated}}
        none = FieldCounts()
        fields = {
            key: self.fields.get(key, none) + counts.fields.get(key, none) for key in {**self.fields, **counts.fields}
        }
        return BatchCounts(gated, self.deduplicated + counts.deduplicated, fields, self.suppressed + counts.suppressed)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records on their way through the stages. Its repr shows counts and no values."""

    raw: pa.RecordBatch = field(repr=False)
    """The declared columns as read from the source, without the records that were gated."""
    closed: Mapping[str, pa.BooleanArray] = field(default_factory=dict, repr=False)
    """By field key: a boolean leaf array, true where the value must not pass (gate, level, condition, retention). A key that is
    absent has nothing closed."""
    cases: Mapping[str, pa.Int8Array] = field(default_factory=dict, repr=False)
    """By key of a field with `cases`: an int8 leaf array, the index of the case that decides, -1 for `otherwise`."""
    gated_lists: Mapping[str, pa.BooleanArray] = field(default_factory=dict, repr=False)
    """By pointer text of a list or map whose elements are gated: a boolean array per slot of that list, true if no element could
    have been collected, so that even an empty list must not be visible."""
    released: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    """By field key: the leaf array that may be released (can be dictionary-encoded)."""
    measured: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    """By field key with `in_aggregates`: the leaf array that aggregates read instead."""
    ranks: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    """By field key with open bins and a quantile: the released number, or -inf, +inf in an open bin."""
    counts: BatchCounts = field(default_factory=BatchCounts)
    """What the stages did to these records."""
    source: str | None = None
    """The name of the file that the records were read from; None for other sources."""

    def with_(self, **changes: Any) -> Batch:
        """The batch with some of its parts replaced."""
        return replace(self, **changes)


class Stage(Protocol):
    """A function from a batch to a batch."""

    def __call__(self, batch: Batch) -> Batch:
        """Process a batch and return the result."""
        ...


class Tally(Protocol[T_co]):
    """A computation that needs all rows before it has a result. Observe, merge and settle are associative and commutative."""

    def observe(self, batch: Batch) -> None:
        """Add one batch."""
        ...

    def merge(self, tally: Self) -> None:
        """Add the rows that another tally of the same kind has observed."""
        ...

    def settle(self) -> T_co:
        """Return the result as a Stage, a step of a chain, or a table."""
        ...


RECORDS: Final = "records"
"""The output of records. Every other output is an aggregate, or the quarantine."""
POLICY_FILE: Final = "policy.yaml"
PIPELINE_FILE: Final = "pipeline.yaml"
RUNS: Final = "runs"
"""The folder of the receipts of an output; below it a folder per run."""
RECEIPT_FILE: Final = "receipt.json"
NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
"""The name of the partition folder of null."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file, by its path relative to the output folder: replaced, removed, or attached."""

    path: str
    digest: str


PositionUnit = Literal["byte", "row"]
RejectCode = Literal[
    "malformed",
    "too_large",
    "too_long",
    "wrong_type",
    "bad_time",
    "missing_field",
    "forbidden_field",
    "future_time",
    "no_region",
]
REJECT_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "malformed": "the record is not valid in its format",
        "too_large": "the line exceeds the size limit",
        "too_long": "an unchanged value that names a folder of the output is too long for a name",
        "wrong_type": "a value has another type than declared",
        "bad_time": "a value is not a time",
        "missing_field": "a required field is missing",
        "forbidden_field": "the record has a field listed under `never`",
        "future_time": "the event time is later than the run's time plus the policy's `future` (24h by default)",
        "no_region": "the tenant has no region, so no output may contain its records",
    }
)
"""The codes of quarantined records, and what each means."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be processed: a stable code and a position, never a value."""

    position: int
    unit: PositionUnit
    field: str | None
    code: RejectCode


@dataclass(frozen=True, slots=True)
class UndeclaredCount:
    """Number of records with an undeclared path, and up to ten distinct subjects of them (in memory only)."""

    records: int
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    rank: bytes = field(default=b"", repr=False, compare=False)
    """The path's keyed hash, which selects the paths that are counted separately."""

    def __add__(self, count: UndeclaredCount) -> UndeclaredCount:
        subjects = self.subjects
        if len(subjects) < 10:
            subjects = frozenset(sorted(subjects | count.subjects)[:10])
        return UndeclaredCount(self.records + count.records, subjects, self.rank or count.rank)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of a part: the valid ones as Arrow, the others as rejects. `read` counts both.

    The repr of a chunk contains no value and no name that could be one.
    """

    records: pa.RecordBatch = field(repr=False)
    read: int
    rejects: Sequence[Reject] = ()
    undeclared: Mapping[Pointer, UndeclaredCount] = field(default_factory=dict, repr=False)
    positions: pa.Int64Array | None = None
    """The position of each valid record in its part, in the unit of the source; None if not requested."""
    unit: PositionUnit = "row"
    """The unit of positions."""


class Sink(Protocol):
    """Writes released batches; `close` returns the written files."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one batch of the sink's schema, scrubbed or, for sinks that write Parquet, scrubbed `for_parquet`."""
        ...

    def close(self) -> Sequence[WrittenFile]:
        """Complete the files and describe them."""
        ...


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file that a sink completed."""

    path: str
    """The path, relative to the output folder."""
    rows: int
    """The number of rows."""
    digest: str
    """The digest of the file."""
    index: FileRef | None = None
    """The subject index; None if there is none."""
    keys: tuple[str, ...] = ()
    """The master keys under which its columns are encrypted."""


class CompanionWriter(Protocol):
    """Reads the row groups of a file while they are written, and writes a companion file."""

    def group(self, rows: pa.Table) -> None:
        """Add the next row group."""
        ...

    def close(self, written: WrittenFile) -> WrittenFile:
        """Complete the companion file, and return the file with a reference to it."""
        ...

    def abandon(self) -> None:
        """Discard the companion file, because the file is not used."""
        ...


CompanionFactory = Callable[[Location, str], CompanionWriter]
"""Called for each file that is opened, with the folder to which its path is relative, and the path."""


MAX_UNDECLARED_PATHS: Final = 1000
"""Number of distinct undeclared paths of a run that are counted separately."""
OTHER_PATHS: Final = Pointer((STAR,))
"""The path under which the others are counted."""


def merge_undeclared(
    counts: Iterable[Mapping[Pointer, UndeclaredCount]], paths: int = MAX_UNDECLARED_PATHS
) -> dict[Pointer, UndeclaredCount]:
    """The undeclared paths of several chunks, files or workers, merged."""
    together: dict[Pointer, UndeclaredCount] = {}
    for chunk_counts in counts:
        for pointer, carried in chunk_counts.items():
            together[pointer] = together.get(pointer, UndeclaredCount(0)) + carried
        if len(together) > 2 * paths + 1:
            together = bound_undeclared(together, paths)
    return bound_undeclared(together, paths)


def bound_undeclared(
    counts: Mapping[Pointer, UndeclaredCount], paths: int = MAX_UNDECLARED_PATHS
) -> dict[Pointer, UndeclaredCount]:
    """The counts of at most `paths` paths; the others are counted under `/*`, without subjects."""
    listed = [pointer for pointer in counts if pointer != OTHER_PATHS]
    if len(listed) <= paths:
        return dict(counts)
    kept = set(nsmallest(paths, listed, key=lambda pointer: (counts[pointer].rank, str(pointer))))
    other_records = sum(carried.records for pointer, carried in counts.items() if pointer not in kept)
    return {pointer: carried for pointer, carried in counts.items() if pointer in kept} | {
        OTHER_PATHS: UndeclaredCount(other_records)
    }
