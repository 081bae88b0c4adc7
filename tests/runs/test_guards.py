"""The shrink guard: far fewer rows than at the last receipt, or a clock that empties dates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.errors import CheckFailed, SourceError
from minimize.runs import guards
from minimize.runs.guards import KeptRows
from tests import calls
from tests.buckets import Bucket
from tests.calls import replay
from tests.commands import Result, command
from tests.project import AT, BEFORE, DAY, Builds, Project, event, events

LATER = AT + timedelta(hours=1)
AHEAD = AT + timedelta(days=60)
SWITCH: dict[str, Any] = {
    "records": {"feature": "usage"},
    "features": {"usage": {"about": "usage"}, "location": {"about": "position of a lost device", "retention": "24h"}},
}


def ran(project: Project, at: datetime, *more: object) -> Result:
    words = ("--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "--output", project.out, "--keys", project.keys)
    return command("run", project.folder, *words, *more)


def run_two_dates(project: Project) -> None:
    """Runs two dates of 40 rows."""
    project.pipeline(aggregates=None)
    for day in (BEFORE, DAY):
        project.records(events(40), day=day)
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, run_two_dates)


def test_a_date_with_fewer_than_half_of_its_rows_is_left_alone_and_named(done: Project) -> None:
    done.records(events(19))
    said = ran(done, LATER, "--pending", "--json")
    assert (said.code, said.json["skipped"]) == (1, {DAY: "fewer_rows"})
    (failure,) = said.json["failures"]
    assert failure["message"].startswith("only 19 rows were read; the last run (")
    assert "--allow-shrink" in failure["hint"]
    assert len(done.rows()) == 80


def test_half_of_the_rows_is_enough(done: Project) -> None:
    done.records(events(20))
    assert ran(done, LATER, "--pending").code == 0
    assert len(done.rows()) == 60


def test_a_date_that_was_asked_for_is_refused_with_1(done: Project) -> None:
    done.records([])
    said = ran(done, LATER, "--date", DAY, "--json")
    assert (said.code, said.out, f"{DAY}: only 0 rows were read" in said.err, "E102" in said.err) == (1, "", True, True)
    with pytest.raises(CheckFailed):
        done.run(date=DAY, at=LATER)


def test_one_refused_date_does_not_stop_the_others(done: Project) -> None:
    done.records(events(3))
    done.records(events(50), day=BEFORE)
    said = ran(done, LATER, "--pending", "--json")
    assert (said.code, said.json["dates"], said.json["skipped"]) == (1, [BEFORE], {DAY: "fewer_rows"})
    assert len(done.rows()) == 90
    minimize.verify(done.out, keys=done.keys)


def test_allow_shrink_publishes_it_all_the_same(done: Project) -> None:
    done.records(events(3))
    assert ran(done, LATER, "--pending", "--allow-shrink").code == 0
    assert len(done.rows()) == 43


def test_a_clock_that_is_ahead_empties_no_date(done: Project) -> None:
    """All rows are past their retention then."""
    done.records(events(50))
    said = ran(done, AHEAD, "--pending", "--json")
    assert (said.code, said.json["skipped"]) == (1, {DAY: "implausible_time"})
    assert "more than 7 days after the last receipt" in said.json["failures"][0]["message"]
    assert len(done.rows()) == 80
    assert ran(done, LATER, "--pending").code == 0


def test_a_date_without_a_receipt_is_not_published_without_its_rows(done: Project) -> None:
    """Half of the rows are past their retention by a clock that is ahead, and the next night would not bring them back."""
    new = "2026-11-25"
    times = [f"{new}T10:00:00Z", f"{AHEAD:%Y-%m-%d}T00:00:00Z"]
    done.records([event(each, event_time=times[each % 2]) for each in range(40)], day=new)
    said = ran(done, AHEAD, "--pending", "--json")
    assert (said.code, said.json["skipped"]) == (1, {new: "implausible_time"})
    message = said.json["failures"][0]["message"]
    assert message.startswith(
        "retention would remove 20 of 40 rows of a date that was never run, and the run's time is"
    )
    assert ran(done, AHEAD, "--pending", "--allow-shrink").code == 0


def test_a_date_without_a_receipt_of_which_most_rows_are_left_is_published(done: Project) -> None:
    new = "2026-11-25"
    times = [f"{new}T10:00:00Z", *[f"{AHEAD:%Y-%m-%d}T00:00:00Z"] * 2]
    done.records([event(each, event_time=times[each % 3]) for each in range(39)], day=new)
    assert ran(done, AHEAD, "--pending").code == 0


def test_the_first_run_of_an_output_may_be_late(project: Project) -> None:
    project.records(events(40))
    assert ran(project, AHEAD).code == 0


def test_each_date_of_a_run_of_several_is_refused_separately(done: Project) -> None:
    said = ran(done, AHEAD, "--json")
    assert said.code == 1
    assert {fault["message"][:10] for fault in json.loads(said.err)["error"]["faults"]} == {BEFORE, DAY}


def test_seven_days_after_the_last_receipt_retention_is_believed(done: Project) -> None:
    done.policy(retention="6d")
    ran(done, LATER, "--allow-shrink")
    assert ran(done, LATER + timedelta(days=7), "--date", DAY).code == 0
    assert len(done.rows(dates=[DAY])) == 0


def test_a_retention_that_was_shortened_may_empty_a_date(done: Project) -> None:
    done.policy(retention="1d")
    assert ran(done, AT + timedelta(days=6), "--date", DAY).code == 0
    assert done.rows(dates=[DAY]) == []


def test_a_retention_that_was_shortened_does_not_turn_the_guard_off(done: Project) -> None:
    done.policy(retention="1d")
    said = ran(done, AHEAD, "--date", DAY)
    assert (said.code, "and the run's time is more than 7 days after the last receipt" in said.err) == (1, True)
    assert len(done.rows()) == 80


def test_quarantine_that_grows_under_an_implausible_time_is_refused(done: Project) -> None:
    done.records([*events(10), *["broken"] * 40])
    assert ran(done, LATER, "--date", DAY).code == 0
    done.records([*events(2), *["broken"] * 40])
    said = ran(done, LATER + timedelta(days=8), "--date", DAY, "--json")
    assert (said.code, "quarantine and retention would leave 2 of 42 rows (10 at the last run, " in said.err) == (
        1,
        True,
    )


def test_rows_that_settings_gate_are_no_loss(project: Project) -> None:
    project.policy(**SWITCH, retention=None)
    project.pipeline(aggregates=None)
    on = "north,,usage,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    settings = project.folder / "settings.csv"
    settings.write_text(settings.read_text() + on + on.replace("north", "south"))
    project.records(events(40))
    assert project.run().rows.written == 40
    settings.write_text(settings.read_text() + on.replace("on,admin", "off,admin").replace("01-01T", "11-24T"))
    receipt = project.run(at=AHEAD)
    assert (receipt.rows.gated, receipt.gated_by.setting) == (20, 20)
    settings.write_text(settings.read_text().replace(",on,", ",off,"))
    assert project.run(at=AHEAD).rows.written == 0


def test_against_another_clock_five_minutes_are_too_many(done: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's clock, or the store's, as it was when the run started."""
    done.policy(retention="1d")
    ran(done, AT + timedelta(hours=1), "--allow-shrink")
    at = AT + timedelta(days=2)
    for minutes, code in ((6, 1), (-6, 1), (4, 0)):
        monkeypatch.setattr(
            "minimize.runs.runner.reference_clock", lambda *_, minutes=minutes: lambda: at + timedelta(minutes=minutes)
        )
        assert ran(done, at, "--date", DAY).code == code


def test_the_other_clock_is_taken_back_to_the_start_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started = datetime(2026, 3, 1, tzinfo=UTC)
    now, ahead = started + timedelta(hours=3), timedelta(minutes=2)
    monkeypatch.setattr(guards, "_server_time", lambda _: now + ahead)
    ledger = SimpleNamespace(now=now)
    assert guards.reference_clock(ledger, None, started)() == started + ahead  # type: ignore[arg-type]


@pytest.mark.postgres
def test_the_clock_of_a_ledger_on_a_server_is_asked(
    done: Project, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minimize.ledger.database import parse_address, server_time
    from minimize.ledger.ledger import open_ledger

    with open_ledger(parse_address(postgres.database(), "a test")) as ledger:
        found = ledger.read(server_time)
    assert found is not None
    assert abs(datetime.now(UTC) - found) < timedelta(minutes=5)


@pytest.mark.slow
def test_the_clock_of_a_store_is_the_time_of_an_object_that_is_put_and_removed(s3_bucket: Bucket) -> None:
    found = guards._store_time(s3_bucket.at("out"))
    assert found is not None
    assert abs(datetime.now(UTC) - found) < timedelta(minutes=5)
    assert list(s3_bucket.at("out").objects_below()) == []


def test_kept_rows_of_a_date_are_known_from_a_receipt_of_several_dates(done: Project) -> None:
    (receipt,) = load_receipts(done.out)
    assert len(receipt.dates) == 2
    assert KeptRows.at_receipt(receipt, datetime.fromisoformat(DAY).date()) == KeptRows(40, 40)


def test_a_replay_leaves_a_date_alone_and_runs_the_others(done: Project) -> None:
    for day in (BEFORE, DAY):
        done.records([*events(39), event(40, contacts="x")], day=day)
    done.run(at=LATER)
    done.run(date=DAY, at=LATER + timedelta(hours=2))
    done.policy(never=None)
    found = replay(done.out, keys=done.keys, at=LATER + timedelta(hours=1), pipeline=done.folder)
    assert [receipt.dates for receipt in found.receipts] == [(BEFORE,)]
    assert [(each.date, each.reason) for each in found.failures] == [(DAY, "later")]
    words = ("replay", done.out, "--keys", done.keys, "--at", f"{LATER + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    assert command(*words, "--pipeline", done.folder).code == 3


def fill(project: Project, *days: str) -> Path:
    body = f"backfill: again\npipeline: pipeline.yaml\nreason: a test\ndates: [{', '.join(days)}]\n"
    path = project.folder / "fill.yaml"
    path.write_text(body)
    return path


def test_a_backfill_leaves_a_date_alone_and_runs_the_others(done: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    done.policy(retention=None, features={"location": {"about": "position of a lost device"}})
    done.records(events(3), day=BEFORE)
    words = ("backfill", fill(done, BEFORE, DAY), "--output", done.out, "--keys", done.keys)
    said = command(*words, "--json")
    assert (said.code, [each["dates"] for each in said.json["receipts"]]) == (1, [[DAY]])
    assert [(each["date"], each["reason"]) for each in said.json["failures"]] == [(BEFORE, "fewer_rows")]
    assert (command(*words).code, "1 date skipped" in command(*words).out) == (1, True)
    again = command(*words, "--allow-shrink", "--json")
    assert (again.code, [each["dates"] for each in again.json["receipts"]]) == (0, [[BEFORE]])


def test_a_backfill_continues_after_an_unreadable_file(done: Project) -> None:
    done.policy(retention=None, features={"location": {"about": "position of a lost device"}})
    path = done.records(events(400), day=BEFORE)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match=BEFORE):
        calls.backfill(fill(done, BEFORE, DAY), output=done.out, keys=done.keys)
    assert [receipt.dates for receipt in load_receipts(done.out)[1:]] == [(DAY,)]
    found = calls.run_backfill(fill(done, BEFORE, DAY), output=done.out, keys=done.keys)
    assert found.receipts == []
    assert [(each.date, each.reason, each.exit_code) for each in found.failures] == [(BEFORE, "unreadable", 2)]
