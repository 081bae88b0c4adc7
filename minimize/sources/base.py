"""Protocols of sources and sinks: requests, chunks of records, rejects, positions, undeclared fields.

Undeclared paths are counted per path, with a limit that hostile names cannot exceed: the `MAX_UNDECLARED_PATHS` paths with
the smallest keyed hashes are counted separately, the others under `/*`. The selection depends neither on the order of the
records nor on the order of merges, and no file can influence it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from types import MappingProxyType
from typing import Final, Literal, Protocol, runtime_checkable

import pyarrow as pa

from minimize.arrow.pointers import STAR, Pointer
from minimize.receipts import FileRef
from minimize.stores import Location

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

SINK_CHUNK_ROWS: Final = 1 << 20
"""Rows of a chunk that is passed to a sink: one row group, so that its dictionary is written once."""
SCAN_CHUNK_ROWS: Final = 1 << 17
"""Rows of a chunk that is only read: few enough for the processor's cache."""


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """One field as the policy declares it to a source.

    type      the policy's word: `string`, `decimal(10,2)`, …
    required  must be present and not null, or the record is quarantined (`missing_field`)
    optional  a columnar source may lack the column
    needed    the values are read; other fields are never decoded, and checked only if that needs no decoding
    deciding  decides in every pass whether whole records may be read
    """

    key: str
    pointer: Pointer
    type: str
    required: bool = False
    optional: bool = False
    needed: bool = True
    deciding: bool = False


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """The requirements of a plan for a source: declared fields, forbidden paths, and the fields of tenant and subject.

    rows  maximum rows of a chunk, if the source can be read in chunks of any size
    salt  key of the hashes of undeclared paths
    ids   the tenant and the subject, which are read in their canonical form; an empty one counts as missing
    never      the forbidden paths
    any_depth  the keys that are forbidden at any depth
    """

    fields: tuple[DeclaredField, ...]
    never: tuple[Pointer, ...] = ()
    subject: Pointer | None = None
    rows: int = SINK_CHUNK_ROWS
    ids: tuple[Pointer, ...] = ()
    salt: bytes = field(default=b"", repr=False)
    any_depth: tuple[str, ...] = ()

    def rank(self, pointer: Pointer) -> bytes:
        """The keyed hash of an undeclared path."""
        text = str(pointer).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self.salt, person=b"undeclared path").digest()

    def only(self, keys: Collection[str]) -> SourceRequest:
        """The same request, restricted to reading these fields. The checks do not change."""
        fields = (
            replace(each, needed=each.needed and (each.required or each.deciding or each.key in keys))
            for each in self.fields
        )
        return replace(self, fields=tuple(fields))


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be processed: a stable code and a position, never a value."""

    position: int
    unit: PositionUnit
    field: str | None
    code: RejectCode


@dataclass(frozen=True, slots=True)
class UndeclaredCount:
    """Number of records with an undeclared path, and up to ten distinct subjects of them (in memory only).

    rank  the path's keyed hash, which selects the paths that are counted separately
    """

    records: int
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    rank: bytes = field(default=b"", repr=False, compare=False)

    def __add__(self, other: UndeclaredCount) -> UndeclaredCount:
        subjects = self.subjects
        if len(subjects) < 10:
            subjects = frozenset(sorted(subjects | other.subjects)[:10])
        return UndeclaredCount(self.records + other.records, subjects, self.rank or other.rank)


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


class SourcePart(Protocol):
    """One file of a source, or data in memory."""

    @property
    def name(self) -> str:
        """The path relative to the source's root, as in receipts and quarantine."""
        ...

    @property
    def digest(self) -> str:
        """The digest of the stored bytes."""
        ...

    @property
    def size(self) -> int:
        """Approximate stored bytes; 0 for data in memory."""
        ...

    def pieces(self) -> Sequence[SourcePart]:
        """The same records in pieces that can be read in parallel, in order; the part itself if it cannot be split."""
        ...

    def read(self) -> Iterator[Chunk]:
        """The records in order, in chunks of bounded size. Every chunk has the source's schema. Raises SourceError."""
        ...


class Source(Protocol):
    """Records bound to a request, which is checked against the policy before any data is read."""

    @property
    def schema(self) -> pa.Schema:
        """The needed columns, nested as in the source, with their declared parts only. It is the type of every chunk's records
        (dictionary-encoded if that is cheaper to read).
        """
        ...

    @property
    def parts(self) -> Sequence[SourcePart]:
        """The files, sorted by name."""
        ...

    def only(self, keys: Collection[str]) -> Source:
        """The same records, restricted to these fields (by key) and the required ones."""
        ...


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
    """One file that a sink completed.

    path      relative to the output folder
    rows      number of rows
    digest    digest of the file
    index     the subject index; None if there is none
    keys      the master keys under which its columns are encrypted
    """

    path: str
    rows: int
    digest: str
    index: FileRef | None = None
    keys: tuple[str, ...] = ()


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


@runtime_checkable
class SeekablePart(Protocol):
    """A part from which some records can be read without reading all of it."""

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        ...


def accepted_positions(part: SourcePart, positions: Iterable[int]) -> frozenset[int]:
    """The given positions of records, without those of rejected records.

    Raises SourceError if the part cannot be read.
    """
    wanted = frozenset(positions)
    chunks = part.read_positions(sorted(wanted)) if isinstance(part, SeekablePart) else part.read()
    return wanted - {reject.position for chunk in chunks for reject in chunk.rejects}


MAX_UNDECLARED_PATHS: Final = 1000
"""Number of distinct undeclared paths of a run that are counted separately."""
OTHER_PATHS: Final = Pointer((STAR,))
"""The path under which the others are counted."""


def merge_undeclared(
    counts: Iterable[Mapping[Pointer, UndeclaredCount]], paths: int = MAX_UNDECLARED_PATHS
) -> dict[Pointer, UndeclaredCount]:
    """The undeclared paths of several chunks, files or workers, merged."""
    together: dict[Pointer, UndeclaredCount] = {}
    for one in counts:
        for pointer, carried in one.items():
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
    rest = sum(carried.records for pointer, carried in counts.items() if pointer not in kept)
    return {pointer: carried for pointer, carried in counts.items() if pointer in kept} | {
        OTHER_PATHS: UndeclaredCount(rest)
    }
