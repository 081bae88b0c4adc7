"""NDJSON as a source: plain, .gz or .zst; one object a line; a position is the byte where its line begins, decompressed.

Blocks go through Arrow's parser. A block in which something is in doubt is halved until the doubt stands in a few lines, and
those are read one by one by `json_strict`, whose word is the meaning of both. A byte order mark at the start of a file
is passed over; lines may end with CRLF, and the last one needs no end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.io.base import Chunk, Part, Request
from minimize.io.columnar import Bound
from minimize.io.find import Shown
from minimize.io.json_fast import applies, explicit, fast
from minimize.io.json_lines import Gathered
from minimize.io.json_strict import Malformed, anywhere, parse
from minimize.io.lines import BLOCK, Block, blocks, lines, opened
from minimize.io.merge import bounded, joined
from minimize.io.part import FilePart, FileSource
from minimize.io.shape import Node, pruned, tree
from minimize.pointer import Pointer

CHUNK = 8 << 20
"""About how many bytes of text make a chunk."""
FEW = 1 << 14
"""Bytes below which lines in doubt are read one by one."""
PEEK = 1000
"""How many lines of a file are looked at to see whether an undeclared container is a list or a map."""


def ndjson(files: Sequence[Path], root: Path, request: Request, *, shown: Shown | None = None) -> FileSource:
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
    reader = Lines(bound, shape, explicit(shape) if applies(shape) else None)
    return FileSource(bound.schema, [NdjsonPart(part, reader) for part in parts])


@dataclass(frozen=True, slots=True)
class NdjsonPart:
    """One NDJSON file bound to a request."""

    file: FilePart
    lines: Lines

    @property
    def name(self) -> str:
        """The path relative to the source's root."""
        return self.file.name

    @property
    def digest(self) -> str:
        """`sha256:` of the stored bytes."""
        return self.file.digest

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self.file.size

    def pieces(self) -> Sequence[Part]:
        """Itself: it is read from its beginning."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The records, about 8 MiB of text a chunk. Raises SourceError."""
        yield from bounded(self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        with opened(self.file.path, self.file.name) as stream:
            found = map(self.lines.chunk, blocks(stream))
            while some := list(islice(found, CHUNK // BLOCK)):
                yield joined(some, self.lines.bound.schema)


@dataclass(frozen=True, slots=True)
class Lines:
    """A way from blocks of lines to chunks: fast where it can be, strict where it must."""

    bound: Bound
    root: Node
    types: pa.Schema | None
    """What Arrow's parser is told; None where it cannot read these fields."""
    few: int = FEW

    def chunk(self, block: Block) -> Chunk:
        """A block as a chunk."""
        if block.too_large:
            return Gathered(self.bound, self.root).too_large(block.position).chunk()
        return joined(list(self._pieces(block)), self.bound.schema)

    def strictly(self, block: Block) -> Chunk:
        """A block as a chunk, line by line."""
        gathered = Gathered(self.bound, self.root)
        for position, line in lines(block):
            gathered.take(position, line)
        return gathered.chunk()

    def _pieces(self, block: Block) -> Iterator[Chunk]:
        """The block whole, or else its halves, down to a few lines that are read one by one."""
        if self.types is None:
            yield self.strictly(block)
        elif (found := fast(block, self.bound, self.root, self.types)) is not None:
            yield found
        elif len(halves := _halves(block, self.few)) == 1:
            yield self.strictly(block)
        else:
            for half in halves:
                yield from self._pieces(half)


def _halves(block: Block, few: int) -> list[Block]:
    """The block cut at the line end nearest before or after its middle; itself where it is small or one line."""
    middle = len(block.data) // 2
    cut = block.data.rfind(b"\n", 0, middle) + 1 or block.data.find(b"\n", middle) + 1
    if len(block.data) <= few or cut in (0, len(block.data)):
        return [block]
    return [Block(block.position, block.data[:cut]), Block(block.position + cut, block.data[cut:])]


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
            every = (line for block in blocks(stream) for _, line in lines(block))
            for line in islice(every, PEEK):
                with suppress(Malformed):
                    yield parse(line)
