from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.aggregates import measure_from
from minimize.aggregates.definition import Definition, GroupKey, Measured
from minimize.aggregates.related import related
from minimize.pointer import Pointer


def definition(*keys: str | tuple[str, Any], measures: tuple[tuple[str, ...], ...] = (("count",),)) -> Definition:
    pairs = [(key, None) if isinstance(key, str) else key for key in keys]
    group = {f"key {name}": GroupKey(name, pa.timestamp("us"), unit) for name, unit in pairs}
    measured = {str(word): Measured(measure_from(*word), pa.int64()) for word in measures}
    return Definition("x", group, measured, 10, Pointer.parse("device"))


def test_keys_that_are_a_subset_of_anothers_are_related_over_a_shared_measure() -> None:
    assert related({"fine": definition("a", "b"), "coarse": definition("b")}) == (("coarse", "fine"),)


def test_keys_that_only_overlap_are_not_related() -> None:
    assert related({"one": definition("a", "b"), "other": definition("b", "c")}) == ()


def test_without_a_shared_measure_nothing_is_related() -> None:
    sums, means = ((("sum", "x"),), (("mean", "x"),))
    assert related({"fine": definition("a", "b", measures=sums), "coarse": definition("b", measures=means)}) == ()
    others = (("sum", "y"),)
    assert related({"fine": definition("a", "b", measures=sums), "coarse": definition("b", measures=others)}) == ()


def test_a_field_is_the_same_however_its_key_is_written_and_its_column_named() -> None:
    assert related({"fine": definition("a", "b"), "coarse": definition("/b")}) == (("coarse", "fine"),)


def test_no_keys_at_all_are_a_subset_of_any() -> None:
    assert related({"fine": definition("a"), "total": definition()}) == (("total", "fine"),)


@pytest.mark.parametrize(("fine", "coarse"), [("day", "month"), (None, "day"), ("day", "week"), ("month", "year")])
def test_a_coarser_unit_of_the_same_time_is_a_subset(fine: Any, coarse: Any) -> None:
    assert related({"fine": definition(("t", fine), "a"), "coarse": definition(("t", coarse))}) == (("coarse", "fine"),)


def test_weeks_and_months_do_not_nest() -> None:
    assert related({"one": definition(("t", "week"), "a"), "other": definition(("t", "month"))}) == ()
