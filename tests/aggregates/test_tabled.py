from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.dictionaries import IntegerTable


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=5))
def test_an_integer_has_one_code_in_the_order_in_which_it_came(batches: list[list[int]]) -> None:
    known, distinct = IntegerTable(), list(dict.fromkeys(number for batch in batches for number in batch))
    for batch in batches:
        cells = max(batch, default=0) + 1
        assert known.codes(np.array(batch, np.int64), cells).tolist() == [distinct.index(number) for number in batch]
    assert known.values.tolist() == distinct
    assert len(known) == len(distinct)
