"""How many distinct values stand in each field of the records in force: counted column by column, and only the number is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minimize.encryption import material_of, open_parquet
from minimize.errors import KeyringError, OutputError
from minimize.io.stored import Stored, stored
from minimize.keys import Kms
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.receipt import OutputFile
from minimize.report.rounding import Count
from minimize.stores import Place

MOST: Final = 1_000_000
"""Beyond so many distinct values nobody counts on."""
UNKNOWN: Final = "files are encrypted, and no key is to be had here"
_OF_CONTAINERS: Final = "lists and maps are not compared"
DAMAGED: Final = "files of it are missing or damaged"


@dataclass
class Tally:
    """The distinct values of one field, as far as files were read; `why` says what stands against counting them."""

    pointer: Pointer
    seen: list[pa.Array] = field(default_factory=list, repr=False)
    size: int = 0
    why: str = ""
    full: bool = False

    def observe(self, batch: pa.RecordBatch) -> None:
        """Takes the values of a batch; null is no value."""
        if self.why or self.full or self.pointer.top not in batch.schema.names:
            return
        values = _comparable(batch, self.pointer)
        if values is None:
            self.why = _OF_CONTAINERS
            return
        self._add(_decoded(values.drop_null().unique()))

    def count(self) -> tuple[Count | None, str]:
        """The number, and how it was counted; None and why there is none."""
        if self.why:
            return None, self.why
        self._settle()
        return Count.of(self.size), f"more than {MOST:,}: not counted on" if self.full else "counted"

    def _add(self, values: pa.Array) -> None:
        self.seen.append(values)
        self.size += len(values)
        if self.size > MOST:
            self._settle()
            self.full = self.size > MOST

    def _settle(self) -> None:
        if len(self.seen) > 1:
            self.seen = [pa.chunked_array(self.seen).unique()]
        self.size = sum(map(len, self.seen))


Columns = dict[str, list[Tally]]
"""The tallies of what stands in each top-level column."""


def distinct(output: Place, files: Sequence[OutputFile], keys: Iterable[str], kms: Kms | None) -> dict[str, Tally]:
    """Per field the tally over all files; a column that cannot be read says why."""
    tallies = {key: Tally(Pointer.parse(key)) for key in keys}
    for file in files:
        for columns in _openable(output, file.path, _by_column(tallies)):
            _look(output, file.path, columns, kms)
    return tallies


def _openable(output: Place, path: str, columns: Columns) -> Iterator[Columns]:
    """The columns that are opened together: those that are open, and those under each master key, of which one may be missing."""
    masters = material_of(output / path).of(columns)
    locked = {name for names in masters.values() for name in names}
    yield {name: columns[name] for name in columns if name not in locked}
    for names in masters.values():
        yield {name: columns[name] for name in names}


def _look(output: Place, path: str, columns: Columns, kms: Kms | None) -> None:
    try:
        found = _open(output, path, columns, kms)
        for name in columns:
            _observe(found, name, columns[name])
        return
    except KeyringError:
        why = UNKNOWN
    except OutputError:
        why = DAMAGED
    for tally in chain.from_iterable(columns.values()):
        tally.why = why


def _observe(found: Stored, name: str, tallies: Sequence[Tally]) -> None:
    if name in found.whole.names:
        for batch in found.batches(columns=[name]):
            for tally in tallies:
                tally.observe(batch)


def _open(output: Place, path: str, columns: Iterable[str], kms: Kms | None) -> Stored:
    file: pq.ParquetFile | None = None
    with suppress(OSError, pa.ArrowException):
        file = open_parquet(output / path, kms, columns=[*columns], name=path)
    if file is None:
        raise OutputError(f"{path} is gone or damaged")
    return stored(path, file)


def _by_column(tallies: Mapping[str, Tally]) -> Columns:
    found: Columns = {}
    for tally in tallies.values():
        if not tally.why and not tally.full:
            found.setdefault(tally.pointer.top, []).append(tally)
    return found


def _comparable(batch: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The values in a form that can be compared; a struct of plain values as text."""
    try:
        values = leaf(batch, pointer).values
    except KeyError:
        return pa.nulls(0, pa.string())
    if pa.types.is_struct(values.type):
        return _struct(values)
    return None if pa.types.is_nested(values.type) else values


def _decoded(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _struct(values: pa.StructArray) -> pa.Array | None:
    parts = values.flatten()
    if any(pa.types.is_nested(part.type) for part in parts):
        return None
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), "\x1f")
