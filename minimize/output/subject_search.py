"""Search by subject: the files and row groups that may have records of some subjects, and those records.

An index file is read from its end. In each section only the blocks that may have a match are read. From row groups that may have
records of the subjects, only the rows of these subjects are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import value_type
from minimize.arrow.hashing import numpy_type
from minimize.arrow.nested import leaf, leaf_type, row_indices
from minimize.arrow.pointers import STAR, Pointer
from minimize.checkpoints import checkpoint
from minimize.errors import OutputError
from minimize.keys.keyring import Subkeys
from minimize.output.stored_file import StoredFile
from minimize.output.subject_index import (
    EARLIER_MAGIC,
    INDEX_HASH,
    MAGIC,
    MAGIC_PREFIX,
    TAIL,
    HashPrefixes,
    IndexContents,
    IndexKey,
    IndexSection,
    SubjectValue,
    block_as_section,
    block_associated_data,
    can_be_indexed,
    contents_associated_data,
)
from minimize.receipts import ReceiptFile
from minimize.stores import Location, byte_length
from minimize.stores import Location as Place_

IndexKeys = Callable[[int], IndexKey]
"""The index key of a key version. Raises KeyringError if the keyring does not have it."""


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """The decrypted index of one file of records."""

    file: BinaryIO
    records_file: ReceiptFile
    lens: IndexKey
    contents: IndexContents

    @property
    def is_trusted(self) -> bool:
        """Whether its hash is the one that a search computes. Otherwise the file of records must be read."""
        return self.contents.hash_name == INDEX_HASH

    def groups_of(self, prefixes: HashPrefixes) -> tuple[int, ...]:
        """The row groups that may have any of these prefixes (ascending), by their number. Raises OutputError."""
        groups = {group for section in self._sections(prefixes) for group in section.groups_of(prefixes)}
        return tuple(sorted(groups))

    def sections(self) -> Iterator[IndexSection]:
        """The whole index, block by block. Raises OutputError."""
        for number, extent in enumerate(self.contents.extents):
            for block in range(extent.blocks):
                yield self._block(number, block)

    def _sections(self, prefixes: HashPrefixes) -> Iterator[IndexSection]:
        for number in range(len(self.contents.extents)):
            places = np.searchsorted(self.contents.section_fences(number), prefixes, side="right")
            for block in np.unique(places[places > 0]).tolist():
                yield self._block(number, block - 1)

    def _block(self, number: int, block: int) -> IndexSection:
        extent = self.contents.extents[number]
        self.file.seek(self.contents.block_offset(number, block))
        sealed = self.file.read(extent.block_size(block))
        content = self.lens.seal.open(sealed, *block_associated_data(self.records_file.path, number, block))
        if content is None:
            raise damaged_index_error(self.records_file)
        return block_as_section(content, extent, block)


def read_index(file: BinaryIO, indexed_file: ReceiptFile, lenses: IndexKeys) -> OpenIndex:
    """Opens the index of a file of records. Raises OutputError if it does not belong to the file, UnknownIndexError if its format
    is not known, KeyringError without its key."""
    end = byte_length(file)
    file.seek(max(0, end - TAIL.size))
    tail = file.read(TAIL.size)
    length, version, magic = TAIL.unpack(tail) if len(tail) == TAIL.size else (0, 0, b"")
    if is_unknown_format(magic):
        raise UnknownIndexError(
            f"{indexed_file.path} has a subject index of a format that this version of minimize does not know",
            hint="Update minimize.",
        )
    if magic not in (MAGIC, EARLIER_MAGIC) or length > end - TAIL.size:
        raise damaged_index_error(indexed_file)
    index_key = lenses(version)
    file.seek(end - TAIL.size - length)
    content = index_key.seal.open(
        file.read(length), *contents_associated_data(indexed_file.path, indexed_file.digest, magic)
    )
    if content is None:
        raise damaged_index_error(indexed_file)
    return OpenIndex(file, indexed_file, index_key, IndexContents.from_bytes(content))


class UnknownIndexError(OutputError):
    """An index of a format that a newer version of minimize wrote."""


def is_unknown_format(magic: bytes) -> bool:
    """Whether these bytes name a version of the format of indexes that this version of minimize does not know."""
    version = magic.removeprefix(MAGIC_PREFIX)
    return len(version) == 1 and version.isdigit() and magic not in (MAGIC, EARLIER_MAGIC)


CHECK_KEYRING: Final = (
    "Check that the keyring (--keys, MINIMIZE_KEYS) is the one of this output. "
    "Run `minimize verify` to check all files."
)


def damaged_index_error(indexed_file: ReceiptFile) -> OutputError:
    """The error for an index that does not match its file."""
    place = indexed_file.path if indexed_file.index is None else indexed_file.index.path
    return OutputError(f"{place} is missing or damaged, or was sealed with another keyring", hint=CHECK_KEYRING)


def open_index_file(output: Location, indexed_file: ReceiptFile) -> BinaryIO:
    """The file of the index. Raises OutputError if it is missing."""
    checkpoint("index.read", indexed_file.path)
    try:
        return (output / ("" if indexed_file.index is None else indexed_file.index.path)).open("rb", buffering=0)
    except OSError:
        error = damaged_index_error(indexed_file)
    raise error


@dataclass(frozen=True, slots=True)
class CandidateFile:
    """A file that may contain records of the subjects."""

    file: ReceiptFile
    groups: tuple[int, ...] | None
    """Numbers of the row groups that may contain them; None if the file has no index that is trusted, so that every row
    group may.
    """


def find_candidate_files(
    output: Place_, files: Iterable[ReceiptFile], values: Iterable[SubjectValue], keys: Subkeys | None
) -> list[CandidateFile]:
    """The files that may contain records whose subject is one of these released values.

    Takes the keyring. Without one no index can be decrypted, so every file may contain records. No record is missed: a file that
    is not returned contains none. Raises OutputError for a damaged index, KeyringError without the version of its key.
    """
    return [place for place in _candidates(output, files, [*values], keys) if place.groups != ()]


def _candidates(
    output: Place_, files: Iterable[ReceiptFile], values: list[SubjectValue], keys: Subkeys | None
) -> Iterator[CandidateFile]:
    known = None if keys is None else hashed_search(values, keys)
    yield from (CandidateFile(file, None if known is None else candidate_groups(output, file, known)) for file in files)


HashedSearch = Callable[[int], tuple[IndexKey, HashPrefixes]]
"""For a version of the key: its index key, and the prefixes to search."""


def hashed_search(values: Iterable[SubjectValue], keys: Subkeys) -> HashedSearch:
    """The hashes of these values, computed once for all files."""
    values = [*values]

    @cache
    def hashed_values(version: int) -> tuple[IndexKey, HashPrefixes]:
        index_key = IndexKey.from_keys(keys, version)
        return index_key, index_key.prefixes_of(values)

    return hashed_values


def candidate_groups(output: Place_, file: ReceiptFile, search: HashedSearch) -> tuple[int, ...] | None:
    """The row groups that may contain the values; None if the file has no index that is trusted, so that any may. Raises
    OutputError, KeyringError."""
    if file.index is None:
        return None
    with open_index_file(output, file) as handle:
        try:
            index = read_index(handle, file, lambda version: search(version)[0])
        except UnknownIndexError:
            return None
        return index.groups_of(search(index.lens.version)[1]) if index.is_trusted else None


def subject_rows(
    stored: StoredFile, subject: Pointer, values: Collection[SubjectValue], groups: Sequence[int] | None
) -> pa.Table:
    """The rows whose subject is one of these values, from the given row groups, or from all if none are given.

    If all are read, the subject's column is read first, and the other columns only in row groups with matching rows. Raises
    OutputError if the file does not have the subject's column, or is damaged.
    """
    searched_values = _searched_values(stored, subject, values)
    groups_to_read = _groups_with_subject(stored, subject, searched_values) if groups is None else groups
    batches = (
        (_keep_subject_rows(batch, subject, searched_values) for batch in stored.batches(groups_to_read))
        if len(groups_to_read)
        else ()
    )
    return pa.Table.from_batches(batches, stored.whole)


def _searched_values(stored: StoredFile, subject: Pointer, values: Collection[SubjectValue]) -> pa.Array:
    try:
        type_ = leaf_type(stored.whole, subject)
    except KeyError:
        type_ = None
    if type_ is None or not can_be_indexed(type_):
        raise OutputError(
            f"{stored.path} has no column of its subject",
            hint="Search by tenant: the policy dropped the subject field.",
        )
    return _values_of_type(values, value_type(type_))


def _values_of_type(values: Collection[SubjectValue], type_: pa.DataType) -> pa.Array:
    """The values that a column of the type can contain."""
    kind: Any = bytes if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) else str
    if pa.types.is_integer(type_):
        whole = [int(value) for value in values if _fits_integer(value, type_)]
        return pa.array(whole, type_)
    return pa.array([value for value in values if isinstance(value, kind)], type_)


def _fits_integer(value: SubjectValue, type_: pa.DataType) -> bool:
    info = np.iinfo(numpy_type(type_))
    return isinstance(value, int) and not isinstance(value, bool) and info.min <= value <= info.max


def _groups_with_subject(stored: StoredFile, subject: Pointer, values: pa.Array) -> list[int]:
    """The row groups that contain any of the values."""
    groups = range(stored.file.metadata.num_row_groups)
    if subject.top not in stored.schema.names:
        return [*groups]
    return [group for group in groups if _has_subject(stored.column(subject.top, group), subject, values)]


def _has_subject(batches: Iterator[pa.RecordBatch], subject: Pointer, values: pa.Array) -> bool:
    return any(_subject_mask(batch, subject, values).any() for batch in batches)


def _keep_subject_rows(batch: pa.RecordBatch, subject: Pointer, values: pa.Array) -> pa.RecordBatch:
    return batch.filter(pa.array(_subject_mask(batch, subject, values)))


def _subject_mask(batch: pa.RecordBatch, subject: Pointer, values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows have one of the values; in a list, any element."""
    subjects = leaf(batch, subject)
    hits = pc.is_in(subjects.values, value_set=values).to_numpy(zero_copy_only=False)
    if STAR not in subject.parts:
        return np.asarray(hits, np.bool_)
    mask = np.zeros(batch.num_rows, np.bool_)
    mask[row_indices(subjects, batch.num_rows)[hits]] = True
    return mask
