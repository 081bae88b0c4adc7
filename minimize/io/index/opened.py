"""An index file, opened for looking up: its end first, then of each section no more than the blocks that may hold an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from minimize.errors import OutputError
from minimize.io.index.form import (
    MAGIC,
    TAIL,
    Contents,
    block_as_section,
    contents_words,
    place_words,
)
from minimize.io.index.lens import Lens, Prefixes
from minimize.io.index.section import Section
from minimize.receipt import OutputFile
from minimize.stores import Place, length_of

Lenses = Callable[[int], Lens]
"""The lens of a key version. Raises KeyringError where the keyring does not have it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The index of one file of records, which the keyring opened."""

    file: BinaryIO
    of: OutputFile
    lens: Lens
    contents: Contents

    def groups_of(self, prefixes: Prefixes) -> tuple[int, ...]:
        """The row groups that may have any of these (ascending), by their number. Raises OutputError."""
        found = {group for section in self._sections(prefixes) for group in section.groups_of(prefixes)}
        return tuple(sorted(found))

    def sections(self) -> Iterator[Section]:
        """All of it, block by block. Raises OutputError."""
        for number, extent in enumerate(self.contents.extents):
            for block in range(extent.blocks):
                yield self._block(number, block)

    def _sections(self, prefixes: Prefixes) -> Iterator[Section]:
        for number in range(len(self.contents.extents)):
            places = np.searchsorted(self.contents.fences_of(number), prefixes, side="right")
            for block in np.unique(places[places > 0]).tolist():
                yield self._block(number, block - 1)

    def _block(self, number: int, block: int) -> Section:
        extent = self.contents.extents[number]
        self.file.seek(self.contents.place_of(number, block))
        sealed = self.file.read(extent.size_of(block))
        content = self.lens.seal.opened(sealed, *place_words(self.of.path, number, block))
        if content is None:
            raise damaged(self.of)
        return block_as_section(content, extent, block)


def opened(file: BinaryIO, of: OutputFile, lenses: Lenses) -> Opened:
    """Opens the index of a file of records. Raises OutputError where it is not that, KeyringError without its key."""
    end = length_of(file)
    file.seek(max(0, end - TAIL.size))
    tail = file.read(TAIL.size)
    length, version, magic = TAIL.unpack(tail) if len(tail) == TAIL.size else (0, 0, b"")
    if magic != MAGIC or length > end - TAIL.size:
        raise damaged(of)
    lens = lenses(version)
    file.seek(end - TAIL.size - length)
    content = lens.seal.opened(file.read(length), *contents_words(of.path, of.digest))
    if content is None:
        raise damaged(of)
    return Opened(file, of, lens, Contents.unpacked(content))


def damaged(of: OutputFile) -> OutputError:
    """What to raise about an index that is not the one of its file."""
    place = of.path if of.index is None else of.index.path
    return OutputError(f"{place} is gone or damaged", hint="`minimize verify` checks all files")


def open_file(output: Place, of: OutputFile) -> BinaryIO:
    """The index's file. Raises OutputError where it is gone."""
    try:
        return (output / ("" if of.index is None else of.index.path)).open("rb", buffering=0)
    except OSError:
        gone = damaged(of)
    raise gone
