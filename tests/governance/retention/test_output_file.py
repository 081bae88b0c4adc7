"""Who wrote a file, under which policy, what stands beside its receipt, and what its footer and index tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.datasets import published_output as published_output_module
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.datasets.writing_run import RETENTION_POLICY_FILE, PolicyCache, WritingRun, receipts_by_path
from minimize.errors import OutputError
from minimize.governance.known_outputs import published_output
from minimize.keys import Keyring
from minimize.records import PIPELINE_FILE, POLICY_FILE
from tests.governance.retention.daily import START, Daily, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY


def written(project: Daily, number: int = -1) -> WritingRun:
    return WritingRun(project.out, load_receipts(project.out)[number])


def test_the_policy_of_a_file_is_the_one_that_its_receipt_carries(day: Daily) -> None:
    day.policy(version=7)
    assert (written(day).policy.version, written(day).pipeline["pipeline"]) == (1, "places")


def test_files_of_one_policy_and_pipeline_are_rewritten_together_and_others_are_not(day: Daily) -> None:
    day.collect(rows(START.date() + DAY), START.date() + DAY)
    day.run(START.date() + DAY, RAN + DAY)
    assert written(day, 0).rewrite_group == written(day, 1).rewrite_group
    day.policy(version=7)
    day.run(START.date() + DAY, RAN + DAY)
    assert written(day, 0).rewrite_group != written(day, 2).rewrite_group


def test_attachments_of_an_expiry_are_not_attachments_of_the_files(day: Daily) -> None:
    day.expire(RAN + HOUR)
    assert RETENTION_POLICY_FILE in written(day).receipt.files
    assert set(written(day).attachments) >= {POLICY_FILE, PIPELINE_FILE}
    assert RETENTION_POLICY_FILE not in written(day).attachments
    assert written(day, 0).rewrite_group == written(day, 1).rewrite_group


@pytest.mark.parametrize("name", [POLICY_FILE, PIPELINE_FILE])
def test_a_changed_attachment_of_a_receipt_is_refused(day: Daily, name: str) -> None:
    path = day.out / "runs" / written(day).receipt.run_id / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(OutputError, match=f"{name} does not match its receipt"):
        assert written(day).attachments


def test_a_policy_is_read_once_for_all_files_of_it(day: Daily) -> None:
    reading = PolicyCache()
    first, second = (WritingRun(day.out, load_receipts(day.out)[0], reading).policy for _ in range(2))
    assert first is second


def test_every_file_has_the_receipt_that_wrote_it(day: Daily) -> None:
    day.expire(RAN + HOUR)
    by = {path.split("/")[0]: receipt.kind for path, receipt in receipts_by_path(load_receipts(day.out)[1:]).items()}
    assert by == {"records": "expire"}


LEFT = RetentionEvent("east", "subject_left", RAN, "d1")


def output(project: Daily) -> PublishedOutput:
    found = published_output(project.out, Keyring.load(project.keys))
    assert found is not None
    return found


def records_file(project: Daily) -> OutputFile:
    (file,) = output(project).files("records")
    return file


def test_an_output_has_each_file_once(day: Daily) -> None:
    made = output(day)
    (file,) = made.files("records")
    assert made.file(file.entry) is file
    assert {each.name for each in made.files()} == {"records", "daily"}


def test_the_rows_of_a_subject_are_found_by_its_form(day: Daily) -> None:
    file = records_file(day)
    affected = file.affected([LEFT])
    rows = file.rows([affected])
    assert frozenset(rows["device_id"].to_pylist()) == file.forms("device_id", "d1", "east")
    assert rows.num_rows == file.rows([affected], file.candidate_groups(affected)).num_rows == 2


def test_the_index_excludes_absent_subjects_and_does_not_cover_tenants(day: Daily) -> None:
    file = records_file(day)
    stranger = RetentionEvent("east", "subject_left", RAN, "stranger")
    assert not file.may_hold(file.affected([stranger]))
    assert not file.may_hold(file.affected([]))
    assert file.candidate_groups(file.affected([RetentionEvent("east", "tenant_closed", RAN)])) is None


def test_a_field_that_the_file_does_not_have_has_no_column(day: Daily) -> None:
    file = records_file(day)
    assert (file.column("event_id"), file.column(None), file.forms("event_id", "x", "east")) == (None, None, None)


def test_tenants_and_times_are_known_as_far_as_the_file_records_them(day: Daily) -> None:
    file = records_file(day)
    assert file.tenants == frozenset({"north", "south", "east"})
    assert file.time_bounds is not None
    assert file.extent is not None
    assert file.extent[0] == file.time_bounds[0] >= (file.partition_start or 0)


def test_only_some_files_are_kept_open(project: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_output_module, "OPEN_FILES", 1)
    for on in (START.date(), START.date() + DAY):
        project.collect(rows(on), on)
        project.run(on, RAN + DAY)
    first, second = output(project).files("records")
    stored = first.stored_file
    assert first.stored_file is stored
    assert second.stored_file.whole == first.schema
    assert first.stored_file is not stored


def test_a_file_was_in_force_from_its_run_to_its_removal(day: Daily) -> None:
    written_at = records_file(day).written_by.receipt.finished
    day.expire(RAN + HOUR)
    made = output(day)
    removed_at = made.chain[-1].finished
    counts = [len(list(made.files_within((at, at)))) for at in (written_at - DAY, written_at, removed_at)]
    assert counts == [0, 2, 2]
    assert {each.kind for each in made.removals.values()} == {"expire"}
