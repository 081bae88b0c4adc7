"""Exact figures of one row do not give a few subjects away together."""

from __future__ import annotations

from typing import Any

import pytest

from minimize.aggregates.tally import AggregateTally
from minimize.spill import SpillSpace
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


def test_two_shares_that_leave_few_other_subjects_are_not_both_published() -> None:
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


def test_a_share_next_to_a_histogram_with_hidden_cells_is_null() -> None:
    found = figures(ILL, cells=("histogram", "os"), flu=("share", {"of": "os", "is": "flu"}))
    assert found["flu"] is None


def test_a_histogram_without_hidden_cells_takes_nothing_away() -> None:
    found = figures(SIZES[:42], cells=("histogram", "size"), middle=("mean", "size"))
    assert found["middle"] == 54 / 42
