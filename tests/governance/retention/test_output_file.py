"""Who wrote a file, under which policy, and what stands beside its receipt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.errors import OutputError
from minimize.governance.published_outputs import RETENTION_POLICY_FILE, PolicyCache, WritingRun, receipts_by_path
from minimize.output.folder import PIPELINE_FILE, POLICY_FILE
from minimize.output.reader import load_receipts
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


def test_what_an_expiry_put_beside_its_receipt_is_not_about_the_files(day: Daily) -> None:
    day.expire(RAN + HOUR)
    assert RETENTION_POLICY_FILE in written(day).receipt.files
    assert set(written(day).attachments) >= {POLICY_FILE, PIPELINE_FILE}
    assert RETENTION_POLICY_FILE not in written(day).attachments
    assert written(day, 0).rewrite_group == written(day, 1).rewrite_group


@pytest.mark.parametrize("name", [POLICY_FILE, PIPELINE_FILE])
def test_a_file_beside_a_receipt_that_was_changed_is_refused(day: Daily, name: str) -> None:
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
