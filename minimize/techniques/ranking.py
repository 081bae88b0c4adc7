"""The most frequent values, from counts and names that come in the order of the same hashes, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.spill import Rows, Words, places_of
from minimize.techniques.distinct import listed
from minimize.techniques.top import Top

_ORDER = [("count", "descending"), ("name", "ascending")]
_SCHEMA = pa.schema([("count", pa.uint64()), ("name", pa.large_string())])


def most_frequent(counts: Iterator[Rows], names: Iterator[Rows], top: Top, other: Words) -> tuple[str, ...]:
    """The values to keep, most frequent first; ties in the order of the values.

    Takes the number of subjects of each value that has any, the values, and the hash of what is called like `other`.
    """
    best = _SCHEMA.empty_table()
    for part, found in together(counts, names):
        allowed = (found >= top.at_least) & np.any(part.words != other, axis=1)
        allowed &= found >= _least(found[allowed], top.keep)
        candidates = part.at(np.flatnonzero(allowed))
        best = pa.concat_tables([best, pa.table([found[allowed], candidates.texts], schema=_SCHEMA)])
        best = best.take(pc.sort_indices(best, sort_keys=_ORDER)[: top.keep]).combine_chunks()
    return tuple(listed(best["name"]))


def together(counts: Iterator[Rows], names: Iterator[Rows]) -> Iterator[tuple[Rows, Words]]:
    """The names, and the count of each (0 where it has none)."""
    counted = np.empty((0, 3), np.uint64)
    for part in names:
        if not len(part):
            continue
        last = part.words[-1, 0]
        while not len(counted) or counted[-1, 0] <= last:
            more = next(counts, None)
            if more is None:
                break
            counted = np.vstack([counted, more.words])
        places = places_of(part.words, counted)
        yield part, np.where(places < 0, 0, np.append(counted[:, 2], 0).astype(np.uint64)[places])
        counted = counted[np.searchsorted(counted[:, 0], last) :]


def _least(counts: Words, keep: int) -> int:
    """The count below which no value can be among so many."""
    return int(np.partition(counts, len(counts) - keep)[len(counts) - keep]) if len(counts) > keep else 0
