"""Small batches put together to large ones: an aggregate's cost for a batch grows with what it has seen before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from minimize.aggregates.definition import Definition
from minimize.codebook import settled
from minimize.pointer import Pointer
from minimize.stage import Batch


class Gathered:
    """Batches, cut down to what an aggregate reads, until they are taken."""

    def __init__(self, definition: Definition) -> None:
        measured = [each.measure.of for each in definition.measures.values() if each.measure.of is not None]
        self._keys = frozenset([*(key.key for key in definition.keys.values()), *measured])
        self._elements = frozenset(key.key for key in definition.keys.values() if key.star is not None)
        nested = [Pointer.parse(key).top for key in self._keys if Pointer.parse(key).stars]
        self._columns = sorted({definition.counting.top, *nested})
        self._batches: list[Batch] = []
        self.rows = 0

    def add(self, batch: Batch) -> None:
        """Keeps a batch."""
        self.rows += batch.raw.num_rows
        self._batches.append(
            Batch(
                batch.raw.select(self._columns),
                closed={key: mask for key, mask in batch.closed.items() if key in self._elements},
                released=self._cut(batch.released),
                measured=self._cut(batch.measured),
                ranks=self._cut(batch.ranks),
            )
        )

    def take(self) -> list[Batch]:
        """All that was kept, as one batch where it can be put together."""
        batches, self._batches, self.rows = self._batches, [], 0
        try:
            return batches if len(batches) < 2 else [_together(batches)]
        except pa.ArrowException:
            return batches

    def _cut(self, leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {key: leaf for key, leaf in leaves.items() if key in self._keys}


def cut(batch: Batch, definition: Definition, rows: int) -> Iterator[Batch]:
    """The batch in slices of so many rows, whole where leaves stand in lists. Slices share their dictionaries."""
    total = batch.raw.num_rows
    if total <= rows or not _is_flat(definition):
        yield from [batch] if total else []
        return
    for first in range(0, total, rows):
        yield Batch(
            batch.raw.slice(first, rows),
            released=_slices(batch.released, first, rows),
            measured=_slices(batch.measured, first, rows),
            ranks=_slices(batch.ranks, first, rows),
        )


def _slices(leaves: Mapping[str, pa.Array], first: int, rows: int) -> dict[str, pa.Array]:
    return {key: leaf.slice(first, rows) for key, leaf in leaves.items()}


def _is_flat(definition: Definition) -> bool:
    measured = [each.star for each in definition.measures.values()]
    return not any([definition.star, *measured])


def _together(batches: Sequence[Batch]) -> Batch:
    names = batches[0].raw.schema.names
    raw = [_joined([batch.raw.column(name) for batch in batches]) for name in names]
    return Batch(
        pa.RecordBatch.from_arrays(raw, names=names),
        closed=_closed(batches),
        released=_leaves([batch.released for batch in batches]),
        measured=_leaves([batch.measured for batch in batches]),
        ranks=_leaves([batch.ranks for batch in batches]),
    )


def _leaves(parts: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    return {key: _joined([leaves[key] for leaves in parts]) for key in parts[0]}


def _closed(batches: Sequence[Batch]) -> dict[str, pa.Array]:
    """A field that is not there has nothing closed in that batch."""
    keys = {key for batch in batches for key in batch.closed}
    return {key: _joined([_mask(batch, key) for batch in batches]) for key in keys}


def _mask(batch: Batch, key: str) -> pa.Array:
    closed = batch.closed.get(key)
    return pa.repeat(False, len(batch.released[key])) if closed is None else closed


def _joined(arrays: Sequence[pa.Array]) -> pa.Array:
    alike = len({array.type for array in arrays}) == 1 and not any(_has_null_entry(array) for array in arrays)
    return pa.concat_arrays(arrays if alike else list(_plain(arrays)))


def _has_null_entry(array: pa.Array) -> bool:
    return bool(pa.types.is_dictionary(array.type) and array.dictionary.null_count)


def _plain(arrays: Iterable[pa.Array]) -> Iterable[pa.Array]:
    for array in arrays:
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        yield plain.cast(settled(array.type))
