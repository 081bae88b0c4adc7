from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.report import fields
from minimize.report.fields import DistinctCounter
from tests.project import BEFORE, DAY, Builds, Project, event, events, table
from tests.report.telling import facts, field


def done_content(project: Project) -> None:
    project.records([event(number, model=f"M{number}") for number in range(60)])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


def test_distinct_source_values_are_counted_on_request(done: Project) -> None:
    assert field(done, "model").before is None
    assert str(field(done, "model", source=True).before) == "60"


def test_a_dropped_field_is_not_read(done: Project) -> None:
    assert field(done, "event_id", source=True).before is None


def test_dates_are_counted_together(project: Project) -> None:
    project.records([event(number, model=f"M{number}") for number in range(60)])
    project.records([event(number, model=f"M{number}") for number in range(30, 90)], BEFORE)
    project.run(date=BEFORE)
    project.run(date=DAY)
    assert str(field(project, "model", source=True).before) == "90"


def test_a_changed_source_gives_no_distinct_values(done: Project) -> None:
    done.records(events(10))
    found = facts(done, source=True)
    assert {each.before for each in found.fields if each.key == "model"} == {None}
    assert "distinct values in the source" in {each.what for each in found.hidden}


def test_a_source_of_columns_is_counted_as_well(project: Project) -> None:
    project.source("parquet")
    project.columns(table(events(60)))
    project.run()
    assert str(field(project, "model", source=True).before) == "fewer than 5"


def test_a_field_dropped_by_the_current_policy_is_not_read_and_stays_unknown(done: Project) -> None:
    done.policy({"model": {"type": "string", "do": "drop"}})
    done.pipeline(aggregates=None)
    assert field(done, "model", source=True).before is None
    assert str(field(done, "battery", source=True).before) == "60"


ROWS = pa.record_batch(
    {
        "name": ["a", "b", None, "a"],
        "place": [{"lat": 1.0, "lon": 2.0}, {"lat": 1.0, "lon": 3.0}, None, {"lat": 1.0, "lon": 2.0}],
        "apps": [[{"id": str(number)} for number in range(7)]] * 4,
    }
)


def counted(key: str) -> tuple[str, str]:
    tally = DistinctCounter(Pointer.parse(key))
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


def test_distinct_values_beyond_a_bound_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "MOST_DISTINCT", 5)
    tally = DistinctCounter(Pointer.parse("x"))
    for start in (0, 4, 8):
        tally.observe(pa.record_batch({"x": list(range(start, start + 4))}))
    assert tally.count()[1].startswith("more than 5")


def test_a_file_that_is_damaged_leaves_the_number_unknown(project: Project) -> None:
    project.records(events(60))
    project.run()
    next((project.out / "records").rglob("*.parquet")).write_bytes(b"no parquet")
    found = field(project, "model")
    assert found.after is None
    assert found.after_how == "files are missing or damaged"


def test_values_of_another_type_are_counted_as_well(project: Project) -> None:
    project.pipeline(aggregates=None)
    for day, do in ((BEFORE, "keep"), (DAY, {"presence": {}})):
        project.records([event(number, model=f"M{number}") for number in range(60)], day)
        project.policy({"model": {"type": "string", "do": do}})
        project.run(date=day)
    assert str(field(project, "model").after) == "60"
