"""Names and counts, each a part at a time, put together; the most frequent of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.spill import HashedRows, ValueHasher
from minimize.techniques.top import Top
from minimize.techniques.top_tally import join_counts, most_frequent

hasher = ValueHasher(bytes(32))
NAMES = [f"n{number}" for number in range(30)]
counts_ = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 5))


def parts(rows: HashedRows, size: int) -> Iterator[HashedRows]:
    yield from (rows.slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size))


def streams(
    counts: Mapping[str, int], names: list[str], size: int, other: int
) -> tuple[Iterator[HashedRows], Iterator[HashedRows]]:
    hashes = hasher(pa.array(list(counts), pa.string()))
    counted = HashedRows(np.column_stack([hashes, np.array(list(counts.values()), np.uint64)])).reduce()
    named = HashedRows(hasher(pa.array(names, pa.string())), pa.array(names, pa.large_string())).reduce()
    return parts(counted, size), parts(named, other)


@given(counts_, st.lists(st.sampled_from(NAMES)), st.integers(1, 9), st.integers(1, 9))
def test_every_name_gets_its_count(counts: dict[str, int], names: list[str], size: int, other: int) -> None:
    found: dict[str, int] = {}
    for part, numbers in join_counts(*streams(counts, names, size, other)):
        assert part.texts is not None
        found |= dict(zip(part.texts.to_pylist(), numbers.tolist(), strict=True))
    assert found == {name: counts.get(name, 0) for name in names}


@given(counts_, st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(1, 3))
def test_the_most_frequent_come_first_and_ties_by_name(
    counts: dict[str, int], size: int, other: int, keep: int, at_least: int
) -> None:
    top = Top(keep=keep, other="n3", at_least=at_least)
    found = most_frequent(*streams(counts, list(counts), size, other), top, hasher(pa.array(["n3"])))
    allowed = [name for name, count in counts.items() if count >= at_least and name != "n3"]
    assert found == tuple(sorted(allowed, key=lambda name: (-counts[name], name))[:keep])
