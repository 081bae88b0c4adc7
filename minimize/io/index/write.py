"""Making a file's index while its row groups are written: memory is bounded by a section, whatever the file's size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.failpoints import fail_point
from minimize.io.base import Written
from minimize.io.durable import HashingFile
from minimize.io.index.form import BLOCK, MAGIC, TAIL, Contents, Extent, blocks_of, contents_words, place_words
from minimize.io.index.lens import Lens, Prefixes, Subkeys, distinct_at
from minimize.io.index.section import Section
from minimize.pointer import Pointer
from minimize.receipt import FileRef
from minimize.stores import Place

INDEX: Final = "index"
SUFFIX: Final = ".index"


def index_path(path: str) -> str:
    """Where the index of a file of records stands, relative to the output folder.

    >>> index_path("records/date=2026-11-24/run-0.parquet")
    'index/date=2026-11-24/run-0.index'
    """
    return str(PurePosixPath(INDEX, *PurePosixPath(path).parts[1:]).with_suffix(SUFFIX))


@dataclass(frozen=True, slots=True)
class Indexer:
    """Watches a sink of records, and makes an index for each of its files. Not for two threads at once.

    subject  the path of the subject's column in the records
    """

    lens: Lens
    subject: Pointer

    @classmethod
    def of(cls, keys: Subkeys, subject: Pointer) -> Indexer:
        """With the newest `subject` key. Raises KeyringError."""
        return cls(Lens.of(keys), subject)

    def __call__(self, root: Place, path: str) -> Writing:
        """The index of a file that is opened."""
        return Writing(self, root, path)


@dataclass(slots=True)
class Writing:
    """The index of one file, on its way."""

    indexer: Indexer
    root: Place
    path: str
    _section: Section = field(default_factory=Section)
    _extents: list[Extent] = field(default_factory=list)
    _fences: list[Prefixes] = field(default_factory=list)
    _file: HashingFile | None = None

    def group(self, rows: pa.Table) -> None:
        """Takes in a row group."""
        self._section.add(self.indexer.lens.prefixes(distinct_at(rows, self.indexer.subject)))
        if self._section.is_full:
            self._settle()

    def close(self, written: Written) -> Written:
        """Writes what is left; gives the file with its index."""
        self._settle()
        contents = Contents(str(self.indexer.subject), tuple(self._extents), np.concatenate([_NONE, *self._fences]))
        lens, file = self.indexer.lens, self._opened()
        sealed = lens.seal.seal(contents.packed(), *contents_words(written.path, written.digest))
        file.write(sealed + TAIL.pack(len(sealed), lens.version, MAGIC))
        file.close()
        fail_point("index.closed")
        return replace(written, index=FileRef(index_path(self.path), file.digest))

    def abandon(self) -> None:
        """Closes the file; it is worth nothing."""
        if self._file is not None:
            self._file.abandon()

    def _settle(self) -> None:
        """Writes the section, and begins the next."""
        section, number = self._section, len(self._extents)
        if not section.groups:
            return
        for block, content in enumerate(blocks_of(section)):
            self._opened().write(self.indexer.lens.seal.seal(content, *place_words(self.path, number, block)))
        extent = Extent(section.first, section.groups, len(section.prefixes))
        self._extents.append(extent)
        self._fences.append(section.prefixes[::BLOCK])
        self._section = section.next()

    def _opened(self) -> HashingFile:
        if self._file is None:
            full = self.root / index_path(self.path)
            self._file = HashingFile(full)
            self._file.write(MAGIC)
            fail_point("index.opened")
        return self._file


_NONE: Final = np.empty(0, np.uint64)
