"""The tally of an aggregate against a literal reading of its sentences, row by row, in Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates import measure_from
from minimize.aggregates import tally as tally_module
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.tally import AggregateResult, AggregateTally, PendingRecords
from minimize.arrow.pointers import Pointer
from minimize.errors import PolicyError
from minimize.records import Batch
from minimize.spill import SpillSpace
from tests.hypothesis_profiles import examples

TYPES = {
    "model": pa.string(),
    "os": pa.string(),
    "size": pa.float64(),
    "tries": pa.int64(),
    "time": pa.timestamp("us", "UTC"),
    "good": pa.bool_(),
    "device": pa.string(),
}
Row = Mapping[str, Any]


def definition(
    keys: Mapping[str, GroupKey] | Sequence[str] = ("model",),
    below: int = 1,
    counts_to: int | None = None,
    generalized: Collection[str] = (),
    **measures: tuple[Any, ...],
) -> AggregateDefinition:
    group = keys if isinstance(keys, Mapping) else {name: GroupKey(name, TYPES[name]) for name in keys}
    measured = {}
    for name, word in measures.items():
        measure = measure_from(*word)
        measured[name] = BoundMeasure(measure, TYPES.get(measure.of or ""), name in generalized)
    return AggregateDefinition("fleet", group, measured, below, Pointer.parse("device"), counts_to)


def batch(rows: Sequence[Row], encoded: bool = False, **parts: Mapping[str, pa.Array]) -> Batch:
    columns = {name: pa.array([row.get(name) for row in rows], type_) for name, type_ in TYPES.items()}
    if encoded:
        columns = {name: column.dictionary_encode() for name, column in columns.items()}
    released = {name: column for name, column in columns.items() if name != "device"}
    return Batch(pa.record_batch(columns), released=released).with_(**parts)


def tallied(what: AggregateDefinition, *batches: Batch) -> AggregateResult:
    tally = AggregateTally(what)
    for each in batches:
        tally.observe(each)
    return tally.settle()


def devices(count: int, start: int = 0, **values: Any) -> list[Row]:
    return [{"device": f"d{start + number}", **values} for number in range(count)]


def test_a_group_below_the_threshold_is_absent_with_everything_of_it() -> None:
    rows = [*devices(3, model="a", size=1.0), *devices(2, model="b", size=2.0)]
    result = tallied(definition(below=3, n=("count",), mean=("mean", "size")), batch(rows))
    assert result.table.to_pylist() == [{"model": "a", "n": 3, "mean": 1.0}]
    assert (result.rows_seen, result.rows_suppressed, result.groups_suppressed) == (5, 2, 1)


def test_the_threshold_counts_subjects_not_rows() -> None:
    rows = devices(1, model="a") * 50
    assert tallied(definition(below=2, n=("count",)), batch(rows)).table.num_rows == 0


def test_a_row_without_a_subject_does_not_help_a_group_over_the_threshold() -> None:
    rows = [*devices(1, model="a"), {"device": None, "model": "a"}]
    assert tallied(definition(below=2, n=("count",)), batch(rows)).table.num_rows == 0
    assert tallied(definition(below=1, n=("count",)), batch(rows)).table["n"].to_pylist() == [2]


def test_a_null_is_a_group_value_and_sorted_last() -> None:
    rows = [*devices(1, model=None), *devices(1, model="b"), *devices(1, model="a")]
    assert tallied(definition(n=("count",)), batch(rows)).table["model"].to_pylist() == ["a", "b", None]


def test_without_keys_there_is_one_group_of_everything() -> None:
    result = tallied(definition((), n=("count",)), batch(devices(3)), batch(devices(2)))
    assert result.table.to_pylist() == [{"n": 5}]


def test_an_empty_input_gives_an_empty_typed_table() -> None:
    what = definition(below=2, n=("count",), mean=("mean", "size"), h=("histogram", "os"))
    for result in (tallied(what), tallied(what, batch([]))):
        assert result.table.num_rows == 0
        assert result.table.schema == what.schema
        assert (result.rows_seen, result.rows_suppressed, result.groups_suppressed) == (0, 0, 0)


@pytest.mark.parametrize("word", ["sum", "mean", "min", "max", "histogram", "count_distinct"])
def test_a_measure_with_few_contributing_subjects_is_null_in_a_published_group(word: str) -> None:
    rows = [*devices(2, model="a", size=1.0), *devices(2, start=2, model="a")]
    result = tallied(definition(below=3, n=("count",), few=(word, "size")), batch(rows))
    assert result.table.to_pylist() == [{"model": "a", "n": 4, "few": None}]


def test_a_quantile_to_which_few_subjects_contribute_is_null() -> None:
    rows = [*devices(2, model="a", size=1.0), *devices(2, start=2, model="a")]
    result = tallied(definition(below=3, few=("quantile", {"of": "size", "q": 0.5})), batch(rows))
    assert result.table["few"].to_pylist() == [None]


@pytest.mark.parametrize(("q", "expected"), [(0.2, None), (0.5, 2.0), (0.9, None)])
def test_a_quantile_of_generalized_values_needs_enough_subjects_on_either_side(
    q: float, expected: float | None
) -> None:
    rows = [*devices(2, size=1.0), *devices(4, start=2, size=2.0), *devices(2, start=6, size=3.0)]
    what = definition((), below=3, generalized=("some",), some=("quantile", {"of": "size", "q": q}))
    assert tallied(what, batch(rows)).table["some"].to_pylist() == [expected]


def test_a_group_without_values_has_no_quantile_after_a_merge() -> None:
    what = definition(generalized=("middle",), middle=("quantile", {"of": "size", "q": 0.5}))
    tallies = AggregateTally(what), AggregateTally(what)
    tallies[0].observe(batch([*devices(3, model="a", size=5.0), *devices(1, start=3, model="b")]))
    tallies[1].observe(batch([*devices(1, start=4, model="b"), *devices(3, start=5, model="c", size=5.0)]))
    tallies[0].merge(tallies[1])
    assert tallies[0].settle().table["middle"].to_pylist() == [5.0, None, 5.0]


def test_distinct_subjects_are_counted_as_given_not_as_released() -> None:
    data = batch(devices(4, model="a"), released={"model": pa.array(["a"] * 4), "device": pa.array(["same"] * 4)})
    assert tallied(definition(n=("count_distinct", "device")), data).table["n"].to_pylist() == [4]


def test_distinct_subjects_are_counted_even_if_their_field_is_not_released() -> None:
    assert tallied(definition(n=("count_distinct", "device")), batch(devices(4))).table["n"].to_pylist() == [4]


def test_a_field_with_a_measured_form_is_measured_in_it() -> None:
    data = batch(devices(2, model="a", size=10.0), measured={"size": pa.array([11.0, 14.0])})
    assert tallied(definition(mean=("mean", "size")), data).table["mean"].to_pylist() == [12.5]


def test_values_in_open_bins_take_part_in_a_quantile_by_rank() -> None:
    ranks = {"size": pa.array([float("-inf"), 10.0, float("inf")])}
    data = batch(devices(3, model="a"), ranks=ranks)
    table = tallied(
        definition(
            generalized=("low", "middle", "high"),
            low=("quantile", {"of": "size", "q": 0.1}),
            middle=("quantile", {"of": "size", "q": 0.5}),
            high=("quantile", {"of": "size", "q": 1}),
        ),
        data,
    ).table
    assert table.to_pylist() == [{"model": "a", "low": None, "middle": 10.0, "high": None}]


def test_counts_are_rounded_to_the_multiple_and_thresholds_are_not() -> None:
    rows = devices(13, model="a", os="x")
    result = tallied(
        definition(below=13, counts_to=5, n=("count",), d=("count_distinct", "device"), h=("histogram", "os")),
        batch(rows),
    )
    assert result.table.to_pylist() == [{"model": "a", "n": 15, "d": 15, "h": [{"value": "x", "count": 15}]}]
    assert result.rows_seen == 13


def test_a_time_key_is_cut_to_its_unit_and_keeps_its_type() -> None:
    rows = [{"device": str(hour), "time": datetime(2026, 11, 24, hour, tzinfo=UTC)} for hour in (0, 13, 23)]
    keys = {"day": GroupKey("time", TYPES["time"], "day")}
    table = tallied(definition(keys, n=("count",)), batch(rows), batch(rows, encoded=True)).table
    assert table.to_pylist() == [{"day": datetime(2026, 11, 24, tzinfo=UTC), "n": 6}]
    assert table.schema.field("day").type == TYPES["time"]


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("week", date(2026, 11, 23)),
        ("month", date(2026, 11, 1)),
        ("quarter", date(2026, 10, 1)),
        ("year", date(2026, 1, 1)),
    ],
)
def test_dates_are_cut_to_calendar_units(unit: Any, start: date) -> None:
    data = Batch(pa.record_batch({"device": ["d"]}), released={"on": pa.array([date(2026, 11, 25)])})
    keys = {"on": GroupKey("on", pa.date32(), unit)}
    assert tallied(definition(keys, n=("count",)), data).table["on"].to_pylist() == [start]


def test_dictionaries_that_differ_between_batches_merge_by_value() -> None:
    first = batch([*devices(2, model="a"), *devices(1, model="b")], encoded=True)
    second = batch([*devices(1, model="c"), *devices(3, model="a")], encoded=True)
    table = tallied(
        definition(n=("count",), d=("count_distinct", "device")), first, second, batch(devices(1, model="c"))
    ).table
    assert table.to_pylist() == [
        {"model": "a", "n": 5, "d": 3},
        {"model": "b", "n": 1, "d": 1},
        {"model": "c", "n": 2, "d": 1},
    ]


def test_a_table_has_its_group_columns_then_its_measures_and_no_other_column() -> None:
    what = definition(("os", "model"), n=("count",), m=("max", "tries"))
    assert tallied(what, batch(devices(1))).table.column_names == ["os", "model", "n", "m"]


def test_a_faulty_definition_is_refused_with_all_its_faults() -> None:
    keys = {"apps": GroupKey("apps", pa.list_(pa.string())), "model": GroupKey("model", pa.string(), "day")}
    with pytest.raises(PolicyError) as caught:
        AggregateTally(definition(keys, wrong=("sum", "os")))
    assert [finding.code for finding in caught.value.findings] == ["A001", "A002", "A006"]


# Against the literal reading.

values = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["p", "q", "r", "s", None]),
        "model": st.sampled_from(["a", "b", None]),
        "os": st.sampled_from(["x", "y", "", None]),
        "size": st.one_of(st.none(), st.floats(-1e300, 1e300), st.sampled_from([1e16, 1.0, -1e16, 0.1])),
        "tries": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "time": st.none(),
        "good": st.sampled_from([True, False, None]),
    }
)

EVERYTHING = definition(
    ("model", "good"),
    below=2,
    counts_to=2,
    n=("count",),
    subjects=("count_distinct", "device"),
    versions=("count_distinct", "os"),
    total=("sum", "size"),
    mean=("mean", "tries"),
    low=("min", "size"),
    high=("max", "tries"),
    generalized=("middle",),
    middle=("quantile", {"of": "size", "q": 0.7}),
    x=("share", {"of": "os", "is": ["x", ""]}),
    parts=("histogram", "os"),
)


@settings(max_examples=examples(25))
@given(st.lists(values, max_size=25), st.lists(st.integers(0, 25), max_size=4), st.booleans(), st.randoms())
def test_batches_order_encoding_and_merging_change_nothing(
    rows: list[Row], cuts: list[int], encoded: bool, random: Any
) -> None:
    expected = literal(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    tallies = []
    for number, (start, end) in enumerate(pairwise(edges)):
        tally = AggregateTally(EVERYTHING)
        tally.observe(batch(shuffled[start:end], encoded=encoded ^ bool(number % 2)))
        tallies.append(tally)
    merged = AggregateTally(EVERYTHING)
    for tally in reversed(tallies):
        merged.merge(tally)
    one_by_one = tallied(EVERYTHING, *(batch([row], encoded=encoded) for row in shuffled))
    assert merged.settle().table.to_pylist() == expected
    assert one_by_one.table.equals(merged.settle().table)
    assert one_by_one.rows_seen == len(rows)


def literal(rows: Sequence[Row]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, Any], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["model"], row["good"]].append(row)
    ordered = sorted(
        groups, key=lambda key: [(part is None, part or "" if n == 0 else bool(part)) for n, part in enumerate(key)]
    )
    return [_of(key, groups[key]) for key in ordered if len(_subjects(groups[key])) >= 2]


def _of(key: tuple[Any, Any], rows: Sequence[Row]) -> dict[str, Any]:
    size, tries, os = (_column(rows, name) for name in ("size", "tries", "os"))
    having = [row for row in rows if row["os"] in ("x", "")]
    others = [row for row in rows if row["os"] == "y"]
    enough = all(len(_subjects(side)) >= 2 for side in (having, others))
    cells = [(value, [row for row in rows if row["os"] == value]) for value in ("", "x", "y")]
    large = [(value, cell) for value, cell in cells if len(_subjects(cell)) >= 2]
    small = [row for _, cell in cells if cell and len(_subjects(cell)) < 2 for row in cell]
    rest, few = bool(small), 0 < len(_subjects(small)) < 2
    parts: list[Row] = [{"value": value, "count": _round(len(cell))} for value, cell in large]
    parts += [{"value": None, "count": None}] if rest else []
    return {
        "model": key[0],
        "good": key[1],
        "n": _round(len(rows)),
        "subjects": _round(len(_subjects(rows))),
        "versions": None if few else _if(os, lambda some: _round(len(set(some)))),
        "total": _if(size, lambda some: float(sum(map(Fraction, some)))),
        "mean": _if(tries, lambda some: float(Fraction(sum(some), len(some)))),
        "low": _if(size, min),
        "high": _if(tries, max),
        "middle": _quantile(rows, "size"),
        "x": len(having) / (len(having) + len(others)) if enough and not _subjects(small) else None,
        "parts": _if(os, lambda _: parts),
    }


def _quantile(rows: Sequence[Row], name: str) -> Any:
    some = sorted(row[name] for row in rows if row[name] is not None)
    if not some:
        return None
    result = some[max(1, math.ceil(Fraction("0.7") * len(some))) - 1]
    there = [row for row in rows if row[name] is not None]
    sides = [[row for row in there if row[name] <= result], [row for row in there if row[name] >= result]]
    return result if all(len(_subjects(side)) >= 2 for side in sides) else None


def _column(rows: Sequence[Row], name: str) -> tuple[list[Any], bool]:
    there = [row for row in rows if row[name] is not None]
    return [row[name] for row in there], len(_subjects(there)) >= 2


def _if(column: tuple[list[Any], bool], measure: Any) -> Any:
    return measure(column[0]) if column[1] else None


def _subjects(rows: Sequence[Row]) -> set[str]:
    return {row["device"] for row in rows if row["device"] is not None}


def _round(count: int) -> int:
    half, odd = divmod(count, 2)
    return 2 * (half + (1 if odd and half % 2 else 0))


GROUPS = 6
batches = st.lists(st.lists(st.sets(st.integers(0, GROUPS - 1), min_size=1), max_size=6), max_size=6)


def filled(
    records: list[list[set[int]]], standing: np.ndarray[tuple[int], np.dtype[np.bool_]], space: SpillSpace
) -> PendingRecords:
    undecided = PendingRecords(space)
    for batch in records:
        pairs = [(number, group) for number, groups in enumerate(batch) for group in groups]
        numbers, groups_ = (np.array([pair[place] for pair in pairs], np.int64) for place in (0, 1))
        undecided.add(numbers, groups_, lambda: standing)
    return undecided


@settings(max_examples=examples(80))
@given(
    batches,
    st.sets(st.integers(0, GROUPS - 1)),
    st.sets(st.integers(0, GROUPS - 1)),
    st.sampled_from([0, 3, 1000]),
    st.sampled_from([None, 1]),
)
def test_a_record_is_counted_as_lost_if_all_its_groups_are_suppressed(
    records: list[list[set[int]]], early: set[int], late: set[int], limit: int, memory: int | None
) -> None:
    before, after = (np.isin(np.arange(GROUPS), list(found)) for found in (early, early | late))
    space = SpillSpace(memory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally_module, "_MAX_PENDING", limit)
        ours, theirs, more = (filled(records[first::3], before, space) for first in range(3))
        theirs.merge(more, np.arange(GROUPS))
        ours.merge(theirs, np.arange(GROUPS))
    assert ours.count_lost(after) == sum(not groups & (early | late) for batch in records for groups in batch)
