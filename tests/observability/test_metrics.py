"""Metrics in Prometheus' text format: what the last run did, and when the last success was."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import StoppedError
from minimize.observability import METRIC_HELP, failure_samples, format_samples, parse_samples, write_file
from tests.project import Project, events

LINE = re.compile(r'[a-z_]+\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\} -?[\d.e+-]+')


def samples(path: Path) -> dict[str, float]:
    return {
        f"{name} {' '.join(list(labels.values())[1:])}".strip(): n
        for name, labels, n in parse_samples(path.read_text())
    }


def file(project: Project) -> Path:
    return project.folder / "collected" / "minimize_checkins.prom"


def test_metrics_of_a_run_hold_its_figures(project: Project) -> None:
    project.records([*events(30), "broken"])
    receipt = project.run(metrics=project.folder / "collected")
    found = samples(file(project))
    assert (found["minimize_rows read"], found["minimize_rows written"]) == (31, 30)
    assert found["minimize_quarantined_rows malformed"] == 1
    assert found["minimize_quarantine_share"] == pytest.approx(1 / 31)
    assert found["minimize_output_rows per_model"] == receipt.outputs["per_model"].rows
    assert found["minimize_last_success_timestamp_seconds"] == receipt.finished.timestamp()
    assert found["minimize_last_run_success"] == 1
    assert found["minimize_run_duration_seconds"] >= 0


def test_the_file_is_what_a_collector_reads(project: Project) -> None:
    project.records([*events(30), "broken"])
    project.run(metrics=project.folder / "collected")
    lines = file(project).read_text().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert set(names) <= set(METRIC_HELP)
    assert all(LINE.fullmatch(line) for line in lines if not line.startswith("#"))
    assert file(project).read_text().endswith("\n")


def test_without_a_destination_no_metrics_are_written(project: Project) -> None:
    project.records(events(30))
    project.run()
    assert list(project.folder.rglob("*.prom")) == []


def test_a_night_with_nothing_to_do_is_a_success_and_keeps_the_figures(project: Project) -> None:
    project.records(events(30))
    project.run(metrics=project.folder / "collected")
    before = samples(file(project))
    receipt = project.run(pending=True, metrics=project.folder / "collected")
    after = samples(file(project))
    assert receipt.sequence == 0
    assert after["minimize_last_success_timestamp_seconds"] == receipt.finished.timestamp()
    assert after["minimize_last_run_timestamp_seconds"] == receipt.finished.timestamp()
    assert {name: after[name] for name in before if "timestamp" not in name} == {
        name: n for name, n in before.items() if "timestamp" not in name
    }


def test_a_named_date_without_files_is_no_success(project: Project) -> None:
    project.records(events(30))
    project.run(metrics=project.folder / "collected")
    before = samples(file(project))
    project.run("2026-11-01", metrics=project.folder / "collected")
    after = samples(file(project))
    assert after["minimize_last_run_success"] == 0
    name = "minimize_last_success_timestamp_seconds"
    assert after[name] == before[name]


def test_a_night_on_which_files_are_gone_is_no_success(project: Project) -> None:
    path = project.records(events(30))
    project.records(events(5), name="b")
    project.run(metrics=project.folder / "collected")
    path.unlink()
    project.run(pending=True, metrics=project.folder / "collected")
    assert samples(file(project))["minimize_last_run_success"] == 0


def test_a_failure_keeps_the_metrics_of_the_last_success(project: Project) -> None:
    project.records(events(30))
    project.run(metrics=project.folder / "collected")
    before = samples(file(project))
    project.pipeline(quarantine={"stop_above": 0.01})
    project.records([*events(9), "broken"])
    with pytest.raises(StoppedError):
        project.run(metrics=project.folder / "collected")
    after = samples(file(project))
    assert after["minimize_last_run_success"] == 0
    assert after["minimize_last_run_timestamp_seconds"] > before["minimize_last_run_timestamp_seconds"]
    kept = {name for name in before if not name.startswith("minimize_last_run")}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_failure_without_an_earlier_success_has_metrics() -> None:
    found = failure_samples("p", datetime(2026, 11, 25, tzinfo=UTC), "")
    assert [name for name, _, _ in found] == ["minimize_last_run_timestamp_seconds", "minimize_last_run_success"]


def test_the_file_is_replaced_atomically_and_no_other_file_is_left(tmp_path: Path) -> None:
    write_file(tmp_path / "a.prom", "one\n")
    write_file(tmp_path / "a.prom", "two\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.prom": "two\n"}


def test_a_place_that_cannot_be_written_fails_no_run(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    (project.folder / "taken").write_text("")
    project.records(events(30))
    receipt = project.run(
        metrics=project.folder / "taken" / "a.prom", lineage=project.folder / "taken" / "events.ndjson"
    )
    assert receipt.rows.written == 30
    assert {getattr(record, "code", None) for record in caplog.records} >= {"W020", "W021"}


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_labels_and_values_come_back_as_they_were_written(label: str, value: float) -> None:
    label = label.translate({ord(c): None for c in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"})
    sample = ("minimize_output_rows", {"pipeline": "p", "output": label}, value)
    assert parse_samples(format_samples([sample])) == [sample]
