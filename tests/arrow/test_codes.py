from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.codes import IntegerDictionary

integers = st.integers(-1, 20) | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(integers, max_size=20), max_size=5))
def test_an_integer_has_one_code_in_the_order_in_which_it_came(parts: list[list[int]]) -> None:
    known = IntegerDictionary()
    found = [known.codes(np.array(part, np.int64)).tolist() for part in parts]
    distinct = list(dict.fromkeys(one for part in parts for one in part))
    assert found == [[distinct.index(one) for one in part] for part in parts]
    assert known.values.tolist() == distinct
    assert len(known) == len(distinct)


def test_many_are_found_again_as_the_table_grows() -> None:
    known, many = IntegerDictionary(), np.random.default_rng(7).permutation(1 << 18) << 20
    codes = np.concatenate([known.codes(part) for part in np.array_split(many, 9)])
    assert codes.tolist() == list(range(len(many)))
    assert known.codes(many[::-1]).tolist() == codes[::-1].tolist()


def test_integers_with_the_same_hash_slot_get_distinct_codes() -> None:
    known, inverse = IntegerDictionary(), pow(0x9E3779B97F4A7C15, -1, 2**64)
    crowd = np.array([place for low in range(200) if (place := low * inverse % 2**64) < 2**63], np.int64)
    assert known.codes(crowd).tolist() == list(range(len(crowd)))
    assert known.codes(crowd[::-1]).tolist() == list(range(len(crowd)))[::-1]
