"""NDJSON as a source: plain, .gz or .zst; one object a line; a position is the byte where its line begins, decompressed.

Blocks go through Arrow's parser. Lines in which something is in doubt are taken out of their block and read one by one by
`json_strict`, whose word is the meaning of both. A byte order mark at the start of a file is passed over; lines may end with
CRLF, and the last one needs no end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.io.ahead import ahead
from minimize.io.base import Chunk, Request
from minimize.io.columnar import Bound
from minimize.io.find import Shown
from minimize.io.json_fast import explicit, fast
from minimize.io.json_flat import Known, flat
from minimize.io.json_hand import by_hand, by_hand_only, needing
from minimize.io.json_lines import Gathered
from minimize.io.json_parse import FEW, LOOK, Inferred, Told, TooMany
from minimize.io.json_scan import Places, Scanned, deepened, looked
from minimize.io.json_strict import Malformed, anywhere, parse
from minimize.io.lines import BLANK, BOM, Block, Span, Stream, between, blocks, is_plain, lines_at, opened
from minimize.io.lines import lines as every_line
from minimize.io.merge import joined, ordered
from minimize.io.part import FilePart, FileSource, OfFile
from minimize.io.shape import Node, pruned, tree
from minimize.pointer import Pointer
from minimize.stores import Place

PIECE = 64 << 20
"""Bytes of a plain file that are read by one worker at least."""
ALONE = 32
"""So many lines are read one by one where they are one in so many at most; more are worth a parser's start."""
PEEK = 1000
"""How many lines of a file are looked at to see whether an undeclared container is a list or a map."""


def ndjson(files: Sequence[Place], root: Place, request: Request, *, shown: Shown | None = None) -> FileSource:
    """NDJSON files as a source. Raises SourceError where the first lines of a file cannot be read."""
    parts = [FilePart(path, root, shown) for path in files]
    shape = tree(request, _maps(parts, request))
    bound = Bound(
        request=request,
        schema=pruned(pa.schema([]), shape),
        never=(),
        extra=(),
        required=tuple(field for field in request.fields if field.required),
    )
    reader = Lines(bound, shape)
    return FileSource(bound.schema, [NdjsonPart(part, reader) for part in parts])


@dataclass(frozen=True, slots=True)
class NdjsonPart(OfFile):
    """One NDJSON file bound to a request, or the lines of it that begin within a span."""

    lines: Lines
    span: Span | None = None

    @property
    def size(self) -> int:
        """Stored bytes; of a span its own."""
        return self.file.size if self.span is None else self.span[1] - self.span[0]

    def pieces(self, size: int = PIECE) -> Sequence[NdjsonPart]:
        """Its spans, of the same sizes whoever reads them; itself where it is compressed, for then it is read from its start."""
        if self.span is not None or not is_plain(self.file.path) or self.size <= size:
            return (self,)
        starts = range(0, self.size, size)
        return [replace(self, span=(start, min(start + size, self.size))) for start in starts]

    def read(self) -> Iterator[Chunk]:
        """The records, a block of text a chunk, never across spans. Raises SourceError."""
        pieces = self.pieces()
        if len(pieces) == 1:
            yield from self._chunks()
        else:
            for piece in pieces:
                yield from piece.read()

    def at(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """The lines at these positions: of a plain file sought, of a compressed one read past. Raises SourceError."""
        if is_plain(self.file.path):
            for position in positions:
                yield from self._line(position)
            return
        wanted = sorted(positions)
        with self._opened() as (stream, start):
            for block in blocks(stream, start=start):
                yield from map(self.lines.one, lines_at(block, wanted))

    def _line(self, position: int) -> Iterator[Chunk]:
        start = 0 if position == len(BOM) else position  # the first line of a file may begin behind its mark
        with between(self.file.path, self.file.name, (start, position + 1)) as (stream, begin):
            for block in blocks(stream, start=begin):
                yield from map(self.lines.one, lines_at(block, [position]))

    def _chunks(self) -> Iterator[Chunk]:
        with self._opened() as (stream, start), closing(self._blocks(stream, start)) as some:
            yield from map(self.lines.chunk, some)

    def _blocks(self, stream: Stream, start: int) -> Generator[Block, None, None]:
        """A file's blocks; of a compressed one the next is decompressed while one is parsed."""
        found = blocks(stream, start=start)
        yield from found if is_plain(self.file.path) else ahead(found)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Stream, int]]:
        if self.span is not None:
            with between(self.file.path, self.file.name, self.span) as found:
                yield found
        else:
            with opened(self.file.path, self.file.name) as stream:
                yield stream, 0


@dataclass(frozen=True, slots=True)
class Lines:
    """A way from blocks of lines to chunks: fast where it can be, strict where it must."""

    bound: Bound
    root: Node
    few: int = FEW
    look: int = LOOK
    told: Told = field(init=False)
    known: Known = field(default_factory=Known)
    inferred: Inferred = field(default_factory=Inferred)
    hand: bool = field(init=False)
    """Whether something must be read by hand."""

    def __post_init__(self) -> None:
        """Prepares what Arrow's parser is told."""
        object.__setattr__(self, "told", Told(explicit(self.root), few=self.few, look=self.look))
        object.__setattr__(self, "hand", by_hand_only(self.root))

    def chunk(self, block: Block) -> Chunk:
        """A block as a chunk."""
        if block.too_large:
            return Gathered(self.bound, self.root).too_large(block.position).chunk()
        lines = looked(block)
        found = flat(lines, self.bound, self.root, self.known)
        left = _others(found, len(lines.starts))
        if len(left) > ALONE or len(left) * ALONE > len(lines.starts):
            rest = deepened(lines.only(left) if found else lines)
            found += [(chunk, left[rows]) for chunk, rows in self._sure(rest)]
            left = _others(found, len(lines.starts))
        chunks = [chunk for chunk, _ in found]
        if len(left) or not found:
            chunks.append(self._strictly((lines.position(row), lines.line(row)) for row in left.tolist()))
        return chunks[0] if len(chunks) == 1 else ordered(joined(chunks, self.bound.schema))

    def one(self, line: Block) -> Chunk:
        """A block that is one line as a chunk."""
        return self.chunk(line) if line.too_large else self.strictly(line)

    def strictly(self, block: Block) -> Chunk:
        """A block as a chunk, line by line."""
        return self._strictly(every_line(block))

    def _strictly(self, some: Iterable[tuple[int, bytes]]) -> Chunk:
        gathered = Gathered(self.bound, self.root)
        for position, line in some:
            if line.strip(BLANK):
                gathered.take(position, line)
        return gathered.chunk()

    def _sure(self, lines: Scanned) -> list[tuple[Chunk, Places]]:
        """Chunks of lines beyond doubt, each with the indices of its lines: those of its records and of its rejects."""
        rows = np.flatnonzero(~lines.odd)
        slow = np.intersect1d(rows, needing(lines, self.root), assume_unique=True) if self.hand else rows[:0]
        with suppress(TooMany):
            rest = np.setdiff1d(rows, slow, assume_unique=True)
            return [*fast(lines, rest, self.bound, self.root, self.told, self.inferred), *self._by_hand(lines, slow)]
        return self._by_hand(lines, rows)

    def _by_hand(self, lines: Scanned, rows: Places) -> list[tuple[Chunk, Places]]:
        with suppress(TooMany):
            return list(by_hand(lines, rows, self.bound, self.root))
        return []


def _others(found: Sequence[tuple[Chunk, Places]], count: int) -> Places:
    """The indices of the lines that are not among those found."""
    left = np.ones(count, bool)
    for _, rows in found:
        left[rows] = False
    return left.nonzero()[0]


def _maps(parts: Sequence[FilePart], request: Request) -> frozenset[Pointer]:
    """The containers under a star that the policy does not declare and that are objects where they first occur."""
    declared = {field.pointer for field in request.fields}
    above = (Pointer(star.parts[:-1]) for field in request.fields for star in field.pointer.stars)
    wanted = dict.fromkeys(pointer for pointer in above if pointer not in declared)
    kinds: dict[Pointer, type] = {}
    for record in _first_records(parts) if wanted else ():
        for pointer in wanted:
            kind = next((type(value) for value in anywhere(record, pointer.parts) if value is not None), None)
            if kind is not None:
                kinds.setdefault(pointer, kind)
        if len(kinds) == len(wanted):
            break
    return frozenset(pointer for pointer, kind in kinds.items() if kind is dict)


def _first_records(parts: Sequence[FilePart]) -> Iterator[dict[str, Any]]:
    """The records that parse among the first lines of each file."""
    for part in parts:
        with opened(part.path, part.name) as stream:
            every = (line for block in blocks(stream, 1 << 20) for _, line in every_line(block))
            for line in islice(every, PEEK):
                with suppress(Malformed):
                    yield parse(line)
