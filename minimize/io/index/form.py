"""The form of an index file, version 1.

    MZINDEX1 · blocks, section by section · contents · length of the contents, key version, MZINDEX1

Blocks and contents are sealed with the `subject` key of that version; a block opens only in its file and at its place, the
contents only for the file of records whose path and digest they were made for. A block is up to 4,096 prefixes, ascending,
8 bytes each (little-endian), then for each a bit a row group. The contents say what the file is about and, for each
section, its row groups and how many prefixes it has, then the first prefix of each block. The same values, path, digest and
key give the same bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from minimize.io.index.lens import Prefixes
from minimize.io.index.section import Section
from minimize.keys.seal import OVERHEAD

MAGIC: Final = b"MZINDEX1"
TAIL: Final = struct.Struct("<II8s")
BLOCK: Final = 4096
WORD: Final = 8


@dataclass(frozen=True, slots=True)
class Extent:
    """What the contents say of a section: its row groups and how many prefixes it has."""

    first: int
    groups: int
    entries: int

    @property
    def blocks(self) -> int:
        """How many blocks it takes."""
        return -(-self.entries // BLOCK)

    @property
    def size(self) -> int:
        """How many bytes its blocks take in the file."""
        return sum(map(self.size_of, range(self.blocks)))

    def entries_of(self, block: int) -> int:
        """How many prefixes a block has."""
        return min(BLOCK, self.entries - block * BLOCK)

    def size_of(self, block: int) -> int:
        """How many bytes a block takes in the file."""
        return self.entries_of(block) * (WORD + _width(self.groups)) + OVERHEAD


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file's index is about: the subject's path, the sections, and where their blocks begin."""

    subject: str
    extents: tuple[Extent, ...] = ()
    fences: Prefixes = field(default_factory=lambda: np.empty(0, np.uint64), repr=False)

    def packed(self) -> bytes:
        """As bytes, to be sealed."""
        told = {"subject": self.subject, "sections": [[each.first, each.groups, each.entries] for each in self.extents]}
        return json.dumps(told).encode() + b"\n" + self.fences.astype("<u8").tobytes()

    @classmethod
    def unpacked(cls, content: bytes) -> Contents:
        """What `packed` gave."""
        said, _, fences = content.partition(b"\n")
        told: dict[str, Any] = json.loads(said)
        extents = tuple(Extent(*each) for each in told["sections"])
        return cls(told["subject"], extents, np.frombuffer(fences, "<u8").astype(np.uint64))

    def fences_of(self, number: int) -> Prefixes:
        """The first prefixes of a section's blocks."""
        before = sum(each.blocks for each in self.extents[:number])
        return self.fences[before : before + self.extents[number].blocks]

    def place_of(self, number: int, block: int) -> int:
        """Where a block begins in the file."""
        before = sum(each.size for each in self.extents[:number])
        return len(MAGIC) + before + block * self.extents[number].size_of(0)


def blocks_of(section: Section) -> Sequence[bytes]:
    """A section's blocks, to be sealed."""
    width = _width(section.groups)
    masks = section.masks.astype("<u8").view(np.uint8).reshape(-1, WORD)[:, :width]
    starts = range(0, len(section.prefixes), BLOCK)
    return [
        section.prefixes[start : start + BLOCK].astype("<u8").tobytes() + masks[start : start + BLOCK].tobytes()
        for start in starts
    ]


def block_as_section(content: bytes, extent: Extent, block: int) -> Section:
    """One opened block, as a section of its own."""
    count, width = extent.entries_of(block), _width(extent.groups)
    prefixes = np.frombuffer(content, "<u8", count).astype(np.uint64)
    masks = np.zeros((count, WORD), np.uint8)
    masks[:, :width] = np.frombuffer(content, np.uint8, count * width, count * WORD).reshape(count, width)
    return Section(extent.first, extent.groups, prefixes, masks.view("<u8").reshape(-1).astype(np.uint64))


def place_words(path: str, *numbers: int) -> tuple[bytes, ...]:
    """What a block is sealed for: the file of records, the section, the block."""
    return (MAGIC, path.encode(), *(number.to_bytes(4, "little") for number in numbers))


def contents_words(path: str, digest: str) -> tuple[bytes, ...]:
    """What contents are sealed for: the file of records, and its digest."""
    return (MAGIC, path.encode(), b"contents", digest.encode())


def _width(groups: int) -> int:
    return -(-groups // 8)
