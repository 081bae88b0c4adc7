from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.report import distinct_values
from minimize.report.distinct_values import DistinctValues
from tests.project import Project, events
from tests.report.telling import field

ROWS = pa.record_batch(
    {
        "name": ["a", "b", None, "a"],
        "place": [{"lat": 1.0, "lon": 2.0}, {"lat": 1.0, "lon": 3.0}, None, {"lat": 1.0, "lon": 2.0}],
        "apps": [[{"id": str(number)} for number in range(7)]] * 4,
    }
)


def counted(key: str) -> tuple[str, str]:
    tally = DistinctValues(Pointer.parse(key))
    for start in (0, 2):
        tally.observe(ROWS.slice(start, 2))
    number, how = tally.count()
    return str(number), how


def test_null_is_no_value_and_batches_do_not_matter() -> None:
    assert counted("name")[0] == "fewer than 5"


def test_a_leaf_in_a_list_is_counted_by_its_elements() -> None:
    assert counted("/apps/*/id")[0] == "5"


def test_pairs_of_numbers_are_compared_as_pairs() -> None:
    assert counted("place")[0] == "fewer than 5"


def test_lists_are_not_compared() -> None:
    assert counted("apps") == ("None", "lists and maps are not compared")


def test_a_column_that_is_not_there_has_no_values() -> None:
    assert counted("elsewhere")[0] == "0"


def test_beyond_a_bound_nobody_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_values, "MOST_DISTINCT", 5)
    tally = DistinctValues(Pointer.parse("x"))
    for start in (0, 4, 8):
        tally.observe(pa.record_batch({"x": list(range(start, start + 4))}))
    assert tally.count()[1].startswith("more than 5")


def test_a_file_that_is_damaged_leaves_the_number_unknown(project: Project) -> None:
    project.records(events(60))
    project.run()
    next((project.out / "records").rglob("*.parquet")).write_bytes(b"no parquet")
    found = field(project, "model")
    assert found.after is None
    assert found.after_how == "files of it are missing or damaged"
