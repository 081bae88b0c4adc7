"""Protocols of sources and sinks: requests, chunks of records, rejects, positions, undeclared fields.

To add a format, write a module in this folder with a `SourceFormat`, a row in `FORMATS` (`__init__.py`) and a test
file.

Undeclared paths are counted per path, bounded against hostile names: the `MAX_UNDECLARED_PATHS` paths with the
smallest keyed hashes are counted one by one, the others under `/*`. The selection depends neither on the order of the
records nor on how counts are merged, and no file can choose it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from typing import Final, Literal, Protocol, runtime_checkable

import pyarrow as pa

from minimize.arrow.pointers import STAR, Pointer
from minimize.receipts import FileRef
from minimize.sources.file_discovery import NameMask
from minimize.stores import Location

PositionUnit = Literal["byte", "row"]
RejectCode = Literal[
    "malformed", "forbidden_field", "wrong_type", "bad_time", "missing_field", "too_large", "too_long", "future_time"
]

SINK_CHUNK_ROWS: Final = 1 << 20
"""Rows of a chunk that goes on to a sink: a row group's worth, so that a dictionary is written once for all of it."""
SCAN_CHUNK_ROWS: Final = 1 << 17
"""Rows of a chunk that is only looked at: few enough for a processor's cache."""


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """One field as the policy declares it to a source.

    type      the policy's word: `string`, `decimal(10,2)`, …
    required  must be there and not null, or the record is quarantined (`missing_field`)
    optional  a columnar source may lack the column
    needed    somebody reads its values; what is not needed is checked where that costs no decoding, and never decoded
    deciding  it tells of whole records whether they may be read at all, in every pass
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
    """What a plan wants of a source: its declared fields, what must not arrive, and whose records they are.

    rows  the most rows of a chunk, where a source can be read in any number of them
    salt  what undeclared paths are hashed with
    ids   the tenant and the subject: they are read in their canonical form, and an empty one is missing
    never      the places of what must not arrive
    any_depth  the keys that must not arrive at any depth
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
        """The same request of which nobody reads more than these fields. What is checked stays the same."""
        fields = (
            replace(each, needed=each.needed and (each.required or each.deciding or each.key in keys))
            for each in self.fields
        )
        return replace(self, fields=tuple(fields))


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that could not be processed: a stable code and a pointer to it, never a value."""

    position: int
    unit: PositionUnit
    field: str | None
    code: RejectCode


@dataclass(frozen=True, slots=True)
class UndeclaredCount:
    """How many records carry an undeclared path, and up to ten distinct subjects that do (in memory only).

    rank  the path's keyed hash, which decides whether it is counted by itself where there are many
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
    """Some records of a part: the good ones as Arrow, the others as rejects. `read` counts both.

    What is printed of a chunk holds no value, and no name that could be one.
    """

    records: pa.RecordBatch = field(repr=False)
    read: int
    rejects: Sequence[Reject] = ()
    undeclared: Mapping[Pointer, UndeclaredCount] = field(default_factory=dict, repr=False)
    positions: pa.Int64Array | None = None
    """Where each good record stands in its part, in the unit of the source; None where nobody asked."""
    unit: PositionUnit = "row"
    """The unit of positions."""


class SourcePart(Protocol):
    """One file of a source, or data in memory."""

    @property
    def name(self) -> str:
        """The path relative to the source's root, as receipts and quarantine show it."""
        ...

    @property
    def digest(self) -> str:
        """`sha256:` of the bytes as they are stored."""
        ...

    @property
    def size(self) -> int:
        """Stored bytes, about; 0 for data in memory."""
        ...

    def pieces(self) -> Sequence[SourcePart]:
        """The same records as pieces that can be read side by side, in order; itself where it cannot be cut."""
        ...

    def read(self) -> Iterator[Chunk]:
        """The records, in bounded chunks, in order; every chunk has the source's schema. Raises SourceError."""
        ...


class Source(Protocol):
    """Records bound to a request: checked against the policy before anything is read."""

    @property
    def schema(self) -> pa.Schema:
        """The needed columns, nested as the source has them, declared parts only; the type of every chunk's records
        (dictionary-encoded where that is cheaper to read)."""
        ...

    @property
    def parts(self) -> Sequence[SourcePart]:
        """The files, sorted by name."""
        ...

    def only(self, keys: Collection[str]) -> Source:
        """The same records with no more than these fields (by key) and what is required, for a pass that needs no others."""
        ...


class SourceFormat(Protocol):
    """A way to read files: binds files to a request. `shown` says how hive partitions are shown in the names of parts."""

    def __call__(
        self, files: Sequence[Location], root: Location, request: SourceRequest, *, shown: NameMask | None = None
    ) -> Source:
        """The bound source. Raises SchemaError with the whole diff, before anything is decoded."""
        ...


class Sink(Protocol):
    """Takes released batches; what it wrote is described by `close`."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one scrubbed batch of the sink's schema."""
        ...

    def close(self) -> Sequence[WrittenFile]:
        """Finishes the files and says what they hold."""
        ...


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file that a sink finished: its path relative to the output folder, its rows, its digest, its index and its sketches if
    it has them, and the master keys that its columns are encrypted under."""

    path: str
    rows: int
    digest: str
    index: FileRef | None = None
    keys: tuple[str, ...] = ()
    sketches: FileRef | None = None


class CompanionWriter(Protocol):
    """Sees one file's row groups while they are written, and makes something that stands beside the file."""

    def group(self, rows: pa.Table) -> None:
        """Takes in the next row group."""
        ...

    def close(self, written: WrittenFile) -> WrittenFile:
        """Finishes; gives the file with what stands beside it."""
        ...

    def abandon(self) -> None:
        """Lets go; the file is worth nothing."""
        ...


CompanionFactory = Callable[[Location, str], CompanionWriter]
"""Called for each file that is opened: with the folder that its path is relative to, and the path."""


@runtime_checkable
class SeekablePart(Protocol):
    """A part that need not be read whole for some of its records."""

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        ...


def accepted_positions(part: SourcePart, positions: Iterable[int]) -> frozenset[int]:
    """Those of the positions, at each of which a record of the part stands, whose record is not rejected.

    Raises SourceError where the part cannot be read.
    """
    wanted = frozenset(positions)
    chunks = part.read_positions(sorted(wanted)) if isinstance(part, SeekablePart) else part.read()
    return wanted - {reject.position for chunk in chunks for reject in chunk.rejects}


MAX_UNDECLARED_PATHS: Final = 1000
"""How many distinct undeclared paths of a run are counted by themselves."""
OTHER_PATHS: Final = Pointer((STAR,))
"""Where the others are counted."""


def merge_undeclared(
    counts: Iterable[Mapping[Pointer, UndeclaredCount]], paths: int = MAX_UNDECLARED_PATHS
) -> dict[Pointer, UndeclaredCount]:
    """What several chunks, files or workers carry undeclared, together."""
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
    """The counts of so many paths; those of the others are counted under `/*`, of which no subjects are kept."""
    listed = [pointer for pointer in counts if pointer != OTHER_PATHS]
    if len(listed) <= paths:
        return dict(counts)
    kept = set(nsmallest(paths, listed, key=lambda pointer: (counts[pointer].rank, str(pointer))))
    rest = sum(carried.records for pointer, carried in counts.items() if pointer not in kept)
    return {pointer: carried for pointer, carried in counts.items() if pointer in kept} | {
        OTHER_PATHS: UndeclaredCount(rest)
    }
