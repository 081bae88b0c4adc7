"""Releases of an output's aggregates: which figures a run publishes after those that are in force, and what is stored of them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.aggregates.difference_rule import ReleaseHistory
from minimize.aggregates.tally import AggregateResult
from minimize.errors import MinimizeError
from minimize.governance.retention.expire import expire
from minimize.keys import PublicKeys
from minimize.keys.keyring import Keyring, add_key
from minimize.output.reader import load_receipts
from minimize.runs.disclosure_guard import PublishedReleases, guard_aggregates
from minimize.runs.inspection import plan_for
from minimize.verification import check
from tests.project import AT, BEFORE, DAY, Project, event, events

BELOW = 5
DAILY: dict[str, Any] = {
    "daily": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count", "battery": {"mean": "battery"}},
        "suppress": {"below": BELOW},
    }
}


def of(*devices: int, **changes: Any) -> list[dict[str, Any]]:
    """One check-in of each of these devices."""
    return [event(2 * number, device_id=f"d{number}", **changes) for number in devices]


@pytest.fixture(name="project")
def _project(project: Project) -> Project:
    """A run over twenty devices of one tenant."""
    project.pipeline(aggregates=DAILY)
    project.records(of(*range(20), battery=40))
    project.run()
    return project


def again(project: Project, records: list[dict[str, Any]], **options: Any) -> minimize.Receipt:
    project.records(records)
    return project.run(**options)


def published(project: Project) -> dict[str, tuple[int, float | None]]:
    return {row["tenant"]: (row["events"], row["battery"]) for row in project.rows("daily")}


def sketches_of(project: Project) -> Path:
    [path] = (project.out / "sketches").rglob("*.sealed")
    return path


def releases_of(project: Project) -> ReleaseHistory:
    """What is sealed of the aggregate of the day."""
    keys = Keyring.load(project.keys)
    definition = plan_for(project.folder).aggregates["daily"].definition
    return (
        PublishedReleases.from_receipts(project.out, load_receipts(project.out), keys, None)
        .former(definition, "daily", DAY)
        .history
    )


def errors(project: Project) -> list[str]:
    return [finding.code for finding in check(project.out, keys=project.keys) if finding.severity == "error"]


def test_one_device_less_changes_nothing_and_is_counted(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "minimize")
    receipt = again(project, of(*range(19), battery=40))
    assert published(project) == {"north": (20, 40.0)}
    assert receipt.outputs["daily"].deferred == 1
    assert releases_of(project).deferred == 1
    assert [record.getMessage() for record in caplog.records if getattr(record, "code", "") == "I006"] == [
        f"daily of {DAY}: 1 row deferred, because the change would reveal the figures of a few subjects"
    ]
    minimize.verify(project.out, keys=project.keys)


def test_a_value_that_changed_counts_though_the_number_of_rows_is_the_same(project: Project) -> None:
    again(project, [*of(*range(19), battery=40), *of(19, battery=99)])
    assert published(project) == {"north": (20, 40.0)}


def test_with_enough_changes_the_new_figures_are_published(project: Project) -> None:
    receipt = again(project, of(*range(12), battery=40))
    assert published(project) == {"north": (12, 40.0)}
    assert receipt.outputs["daily"].deferred == 0


def test_deferred_changes_add_up(project: Project) -> None:
    again(project, of(*range(18), battery=40))
    again(project, of(*range(14), battery=40))
    assert published(project) == {"north": (14, 40.0)}


def test_the_way_back_is_compared_with_every_earlier_release(project: Project) -> None:
    again(project, of(*range(12), battery=40))
    again(project, of(*range(19), battery=40))
    assert published(project) == {"north": (12, 40.0)}
    again(project, of(*range(20), battery=40))
    assert published(project) == {"north": (20, 40.0)}


def test_a_group_below_the_threshold_is_removed_and_returns_with_enough_changes_alone(project: Project) -> None:
    assert again(project, of(*range(4), battery=40), allow_shrink=True).outputs["daily"].deferred == 0
    assert published(project) == {}
    assert again(project, of(*range(20), battery=40)).outputs["daily"].deferred == 1
    assert published(project) == {}
    again(project, of(*range(40), battery=40))
    assert published(project) == {"north": (40, 40.0)}


def test_the_same_data_publishes_the_same_figures(project: Project) -> None:
    before, sealed = published(project), sketches_of(project).read_bytes()
    assert again(project, of(*reversed(range(20)), battery=40)).outputs["daily"].deferred == 0
    assert published(project) == before
    assert sketches_of(project).read_bytes() == sealed


def test_a_pending_run_does_not_repeat_a_date_whose_rows_are_deferred(project: Project) -> None:
    project.records(of(20, battery=99), name="late")
    assert project.run(pending=True).outputs["daily"].deferred == 1
    assert project.run(pending=True).sequence == 0
    assert published(project) == {"north": (20, 40.0)}


def test_another_version_of_the_subject_key_compares_as_the_first_one(project: Project) -> None:
    add_key(project.keys, "subject", now=AT)
    again(project, of(*range(19), battery=40))
    assert published(project) == {"north": (20, 40.0)}
    again(project, of(*range(12), battery=40))
    assert published(project) == {"north": (12, 40.0)}
    minimize.verify(project.out, keys=project.keys)


def test_a_measure_that_is_new_has_no_earlier_release(project: Project) -> None:
    measures = {**DAILY["daily"]["measures"], "drained": {"sum": "battery"}, "devices": {"count_distinct": "device_id"}}
    project.pipeline(aggregates={"daily": DAILY["daily"] | {"measures": measures}})
    again(project, of(*range(19), battery=40))
    assert project.rows("daily") == [
        {**row, "events": 20, "battery": 40.0, "drained": None, "devices": None} for row in project.rows("daily")
    ]


def test_a_threshold_that_was_raised_counts(project: Project) -> None:
    project.pipeline(aggregates={"daily": DAILY["daily"] | {"suppress": {"below": 10}}})
    again(project, of(*range(13), battery=40))
    assert published(project) == {"north": (20, 40.0)}


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"subject/1\nnothing")])
def test_without_its_sketches_a_row_is_published_again_with_equal_figures_alone(
    project: Project, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    damage(sketches_of(project))
    assert errors(project) in (["V011"], ["V012"])
    again(project, of(*range(12), battery=40))
    assert published(project) == {"north": (20, 40.0)}
    assert [record.getMessage() for record in caplog.records if getattr(record, "code", "") == "W034"] == [
        f"the sketches of daily of {DAY} are missing: changed rows keep their published figures, and new rows are not published. "
        "Run `minimize verify OUTPUT`, and restore the sketches that it reports from a backup."
    ]
    assert errors(project) == []


def test_without_its_sketches_a_row_that_is_not_in_force_is_not_published(project: Project) -> None:
    again(project, of(*range(4), battery=40), allow_shrink=True)
    sketches_of(project).unlink()
    for _ in range(2):
        again(project, of(*range(19), battery=40))
        assert published(project) == {}


def test_sketches_of_an_earlier_release_are_not_those_of_the_receipt(project: Project) -> None:
    before = sketches_of(project).read_bytes()
    again(project, of(*range(12), battery=40))
    sketches_of(project).write_bytes(before)
    again(project, of(*range(13), battery=40))
    assert published(project) == {"north": (12, 40.0)}


def test_a_file_in_the_place_of_the_folder_of_sketches_is_named(project: Project) -> None:
    shutil.rmtree(project.out / "sketches")
    (project.out / "sketches").write_text("hi")
    with pytest.raises(MinimizeError, match="sketches is a file"):
        again(project, of(*range(12), battery=40))


def test_with_equal_figures_a_row_has_sketches_again(project: Project) -> None:
    sketches_of(project).unlink()
    again(project, of(*range(20), battery=40))
    again(project, of(*range(12), battery=40))
    assert published(project) == {"north": (12, 40.0)}


def test_what_a_table_published_that_is_lost_is_known_by_its_sketches(project: Project) -> None:
    shutil.rmtree(project.out / "daily")
    again(project, of(*range(19), battery=40))
    assert published(project) == {}
    again(project, of(*range(20), battery=40))
    assert published(project) == {}
    assert errors(project) == []


def test_a_lost_table_comes_back_from_the_same_data(project: Project) -> None:
    shutil.rmtree(project.out / "daily")
    again(project, of(*range(20), battery=40))
    assert published(project) == {"north": (20, 40.0)}
    assert errors(project) == []


def test_sketches_that_belong_to_another_date_do_not_open(project: Project) -> None:
    project.records(of(*range(20), battery=40), day="2026-11-23")
    project.run(date="2026-11-23")
    first, second = sorted((project.out / "sketches").rglob("*.sealed"))
    first.write_bytes(second.read_bytes())
    assert "V012" in errors(project)
    project.records(of(*range(12), battery=40), day="2026-11-23")
    project.run(date="2026-11-23")
    assert [row["events"] for row in project.rows("daily")] == [20, 20]


def test_a_new_result_without_sketches_publishes_no_new_figures(project: Project) -> None:
    definition = plan_for(project.folder).aggregates["daily"].definition
    releases = PublishedReleases.from_receipts(
        project.out, load_receipts(project.out), Keyring.load(project.keys), None
    )
    [path] = (project.out / "daily").rglob("*.parquet")
    before = pq.read_table(path, partitioning=None)
    columns = {"tenant": ["north", "south"], "events": [12, 30], "battery": [40.0, 40.0]}
    counts = np.array([12, 30])
    new = AggregateResult(pa.table(columns, before.schema), 42, 0, 0, 0, rows=counts, subjects=counts)
    found = guard_aggregates({"daily": definition}, {"daily": new}, releases, DAY, AT)["daily"]
    assert found.result.table.to_pylist() == before.to_pylist()
    assert (found.result.deferred, found.history.deferred) == (2, 2)


def test_with_a_public_key_alone_sketches_are_not_opened(project: Project) -> None:
    public = PublicKeys(Keyring.load(project.keys).public_key_pem())
    found = [each for each in check(project.out, public_key=public) if each.code == "V019"]
    assert [(each.severity, each.message) for each in found] == [
        ("warning", "1 index not checked"),
        ("warning", "1 file of sketches not checked"),
    ]


def test_no_aggregate_is_named_like_the_folder_of_sketches(project: Project) -> None:
    project.pipeline(aggregates={"sketches": DAILY["daily"]})
    with pytest.raises(MinimizeError, match="sketches"):
        project.run()


def without_aggregates(project: Project) -> None:
    """A run of the same date by a pipeline without the aggregate."""
    project.pipeline(aggregates=None)
    again(project, of(*range(20), battery=40))


def test_an_aggregate_that_the_pipeline_no_longer_has_is_removed_and_its_sketches_stay(project: Project) -> None:
    before = sketches_of(project)
    without_aggregates(project)
    assert not (project.out / "daily").exists() or not [*(project.out / "daily").rglob("*.parquet")]
    assert sketches_of(project) == before
    assert errors(project) == []
    again(project, of(*range(20), battery=40))
    assert sketches_of(project) == before
    assert errors(project) == []


def test_dates_that_have_the_aggregate_and_dates_that_lost_it_are_apart(project: Project) -> None:
    project.records(of(*range(20), battery=40), day=BEFORE)
    project.run(date=BEFORE)
    project.pipeline(aggregates=None)
    for _ in range(2):
        project.run(date=BEFORE)
        assert errors(project) == []
    assert len([*(project.out / "daily").rglob("*.parquet")]) == 1
    assert len([*(project.out / "sketches").rglob("*.sealed")]) == 2


def test_an_aggregate_that_returns_is_compared_with_what_it_published_before(project: Project) -> None:
    without_aggregates(project)
    project.pipeline(aggregates=DAILY)
    assert again(project, of(*range(19), battery=40)).outputs["daily"].deferred == 1
    assert published(project) == {}
    again(project, of(*range(12), battery=40))
    assert published(project) == {"north": (12, 40.0)}
    assert len([*(project.out / "sketches").rglob("*.sealed")]) == 1
    assert errors(project) == []


def test_an_aggregate_that_returns_with_the_same_data_has_the_same_figures(project: Project) -> None:
    without_aggregates(project)
    project.pipeline(aggregates=DAILY)
    again(project, of(*range(20), battery=40))
    assert published(project) == {"north": (20, 40.0)}


def test_an_aggregate_that_returns_without_its_sketches_publishes_nothing(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    without_aggregates(project)
    sketches_of(project).unlink()
    assert errors(project) == ["V011"]
    without_aggregates(project)
    project.pipeline(aggregates=DAILY)
    again(project, of(*range(20), battery=40))
    assert published(project) == {}
    assert any(getattr(record, "code", "") == "W034" for record in caplog.records)
    assert errors(project) == []


def test_sketches_of_an_aggregate_that_is_gone_are_checked(project: Project) -> None:
    without_aggregates(project)
    sketches_of(project).write_bytes(b"subject/1\nnothing")
    assert errors(project) == ["V012"]


@pytest.mark.parametrize("is_gone", [False, True])
def test_sketches_end_with_the_retention_of_their_date(project: Project, is_gone: bool) -> None:
    if is_gone:
        without_aggregates(project)
    else:
        again(project, of(*range(4), battery=40), allow_shrink=True)
        assert published(project) == {}
    expire(project.out, at=AT + timedelta(days=28), keys=project.keys, yes=True, allow_shrink=True)
    assert sketches_of(project).exists()
    expire(project.out, at=AT + timedelta(days=40), keys=project.keys, yes=True, allow_shrink=True)
    assert not (project.out / "sketches").exists()
    assert errors(project) == []


def test_tables_of_one_run_are_compared(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    finer = {**DAILY["daily"], "group_by": {"tenant": "tenant_id", "model": "model"}}
    project.pipeline(aggregates={**DAILY, "finer": finer}, output="other")
    project.records([*of(*range(20), battery=40, model="A"), *of(20, battery=99, model="B")])
    receipt = project.exact(project.run(output=project.folder / "other"), project.folder / "other")
    assert project.rows("daily", project.folder / "other") == []
    assert [row["events"] for row in project.rows("finer", project.folder / "other")] == [20]
    assert (receipt.outputs["daily"].groups_suppressed, receipt.outputs["daily"].deferred) == (1, 0)
    assert any(getattr(record, "code", "") == "W032" for record in caplog.records)


def test_events_of_a_rerun_that_is_larger_are_all_there(project: Project) -> None:
    again(project, events(400))
    assert sum(row["events"] for row in project.rows("daily")) == 400
