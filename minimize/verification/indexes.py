"""Checks of subject indexes: place, digest, and content against the file of records.

Their format is read here without the code that writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, KeyringError
from minimize.keys import Keyring, Verifier
from minimize.keys.cryptography import KeyedHash, Sealer
from minimize.receipts import ReceiptFile
from minimize.records import FileRef
from minimize.text import count_noun
from minimize.verification.evidence import Evidence, EvidenceFile, new_finding
from minimize.verification.files import check_bytes, open_file
from minimize.verification.values import leaf_values

MAGIC: Final = b"MZINDEX2"
HASH_NAME: Final = "blake2b-64"
_FORMAT_NAMES: Final = b"MZINDEX"
_EARLIER_FORMAT: Final = b"MZINDEX1"
_BLOCK_ENTRIES: Final = 4096
_SEAL_BYTES: Final = 16
Prefixes = npt.NDArray[np.uint64]


class UncheckedIndex(Exception):
    """An index that cannot be compared with its file of records, because its hash is not known."""

    def __init__(self, *, is_earlier: bool) -> None:
        """Takes whether an earlier version of minimize wrote it, not a newer one."""
        super().__init__()
        self.is_earlier = is_earlier


class IndexMismatch(Exception):
    """An index differs from its file of records. The message says how."""


def check_indexes(evidence: Evidence, verifier: Verifier) -> Iterator[Finding]:
    """V011, V012, V016, V018 for the index of every file of records in force; V019 if no keyring opens them.

    V080 and V081 for indexes of an earlier or a newer format. No search uses them, so that their content does not matter.
    """
    unopened = 0
    unchecked: list[bool] = []
    for file in evidence.files:
        if file.file.index is None:
            continue
        faults = [
            *_index_place_findings(file, file.file.index),
            *check_bytes(evidence.output, file.file.index),
        ]
        yield from faults
        if isinstance(verifier, Keyring):
            try:
                yield from () if faults else _content_findings(evidence, file, file.file.index, verifier)
            except UncheckedIndex as error:
                unchecked.append(error.is_earlier)
        else:
            unopened += 1
    yield from _unchecked_findings(unchecked.count(True), unchecked.count(False))
    if unopened:
        yield new_finding(
            "V019",
            f"{count_noun(unopened, 'index', 'indexes')} not checked",
            hint="Verify with the keyring: pass --keys FILE.",
        )


def _unchecked_findings(earlier: int, newer: int) -> Iterator[Finding]:
    read_instead = "searches read the files of records instead"
    if earlier:
        message = f"{count_noun(earlier, 'index', 'indexes')} of an earlier format not used: {read_instead}"
        hint = "Run the dates again with `minimize run` if searches are too slow."
        yield new_finding("V080", message, hint=hint)
    if newer:
        message = f"{count_noun(newer, 'index', 'indexes')} of an unknown format not checked: {read_instead}"
        yield new_finding("V081", message, hint="Update minimize, and verify again.")


def _index_place_findings(file: EvidenceFile, index: FileRef) -> Iterator[Finding]:
    due = PurePosixPath("index", *PurePosixPath(file.file.path).parts[1:]).with_suffix(".index")
    if file.name != "records" or index.path != str(due):
        yield new_finding(
            "V016", "the index is not in the place that belongs to its file of records", file=file.run.place
        )


def _content_findings(evidence: Evidence, file: EvidenceFile, index: FileRef, keys: Keyring) -> Iterator[Finding]:
    records = open_file(evidence, file)
    subject = None if file.run.policy is None else file.run.policy.subject
    if records is None or subject is None:
        return
    try:
        opened = _OpenedIndex(file.file, (evidence.output / index.path).read_bytes(), keys)
        wrong = opened.differences(records, subject)
    except (IndexMismatch, KeyringError) as error:
        wrong = str(error)
    if wrong:
        yield new_finding("V018", wrong, file=index.path)


class _OpenedIndex:
    """The content of an index, opened with the keyring. Raises IndexMismatch, KeyringError."""

    def __init__(self, indexed_file: ReceiptFile, content: bytes, keys: Keyring) -> None:
        magic = content[:8]
        if len(content) < 24 or content[-8:] != magic or magic[:7] != _FORMAT_NAMES or not magic[7:].isdigit():
            raise IndexMismatch("the file is not an index")
        if magic not in (MAGIC, _EARLIER_FORMAT):
            raise UncheckedIndex(is_earlier=False)
        self._magic = magic
        length, version = (int.from_bytes(content[-16:][place : place + 4], "little") for place in (0, 4))
        first_key, second_key = (keys.subkey("subject", f"index/seal/{number}", version) for number in (1, 2))
        self._seal, self._hash = (
            Sealer(first_key + second_key),
            KeyedHash(keys.subkey("subject", "index/values", version)),
        )
        self._of, self._content, self._end = indexed_file, content, len(content) - 16 - length
        opened = self._open(content[self._end : -16], b"contents", indexed_file.digest.encode()).partition(b"\n")
        self._contents: Mapping[str, Any] = json.loads(opened[0])
        if self._contents.get("hash") != HASH_NAME:
            raise UncheckedIndex(is_earlier=magic == _EARLIER_FORMAT)
        self._fences = np.frombuffer(opened[2], "<u8")

    def differences(self, records: pq.ParquetFile, subject: Pointer) -> str:
        """The difference from the file of records; empty if there is none."""
        if self._contents["subject"] != str(subject):
            return "the index is for another column than the subject of the policy"
        if subject.top not in records.schema_arrow.names:
            return "the file of records does not have the column of the subject"
        groups = [group for section in self._sections() for group in section]
        if len(groups) != records.num_row_groups:
            return f"the index has {len(groups)} row groups, its file of records has {records.num_row_groups}"
        wrong = sum(
            not np.array_equal(group, self._expected_prefixes(records, n, subject)) for n, group in enumerate(groups)
        )
        return f"the content of {wrong} row groups differs from the file of records" if wrong else ""

    def _sections(self) -> Iterator[list[Prefixes]]:
        """The prefixes of each row group, section by section."""
        place, fence = len(MAGIC), 0
        for number, (_, groups, entries) in enumerate(self._contents["sections"]):
            blocks = []
            for block, start in enumerate(range(0, entries, _BLOCK_ENTRIES)):
                count, width = min(_BLOCK_ENTRIES, entries - start), -(-groups // 8)
                size = count * (8 + width) + _SEAL_BYTES
                where = (number.to_bytes(4, "little"), block.to_bytes(4, "little"))
                blocks.append(_parse_block(self._open(self._content[place : place + size], *where), count, width))
                if self._fences[fence] != blocks[-1][0][0]:
                    raise IndexMismatch("the table of contents does not match the blocks")
                place, fence = place + size, fence + 1
            yield [_group_prefixes(blocks, group) for group in range(groups)]
        if place != self._end:
            raise IndexMismatch("the index has bytes that belong to no block")

    def _open(self, sealed: bytes, *words: bytes) -> bytes:
        content = self._seal.open(sealed, self._magic, self._of.path.encode(), *words)
        if content is None:
            raise IndexMismatch("the keyring does not open the index for its file of records")
        return content

    def _expected_prefixes(self, records: pq.ParquetFile, group: int, subject: Pointer) -> Prefixes:
        batches = records.iter_batches(1 << 17, row_groups=[group], columns=[subject.top])
        parts = [self._value_prefixes(pc.unique(leaf_values(batch, subject).values).drop_null()) for batch in batches]
        return np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))

    def _value_prefixes(self, values: pa.Array) -> Prefixes:
        words = [value if isinstance(value, bytes) else str(value).encode() for value in values.to_pylist()]
        content, ends = np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)], dtype=np.int64)
        return np.frombuffer(self._hash.tags(content, ends)[:, :8].tobytes(), "<u8").astype(np.uint64)


def _parse_block(content: bytes, count: int, width: int) -> tuple[Prefixes, npt.NDArray[np.bool_]]:
    prefixes = np.frombuffer(content, "<u8", count).astype(np.uint64)
    bits = np.frombuffer(content, np.uint8, count * width, count * 8).reshape(count, width)
    return prefixes, np.unpackbits(bits, axis=1, bitorder="little").astype(np.bool_)


def _group_prefixes(blocks: list[tuple[Prefixes, npt.NDArray[np.bool_]]], group: int) -> Prefixes:
    return np.concatenate([np.empty(0, np.uint64), *(prefixes[bits[:, group]] for prefixes, bits in blocks)])
