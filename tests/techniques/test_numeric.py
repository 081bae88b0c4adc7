from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.hashing import null_mask, number_buffer
from minimize.stages.chains import changed_values
from minimize.techniques import Context, Technique
from minimize.techniques.bin import Bin
from minimize.techniques.numeric import result_from_doubles
from minimize.techniques.round import Round

CONTEXT = Context("f", datetime(2026, 11, 25, tzinfo=UTC))
DOUBLES = st.lists(st.none() | st.floats() | st.integers(-50, 50).map(lambda number: number / 4), max_size=12)
INTEGERS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), max_size=12)


def counted(technique: Technique, values: pa.Array) -> None:
    """What the technique says of changes is what a comparison says of values that could be treated."""
    treated = technique.apply(values, CONTEXT)
    differs = np.array(changed_values(values, treated.values).to_pylist(), bool)
    lost = np.zeros(len(values), bool) if treated.untreated is None else np.array(treated.untreated.to_pylist(), bool)
    assert treated.changed in (None, np.count_nonzero(differs & ~lost))


@pytest.mark.parametrize(
    "technique", [Round(to=0.5), Bin(width=10), Bin(width=10, **{"as": "middle"}), Bin(edges=[0, 1])]
)
@given(values=DOUBLES)
def test_changes_of_doubles_are_counted_rightly(technique: Technique, values: list[Any]) -> None:
    counted(technique, pa.array(values, pa.float64()))


@given(values=INTEGERS)
def test_changes_of_integers_are_counted_rightly(values: list[Any]) -> None:
    counted(Bin(edges=[0, 10, 15]), pa.array(values, pa.int64()))
    counted(Round(to=5), pa.array(values, pa.int64()))


@given(DOUBLES, st.integers(0, 3))
def test_a_slice_is_treated_as_what_it_shows(values: list[Any], start: int) -> None:
    whole = pa.array(values, pa.float64())
    for technique in (Round(to=0.5), Bin(width=10), Bin(edges=[0, 1])):
        alone = technique.apply(pa.array(values[start:], pa.float64()), CONTEXT)
        assert technique.apply(whole[start:], CONTEXT).values.equals(alone.values)


def test_a_null_in_the_result_has_no_value_in_its_buffer() -> None:
    values = pa.Array.from_buffers(pa.float64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1.0, 48.8]))])
    out = result_from_doubles(
        values, np.array([1.0, 48.8]), np.array([True, True]), lambda some: Round(to=1).apply(some, CONTEXT)
    )
    assert out.values.to_pylist() == [1.0, None]
    assert number_buffer(out.values, np.float64).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("hidden", [float("nan"), float("inf"), -0.0, 48.8])
def test_any_number_behind_a_null_becomes_zero_bits(hidden: float) -> None:
    values = pa.Array.from_buffers(pa.float64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1.0, hidden]))])
    out = result_from_doubles(
        values, np.array([1.0, hidden]), np.ones(2, bool), lambda some: Round(to=1).apply(some, CONTEXT)
    )
    assert number_buffer(out.values, np.float64).view(np.uint64)[1] == 0


def test_nulls_and_numbers_of_a_slice_are_its_own() -> None:
    values = pa.array([1, None, 3, None, 5])[1:4]
    assert null_mask(values).tolist() == [True, False, True]
    assert null_mask(pa.nulls(2, pa.int64())).tolist() == [True, True]
