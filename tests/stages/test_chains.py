from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.records import FieldCounts
from minimize.stages.chains import (
    changed_values,
    count_changes,
    count_outcomes,
    is_tally_step,
    resolve_chain,
    run_branches,
    run_chain,
)
from minimize.stages.raw_values import mask_values
from minimize.techniques import Context, TechniqueResult
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.techniques.truncate_version import TruncateVersion
from tests.project import AT
from tests.stages.make import Beside, Unsettled

CONTEXT = Context("f", AT)
VALUES = pa.array(["1.2", "x", None, "3.4"])


def listed(mask: pa.BooleanArray | None) -> list[bool] | None:
    return None if mask is None else mask.to_pylist()


def test_a_value_that_one_step_cannot_treat_is_null_for_the_next_and_marked() -> None:
    treated = run_chain([TruncateVersion(parts=1), Mask(keep_last=1)], VALUES, CONTEXT)
    assert treated.values.to_pylist() == ["****", None, None, "****"]
    assert listed(treated.untreated) == [False, True, False, False]


def test_one_branch_needs_no_cases() -> None:
    assert run_branches([[Keep()]], None, VALUES, CONTEXT, pa.string()).values is VALUES


def test_a_single_branch_that_drops_gives_nulls_of_the_type() -> None:
    out = run_branches([None], None, VALUES, CONTEXT, pa.string())
    assert out.values.equals(pa.nulls(4, pa.string()))


@pytest.mark.parametrize("values", [VALUES, VALUES.dictionary_encode()])
def test_branches_are_put_together_in_the_order_of_the_rows(values: pa.Array) -> None:
    cases = pa.array([1, 0, -1, -1], pa.int8())
    out = run_branches([[TruncateVersion(parts=1)], None, [Mask(keep_last=1)]], cases, values, CONTEXT, pa.string())
    assert out.values.to_pylist() == [None, None, None, "****4"]
    assert listed(out.untreated) == [False, True, False, False]


def test_a_branch_sees_of_the_companions_its_own_rows() -> None:
    context = Context("f", AT, columns={"o": pa.array(["p", "q", "r", "s"])})
    out = run_branches(
        [[Beside(other="o")], [Keep()]], pa.array([-1, 0, 0, -1], pa.int8()), VALUES, context, pa.string()
    )
    assert out.values.to_pylist() == ["1.2", "x/q", None, "3.4"]


def test_a_tally_ends_a_chain_until_it_has_settled() -> None:
    steps = (TruncateVersion(parts=1), Unsettled(), Mask(keep_last=1))
    assert resolve_chain(steps, None) == [steps[0]]
    assert resolve_chain(steps, Keep()) == [steps[0], Keep(), steps[2]]
    assert [is_tally_step(step) for step in steps] == [False, True, False]


WORDS = pa.array(["a", "b", None, "a"])
PLACE = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])


@pytest.mark.parametrize("raw", [WORDS, WORDS.dictionary_encode()])
@pytest.mark.parametrize("encode", [False, True])
def test_a_value_that_differs_or_left_as_null_was_changed(raw: pa.Array, encode: bool) -> None:
    out = pa.array(["a", "x", None, None])
    assert changed_values(raw, out.dictionary_encode() if encode else out).to_pylist() == [False, True, False, True]


def test_a_repeated_entry_of_a_dictionary_is_one_value() -> None:
    raw = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "a"]))
    assert changed_values(raw, pa.array(["a", "a"])).to_pylist() == [False, False]


def test_another_family_of_type_is_a_change_of_every_value() -> None:
    assert changed_values(pa.array([1.0, None]), pa.array(["1.0", None])).to_pylist() == [True, False]


def test_a_number_of_another_width_is_another_type() -> None:
    assert changed_values(pa.array([1, None], pa.uint8()), pa.array([1000, None])).to_pylist() == [True, False]


def test_text_of_another_width_is_the_same_text() -> None:
    assert changed_values(pa.array(["a", "b"], pa.large_string()), pa.array(["a", "c"])).to_pylist() == [False, True]


def test_not_a_number_is_equal_to_itself() -> None:
    assert changed_values(pa.array([float("nan"), 1.0]), pa.array([float("nan"), 2.0])).to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("released", "found"),
    [
        ([{"lat": 1.0, "lon": 2.0}, None, None], [False, True, False]),
        ([{"lat": 1.0, "lon": 2.5}, {"lat": None, "lon": 3.0}, None], [True, False, False]),
        ([{"lat": None, "lon": 2.0}, {"lat": 0.0, "lon": 3.0}, None], [True, True, False]),
    ],
)
def test_a_struct_was_changed_where_a_part_of_it_was(released: list[Any], found: list[bool]) -> None:
    raw = pa.array([{"lat": 1.0, "lon": 2.0}, {"lat": None, "lon": 3.0}, None], PLACE)
    assert changed_values(raw, pa.array(released, PLACE)).to_pylist() == found


def test_a_struct_of_other_parts_was_changed() -> None:
    assert changed_values(pa.array([{"a": 1}]), pa.array([{"a": 1, "b": 2}])).to_pylist() == [True]
    assert changed_values(pa.array([{"a": 1}]), pa.array([{"a": "1"}])).to_pylist() == [True]


def test_lists_are_compared_as_a_whole() -> None:
    raw = pa.array([[1], None])
    assert changed_values(raw, pa.array([[1], None])).to_pylist() == [False, False]
    assert changed_values(raw, pa.array([[2], None])).to_pylist() == [True, False]


def test_half_floats_are_compared_too() -> None:
    raw = pa.array([np.float16(0.25), np.float16("nan"), None], pa.float16())
    assert changed_values(raw, pa.array([np.float16(0.5), np.float16("nan"), None], pa.float16())).to_pylist() == [
        True,
        False,
        False,
    ]


def test_changes_of_dictionary_entries_are_counted_per_value() -> None:
    raw = pa.array(["a", "b", "a", None]).dictionary_encode()
    for entries, count in (["x", "b"], 2), (["a", "b"], 0), (["x", "y"], 3):
        out = TechniqueResult(raw.dictionary_decode(), entries=pa.array(entries))
        assert count_changes(raw, out, None) == count


def test_among_some_values_only_those_are_counted() -> None:
    raw = pa.array(["a", "b", "a", None]).dictionary_encode()
    out = TechniqueResult(raw.dictionary_decode(), entries=pa.array(["x", "b"]))
    assert count_changes(raw, out, pa.array([True, True, False, False])) == 1
    assert (
        count_changes(WORDS, TechniqueResult(pa.array(["x", "x", None, "x"])), pa.array([True, False, False, False]))
        == 1
    )


def test_a_count_by_the_technique_is_used_without_comparison() -> None:
    assert count_changes(WORDS, TechniqueResult(pa.array(["x", "x", None, "x"]), changed=7), None) == 7
    assert count_changes(WORDS, TechniqueResult(WORDS, changed=7), None) == 0


RAW = pa.array(["a", "b", "c", None, "e"])
NEVER = pa.array([False] * 5)


def marks(*places: int) -> pa.BooleanArray:
    return pa.array([place in places for place in range(5)])


def test_each_value_is_one_of_gated_dropped_unparsable_changed_or_as_it_was() -> None:
    closed, dropped, untreated = marks(0, 3), marks(0, 1), marks(0, 1, 2)
    out = TechniqueResult(pa.array([None, None, None, None, "x"], pa.string()), untreated)
    assert count_outcomes(RAW, mask_values(RAW, closed), closed, out, dropped) == FieldCounts(4, 1, 1, 1, 1)


def test_masks_that_are_false_everywhere_count_like_none() -> None:
    out = pa.array(["a", "x", "c", None, "y"])
    assert count_outcomes(RAW, RAW, NEVER, TechniqueResult(out, NEVER), NEVER) == count_outcomes(
        RAW, RAW, None, TechniqueResult(out)
    )
    assert count_outcomes(RAW, RAW, None, TechniqueResult(out)) == FieldCounts(4, 2)


def test_of_a_field_that_does_not_leave_only_gated_values_are_counted() -> None:
    assert count_outcomes(RAW, RAW, None, None) == FieldCounts(4)
    assert count_outcomes(RAW, mask_values(RAW, marks(1)), marks(1), None) == FieldCounts(4, gated=1)


def test_where_every_value_is_replaced_none_is_compared() -> None:
    assert count_outcomes(RAW, RAW, None, TechniqueResult(RAW), replaced=True) == FieldCounts(4, 4)
    assert count_outcomes(RAW, RAW, None, TechniqueResult(RAW, marks(0)), replaced=True) == FieldCounts(
        4, 3, unparsable=1
    )
