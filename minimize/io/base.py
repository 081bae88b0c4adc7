"""What a source offers and what a sink takes.

A new format is one file beside this one with a `Format`, one row in `FORMATS` (`__init__.py`), one test file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

import pyarrow as pa

from minimize.io.find import Shown
from minimize.pointer import Pointer
from minimize.receipt import FileRef
from minimize.stores import Place

Unit = Literal["byte", "row"]
Code = Literal[
    "malformed", "forbidden_field", "wrong_type", "bad_time", "missing_field", "too_large", "too_long", "future_time"
]

MANY: Final = 1 << 20
"""Rows of a chunk that goes on to a sink: a row group's worth, so that a dictionary is written once for all of it."""
FEW: Final = 1 << 17
"""Rows of a chunk that is only looked at: few enough for a processor's cache."""


@dataclass(frozen=True, slots=True)
class Declared:
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
class Request:
    """What a plan wants of a source: its declared fields, what must not arrive, and whose records they are.

    rows  the most rows of a chunk, where a source can be read in any number of them
    salt  what undeclared paths are hashed with
    ids   the tenant and the subject: they are read in their canonical form, and an empty one is missing
    never      the places of what must not arrive
    any_depth  the keys that must not arrive at any depth
    """

    fields: tuple[Declared, ...]
    never: tuple[Pointer, ...] = ()
    subject: Pointer | None = None
    rows: int = MANY
    ids: tuple[Pointer, ...] = ()
    salt: bytes = field(default=b"", repr=False)
    any_depth: tuple[str, ...] = ()

    def rank(self, pointer: Pointer) -> bytes:
        """The keyed hash of an undeclared path."""
        text = str(pointer).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self.salt, person=b"undeclared path").digest()

    def only(self, keys: Collection[str]) -> Request:
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
    unit: Unit
    field: str | None
    code: Code


@dataclass(frozen=True, slots=True)
class Carried:
    """How many records carry an undeclared path, and up to ten distinct subjects that do (in memory only).

    rank  the path's keyed hash, which decides whether it is counted by itself where there are many
    """

    records: int
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    rank: bytes = field(default=b"", repr=False, compare=False)

    def __add__(self, other: Carried) -> Carried:
        subjects = self.subjects
        if len(subjects) < 10:
            subjects = frozenset(sorted(subjects | other.subjects)[:10])
        return Carried(self.records + other.records, subjects, self.rank or other.rank)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of a part: the good ones as Arrow, the others as rejects. `read` counts both.

    What is printed of a chunk holds no value, and no name that could be one.
    """

    records: pa.RecordBatch = field(repr=False)
    read: int
    rejects: Sequence[Reject] = ()
    undeclared: Mapping[Pointer, Carried] = field(default_factory=dict, repr=False)
    positions: pa.Int64Array | None = None
    """Where each good record stands in its part, in the unit of the source; None where nobody asked."""
    unit: Unit = "row"
    """The unit of positions."""


class Part(Protocol):
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

    def pieces(self) -> Sequence[Part]:
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
    def parts(self) -> Sequence[Part]:
        """The files, sorted by name."""
        ...

    def only(self, keys: Collection[str]) -> Source:
        """The same records with no more than these fields (by key) and what is required, for a pass that needs no others."""
        ...


class Format(Protocol):
    """A way to read files: binds files to a request. `shown` says how hive partitions are shown in the names of parts."""

    def __call__(self, files: Sequence[Place], root: Place, request: Request, *, shown: Shown | None = None) -> Source:
        """The bound source. Raises SchemaError with the whole diff, before anything is decoded."""
        ...


class Sink(Protocol):
    """Takes released batches; what it wrote is described by `close`."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one scrubbed batch of the sink's schema."""
        ...

    def close(self) -> Sequence[Written]:
        """Finishes the files and says what they hold."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """One file that a sink finished: its path relative to the output folder, its rows, its digest, its index and its sketches if
    it has them, and the master keys that its columns are encrypted under."""

    path: str
    rows: int
    digest: str
    index: FileRef | None = None
    keys: tuple[str, ...] = ()
    sketches: FileRef | None = None


class Beside(Protocol):
    """Sees one file's row groups while they are written, and makes something that stands beside the file."""

    def group(self, rows: pa.Table) -> None:
        """Takes in the next row group."""
        ...

    def close(self, written: Written) -> Written:
        """Finishes; gives the file with what stands beside it."""
        ...

    def abandon(self) -> None:
        """Lets go; the file is worth nothing."""
        ...


Watch = Callable[[Place, str], Beside]
"""Called for each file that is opened: with the folder that its path is relative to, and the path."""
