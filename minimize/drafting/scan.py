"""The first records of a source's first files, field by field, as counts. Local, and nothing of a value is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pyarrow as pa

from minimize.drafting.look import Look, look_at
from minimize.errors import SchemaError, SourceError
from minimize.io import FORMATS
from minimize.io.base import Declared, Request
from minimize.io.discover import FILES, LINES, format_of
from minimize.io.find import find
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.stores import Place

CONTAINERS = ("list", "struct", "map")


def scan(pattern: str, leaves: Mapping[Pointer, str], base: Path | None = None) -> dict[Pointer, Look]:
    """What the values of these leaves look like, as far as their files can be read.

    Takes the path of a source, its leaves with the policy's words for their types, and the folder that a relative path starts
    from (the working directory). A file that does not fit them is
    passed over, as is a record.
    """
    found = find(pattern, base or Path.cwd())
    files = [path for group in found.files.values() for path in group if format_of(path)][:FILES]
    asked = Request(tuple(_declared(leaves)), rows=LINES)
    batches = [batch for path in files for batch in _read(path, found.root, asked)]
    return {pointer: look_at(_columns(batches, pointer)) for pointer in _scalars(leaves)}


def _declared(leaves: Mapping[Pointer, str]) -> Iterator[Declared]:
    for pointer in _scalars(leaves):
        yield Declared(str(pointer), pointer, leaves[pointer], optional=True)
    for pointer in (each for each, word in leaves.items() if word == "map"):
        yield Declared(str(pointer), pointer, "map", optional=True, needed=False)


def _scalars(leaves: Mapping[Pointer, str]) -> list[Pointer]:
    return [pointer for pointer, word in leaves.items() if word not in CONTAINERS]


def _read(path: Place, root: Place, asked: Request) -> list[pa.RecordBatch]:
    """The first records of one file."""
    batches: list[pa.RecordBatch] = []
    with suppress(SchemaError, SourceError):
        source = FORMATS[format_of(path)]([path], root, asked)
        left = LINES
        for chunk in islice(source.parts[0].read(), LINES):
            batches.append(chunk.records.slice(0, left))
            left -= chunk.read
            if left <= 0:
                break
    return batches


def _columns(batches: Sequence[pa.RecordBatch], pointer: Pointer) -> list[pa.Array]:
    """One leaf of all batches that have it, in one type."""
    found: list[pa.Array] = []
    for batch in batches:
        with suppress(KeyError):
            found.append(leaf(batch, pointer).values)
    return [array for array in found if array.type == found[0].type]
