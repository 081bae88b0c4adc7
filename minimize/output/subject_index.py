"""Index of the subjects in a file of records, readable with the keyring only: keys, format, writer.

For each file, `index/…/<name>.index` contains, sorted, the first 8 bytes of a keyed hash of each released value of the subject's
column, and the row groups that have it. It is encrypted in blocks, so that a search reads few of them. It is stored outside the
data roots, so that other engines do not read it. If two values share a prefix, a reader opens a row group unnecessarily; a value
in the file is always found.

The format of an index file, version 2:

    MZINDEX2 · blocks, section by section · contents · length of the contents, key version, MZINDEX2

Blocks and contents are encrypted with the `subject` key of that version. A block can be decrypted only in its file and at its
position, the contents only for the path and digest of their file of records. A block has up to 4,096 prefixes, ascending, 8 bytes
each (little-endian), then for each one bit per row group. The contents have the name of the hash, the subject's path
and, for each section, its row groups and its number of prefixes, then the first prefix of each block. The same values, path,
digest and key give the same bytes.

Version 1 does not name its hash, and versions of minimize used different ones. A search trusts only an index with `INDEX_HASH`;
instead of any other index it reads the file.

The writer's memory is bounded by a section, independent of the size of the file.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import value_type
from minimize.arrow.hashing import text_bytes, text_offsets
from minimize.arrow.interner import Int32Codes, TextInterner
from minimize.arrow.nested import leaf, leaf_type
from minimize.arrow.pointers import Pointer
from minimize.checkpoints import checkpoint
from minimize.keys.cryptography import SEAL_BYTES, KeyedHash, Sealer
from minimize.keys.keyring import SUBJECT_KEY, Subkeys, subject_sealer
from minimize.records import FileRef, WrittenFile
from minimize.stores import Location
from minimize.stores.durable_files import HashingFile

VALUES_PURPOSE, SEAL_PURPOSES = "index/values", ("index/seal/1", "index/seal/2")
HashPrefixes = npt.NDArray[np.uint64]
SubjectValue = str | int | bytes
"""A released value of the subject's column."""


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One version of the `subject` key, for indexes."""

    version: int
    hash: KeyedHash
    seal: Sealer

    @classmethod
    def from_keys(cls, keys: Subkeys, version: int | None = None) -> IndexKey:
        """The key in this version, or in the newest. Raises KeyringError."""
        number = keys.version_of(SUBJECT_KEY) if version is None else version
        hashes = KeyedHash(keys.subkey(SUBJECT_KEY, VALUES_PURPOSE, number))
        return cls(number, hashes, subject_sealer(keys, SEAL_PURPOSES, number))

    def prefixes(self, values: pa.Array) -> HashPrefixes:
        """The prefixes of distinct values (text, integers or bytes, no nulls), ascending, without duplicates."""
        return _sort_distinct(self.hash_each(_as_bytes(values)))

    def hash_each(self, contents: pa.Array) -> HashPrefixes:
        """The prefix of each value."""
        checkpoint("subjects.hashed", len(contents))
        tags = self.hash.tags(text_bytes(contents), text_offsets(contents))
        return np.ascontiguousarray(tags[:, :8]).view(np.uint64).reshape(-1)

    def prefixes_of(self, values: Iterable[SubjectValue]) -> HashPrefixes:
        """`prefixes` for Python values."""
        return self.prefixes(pa.array(sorted(set(map(value_bytes, values))), pa.large_binary()))


def _as_bytes(values: pa.Array) -> pa.Array:
    return (values.cast(pa.string()) if pa.types.is_integer(values.type) else values).cast(pa.large_binary())


MAX_REMEMBERED: Final = 1 << 20
"""Maximum number of subjects whose prefixes are remembered."""
_MAX_NEW: Final = 1 / 2
"""Maximum share of new subjects in a row group if remembering is to pay."""


class RememberedPrefixes:
    """The prefixes of the subjects of earlier row groups. A subject of many row groups is hashed once. Threads may share it.

    To find a known subject takes a tenth of the time of a hash. Nothing is looked up before the second row group. If most of
    its subjects are new, or if there are too many subjects, all are hashed, and nothing is remembered.
    """

    def __init__(self, index_key: IndexKey) -> None:
        self._lens, self._lock = index_key, threading.Lock()
        self._first: tuple[pa.Array, HashPrefixes] | None = None
        self._interner: TextInterner | None = TextInterner(pa.large_binary())
        self._prefixes = np.empty(0, np.uint64)

    def prefixes(self, values: pa.Array) -> HashPrefixes:
        """See `IndexKey.prefixes`."""
        contents = _as_bytes(values)
        with self._lock:
            return _sort_distinct(
                self._hash(contents) if self._interner is None else self._look_up(contents, self._interner)
            )

    def _hash(self, contents: pa.Array) -> HashPrefixes:
        return self._lens.hash_each(contents)

    def _look_up(self, contents: pa.Array, interner: TextInterner) -> HashPrefixes:
        if self._first is None and not len(interner):
            self._first = contents, self._hash(contents)
            return self._first[1].copy()
        if self._first is not None:
            first, hashes = self._first
            self._first = None
            self._remember(interner.codes(first), hashes)
        before = len(interner)
        codes = interner.codes(contents)
        new = codes >= before
        self._remember(codes[new], self._hash(contents.filter(pa.array(new))))
        prefixes = self._prefixes[codes]
        if len(interner) - before > _MAX_NEW * len(contents) or len(interner) > MAX_REMEMBERED:
            self._interner, self._prefixes = None, np.empty(0, np.uint64)
        return prefixes

    def _remember(self, codes: Int32Codes, hashes: HashPrefixes) -> None:
        self._prefixes = np.concatenate([self._prefixes, np.empty(len(codes), np.uint64)])
        self._prefixes[codes] = hashes


def value_bytes(value: SubjectValue) -> bytes:
    """The bytes that are hashed for a value: text as UTF-8, an integer as its decimal digits, bytes unchanged.

    >>> value_bytes("é"), value_bytes(-7), value_bytes(b"x")
    (b'\xc3\xa9', b'-7', b'x')
    """
    if isinstance(value, bytes):
        return value
    return str(value).encode()


def can_be_indexed(type_: pa.DataType) -> bool:
    """Whether values of this type can be hashed."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_binary)
    plain = value_type(type_)
    return any(test(plain) for test in (*tests, pa.types.is_large_binary))


def distinct_subjects(rows: pa.Table, subject: Pointer) -> pa.Array:
    """The distinct values at a path, without nulls."""
    batches = rows.select([subject.top]).combine_chunks().to_batches()
    values = [_distinct_values(leaf(batch, subject).values) for batch in batches]
    return values[0] if len(values) == 1 else pc.unique(pa.chunked_array(values, _subject_type(rows, subject)))


def _sort_distinct(prefixes: HashPrefixes) -> HashPrefixes:
    """Sorted, without duplicates. Sorting is faster than the hash table of `np.unique`."""
    prefixes.sort()
    return prefixes[np.append(True, prefixes[1:] != prefixes[:-1])] if len(prefixes) else prefixes


def _subject_type(rows: pa.Table, subject: Pointer) -> pa.DataType:
    return value_type(leaf_type(rows.schema, subject))


def _distinct_values(values: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(values.type):
        return pc.unique(values).drop_null()
    is_used = np.zeros(len(values.dictionary), np.bool_)
    is_used[values.indices.drop_null().to_numpy()] = True
    entries = values.dictionary if is_used.all() else values.dictionary.filter(pa.array(is_used))
    return entries.drop_null()


SECTION_GROUPS: Final = 64
"""Maximum row groups of a section: one bit each."""
SECTION_ENTRIES: Final = 1 << 20
"""Number of subjects after which a section ends, so that memory stays bounded."""


@dataclass(slots=True)
class IndexSection:
    """Prefixes, ascending, and for each the row groups that have it: bit n is row group n of the section."""

    first: int = 0
    groups: int = 0
    prefixes: HashPrefixes = field(default_factory=lambda: np.empty(0, np.uint64))
    masks: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @property
    def is_full(self) -> bool:
        """Whether the next row group begins a new section."""
        return self.groups == SECTION_GROUPS or len(self.prefixes) >= SECTION_ENTRIES

    def add(self, prefixes: HashPrefixes) -> None:
        """Adds the prefixes of the next row group, ascending, without duplicates."""
        bit = np.uint64(1 << self.groups)
        places = np.searchsorted(self.prefixes, prefixes)
        known = self._prefixes_at(places) == prefixes
        known &= places < len(self.prefixes)
        self.masks[places[known]] |= bit
        fresh = ~known
        self._insert(places[fresh], prefixes[fresh], bit)
        self.groups += 1

    def groups_of(self, prefixes: HashPrefixes) -> list[int]:
        """The row groups that have any of these prefixes, by their number in the file."""
        places = np.searchsorted(self.prefixes, prefixes)
        known = (places < len(self.prefixes)) & (self._prefixes_at(places) == prefixes)
        mask = int(np.bitwise_or.reduce(self.masks[places[known]], initial=np.uint64(0)))
        return [self.first + number for number in range(self.groups) if mask >> number & 1]

    def next(self) -> IndexSection:
        """The section after this one."""
        return IndexSection(self.first + self.groups)

    def _insert(self, places: npt.NDArray[np.intp], prefixes: HashPrefixes, bit: np.uint64) -> None:
        """Inserts new prefixes before those at these positions."""
        at = places + np.arange(len(places))
        new = np.zeros(len(self.prefixes) + len(places), np.bool_)
        new[at] = True
        old, had, masks = ~new, self.prefixes, self.masks
        self.prefixes, self.masks = np.empty(len(new), np.uint64), np.full(len(new), bit)
        self.prefixes[at], self.prefixes[old], self.masks[old] = prefixes, had, masks

    def _prefixes_at(self, places: npt.NDArray[np.intp]) -> HashPrefixes:
        """The prefixes at these positions; any prefix at the position after the last."""
        if not len(self.prefixes):
            return np.zeros(len(places), np.uint64)
        return self.prefixes.take(places, mode="clip")


MAGIC: Final = b"MZINDEX2"
EARLIER_MAGIC: Final = b"MZINDEX1"
"""The format whose indexes do not name their hash."""
MAGIC_PREFIX: Final = b"MZINDEX"
"""What the names of all versions of the format begin with."""
INDEX_HASH: Final = "blake2b-64"
"""The name of the hash: the first 8 bytes of keyed BLAKE2b. A change of `IndexKey.hash_each` changes it."""
TAIL: Final = struct.Struct("<II8s")
BLOCK_ENTRIES: Final = 4096
WORD_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class SectionExtent:
    """A section according to the contents: its row groups and its number of prefixes."""

    first: int
    groups: int
    entries: int

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.entries // BLOCK_ENTRIES)

    @property
    def size(self) -> int:
        """Size of its blocks in the file, in bytes."""
        return sum(map(self.block_size, range(self.blocks)))

    def entries_in_block(self, block: int) -> int:
        """Number of prefixes in a block."""
        return min(BLOCK_ENTRIES, self.entries - block * BLOCK_ENTRIES)

    def block_size(self, block: int) -> int:
        """Size of a block in the file, in bytes."""
        return self.entries_in_block(block) * (WORD_BYTES + _mask_bytes(self.groups)) + SEAL_BYTES


@dataclass(frozen=True, slots=True)
class IndexContents:
    """Contents of a file's index: the subject's path, the sections, the positions of their blocks, and the name of the hash.

    `hash_name` is empty for an index of version 1.
    """

    subject: str
    extents: tuple[SectionExtent, ...] = ()
    fences: HashPrefixes = field(default_factory=lambda: np.empty(0, np.uint64), repr=False)
    hash_name: str = INDEX_HASH

    def to_bytes(self) -> bytes:
        """The bytes to encrypt."""
        contents = {
            "hash": self.hash_name,
            "subject": self.subject,
            "sections": [[each.first, each.groups, each.entries] for each in self.extents],
        }
        return json.dumps(contents).encode() + b"\n" + self.fences.astype("<u8").tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> IndexContents:
        """The contents from the bytes of `to_bytes`."""
        header, _, fences = content.partition(b"\n")
        contents: dict[str, Any] = json.loads(header)
        extents = tuple(SectionExtent(*each) for each in contents["sections"])
        prefixes = np.frombuffer(fences, "<u8").astype(np.uint64)
        return cls(contents["subject"], extents, prefixes, contents.get("hash", ""))

    def section_fences(self, number: int) -> HashPrefixes:
        """The first prefixes of a section's blocks."""
        before = sum(each.blocks for each in self.extents[:number])
        return self.fences[before : before + self.extents[number].blocks]

    def block_offset(self, number: int, block: int) -> int:
        """The position of a block in the file."""
        before = sum(each.size for each in self.extents[:number])
        return len(MAGIC) + before + block * self.extents[number].block_size(0)


def section_blocks(section: IndexSection) -> Sequence[bytes]:
    """The blocks of a section, to encrypt."""
    width = _mask_bytes(section.groups)
    masks = section.masks.astype("<u8").view(np.uint8).reshape(-1, WORD_BYTES)[:, :width]
    starts = range(0, len(section.prefixes), BLOCK_ENTRIES)
    return [
        section.prefixes[start : start + BLOCK_ENTRIES].astype("<u8").tobytes()
        + masks[start : start + BLOCK_ENTRIES].tobytes()
        for start in starts
    ]


def block_as_section(content: bytes, extent: SectionExtent, block: int) -> IndexSection:
    """One decrypted block as a section."""
    count, width = extent.entries_in_block(block), _mask_bytes(extent.groups)
    prefixes = np.frombuffer(content, "<u8", count).astype(np.uint64)
    masks = np.zeros((count, WORD_BYTES), np.uint8)
    masks[:, :width] = np.frombuffer(content, np.uint8, count * width, count * WORD_BYTES).reshape(count, width)
    return IndexSection(extent.first, extent.groups, prefixes, masks.view("<u8").reshape(-1).astype(np.uint64))


def block_associated_data(path: str, *numbers: int) -> tuple[bytes, ...]:
    """The associated data of a block's encryption: the file of records, the section, the block."""
    return (MAGIC, path.encode(), *(number.to_bytes(4, "little") for number in numbers))


def contents_associated_data(path: str, digest: str, magic: bytes) -> tuple[bytes, ...]:
    """The associated data of the contents' encryption: the format, the file of records, and its digest."""
    return (magic, path.encode(), b"contents", digest.encode())


def _mask_bytes(groups: int) -> int:
    return -(-groups // 8)


INDEX_FOLDER: Final = "index"
INDEX_SUFFIX: Final = ".index"


def index_path(path: str) -> str:
    """The path of the index of a file of records, relative to the output folder.

    >>> index_path("records/date=2026-11-24/run-0.parquet")
    'index/date=2026-11-24/run-0.index'
    """
    return str(PurePosixPath(INDEX_FOLDER, *PurePosixPath(path).parts[1:]).with_suffix(INDEX_SUFFIX))


@dataclass(frozen=True, slots=True)
class SubjectIndexer:
    """Watches sinks of records and writes an index for each of their files. Threads may share it."""

    lens: IndexKey
    subject: Pointer
    """The path of the subject's column in the records."""
    remembered: RememberedPrefixes = field(repr=False)

    @classmethod
    def from_keys(cls, keys: Subkeys, subject: Pointer) -> SubjectIndexer:
        """An indexer with the newest `subject` key. Raises KeyringError."""
        index_key = IndexKey.from_keys(keys)
        return cls(index_key, subject, RememberedPrefixes(index_key))

    def __call__(self, root: Location, path: str) -> IndexWriter:
        """The index writer for a file that is opened."""
        return IndexWriter(self, root, path)


@dataclass(slots=True)
class IndexWriter:
    """Writer for the index of one file."""

    indexer: SubjectIndexer
    root: Location
    path: str
    _section: IndexSection = field(default_factory=IndexSection)
    _extents: list[SectionExtent] = field(default_factory=list)
    _fences: list[HashPrefixes] = field(default_factory=list)
    _file: HashingFile | None = None

    def group(self, rows: pa.Table) -> None:
        """Adds a row group."""
        self._section.add(self.indexer.remembered.prefixes(distinct_subjects(rows, self.indexer.subject)))
        if self._section.is_full:
            self._settle()

    def close(self, written: WrittenFile) -> WrittenFile:
        """Writes the remaining sections; returns the file with its index."""
        self._settle()
        contents = IndexContents(
            str(self.indexer.subject), tuple(self._extents), np.concatenate([_NO_PREFIXES, *self._fences])
        )
        index_key, file = self.indexer.lens, self._open()
        sealed = index_key.seal.seal(
            contents.to_bytes(), *contents_associated_data(written.path, written.digest, MAGIC)
        )
        file.write(sealed + TAIL.pack(len(sealed), index_key.version, MAGIC))
        file.close()
        checkpoint("index.closed")
        return replace(written, index=FileRef(index_path(self.path), file.digest))

    def abandon(self) -> None:
        """Closes the file; it is not valid."""
        if self._file is not None:
            self._file.abandon()

    def _settle(self) -> None:
        """Writes the section, and begins the next."""
        section, number = self._section, len(self._extents)
        if not section.groups:
            return
        for block, content in enumerate(section_blocks(section)):
            self._open().write(self.indexer.lens.seal.seal(content, *block_associated_data(self.path, number, block)))
        extent = SectionExtent(section.first, section.groups, len(section.prefixes))
        self._extents.append(extent)
        self._fences.append(section.prefixes[::BLOCK_ENTRIES])
        self._section = section.next()

    def _open(self) -> HashingFile:
        if self._file is None:
            full = self.root / index_path(self.path)
            self._file = HashingFile(full)
            self._file.write(MAGIC)
            checkpoint("index.opened")
        return self._file


_NO_PREFIXES: Final = np.empty(0, np.uint64)
