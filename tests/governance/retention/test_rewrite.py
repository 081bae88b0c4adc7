"""A plan carried out: one publication per policy, checked before and after, with its receipt."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, OutputError, RefusedError, StoppedError
from minimize.policy.load import load_policy
from minimize.receipts import sha256_text
from minimize.removal import rewrite as module
from minimize.removal.plan import RemovalPlan
from minimize.removal.retract import retract
from minimize.removal.rewrite import Rewrite, loaded_bytes, split_by_date
from tests.governance.retention.daily import SETTINGS, START, Daily, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

RAN = START + DAY


def carrying(project: Daily, hours: int) -> tuple[Rewrite, RemovalPlan]:
    at = RAN + hours * HOUR
    made = project.plan(at)
    return Rewrite("expire", made.workspace, at), made.plan()


def test_files_of_two_policies_are_two_publications(day: Daily) -> None:
    day.policy(version=2)
    day.collect(rows(START.date() + DAY), START.date() + DAY)
    day.run(START.date() + DAY, RAN + DAY)
    work, plan = carrying(day, 48)
    made = list(work.execute(plan.due))
    assert sorted(receipt.policy.version for receipt in made) == [1, 2]
    assert [receipt.sequence for receipt in load_receipts(day.out)] == [1, 2, 3, 4]
    day.verified()


def test_it_is_not_decided_again_as_of_an_earlier_time(day: Daily) -> None:
    work, plan = carrying(day, 2)
    list(work.execute(plan.due))
    earlier = replace(carrying(day, 1)[0], at_given=True)
    with pytest.raises(RefusedError, match="already covers these dates"):
        list(earlier.execute(plan.due))
    assert len(load_receipts(day.out)) == 2


def test_a_replaced_file_that_still_exists_is_an_error(day: Daily) -> None:
    work, plan = carrying(day, 1)
    (old,) = [each.file.path for each in plan.due]
    content = (day.out / old).read_bytes()

    def left(*_: object) -> None:
        (day.out / old).parent.mkdir(exist_ok=True)
        (day.out / old).write_bytes(content)

    with at_checkpoint("rewrite.published", left), pytest.raises(OutputError, match="1 files still exist"):
        list(work.execute(plan.due))


def portions(files_per_portion: int, *dates: str | None, whole: bool = False) -> list[list[str | None]]:
    files: list[Any] = [SimpleNamespace(date=date, is_whole=whole) for date in dates]
    return [[each.date for each in portion] for portion in split_by_date(files, files_per_portion)]


def test_files_are_published_in_portions_of_whole_dates() -> None:
    assert portions(2, "c", "a", "b", "a") == [["a", "a"], ["b", "c"]]
    assert portions(2, "a", "a", "a") == [["a", "a", "a"]]
    assert portions(2, None, None) == [[None, None]]
    assert portions(2) == []


def test_files_that_are_removed_whole_fill_no_portion() -> None:
    assert portions(1, "a", "b", whole=True) == [["a", "b"]]


def test_each_portion_has_a_receipt(day: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_PORTION", 1)
    second = START.date() + DAY
    day.collect(rows(second), second)
    day.run(second, RAN + DAY)
    work, plan = carrying(day, 60)
    assert [receipt.dates for receipt in work.execute(plan.due)] == [
        ("2026-01-01",),
        ("2026-01-02",),
    ]
    day.verified()


def test_each_portion_names_the_tables_that_count_its_records(day: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_PORTION", 1)
    second = START.date() + DAY
    day.collect(rows(second), second)
    day.run(second, RAN + DAY)
    work, plan = carrying(day, 60)
    both = frozenset({"2026-01-01", "2026-01-02"})
    left = {("daily", "2026-01-01"): both, ("daily", "2026-01-02"): frozenset({"2026-01-02"})}
    receipts = list(replace(work, tables_left=left).execute(plan.due))
    assert [receipt.dates for receipt in receipts] == [("2026-01-01",), ("2026-01-02",)]
    assert [receipt.stays for receipt in receipts] == [
        {"daily": ("2026-01-01",)},
        {"daily": ("2026-01-01", "2026-01-02")},
    ]


def test_progress_counts_the_files_that_are_read(day: Daily) -> None:
    seen: list[tuple[int, int]] = []
    work, plan = carrying(day, 2)
    list(replace(work, progress=lambda done, of: seen.append((done, of))).execute(plan.due))
    assert seen == [(0, 1), (1, 1)]


def bounded(project: Daily) -> None:
    """A first day with a record that cannot be read, and a pipeline that publishes no date with such a record."""
    lines = [*(row.line() for row in rows(START.date(), devices=6)), {"event_id": "bad", "event_time": "never"}]
    project.lines(f"data/{START.date()}/a.ndjson", lines)
    project.run(START.date(), RAN)
    project.pipeline(quarantine={"stop_above": 0})


def test_a_retraction_is_not_refused_by_a_limit_on_quarantine(project: Daily) -> None:
    bounded(project)
    off = "south,,location,off,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text(SETTINGS + off)
    (receipt,) = retract(project.out, at=RAN + HOUR, keys=project.keys, yes=True).receipts
    assert (receipt.from_, receipt.rows.quarantined) == ("source", 1)
    assert {row["tenant_id"] for row in project.rows() if row["place"]} == {"north", "east"}
    with pytest.raises(StoppedError):
        project.run(START.date(), RAN + 2 * HOUR)


def test_an_expiry_is_not_refused_by_a_limit_on_quarantine(project: Daily) -> None:
    bounded(project)
    left = [f"south,{device},subject_left,2026-01-02T00:00:00Z" for device in ("d0", "d1")]
    (receipt,) = project.expire(RAN, events=project.events(*left)).receipts
    assert receipt.gated_by.erased == 4
    project.verified()


def test_it_follows_the_rows_of_the_records_and_balances(day: Daily) -> None:
    (receipt,) = day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z")).receipts
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.gated) == (12, 10, 2)
    assert receipt.gated_by.erased == 2
    assert (receipt.kind, receipt.dates, receipt.engine) == ("expire", ("2026-01-01",), "local")
    assert receipt.outputs["records"].rows == 10


def test_fields_of_a_receipt_count_the_removed_values_of_kept_records(day: Daily) -> None:
    (receipt,) = day.expire(RAN + HOUR).receipts
    place, note = receipt.fields["place"], receipt.fields["note"]
    assert (place.values, place.gated, note.values, note.gated) == (12, 6, 12, 0)


def test_it_names_the_policy_whose_retention_was_applied_and_that_of_the_files(day: Daily) -> None:
    day.policy(version=2, retention="1d")
    (receipt,) = day.expire(RAN + HOUR).receipts
    assert receipt.retention is not None
    assert (receipt.policy.version, receipt.retention.version) == (1, 2)
    assert receipt.files["retention.yaml"] == receipt.retention.digest


def test_it_lists_the_aggregates_that_stay_on_its_own_dates(day: Daily) -> None:
    shutil.rmtree(day.folder / "data")
    (receipt,) = day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z")).receipts
    assert receipt.stays == {"daily": ("2026-01-01",)}


def test_a_wholly_due_file_is_removed_and_not_replaced(day: Daily) -> None:
    (receipt,) = day.expire(RAN + 30 * DAY).receipts
    assert receipt.replaces == ()
    assert sorted(file.path.split("/")[0] for file in receipt.removes) == ["daily", "records"]
    assert receipt.rows.gated == receipt.gated_by.retention == 12


def test_a_policy_file_that_changed_after_loading_is_refused(day: Daily) -> None:
    path = day.folder / "policy.yaml"
    policy = load_policy(path)
    assert sha256_text(loaded_bytes(policy)) == policy.digest
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ConfigurationError, match="changed while this command was running"):
        loaded_bytes(policy)
