"""Records whose value cannot name the folder of a partition: they are rejected, and the others are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.base import Chunk, Part, Reject, Source, Unit
from minimize.io.hive import LONGEST, folder
from minimize.io.merge import with_rejects
from minimize.io.part import Around
from minimize.io.positions import Sought
from minimize.io.rows import Mask


def nameable(source: Source, keys: Sequence[str], unit: Unit) -> Source:
    """The source without the records of which a value of these columns makes too long a name for a folder (`too_long`)."""
    return Nameable(source, tuple(keys), unit) if keys else source


@dataclass(frozen=True, slots=True)
class Nameable:
    """A source whose parts reject such records."""

    source: Source
    keys: tuple[str, ...]
    unit: Unit

    @property
    def schema(self) -> pa.Schema:
        """As the source has it."""
        return self.source.schema

    @property
    def parts(self) -> Sequence[Part]:
        """The source's parts."""
        return [NameablePart(part, self.keys, self.unit) for part in self.source.parts]

    def only(self, keys: Collection[str]) -> Source:
        """The same records with no more than these fields and those that name folders."""
        return replace(self, source=self.source.only({*keys, *self.keys}))


@dataclass(frozen=True, slots=True)
class NameablePart(Around):
    """A part without the records of which a value makes too long a name."""

    keys: tuple[str, ...]
    unit: Unit

    def pieces(self) -> Sequence[Part]:
        """The part's pieces."""
        return [replace(self, part=piece) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        return map(self._without, self.part.read())

    def at(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        return map(self._without, self.part.at(positions) if isinstance(self.part, Sought) else self.part.read())

    def _without(self, chunk: Chunk) -> Chunk:
        bad = np.zeros(chunk.records.num_rows, bool)
        fields: dict[int, str] = {}
        for key in self.keys:
            mask = too_long(chunk.records.column(key), key)
            fields = dict.fromkeys(np.flatnonzero(mask).tolist(), f"/{key}") | fields
            bad |= mask
        if not bad.any() or chunk.positions is None:
            return chunk
        places = np.asarray(chunk.positions)
        rejects = [Reject(int(places[row]), self.unit, fields[row], "too_long") for row in sorted(fields)]
        good = pa.array(~bad)
        kept = replace(chunk, records=chunk.records.filter(good), positions=chunk.positions.filter(good))
        return with_rejects(replace(kept, read=chunk.read - len(rejects)), rejects)


def too_long(values: pa.Array, key: str) -> Mask:
    """Which of a column's values make too long a name for a folder. Only values that may are looked at one by one."""
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    texts = coded.dictionary
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return np.zeros(len(values), bool)
    most = np.asarray(pc.binary_length(texts).fill_null(0)) * 3 + len(folder(key, "").encode())
    long = np.zeros(len(texts) + 1, bool)
    for place in np.flatnonzero(most > LONGEST).tolist():
        long[place] = len(folder(key, texts[place].as_py()).encode()) > LONGEST
    found: Mask = long[coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]
    return found
