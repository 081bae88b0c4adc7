"""CSV files as a source (RFC 4180): plain, .gz or .zst, UTF-8, with a header.

A position is the record's number from 0. An empty cell is null, quoted or not, for every type. A record with more or fewer
cells than the header, or with a NUL or bytes that are not UTF-8, is malformed. A cell that cannot be parsed as its declared
type is `wrong_type` or `bad_time`. Booleans are `true` and `false`; for other types see `types`. Blank lines are skipped,
also before the header. A cell whose quote is not closed on its line and that is then followed by text, or by the end of the
file, ends the reading with an error, as does a record too long for a block: the records cannot be separated.

Arrow passes on a CSV record with a wrong number of cells as text and stops if that is not UTF-8. Therefore each byte that is
not UTF-8 is replaced by NUL before parsing, and records that contain a NUL are rejected.
"""

from __future__ import annotations

import csv as stdlib
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from minimize.arrow.dictionaries import Bools
from minimize.arrow.types import arrow_type, parse_texts
from minimize.errors import SourceError
from minimize.records import Chunk, Reject, RejectCode
from minimize.sources import FileRows, SourceFormat
from minimize.sources.base import DeclaredField, SourcePart, SourceRequest
from minimize.sources.files import (
    BYTE_ORDER_MARK,
    ByteStream,
    FileBackedPart,
    FilePart,
    FileSource,
    damaged_file_error,
    open_decompressed,
    open_stream,
    replace_errors,
)
from minimize.sources.projection import field_tree, prune_schema
from minimize.sources.record_checks import FaultMask
from minimize.sources.schema_check import BoundRequest, add_rejects, bind_request

INVALID_BYTE = "\0"
"""Replacement of a byte that is not UTF-8."""
_UNDECODED = re.compile("[\udc80-\udcff]")


QUOTE = ord('"')
CELL_ENDS = b",\r\n"


class QuoteCheck:
    """Whether a quoted cell took in other lines because its quote is not closed where it should be (RFC 4180, section 2).

    A quote opens a cell only at its beginning; others are text. A quoted cell with a line end may only be followed by a comma, a
    line end, or blanks before them: other text shows that the quote that closed the cell should open another.
    """

    def __init__(self) -> None:
        self._buffered = b""
        self._before = CELL_ENDS[-1]
        self._inside = self._spans_lines = self._broken = False

    @property
    def is_broken(self) -> bool:
        """Whether a cell was closed by a quote that should open another."""
        return self._broken

    @property
    def is_unclosed(self) -> bool:
        """Whether the content until now ends in a quoted cell that took in other lines."""
        return self._inside and self._spans_lines

    def feed(self, data: bytes) -> None:
        """Check the next bytes; none end the content."""
        ended, data = not data, self._buffered + data
        whole = len(data) if ended else len(data.rstrip(b'" \t\r\n'))
        self._buffered, data = data[whole:], data[:whole]
        if not data or self._broken:
            return
        if QUOTE in data or self._inside:
            self._check(data.rstrip(b"\r\n"))
        self._before = data[-1]

    def _check(self, data: bytes) -> None:
        """One pass for all cells if every quote opens or closes one as it should; else quote by quote."""
        content = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(content == QUOTE)
        inside = int(self._inside)
        padded = np.concatenate(([self._before], content, [CELL_ENDS[-1]]))
        around = np.concatenate((padded[places[inside::2]], padded[places[1 - inside :: 2] + 2]))
        if not np.isin(around, [*CELL_ENDS, QUOTE]).all():
            self._check_cells(data)
            return
        opened = 0 if not len(places) else int(places[-1])
        self._spans_lines = b"\n" in data[opened:] or (not len(places) and self._spans_lines)
        self._inside = bool((inside + len(places)) % 2)

    def _check_cells(self, data: bytes) -> None:
        at = 0
        while (place := data.find(b'"', at)) >= 0:
            if not self._inside:
                self._inside = (data[place - 1] if place else self._before) in CELL_ENDS
                self._spans_lines = False
                at = place + 1
                continue
            self._spans_lines |= b"\n" in data[at:place]
            is_escaped = data[place + 1 : place + 2] == b'"'
            at = place + 1 + is_escaped
            if not is_escaped:
                self._inside = False
                after = data[at : at + 1 << 10].lstrip(b" \t")[:1]
                if self._spans_lines and after and after not in CELL_ENDS:
                    self._broken = True
                    return
        if self._inside:
            self._spans_lines |= b"\n" in data[at:]


class Utf8Stream:
    """A stream of the same length whose bytes are always UTF-8. Invalid bytes of the inner stream are replaced."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._held = b""
        self.quotes = QuoteCheck()
        self.closed = False

    def read(self, size: int = 1 << 20) -> bytes:
        """Read at most `size` bytes; returns none at the end."""
        ended = False
        while not self._held and not ended:
            data = self._stream.read(size)
            ended = not data
            self.quotes.feed(data)
            self._held = _UNDECODED.sub(INVALID_BYTE, self._decoder.decode(data, final=ended)).encode()
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Do nothing; the inner stream stays open."""
        self.closed = True


BLOCK_BYTES = 8 << 20
"""Bytes that are read at a time. A record must not be longer."""
HEADER_BYTES = 1 << 20


def csv_source(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
    """CSV files as a source. Raises SchemaError with the differences of the first file that does not fit, and SourceError."""
    schema = prune_schema(pa.schema([]), field_tree(request))
    return FileSource(schema, [_bind_part(part, request, schema) for part in parts])


def read_header(part: FilePart) -> tuple[list[str], bool]:
    """The names of a file's columns, and whether anything follows the header. Raises SourceError."""
    with open_stream(part) as stream:
        start = stream.read(HEADER_BYTES).removeprefix(BYTE_ORDER_MARK)
        quotes = QuoteCheck()
        quotes.feed(start)
    with suppress(stdlib.Error):
        rows = stdlib.reader(StringIO(start.decode("utf-8", "replace"), newline=""))
        names = next(filter(None, rows), [])
        if not any("\ufffd" in name for name in names):
            if any("\n" in name for name in names) and (quotes.is_broken or quotes.is_unclosed):
                raise _unclosed_quote_error(part.name)
            return names, any(map(bool, rows))
    raise SourceError(f"the header of {part.name} cannot be read", hint="Check that the file is CSV in UTF-8.")


@dataclass(frozen=True, slots=True)
class CsvPart(FileBackedPart):
    """One CSV file bound to a request."""

    names: Sequence[str]
    filled: bool
    bound: BoundRequest

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself, because a CSV file is read from its beginning."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The records, about 8 MiB of text per chunk. Raises SourceError."""
        if not self.filled:
            return
        with open_decompressed(self.file) as stream:
            text = Utf8Stream(stream)
            ragged: list[int] = []
            first = 0
            for batch in replace_errors(
                _cell_batches(text, self.names, ragged), damaged_file_error(self.name), self.name
            ):
                places, rejects, first = _number_records(batch.num_rows, first, ragged)
                yield add_rejects(self._chunk(batch, places), rejects)
            if text.quotes.is_broken or text.quotes.is_unclosed:
                raise _unclosed_quote_error(self.name)
            if ragged:
                none = self._chunk(_empty_batch(self.names), np.array([], np.int64))
                yield add_rejects(none, [_ragged_reject(row) for row in ragged])

    def _chunk(self, batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> Chunk:
        texts, broken = _decode_cells(batch)
        faults = [FaultMask("malformed", None, broken)] if broken.any() else []
        columns = dict(zip(self.names, texts, strict=True))
        for field in self.bound.request.fields:
            if field.pointer.is_flat and field.pointer.top in columns:
                values, bad = parse_texts(columns[field.pointer.top], field.type)
                columns[field.pointer.top] = values
                faults += [FaultMask(_reject_code(field), str(field.pointer), bad)] if bad.any() else []
        return self.bound.chunk(pa.record_batch(columns), places, faults)


def _bind_part(part: FilePart, request: SourceRequest, schema: pa.Schema) -> CsvPart:
    names, filled = read_header(part)
    words = {field.pointer.top: field.type for field in request.fields if field.pointer.is_flat}
    typed = pa.schema([(name, arrow_type(words.get(name, "string"))) for name in names])
    whole = bind_request(typed, request, part.name) if names else _unchecked_request(request)
    return CsvPart(part, names, filled, replace(whole, schema=schema))


def _unchecked_request(request: SourceRequest) -> BoundRequest:
    return BoundRequest(request, pa.schema([]), (), (), ())


def _unclosed_quote_error(name: str) -> SourceError:
    return SourceError(f"a quote in {name} is never closed", hint="Check that the file is complete.")


def _cell_batches(stream: Utf8Stream, names: Sequence[str], ragged: list[int]) -> Iterator[pa.RecordBatch]:
    """The cells as bytes. The numbers of records with a wrong number of cells are added to `ragged`, counted from 0."""

    def skip(row: pv.InvalidRow) -> str:
        ragged.append(row.number - 2)
        return "skip"

    yield from pv.open_csv(
        stream,
        pv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        pv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        pv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            check_utf8=False,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _number_records(rows: int, first: int, ragged: list[int]) -> tuple[npt.NDArray[np.int64], list[Reject], int]:
    """The numbers of `rows` valid records from `first` on, the rejects between them, and the number after the last."""
    between = 0
    while between < len(ragged) and ragged[between] < first + rows + between:
        between += 1
    gone = np.array(ragged[:between], np.int64)
    del ragged[:between]
    places = np.setdiff1d(np.arange(first, first + rows + between), gone, assume_unique=True)
    return places, [_ragged_reject(row) for row in gone.tolist()], first + rows + between


def _ragged_reject(row: int) -> Reject:
    return Reject(row, "row", None, "malformed")


def _decode_cells(batch: pa.RecordBatch) -> tuple[list[pa.StringArray], Bools]:
    """The cells as text, and a mask of the records with a cell that is not UTF-8."""
    texts = [cells.cast(pa.string()) for cells in batch.columns]
    broken = np.zeros(batch.num_rows, bool)
    for text in texts:
        broken |= np.asarray(pc.match_substring(text, INVALID_BYTE).fill_null(False))
    return texts, broken


def _reject_code(field: DeclaredField) -> RejectCode:
    return "bad_time" if field.type in ("timestamp", "date") else "wrong_type"


def _empty_batch(names: Sequence[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], pa.binary()) for _ in names], names=list(names))


def _header_schema(part: FilePart) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in read_header(part)[0]])


def _read_rows(path: Path) -> FileRows:
    with suppress(stdlib.Error), path.open(encoding="utf-8-sig", newline="") as file:
        reader = stdlib.DictReader(file, strict=True)
        rows = [(reader.line_num, row) for row in reader]
        return reader.fieldnames or (), rows
    raise ValueError("a record cannot be separated from the next")


CSV = SourceFormat(
    suffixes=(".csv",),
    bind=csv_source,
    read_rows=_read_rows,
    read_schema=_header_schema,
    has_types=False,
    text_types=("boolean", "integer", "double", "date", "timestamp"),
)
"""CSV: names in a header, and every value is text."""
