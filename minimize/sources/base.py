"""Protocols of sources and sinks: requests, chunks of records, rejects, positions, undeclared fields.

Undeclared paths are counted per path, with a limit that hostile names cannot exceed: the `MAX_UNDECLARED_PATHS` paths with
the smallest keyed hashes are counted separately, the others under `/*`. The selection depends neither on the order of the
records nor on the order of merges, and no file can influence it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, runtime_checkable

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk

SINK_CHUNK_ROWS: Final = 1 << 20
"""Rows of a chunk that is passed to a sink: one row group, so that its dictionary is written once."""
SCAN_CHUNK_ROWS: Final = 1 << 17
"""Rows of a chunk that is only read: few enough for the processor's cache."""


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """One field as the policy declares it to a source."""

    key: str
    pointer: Pointer
    type: str
    """The policy's word: `string`, `decimal(10,2)`, …"""
    required: bool = False
    """Whether the field must be present and not null. Otherwise the record is quarantined (`missing_field`)."""
    optional: bool = False
    """Whether a columnar source may lack the column."""
    needed: bool = True
    """Whether the values are read. Other fields are never decoded, and are checked only if that needs no decoding."""
    deciding: bool = False
    """Whether the field decides in every pass if whole records may be read."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """The requirements of a plan for a source: declared fields, forbidden paths, and the fields of tenant and subject."""

    fields: tuple[DeclaredField, ...]
    never: tuple[Pointer, ...] = ()
    """The forbidden paths."""
    subject: Pointer | None = None
    rows: int = SINK_CHUNK_ROWS
    """Maximum rows of a chunk, if the source can be read in chunks of any size."""
    ids: tuple[Pointer, ...] = ()
    """The tenant and the subject, which are read in their canonical form; an empty one counts as missing."""
    salt: bytes = field(default=b"", repr=False)
    """Key of the hashes of undeclared paths."""
    any_depth: tuple[str, ...] = ()
    """The keys that are forbidden at any depth."""

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
    requested = frozenset(positions)
    chunks = part.read_positions(sorted(requested)) if isinstance(part, SeekablePart) else part.read()
    return requested - {reject.position for chunk in chunks for reject in chunk.rejects}
