from __future__ import annotations

import pyarrow as pa

from minimize.stages.generalize import RankNumbers, ends_in_open_bin, ranking_chain
from minimize.techniques import Context
from minimize.techniques.bin import Bin
from minimize.techniques.keep import Keep
from tests.project import AT

OPEN, CLOSED = Bin(edges=(10, 20)), Bin(width=10)


def test_a_chain_is_open_where_its_last_bin_is() -> None:
    assert [ends_in_open_bin(chain) for chain in ([Keep(), OPEN], [OPEN, Keep()], [CLOSED], None)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_bin_ranks_in_its_own_way_and_other_numbers_as_they_are() -> None:
    context = Context("f", AT)
    chains = [ranking_chain([OPEN]), ranking_chain([Keep()])]
    found = [chain[-1].apply(pa.array([5, 15, None]), context).values.to_pylist() for chain in chains if chain]
    assert found == [[float("-inf"), 10.0, None], [5.0, 15.0, None]]


def test_a_chain_that_drops_has_no_ranks() -> None:
    assert ranking_chain(None) is None


def test_ranks_are_doubles() -> None:
    assert RankNumbers().gives(pa.int32()) == pa.float64()
