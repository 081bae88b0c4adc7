"""Figures of one group do not give a few subjects away together.
What can be computed by subtracting published tables of one run rests on nobody, or on at least the threshold of subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimize.aggregates import measure_from
from minimize.aggregates.complementary_suppression import PublishedTable, suppress_related
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, TimeUnit
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.batch import Batch
from minimize.arrow.pointers import Pointer
from minimize.spill import SpillSpace, ValueHasher
from tests.aggregates.test_tally import batch, definition, devices

ILL = [*devices(30, os="well"), *devices(12, start=30, os="flu"), *devices(1, start=42, os="rare")]


def figures(rows: list[Any], memory: int | None = None, **measures: Any) -> dict[str, Any]:
    tally = AggregateTally(definition((), below=10, generalized=("middle",), **measures), SpillSpace(memory))
    for start in range(0, len(rows), 7):
        tally.observe(batch(rows[start : start + 7]))
    row: dict[str, Any]
    (row,) = tally.settle().table.to_pylist()
    return row


@pytest.mark.parametrize("memory", [None, 1])
def test_of_two_nested_shares_that_leave_one_subject_the_larger_is_null(memory: int | None) -> None:
    found = figures(
        ILL, memory, flu=("share", {"of": "os", "is": ["flu"]}), more=("share", {"of": "os", "is": ["flu", "rare"]})
    )
    assert found == {"flu": 12 / 43, "more": None}


def test_nested_shares_stay_if_they_leave_enough_subjects() -> None:
    rows = [*ILL, *devices(9, start=43, os="rare")]
    found = figures(rows, flu=("share", {"of": "os", "is": "flu"}), more=("share", {"of": "os", "is": ["flu", "rare"]}))
    assert found == {"flu": 12 / 52, "more": 22 / 52}


def test_shares_that_leave_few_subjects_beside_them_are_not_both_published() -> None:
    found = figures(ILL, flu=("share", {"of": "os", "is": "flu"}), well=("share", {"of": "os", "is": "well"}))
    assert sorted(found.values(), key=str) == [12 / 43, None]


def test_shares_that_are_complements_of_each_other_stay() -> None:
    rows = [*devices(30, os="well"), *devices(12, start=30, os="flu")]
    found = figures(rows, flu=("share", {"of": "os", "is": "flu"}), well=("share", {"of": "os", "is": "well"}))
    assert None not in found.values()


SIZES = [*devices(30, size=1.0), *devices(12, start=30, size=2.0), *devices(1, start=42, size=91.0)]


@pytest.mark.parametrize("memory", [None, 1])
@pytest.mark.parametrize(
    "measure",
    [("mean", "size"), ("sum", "size"), ("quantile", {"of": "size", "q": 0.5}), ("count_distinct", "size")],
    ids=str,
)
def test_a_figure_that_gives_a_hidden_cell_of_a_histogram_is_null(measure: Any, memory: int | None) -> None:
    found = figures(SIZES, memory, cells=("histogram", "size"), middle=measure)
    assert [cell["count"] for cell in found["cells"]] == [30, 12, None]
    assert found["middle"] is None


@pytest.mark.parametrize("memory", [None, 1])
def test_the_figure_stays_if_the_hidden_cells_hold_enough_subjects_together(memory: int | None) -> None:
    rows = [*SIZES, *devices(9, start=43, size=3.0)]
    found = figures(rows, memory, cells=("histogram", "size"), middle=("mean", "size"))
    assert [cell["count"] for cell in found["cells"]] == [30, 12, None]
    assert found["middle"] == pytest.approx((30 + 24 + 91 + 27) / 52)


def test_a_share_beside_a_histogram_with_hidden_cells_is_null() -> None:
    found = figures(ILL, cells=("histogram", "os"), flu=("share", {"of": "os", "is": "flu"}))
    assert found["flu"] is None


def test_a_histogram_without_hidden_cells_takes_nothing_away() -> None:
    found = figures(SIZES[:42], cells=("histogram", "size"), middle=("mean", "size"))
    assert found["middle"] == 54 / 42


HASHER = ValueHasher(bytes(32))
BELOW = 10
TYPES = {"day": pa.string(), "tenant": pa.string(), "version": pa.string(), "model": pa.string(), "x": pa.float64()}
TYPES["time"] = pa.timestamp("us", "UTC")
Row = tuple[str, dict[str, Any]]
"""The subject and its values."""


def people(count: int, start: int = 0, **values: Any) -> list[Row]:
    return [(f"p{start + number}", values) for number in range(count)]


def table(
    rows: Sequence[Row], *keys: str | tuple[str, TimeUnit], below: int = BELOW, **measures: Any
) -> PublishedTable:
    made = {name: measure_from(*word) for name, word in (measures or {"n": ("count",)}).items()}
    measured = {name: BoundMeasure(each, TYPES.get(each.of or "")) for name, each in made.items()}
    pairs = [key if isinstance(key, tuple) else (key, None) for key in keys]
    groups = {name: GroupKey(name, TYPES[name], unit) for name, unit in pairs}
    definition = AggregateDefinition("t", groups, measured, below, Pointer.parse("id"))
    tally = AggregateTally(definition, hasher=HASHER)
    columns = {name: pa.array([values.get(name) for _, values in rows], type_) for name, type_ in TYPES.items()}
    subjects = pa.array([subject for subject, _ in rows], pa.string())
    tally.observe(Batch(pa.record_batch({**columns, "id": subjects}), released=columns))
    result = tally.settle()
    kept, known = np.ones((2, result.table.num_rows), np.bool_)
    return PublishedTable(definition, result.table, result.subjects, result.sketches, kept, known, ~known, {})


def shown(table: PublishedTable) -> list[tuple[Any, ...]]:
    rows = table.table.filter(pa.array(table.unsuppressed)).to_pylist()
    return [tuple(row[key] for key in table.definition.keys) for row in rows]


def test_a_total_that_gives_a_small_group_away_is_withheld() -> None:
    rows = [*people(40, version="1"), *people(1, start=40, version="2")]
    coarse, fine = table(rows), table(rows, "version")
    suppress_related([coarse, fine])
    assert shown(fine) == [("1",)]
    assert shown(coarse) == []


def test_a_total_stays_if_the_small_groups_hold_enough_subjects_together() -> None:
    rows = [*people(40, version="1"), *people(6, start=40, version="2"), *people(9, start=46, version="3")]
    coarse, fine = table(rows), table(rows, "version")
    suppress_related([coarse, fine])
    assert (shown(coarse), shown(fine)) == ([()], [("1",)])


def test_numbers_of_subjects_and_of_rows_are_one_kind_of_figure() -> None:
    rows = [*people(39, version="1"), *people(1, start=39, version="2")]
    coarse = table(rows, people=("count_distinct", "id"))
    fine = table(rows, "version", events=("count",))
    suppress_related([coarse, fine])
    assert shown(coarse) == []


def test_sum_and_mean_of_a_field_are_one_kind_of_figure() -> None:
    rows = [*people(39, version="1", x=1.0), *people(1, start=39, version="2", x=91.0)]
    coarse, fine = table(rows, mean=("mean", "x")), table(rows, "version", total=("sum", "x"))
    suppress_related([coarse, fine])
    assert shown(coarse) == []


def test_tables_without_a_kind_of_figure_in_common_stay() -> None:
    rows = [*people(40, version="1", x=1.0), *people(1, start=40, version="2", x=91.0)]
    coarse, fine = table(rows, mean=("mean", "x")), table(rows, "version", events=("count",))
    suppress_related([coarse, fine])
    assert shown(coarse) == [()]


def test_a_figure_that_is_null_in_the_finer_table_covers_nothing() -> None:
    rows = [
        *people(40, version="1", x=1.0),
        *people(3, start=40, version="2", x=91.0),
        *people(20, start=43, version="2"),
    ]
    coarse, fine = table(rows, mean=("mean", "x")), table(rows, "version", mean=("mean", "x"))
    suppress_related([coarse, fine])
    assert fine.table["mean"].to_pylist() == [1.0, None]
    assert shown(coarse) == []


def test_a_chain_of_three_tables_gives_nobody_away_though_each_pair_passes() -> None:
    """Tenant A is withheld for its version 2. Then day minus tenant B minus A's version 1 is that one subject."""
    rows = [
        *people(40, day="d", tenant="A", version="1"),
        *people(1, start=40, day="d", tenant="A", version="2"),
        *people(30, start=50, day="d", tenant="B", version="1"),
        *people(6, start=80, day="d", tenant="B", version="2"),
        *people(7, start=86, day="d", tenant="B", version="3"),
    ]
    day, tenant, version = (table(rows, *keys) for keys in (["day"], ["day", "tenant"], ["day", "tenant", "version"]))
    suppress_related([day, tenant, version])
    assert shown(version) == [("d", "A", "1"), ("d", "B", "1")]
    assert shown(tenant) == [("d", "B")]
    assert shown(day) == []


def test_of_two_tables_that_cross_the_smallest_row_of_the_longer_one_is_withheld() -> None:
    rows = [
        *people(40, tenant="A", version="1", model="a"),
        *people(20, start=40, tenant="A", version="2", model="b"),
        *people(3, start=60, tenant="A", version="3", model="b"),
        *people(12, start=63, tenant="A", version="2", model="c"),
    ]
    versions, models = table(rows, "tenant", "version"), table(rows, "tenant", "model")
    suppress_related([versions, models])
    assert shown(versions) == [("A", "1"), ("A", "2")]
    assert shown(models) == [("A", "a"), ("A", "b")]


def test_a_day_is_covered_by_its_hours() -> None:
    rows = [
        *people(40, time=datetime(2026, 5, 1, 3, tzinfo=UTC)),
        *people(1, start=40, time=datetime(2026, 5, 1, 7, tzinfo=UTC)),
    ]
    rows += people(20, start=50, time=datetime(2026, 5, 2, 3, tzinfo=UTC))
    days, hours = table(rows, ("time", "day")), table(rows, ("time", "hour"))
    suppress_related([days, hours])
    assert shown(days) == [(datetime(2026, 5, 2, tzinfo=UTC),)]


GROUPS = ["tenant", "version", "model"]
KEY_SETS = [keys for size in range(4) for keys in combinations(GROUPS, size)]
random_rows = st.lists(
    st.tuples(
        st.integers(0, 40).map("p{}".format),
        st.fixed_dictionaries(
            {
                "tenant": st.sampled_from("AB"),
                "version": st.sampled_from("123"),
                "model": st.sampled_from(["a", "b", None]),
                "x": st.sampled_from([1.0, 2.0, 5.0, None]),
            }
        ),
    ),
    max_size=120,
)
MEASURES = {"n": ("count",), "mean": ("mean", "x")}
SAME_IN_BOTH_TOTALS = [
    *2 * people(1, tenant="A", version="1", model="a", x=1.0),
    *people(1, tenant="A", version="1", model="b", x=1.0),
    *people(1, tenant="B", version="1", model="a", x=1.0),
    *people(1, start=1, tenant="A", version="1", model="a", x=1.0),
]
"""One subject is alone in tenant B and alone in model b, and gives the totals of both tables the same values."""


@example(SAME_IN_BOTH_TOTALS, [("model",), (), ("tenant",)], 2)
@given(random_rows, st.lists(st.sampled_from(KEY_SETS), min_size=2, max_size=4, unique=True), st.sampled_from([2, 5]))
def test_no_subtraction_of_two_tables_or_along_a_chain_rests_on_a_few_subjects(
    rows: list[Row], keys: list[tuple[str, ...]], below: int
) -> None:
    tables = [table(rows, *each, below=below, **MEASURES) for each in keys]
    suppress_related(tables)
    for figure in ("n", "mean"):
        published = [_published(each, figure) for each in tables]
        for rest in _subtractions(rows, keys, published, figure):
            assert not 0 < len(rest) < below


def _published(table: PublishedTable, figure: str) -> set[tuple[Any, ...]]:
    rows = table.table.filter(pa.array(table.unsuppressed)).to_pylist()
    return {tuple(row[key] for key in table.definition.keys) for row in rows if row[figure] is not None}


def _subtractions(
    rows: list[Row], keys: list[tuple[str, ...]], published: list[set[tuple[Any, ...]]], figure: str
) -> Iterator[set[str]]:
    """The subjects on which each difference rests, worked out from the rows by sets alone."""
    counted = [row for row in rows if figure == "n" or row[1]["x"] is not None]
    for chain in _chains(keys):
        coarse, *finer = chain
        for group in published[coarse]:
            yield _left(dict(zip(keys[coarse], group, strict=True)), counted, keys, finer, published)
    for one, other in combinations(range(len(keys)), 2):
        if not (set(keys[one]) <= set(keys[other]) or set(keys[other]) <= set(keys[one])):
            yield from _totals(counted, keys, (one, other), published, figure)


def _chains(keys: list[tuple[str, ...]]) -> Iterator[tuple[int, ...]]:
    for size in range(2, len(keys) + 1):
        for chosen in combinations(sorted(range(len(keys)), key=lambda place: len(keys[place])), size):
            if all(set(keys[one]) < set(keys[other]) for one, other in pairwise(chosen)):
                yield chosen


def _left(
    group: dict[str, Any],
    rows: list[Row],
    keys: list[tuple[str, ...]],
    finer: list[int],
    published: list[set[tuple[Any, ...]]],
) -> set[str]:
    inside = [row for row in rows if all(row[1][name] == value for name, value in group.items())]
    return {
        subject
        for subject, values in inside
        if not any(tuple(values[name] for name in keys[place]) in published[place] for place in finer)
    }


def _totals(
    rows: list[Row],
    keys: list[tuple[str, ...]],
    pair: tuple[int, int],
    published: list[set[tuple[Any, ...]]],
    figure: str,
) -> Iterator[set[str]]:
    """The subjects whose contributions to two totals differ. A difference does not rest on one that gives both the same."""
    names = [name for name in keys[pair[0]] if name in keys[pair[1]]]
    values = {tuple(row[1][name] for name in names) for row in rows}
    for value in values:
        changed: dict[tuple[str, float | None], int] = {}
        for subject, row in rows:
            if tuple(row[name] for name in names) == value:
                sides = [tuple(row[name] for name in keys[place]) in published[place] for place in pair]
                part = (subject, None if figure == "n" else row["x"])
                changed[part] = changed.get(part, 0) + int(sides[0]) - int(sides[1])
        yield {subject for (subject, _), sign in changed.items() if sign}


@pytest.mark.parametrize("rows", [[], people(3)])
def test_empty_tables_are_related_to_nothing(rows: list[Row]) -> None:
    tables = [table(rows), table(rows, "version"), table(rows, "model")]
    suppress_related(tables)
    assert [shown(each) for each in tables] == [[], [], []]
    assert all(np.array_equal(each.unsuppressed, np.ones(0, np.bool_)) for each in tables)
