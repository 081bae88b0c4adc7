"""CSV as a source (RFC 4180): plain, .gz or .zst; a header names the columns; UTF-8; a position is the record's number from 0.

An empty cell is null, quoted or not, whatever the column's type. A record with more or fewer cells than the header, or with
bytes that are not UTF-8 or are NUL, is malformed; a cell that does not read as its declared type is `wrong_type`, or
`bad_time`. Booleans are `true` and `false`; for the rest see `text`. Blank lines are no records, and before the header they
are nothing. A last cell that runs into a quote that is never closed, or a record too long for a block, stops the reading,
for nothing after it can be told apart.
"""

from __future__ import annotations

import csv as stdlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from minimize.errors import SourceError
from minimize.io.base import Chunk, Code, Declared, Part, Reject, Request
from minimize.io.columnar import Bound, bind
from minimize.io.find import Shown
from minimize.io.lines import BOM, opened, stored
from minimize.io.merge import with_rejects
from minimize.io.part import FilePart, FileSource, OfFile, damaged, steady
from minimize.io.rows import Fault, Mask
from minimize.io.shape import pruned, tree
from minimize.io.text import read
from minimize.io.types import arrow_type
from minimize.io.utf8 import BROKEN, Utf8
from minimize.stores import Place

BLOCK = 8 << 20
"""How many bytes are read at a time: a record must not be longer."""
HEADER = 1 << 20


def csv(files: Sequence[Place], root: Place, request: Request, *, shown: Shown | None = None) -> FileSource:
    """CSV files as a source. Raises SchemaError with the diff of the first file that does not fit, SourceError."""
    schema = pruned(pa.schema([]), tree(request))
    parts = [FilePart(path, root, shown) for path in files]
    return FileSource(schema, [_bound(part, request, schema) for part in parts])


def header(part: FilePart) -> tuple[list[str], bool]:
    """The names of a file's columns, and whether anything follows them. Raises SourceError."""
    with opened(part.path, part.name) as stream:
        start = stream.read(HEADER).removeprefix(BOM)
    with suppress(stdlib.Error):
        rows = stdlib.reader(StringIO(start.decode("utf-8", "replace"), newline=""))
        names = next(filter(None, rows), [])
        if not any("\ufffd" in name for name in names):
            return names, any(map(bool, rows))
    raise SourceError(f"the header of {part.name} cannot be read", hint="is the file CSV, in UTF-8?")


@dataclass(frozen=True, slots=True)
class CsvPart(OfFile):
    """One CSV file bound to a request."""

    names: Sequence[str]
    filled: bool
    bound: Bound

    def pieces(self) -> Sequence[Part]:
        """Itself: it is read from its beginning."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The records, about 8 MiB of text a chunk. Raises SourceError."""
        if not self.filled:
            return
        with stored(self.file.path, self.name) as stream:
            text = Utf8(stream)
            ragged: list[int] = []
            first, runs_on = 0, False
            for batch in steady(_batches(text, self.names, ragged), damaged(self.name), self.name):
                places, rejects, first = _placed(batch.num_rows, first, ragged)
                runs_on = _runs_on(batch) if batch.num_rows else runs_on
                yield with_rejects(self._chunk(batch, places), rejects)
            if text.quotes % 2 and runs_on:
                raise SourceError(f"a quote in {self.name} is never closed", hint="is the file whole?")
            if ragged:
                none = self._chunk(_nothing(self.names), np.array([], np.int64))
                yield with_rejects(none, [_ragged(row) for row in ragged])

    def _chunk(self, batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> Chunk:
        texts, broken = _decoded(batch)
        known = [Fault("malformed", None, broken)] if broken.any() else []
        columns = dict(zip(self.names, texts, strict=True))
        for field in self.bound.request.fields:
            if field.pointer.is_flat and field.pointer.top in columns:
                values, bad = read(columns[field.pointer.top], field.type)
                columns[field.pointer.top] = values
                known += [Fault(_code(field), str(field.pointer), bad)] if bad.any() else []
        return self.bound.chunk(pa.record_batch(columns), places, known)


def _bound(part: FilePart, request: Request, schema: pa.Schema) -> CsvPart:
    names, filled = header(part)
    words = {field.pointer.top: field.type for field in request.fields if field.pointer.is_flat}
    typed = pa.schema([(name, arrow_type(words.get(name, "string"))) for name in names])
    whole = bind(typed, request, part.name) if names else _unchecked(request)
    return CsvPart(part, names, filled, replace(whole, schema=schema))


def _unchecked(request: Request) -> Bound:
    return Bound(request, pa.schema([]), (), (), ())


def _runs_on(batch: pa.RecordBatch) -> bool:
    """Whether the last cell goes over a line end: then it may have swallowed records."""
    return b"\n" in (batch.columns[-1][-1].as_py() or b"")


def _batches(stream: Utf8, names: Sequence[str], ragged: list[int]) -> Iterator[pa.RecordBatch]:
    """The cells as bytes. Numbers of records with another number of cells go to `ragged`, counted from 0."""

    def skip(row: pv.InvalidRow) -> str:
        ragged.append(row.number - 2)
        return "skip"

    yield from pv.open_csv(
        stream,
        pv.ReadOptions(use_threads=False, block_size=BLOCK),
        pv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        pv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            check_utf8=False,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _placed(rows: int, first: int, ragged: list[int]) -> tuple[npt.NDArray[np.int64], list[Reject], int]:
    """The numbers of so many good records from `first` on, the rejects between them, and the number after the last."""
    between = 0
    while between < len(ragged) and ragged[between] < first + rows + between:
        between += 1
    gone = np.array(ragged[:between], np.int64)
    del ragged[:between]
    places = np.setdiff1d(np.arange(first, first + rows + between), gone, assume_unique=True)
    return places, [_ragged(row) for row in gone.tolist()], first + rows + between


def _ragged(row: int) -> Reject:
    return Reject(row, "row", None, "malformed")


def _decoded(batch: pa.RecordBatch) -> tuple[list[pa.StringArray], Mask]:
    """The cells as text, and the records of which a cell is not UTF-8."""
    texts = [cells.cast(pa.string()) for cells in batch.columns]
    broken = np.zeros(batch.num_rows, bool)
    for text in texts:
        broken |= np.asarray(pc.match_substring(text, BROKEN).fill_null(False))
    return texts, broken


def _code(field: Declared) -> Code:
    return "bad_time" if field.type in ("timestamp", "date") else "wrong_type"


def _nothing(names: Sequence[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], pa.binary()) for _ in names], names=list(names))
