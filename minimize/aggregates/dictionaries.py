"""Dictionaries: dense integer codes of combinations of codes, and of groups.

A code stays the same over all batches. The threads of a run share the dictionaries of groups.

A combination of columns is coded in steps. The widest two columns become one code by a table with a cell for each pair;
that code and the next column become another, and so on. The cost depends on the combinations that occur, not on those that
are possible. If a table would be too large, the remaining columns become one integer, or several, and a hash table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.definition import AggregateDefinition, GroupKey, TimeUnit
from minimize.arrow.codes import IntegerDictionary, IntegerTable, ValueDictionary
from minimize.arrow.dictionaries import Codes, run_starts

_WORD_BITS: Final = 62
"""Bits of an integer."""
_CODE_BITS: Final = 31
"""Largest number of bits of a code."""
_MAX_TABLE_CELLS: Final = 1 << 22
"""Largest number of cells of a table."""
_MIN_TABLE_CELLS: Final = 1 << 16
_CELLS_PER_ROW: Final = 16
"""Additional cells of a table per seen row."""


class CombinationDictionary:
    """Assigns codes to combinations in the order of their first occurrence. Input codes are below 2**31.

    >>> seen = CombinationDictionary(2)
    >>> seen.encode([np.array([7, 0, 7]), np.array([1, 1, 1])], 3).tolist()
    [0, 1, 0]
    >>> [column.tolist() for column in seen.columns()]
    [[7, 0], [1, 1]]
    """

    def __init__(self, columns: int) -> None:
        self._bits = [0] * columns
        self._order, self._steps = list(range(columns)), list(_plan_steps(self._bits, columns))
        self._rows = 0

    def __len__(self) -> int:
        return len(self._steps[-1].seen)

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The code of each row."""
        self._rows += rows
        bit_lengths = [int(column.max(initial=0)).bit_length() for column in columns]
        if any(length > bits for length, bits in zip(bit_lengths, self._bits, strict=True)):
            self._lay(list(map(max, bit_lengths, self._bits)), len(columns))
        return self._encode(columns, rows)

    def columns(self, codes: Codes | None = None) -> list[Codes]:
        """The codes of each column in all combinations, or in some."""
        step_codes = np.arange(len(self)) if codes is None else codes
        columns: list[Codes] = []
        for step in reversed(self._steps):
            step_codes, some = step.columns(step_codes)
            columns = [*some, *columns]
        places = np.argsort(np.array(self._order, np.int64)).tolist()
        return [columns[place] for place in places]

    def _encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        ordered = [columns[place] for place in self._order]
        codes, at, most = (
            np.zeros(rows, np.int64),
            0,
            min(_MAX_TABLE_CELLS, _MIN_TABLE_CELLS + _CELLS_PER_ROW * self._rows),
        )
        for number, step in enumerate(self._steps):
            before = len(self._steps[number - 1].seen) if number else 1
            if isinstance(step.seen, IntegerTable) and before << sum(step.bits) > most:
                self._lay(self._bits, at)
                return self._encode(columns, rows)
            end = at + len(step.bits)
            codes, at = step.encode(codes, ordered[at:end], before), end
        return codes

    def _lay(self, bits: list[int], tabled: int) -> None:
        """Rebuilds the steps with other bits or fewer tables. Known combinations keep their codes: they are added again in
        order."""
        known, count = self.columns(), len(self)
        self._bits = bits
        self._order = sorted(range(len(bits)), key=lambda place: -bits[place])
        self._steps = list(_plan_steps([bits[place] for place in self._order], tabled))
        if count:
            self._encode(known, count)


class _CombinationStep:
    """The columns that are packed into one integer, after the code of the columns before."""

    def __init__(self, bits: Sequence[int], codes: IntegerTable | IntegerDictionary) -> None:
        self.bits = bits
        self.seen = codes

    def encode(self, before: Codes, columns: Sequence[Codes], size: int) -> Codes:
        """The codes, given the codes of the columns before and the number of those."""
        packed, unpacked = before, list(zip(columns, self.bits, strict=True))
        if size < 2 and unpacked:
            packed, unpacked = columns[0], unpacked[1:]
        for column, bits in unpacked:
            packed = packed << bits
            packed |= column
        if isinstance(self.seen, IntegerTable):
            return self.seen.codes(packed, size << sum(self.bits)).astype(np.int64)
        return self.seen.codes(packed)

    def columns(self, codes: Codes) -> tuple[Codes, list[Codes]]:
        """Unpacks the codes before, and the columns."""
        packed, columns = self.seen.values[codes], list[Codes]()
        for bits in reversed(self.bits):
            columns.insert(0, packed & ((1 << bits) - 1))
            packed = packed >> bits
        return packed, columns


def _plan_steps(bits: Sequence[int], tabled: int) -> Iterator[_CombinationStep]:
    """Plans the steps: the first columns by tables, two in the first one; the others packed as far as the bits suffice."""
    if tabled:
        yield _CombinationStep(bits[: min(2, tabled)], IntegerTable())
    for place in range(2, tabled):
        yield _CombinationStep([bits[place]], IntegerTable())
    some: list[int] = []
    room = _WORD_BITS - (_CODE_BITS if tabled else 0)
    for width in bits[tabled:]:
        if sum(some) + width > room:
            yield _CombinationStep(some, IntegerDictionary())
            some, room = [], _WORD_BITS - _CODE_BITS
        some.append(width)
    if some or not tabled:
        yield _CombinationStep(some, IntegerDictionary())


_MIN_RUN_LENGTH: Final = 16
"""Average length of runs from which looking up runs pays."""


class GroupDictionary:
    """Assigns a code to each combination of key values. Threads may share it."""

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._lock = threading.Lock()
        self._cuts = [None if key.to is None else key.cut or partial(truncate_times, unit=key.to) for key in keys]
        self._key_dictionaries = [ValueDictionary(key.type) for key in keys]
        self._seen = CombinationDictionary(len(keys))

    @classmethod
    def for_definition(cls, definition: AggregateDefinition) -> Self:
        """An empty dictionary for an aggregate."""
        return cls(list(definition.keys.values()))

    def __len__(self) -> int:
        return len(self._seen)

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes, which do not share the dictionary."""
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def encode_key(self, position: int, values: pa.Array) -> Codes:
        """The codes of the released values of one key, 0 for null. Times are cut to the unit of the key."""
        run_starts = time_run_starts(values)
        if run_starts is not None:
            return np.repeat(
                self.encode_key(position, values.take(pa.array(run_starts))), np.diff(run_starts, append=len(values))
            )
        cut = self._cuts[position]
        if cut is not None:
            encoded = (
                values if pa.types.is_dictionary(values.type) else values.dictionary_encode(null_encoding="encode")
            )
            values = pa.DictionaryArray.from_arrays(encoded.indices, cut(encoded.dictionary))
        with self._lock:
            return self._key_dictionaries[position].codes(values) + 1

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The group of each row, given the codes of each key."""
        with self._lock:
            return self._seen.encode(columns, rows)

    def merge(self, groups: Self) -> Codes:
        """Merges the groups of another dictionary. Returns the code here for each of its codes; equal if both are the same
        object."""
        if groups is self:
            return np.arange(len(self))
        columns = [
            np.append(0, dictionary.codes(source.values) + 1)[codes]
            for dictionary, source, codes in zip(
                self._key_dictionaries, groups._key_dictionaries, groups._seen.columns(), strict=True
            )
        ]
        return self.encode(columns, len(groups))

    def columns(self, groups: Codes | None = None) -> list[pa.Array]:
        """The values of each key in all groups, or in some."""
        pairs = zip(self._key_dictionaries, self._seen.columns(groups), strict=True)
        return [dictionary.values.take(pa.array(codes - 1, mask=codes == 0)) for dictionary, codes in pairs]


def time_run_starts(values: pa.Array) -> Codes | None:
    """The starts of runs of equal times, which are frequent after times are cut; None if nearly every row is a start.

    >>> time_run_starts(pa.array([5] * 40 + [7] * 40).cast(pa.timestamp("s"))).tolist()
    [0, 40]
    """
    if not pa.types.is_timestamp(values.type) or values.null_count or len(values) < _MIN_RUN_LENGTH:
        return None
    starts = np.flatnonzero(run_starts(np.frombuffer(values.buffers()[1], np.int64, len(values), values.offset * 8)))
    return starts if len(starts) * _MIN_RUN_LENGTH <= len(values) else None


def truncate_times(values: pa.Array, unit: TimeUnit) -> pa.Array:
    """Times cut to the start of their unit, in UTC, with weeks from Monday. The type is unchanged.

    >>> from datetime import date
    >>> truncate_times(pa.array([date(2026, 11, 25)]), "month").to_pylist()
    [datetime.date(2026, 11, 1)]
    """
    zone = getattr(values.type, "tz", None)
    if zone is None or zone == "UTC":
        return pc.floor_temporal(values, unit=unit).cast(values.type)
    return pc.floor_temporal(values.cast(pa.timestamp(values.type.unit, "UTC")), unit=unit).cast(values.type)
