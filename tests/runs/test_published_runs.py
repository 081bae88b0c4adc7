"""`runs void`: a run that does not count, and its dates, which can be run again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, RefusedError
from minimize.keys import Keyring
from minimize.receipts import Receipt
from minimize.receipts.chain import check_voids, effective_receipts
from minimize.runs.batch_dates import last_inputs
from minimize.runs.published_runs import VoidedRun
from minimize.runs.verify import check_output
from tests.calls import void_run
from tests.commands import command
from tests.project import AT, BEFORE, DAY, Builds, Project, event, events

AHEAD = AT + timedelta(days=60)
LATER = AT + timedelta(hours=1)
WHY = "the clock was 60 days ahead"


def run_ahead(project: Project) -> None:
    """Runs a date well, and again under a clock that is ahead, so that all of it is past its retention."""
    project.pipeline(aggregates=None)
    project.records(events(40))
    project.run()
    project.run(at=AHEAD, allow_shrink=True)


@pytest.fixture(name="bad")
def _bad(builds: Builds, project: Project) -> Project:
    return builds.fill(project, run_ahead)


def void(project: Project, receipt: Receipt, **options: str) -> Receipt:
    places = {"output": project.out, "keys": project.keys, "pipeline": project.folder}
    voided: VoidedRun = void_run(receipt.run_id, options.get("reason", WHY), **places)
    return voided.receipt


def test_a_run_by_a_wrong_clock_locks_its_date_until_it_is_void(bad: Project) -> None:
    assert bad.rows() == []
    with pytest.raises(RefusedError, match="already covers these dates"):
        bad.run(at=LATER)
    void(bad, load_receipts(bad.out)[-1])
    receipt = bad.run(at=LATER)
    assert (receipt.sequence, len(bad.rows())) == (4, 40)
    minimize.verify(bad.out, keys=bad.keys)


def test_a_void_run_reopens_its_dates_for_pending(bad: Project) -> None:
    assert bad.run(at=AHEAD, pending=True).sequence == 0
    void(bad, load_receipts(bad.out)[-1])
    assert bad.run(at=LATER, pending=True).dates == (DAY,)
    assert bad.run(at=LATER, pending=True).sequence == 0


def test_nothing_is_deleted_and_the_files_stay_in_force_until_the_date_is_run_again(project: Project) -> None:
    project.records(events(40))
    project.run()
    stood = minimize.files(project.out)
    void(project, load_receipts(project.out)[-1])
    assert minimize.files(project.out) == stood
    assert len(project.rows()) == 40
    assert [finding for finding in check_output(project.out, keys=project.keys) if finding.severity == "error"] == []


def test_the_receipt_is_signed_and_states_the_run_and_the_reason(bad: Project) -> None:
    receipt = void(bad, load_receipts(bad.out)[-1])
    stored = load_receipts(bad.out)[-1]
    stored.verify(Keyring.load(bad.keys))
    assert (stored.kind, stored.voids, stored.reason) == ("void", load_receipts(bad.out)[1].run_id, WHY)
    assert (stored.digest, stored.dates, stored.outputs) == (receipt.digest, (DAY,), {})


def test_the_shrink_guard_compares_with_the_last_run_that_counts(bad: Project) -> None:
    void(bad, load_receipts(bad.out)[-1])
    bad.records(events(5))
    receipt = bad.run(at=LATER, pending=True)
    assert receipt.skipped == {DAY: "fewer_rows"}


def test_a_run_before_the_last_one_of_a_date_does_not_reopen_it(project: Project) -> None:
    project.records(events(40))
    first = project.run()
    project.run(at=LATER)
    void(project, first)
    assert project.run(at=LATER, pending=True).sequence == 0


def test_a_void_run_of_several_dates_reopens_those_that_were_not_run_since(project: Project) -> None:
    for day in (BEFORE, DAY):
        project.records(events(40), day=day)
    first = project.run()
    project.run(date=DAY, at=LATER)
    void(project, first)
    assert project.run(at=LATER, pending=True).dates == (BEFORE,)


def test_a_reopened_date_whose_files_are_gone_is_named(project: Project) -> None:
    path = project.records(events(40))
    receipt = project.run()
    void(project, receipt)
    path.unlink()
    assert project.run(at=LATER, pending=True).skipped == {DAY: "gone"}


def test_an_expiry_by_a_wrong_clock_is_taken_back_by_running_its_dates_again(project: Project) -> None:
    project.records(events(40))
    project.run()
    done = command(
        "expire", project.out, "--at", f"{AHEAD:%Y-%m-%dT%H:%M:%SZ}", "--yes", "--allow-shrink", "--keys", project.keys
    )
    assert (done.code, minimize.files(project.out)) == (0, [])
    void(project, load_receipts(project.out)[-1])
    assert project.run(at=LATER, pending=True).dates == (DAY,)
    assert len(project.rows()) == 40


@pytest.mark.parametrize(("own", "error"), [({"exact": {"because": "a test"}}, 0), ({"per_subject": {"rows": 1}}, 24)])
def test_an_event_day_that_a_void_run_published_without_rows_is_published_again(
    project: Project, own: dict[str, Any], error: int
) -> None:
    daily = {"group_by": {"day": {"event_time": "day"}}, "measures": {"events": "count"}, "late": "1d", **own}
    project.policy({"event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}})
    project.pipeline(aggregates={"daily": {**daily, "suppress": {"below": 2, "counting": "device_id"}}})
    project.records([event(number, device_id=f"d{number}") for number in range(40)])
    project.run()
    project.records([], day="2026-11-25")
    last = project.run(at=AHEAD, date="2026-11-25")
    assert (last.outputs["daily"].days or {}).keys() == {DAY}
    assert project.rows("daily") == []
    void(project, last)
    again = project.run(at=LATER, pending=True)
    assert (again.outputs["daily"].days or {}).keys() == {DAY}
    assert [abs(row["events"] - 40) <= error for row in project.rows("daily")] == [True]


def test_the_command_finds_the_output_in_the_ledger_and_the_index_has_the_receipt(bad: Project) -> None:
    last = load_receipts(bad.out)[-1]
    words = ("--reason", WHY, "--keys", bad.keys, "--ledger", bad.out / "ledger.db")
    done = command("runs", "void", last.run_id, *words)
    assert (done.code, f"{last.run_id} is void; run these dates again: {DAY}" in done.out) == (0, True)
    rows = command("runs", "--output", bad.out, "--json").json["runs"]
    assert [row["kind"] for row in rows] == ["run", "run", "void"]
    shown = command("audit", "log", "--output", bad.out, "--json")
    assert shown.code == 0


def test_the_command_prints_the_receipt_for_machines(bad: Project) -> None:
    last = load_receipts(bad.out)[-1]
    words = ("--reason", WHY, "--keys", bad.keys, "--output", bad.out, "--json")
    done = command("runs", "void", last.run_id, *words)
    assert (done.json["kind"], done.json["voids"], done.json["reason"]) == ("void", last.run_id, WHY)


def test_a_run_is_void_once_and_a_void_is_no_run(bad: Project) -> None:
    last = load_receipts(bad.out)[-1]
    done = void(bad, last)
    with pytest.raises(ConfigurationError, match="already void"):
        void(bad, last)
    with pytest.raises(ConfigurationError, match="kind void cannot be declared void"):
        void(bad, done)
    with pytest.raises(ConfigurationError, match="no run"):
        void(bad, replace(last, run_id="20200101T000000Z-000000000000"))


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "ann@example.com said so"])
def test_a_reason_is_there_and_holds_no_personal_data(bad: Project, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        void(bad, load_receipts(bad.out)[-1], reason=reason)
    assert "ann@" not in str(caught.value)
    assert len(load_receipts(bad.out)) == 2


def test_verify_finds_a_void_receipt_that_names_no_run_that_counts(bad: Project) -> None:
    done = void(bad, load_receipts(bad.out)[-1])
    chain = load_receipts(bad.out)
    assert list(check_voids(chain)) == []
    others = [
        replace(done, voids="20200101T000000Z-000000000000"),
        replace(done, reason=None),
        replace(done, kind="run"),
    ]
    for other in others:
        assert [finding.code for finding in check_voids([*chain[:-1], other])] == ["V006"]
    twice = replace(done, run_id="20300101T000000Z-000000000000", sequence=4)
    assert [finding.code for finding in check_voids([*chain, twice])] == ["V006"]


def test_receipts_that_count_are_those_that_are_not_void(bad: Project) -> None:
    void(bad, load_receipts(bad.out)[-1])
    chain = load_receipts(bad.out)
    assert [receipt.sequence for receipt in effective_receipts(chain)] == [1]
    assert last_inputs(chain, None) == {}
