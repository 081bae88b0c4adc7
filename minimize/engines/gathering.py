"""Released batches put together until they make a row group, so that they are read, treated and kept in a processor's cache.

Batches that were made with the help of one memory share its dictionary, of which a later batch has more entries. It is
scrubbed and written once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.io.base import MANY, Sink
from minimize.stage import Batch
from minimize.stages.release import Release
from minimize.techniques.distinct import decoded
from minimize.words import offsets_of

BUFFERED: Final = 256 << 20
"""Bytes that wait, at most about, before they are written."""
Released = Mapping[str, pa.Array]


class Gathering:
    """The way from the stages to a sink, a row group's worth at a time. Nested records go as they come."""

    def __init__(self, release: Release, sink: Sink) -> None:
        self._release, self._sink = release, sink
        self._parts: list[Released] = []
        self._rows = self._bytes = 0

    def take(self, batch: Batch) -> None:
        """Takes in what may leave a batch."""
        if not self._release.flat:
            self._sink.write(self._release.columns(batch))
        elif batch.raw.num_rows:
            self._parts.append(batch.released)
            self._rows += batch.raw.num_rows
            self._bytes += sum(map(_size, batch.released.values()))
            if self._rows >= MANY or self._bytes >= BUFFERED:
                self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        parts, self._parts, self._rows, self._bytes = self._parts, [], 0, 0
        if parts:
            self._sink.write(self._release.leaving(_columns(parts, self._release.flat)))


def together(arrays: Sequence[pa.Array]) -> pa.Array:
    """The arrays as one; of dictionary-encoded ones with what their dictionaries have in common told once.

    >>> one, more = pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b", "c"]).dictionary_encode()
    >>> both = together([one, more])
    >>> both.indices.to_pylist(), both.dictionary.to_pylist()
    ([0, 1, 0, 1, 2], ['a', 'b', 'c'])
    """
    if len(arrays) == 1:
        return arrays[0]
    if not any(pa.types.is_dictionary(array.type) for array in arrays):
        return pa.concat_arrays(arrays)
    encoded = [_encoded(array) for array in arrays]
    longest = max((array.dictionary for array in encoded), key=len)
    alone = [not _begins(array.dictionary, longest) for array in encoded]
    if any(alone):
        encoded, longest = _unified(encoded, alone, longest)
    return pa.DictionaryArray.from_arrays(pa.concat_arrays([array.indices for array in encoded]), longest, safe=False)


def _columns(parts: list[Released], keys: Sequence[str]) -> Iterator[pa.Array]:
    """The columns of all parts, one after the other, each as one; of what was given nothing is held any longer."""
    columns = [[part[key] for part in parts] for key in reversed(keys)]
    parts.clear()
    while columns:
        yield together(columns.pop())


def _encoded(array: pa.Array) -> pa.DictionaryArray:
    """With indices of 32 bits, and no null among the entries."""
    if not pa.types.is_dictionary(array.type) or array.dictionary.null_count:
        return decoded(array).dictionary_encode()
    if pa.types.is_int32(array.type.index_type):
        return array
    return array.cast(pa.dictionary(pa.int32(), array.type.value_type))


def _unified(
    encoded: Sequence[pa.DictionaryArray], alone: Sequence[bool], shared: pa.Array
) -> tuple[list[pa.DictionaryArray], pa.Array]:
    """The arrays under one dictionary: what some share is looked at once, what others have alone is added."""
    every = pa.DictionaryArray.from_arrays(pa.array(np.arange(len(shared), dtype=np.int32)), shared, safe=False)
    apart = [array for array, own in zip(encoded, alone, strict=True) if own]
    first, *others = pa.chunked_array([every, *apart]).unify_dictionaries().chunks
    left = iter(others)
    return [
        next(left) if own else _renamed(array, first) for array, own in zip(encoded, alone, strict=True)
    ], first.dictionary


def _renamed(array: pa.DictionaryArray, names: pa.DictionaryArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(names.indices.take(array.indices), names.dictionary, safe=False)


def _begins(some: pa.Array, more: pa.Array) -> bool:
    """Whether a dictionary is the beginning of another. Mostly both are one piece of memory, which need not be read."""
    if some is more:
        return True
    if pa.types.is_string(some.type) and some.type == more.type and _data(some) == _data(more) is not None:
        return bool(np.array_equal(offsets_of(some), offsets_of(more)[: len(some) + 1]))
    return bool(some.equals(more.slice(0, len(some))))


def _data(texts: pa.Array) -> int | None:
    """Where the letters of texts without nulls stand."""
    content = texts.buffers()[2]
    return None if texts.null_count or content is None else int(content.address)


def _size(column: pa.Array) -> int:
    """The bytes of a column; a dictionary is taken as shared."""
    return int(column.indices.nbytes if pa.types.is_dictionary(column.type) else column.nbytes)
