"""NDJSON files as a source: plain, .gz or .zst, one object per line.

line_scan      the lines of a block as arrays, and the lines that Arrow's parser must not see
arrow_reader   lines as records, by Arrow's parser, without the lines that it rejects
strict_reader  one line at a time: the reader that defines what a record is

A position is the byte at which a line begins, decompressed. Arrow's parser reads blocks of lines. The
strict reader reads the lines about which Arrow's is uncertain, one by one, and both must give the same. It refuses lines that are
malformed or of wrong types; records with forbidden or missing fields are refused in `record_checks.py`, as those of every format.
A byte order mark at the start of a file is skipped. Lines may end with CRLF, and the last line needs no end.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk
from minimize.sources import FileRows, SourceFormat
from minimize.sources.base import SourceRequest
from minimize.sources.files import (
    BLANK_BYTES,
    BYTE_ORDER_MARK,
    ByteSpan,
    ByteStream,
    FileBackedPart,
    FilePart,
    FileSource,
    LineBlock,
    is_uncompressed,
    line_blocks,
    lines_at,
    nonblank_lines,
    open_span,
    open_stream,
    prefetch,
)
from minimize.sources.ndjson.arrow_reader import PARSE_BYTES, LinesParser, ParserOptions, explicit_schema, read_by_arrow
from minimize.sources.ndjson.line_scan import scan_lines
from minimize.sources.ndjson.strict_reader import ChunkBuilder, MalformedLine, parse_line, values_at_path
from minimize.sources.projection import FieldNode, field_tree, prune_schema
from minimize.sources.schema_check import BoundRequest, concat_chunks, sort_chunk

PIECE_BYTES = 64 << 20
"""Minimum bytes of an uncompressed file per worker."""
PEEKED_LINES = 1000
"""Lines of a file that are examined to find whether an undeclared container is a list or a map."""


def ndjson_source(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
    """NDJSON files as a source. Raises SourceError if the first lines of a file cannot be read."""
    shape = field_tree(request, _undeclared_maps(parts, request))
    bound = BoundRequest(
        request=request,
        schema=prune_schema(pa.schema([]), shape),
        never=(),
        undeclared=(),
        required=tuple(field for field in request.fields if field.required),
    )
    reader = NdjsonReader(bound, shape)
    return FileSource(bound.schema, [NdjsonPart(part, reader) for part in parts])


@dataclass(frozen=True, slots=True)
class NdjsonPart(FileBackedPart):
    """One NDJSON file bound to a request, or the lines of it that begin within a span."""

    lines: NdjsonReader
    span: ByteSpan | None = None

    @property
    def size(self) -> int:
        """Stored bytes; for a span, the bytes of the span."""
        return self.file.size if self.span is None else self.span[1] - self.span[0]

    def pieces(self, size: int = PIECE_BYTES) -> Sequence[NdjsonPart]:
        """Its spans, of sizes independent of the number of workers; the part itself if it is compressed."""
        if self.span is not None or not is_uncompressed(self.file.path) or self.size <= size:
            return (self,)
        starts = range(0, self.size, size)
        return [replace(self, span=(start, min(start + size, self.size))) for start in starts]

    def read(self) -> Iterator[Chunk]:
        """The records, one block of text per chunk, never across spans. Raises SourceError."""
        pieces = self.pieces()
        if len(pieces) == 1:
            yield from self._chunks()
        else:
            for piece in pieces:
                yield from piece.read()

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """The lines at these positions.

        An uncompressed file is sought, a compressed one is read from its start. Raises SourceError.
        """
        if is_uncompressed(self.file.path):
            for position in positions:
                yield from self._line(position)
            return
        line_starts = sorted(positions)
        with self._open_stream() as (stream, start):
            for block in line_blocks(stream, start=start):
                yield from map(self.lines.read_line, lines_at(block, line_starts))

    def _line(self, position: int) -> Iterator[Chunk]:
        start = (
            0 if position == len(BYTE_ORDER_MARK) else position
        )  # the first line of a file may follow a byte order mark
        with open_span(self.file.path, self.file.name, (start, position + 1)) as (stream, begin):
            for block in line_blocks(stream, start=begin):
                yield from map(self.lines.read_line, lines_at(block, [position]))

    def _chunks(self) -> Iterator[Chunk]:
        with self._open_stream() as (stream, start), closing(self._blocks(stream, start)) as some:
            yield from map(self.lines.chunk, some)

    def _blocks(self, stream: ByteStream, start: int) -> Generator[LineBlock, None, None]:
        """A file's blocks. For a compressed file, the next block is decompressed while one is parsed."""
        blocks = line_blocks(stream, start=start)
        yield from blocks if is_uncompressed(self.file.path) else prefetch(blocks)

    @contextmanager
    def _open_stream(self) -> Iterator[tuple[ByteStream, int]]:
        if self.span is not None:
            with open_span(self.file.path, self.file.name, self.span) as found:
                yield found
        else:
            with open_stream(self.file) as stream:
                yield stream, 0


@dataclass(frozen=True)
class NdjsonReader:
    """Converts blocks of lines to chunks: certain lines by Arrow, the others strictly."""

    bound: BoundRequest
    root: FieldNode
    block_bytes: int = PARSE_BYTES

    @cached_property
    def parser(self) -> LinesParser:
        """Arrow's parser, for the declared types."""
        return LinesParser(ParserOptions(explicit_schema(self.root), block_bytes=self.block_bytes))

    def chunk(self, block: LineBlock) -> Chunk:
        """A block as a chunk."""
        if block.too_large:
            return ChunkBuilder(self.bound, self.root).add_too_large(block.position).chunk()
        lines = scan_lines(block)
        unread_mask = np.ones(len(lines.starts), bool)
        chunks = []
        for chunk, rows in read_by_arrow(lines, np.flatnonzero(~lines.odd), self.bound, self.root, self.parser):
            chunks.append(chunk)
            unread_mask[rows] = False
        if unread_mask.any() or not chunks:
            unread_rows = unread_mask.nonzero()[0]
            chunks.append(
                self._strictly(
                    zip(lines.file_positions(unread_rows).tolist(), map(lines.line, unread_rows.tolist()), strict=True)
                )
            )
        return chunks[0] if len(chunks) == 1 else sort_chunk(concat_chunks(chunks, self.bound.schema))

    def read_line(self, line: LineBlock) -> Chunk:
        """A block that is one line as a chunk."""
        return self.chunk(line) if line.too_large else self.read_strictly(line)

    def read_strictly(self, block: LineBlock) -> Chunk:
        """A block as a chunk, line by line."""
        return self._strictly(nonblank_lines(block))

    def _strictly(self, some: Iterable[tuple[int, bytes]]) -> Chunk:
        gathered = ChunkBuilder(self.bound, self.root)
        for position, line in some:
            if line.strip(BLANK_BYTES):
                gathered.add_line(position, line)
        return gathered.chunk()


def _undeclared_maps(parts: Sequence[FilePart], request: SourceRequest) -> frozenset[Pointer]:
    """The undeclared containers below a star that are objects at their first occurrence."""
    declared = {field.pointer for field in request.fields}
    above = (Pointer(star.parts[:-1]) for field in request.fields for star in field.pointer.stars)
    pointers = dict.fromkeys(pointer for pointer in above if pointer not in declared)
    kinds: dict[Pointer, type] = {}
    records = chain.from_iterable(_first_records(part, PEEKED_LINES) for part in parts)
    for record in records if pointers else ():
        for pointer in pointers:
            kind = next((type(value) for value in values_at_path(record, pointer.parts) if value is not None), None)
            if kind is not None:
                kinds.setdefault(pointer, kind)
        if len(kinds) == len(pointers):
            break
    return frozenset(pointer for pointer, kind in kinds.items() if kind is dict)


def _first_records(part: FilePart, most: int) -> Iterator[dict[str, Any]]:
    """The valid records among the first lines of a file."""
    with open_stream(part) as stream:
        file_lines = (line for block in line_blocks(stream, 1 << 20) for _, line in nonblank_lines(block))
        for line in islice(file_lines, most):
            with suppress(MalformedLine):
                yield parse_line(line)


def _read_rows(path: Path) -> FileRows:
    """The rows by line number; None for a line that is not a valid record, so that one line does not hide the others."""
    lines = enumerate(path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1)
    return None, [(number, _read_row(line)) for number, line in lines if line.strip()]


def _read_row(line: bytes) -> dict[str, Any] | None:
    with suppress(MalformedLine):
        parse_line(line)
        row: dict[str, Any] = json.loads(line)  # with numbers as numbers
        return row
    return None


NDJSON = SourceFormat(
    suffixes=(".ndjson", ".jsonl", ".json"),
    bind=ndjson_source,
    read_rows=_read_rows,
    read_records=_first_records,
    unit="byte",
    text_types=("date", "timestamp"),
)
"""NDJSON: each record has its own names; numbers and booleans have types, times are text."""
