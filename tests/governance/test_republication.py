"""`runs void --republish`: one more release of exact statistics, which two persons permit."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.ledger import open_ledger
from minimize.ledger.runs import REPUBLICATION
from minimize.runs.published_runs import find_voided_run, record_void
from minimize.runs.verify import check_output
from minimize.times import utc_now
from minimize.workspace import Workspace
from tests.calls import republish_run, void_run
from tests.commands import Result, command
from tests.project import AT, BEFORE, DAY, Project, event
from tests.world import access_file, assignment, write_configuration

TABLE: dict[str, Any] = {
    "group_by": {"tenant": "tenant_id"},
    "measures": {"devices": {"count_distinct": "device_id"}},
    "suppress": {"below": 3},
    "exact": {"because": "a contract"},
    "rollups": [[]],
}
WARNING = "The difference of both versions can show single people."
Act = Any


@pytest.fixture(name="as_user")
def _as_user(monkeypatch: pytest.MonkeyPatch) -> Any:
    return partial(monkeypatch.setenv, "MINIMIZE_ACTOR")


def publish(project: Project, devices: int, *, hours: int = 0) -> minimize.Receipt:
    project.pipeline(aggregates={"total": TABLE})
    project.records([event(number, device_id=f"d{number}", tenant_id="north") for number in range(devices)])
    return project.run(at=AT + timedelta(hours=hours), ledger=ledger(project), allow_shrink=True)


def ledger(project: Project) -> Any:
    return project.folder / "own.db"


def void(project: Project, run: str, *options: str) -> Result:
    reason = "rows of a second source were in it"
    places = ("--output", project.out, "--ledger", ledger(project), "--keys", project.keys)
    return command("runs", "void", run, "--reason", reason, *options, *places, "--pipeline", project.folder)


def shown(project: Project) -> tuple[list[int], list[int]]:
    table, total = ([row["devices"] for row in project.rows(name)] for name in ("total", "total_total"))
    return table, total


def verify_codes(project: Project) -> list[str]:
    return [each.code for each in check_output(project.out, keys=project.keys, ledger=ledger(project))]


def test_two_persons_permit_one_more_release(project: Project, as_user: Any) -> None:
    run = publish(project, 40).run_id
    as_user("pia")
    asked = void(project, run[:-2], "--republish")
    assert (asked.code, asked.out.splitlines()[1]) == (0, WARNING)
    assert asked.out.startswith(
        f"no effect yet: another person must run this command to permit one more release of {DAY}"
    )
    publish(project, 41, hours=1)
    assert shown(project) == ([40], [40])
    as_user("olga")
    done = void(project, run, "--republish")
    assert (done.code, WARNING in done.out, f"{run} is void" in done.out) == (0, True, True)
    assert shown(project) == ([40], [40])
    publish(project, 41, hours=2)
    assert shown(project) == ([41], [41])
    publish(project, 42, hours=3)
    assert shown(project) == ([41], [41])
    assert verify_codes(project) == []


def test_the_acts_and_the_audit_log_name_both_persons(project: Project, as_user: Any) -> None:
    run = publish(project, 40).run_id
    for user in ("pia", "olga"):
        as_user(user)
        assert void(project, run, "--republish").code == 0
    with open_ledger(find_ledger(ledger(project))) as book:
        acts = book.find(REPUBLICATION, verifier=Keyring.load(project.keys))
        entries = [json.loads(each.event) for each in find_entries(book, EntryFilter(activity="republication"))]
    assert [(act.run, act.state, act.by) for act in acts] == [(run, "requested", "pia"), (run, "confirmed", "olga")]
    assert [(each["operation"], each["actor"]["user"]) for each in entries] == [("request", "pia"), ("confirm", "olga")]
    receipt = load_receipts(project.out)[-1]
    assert (receipt.kind, receipt.voids, receipt.republish) == ("void", run, True)


def test_the_same_person_cannot_permit_it(project: Project, as_user: Any) -> None:
    run = publish(project, 40).run_id
    as_user("pia")
    assert void(project, run, "--republish").code == 0
    for user in ("pia", " Pia "):
        as_user(user)
        refused = void(project, run, "--republish", "--json")
        assert (refused.code, refused.error["code"]) == (3, "R026")
    assert len(load_receipts(project.out)) == 1
    publish(project, 41, hours=1)
    assert shown(project) == ([40], [40])


def test_a_void_run_alone_permits_no_other_release(project: Project, as_user: Any) -> None:
    run = publish(project, 40).run_id
    assert void(project, run).code == 0
    publish(project, 41, hours=1)
    assert shown(project) == ([40], [40])
    assert verify_codes(project) == []
    for user in ("pia", "olga"):
        as_user(user)
        assert void(project, run, "--republish").code == 0
    publish(project, 41, hours=2)
    assert shown(project) == ([41], [41])
    assert verify_codes(project) == []
    assert void(project, run, "--republish").code == 2


def test_a_removed_table_is_published_again_if_two_persons_permit_it(project: Project, as_user: Any) -> None:
    run = publish(project, 40).run_id
    options = ("--keys", project.keys, "--ledger", ledger(project), "--allow-shrink", "--yes")
    assert command("expire", project.out, "--tables", "--at", "2026-11-25T00:10:00Z", *options).code == 0
    publish(project, 41, hours=1)
    assert shown(project) == ([], [])
    for user in ("pia", "olga"):
        as_user(user)
        assert void(project, run, "--republish").code == 0
    publish(project, 41, hours=2)
    assert shown(project) == ([41], [41])


def test_a_run_without_exact_figures_has_no_other_release(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records([event(0)])
    run = project.run(ledger=ledger(project)).run_id
    done = void(project, run, "--republish")
    assert (done.code, "the run published no exact statistics" in done.err) == (2, True)


def test_a_run_that_published_nothing_is_not_the_one(project: Project) -> None:
    publish(project, 40)
    second = publish(project, 41, hours=1).run_id
    assert void(project, second, "--republish").code == 2


def test_a_receipt_without_the_acts_of_the_ledger_is_found(project: Project) -> None:
    run = publish(project, 40).run_id
    workspace = Workspace(ledger(project), project.out, project.folder, project.keys)
    record_void(*find_voided_run(workspace, run, republish=True), "a reason", republish=True)
    publish(project, 41, hours=1)
    assert verify_codes(project) == ["V053"]


def test_a_confirmation_that_was_interrupted_is_completed(project: Project, as_user: Any) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    run = publish(project, 40).run_id
    options: dict[str, Any] = {"output": project.out, "ledger": ledger(project), "keys": project.keys}
    as_user("pia")
    republish_run(run, "a reason", utc_now(), pipeline=project.folder, **options)
    as_user("olga")
    with at_checkpoint("begin.before", stop), pytest.raises(KeyboardInterrupt):
        republish_run(run, "a reason", utc_now(), pipeline=project.folder, **options)
    assert load_receipts(project.out)[-1].run_id == run
    as_user("pia")
    assert void(project, run, "--republish").code == 0
    assert load_receipts(project.out)[-1].republish
    with open_ledger(find_ledger(ledger(project))) as book:
        assert [step.state for step in book.find(REPUBLICATION)] == ["requested", "confirmed"]


def test_an_event_day_that_waited_for_late_rows_is_published_again(project: Project, as_user: Any) -> None:
    project.pipeline(aggregates={"total": {**TABLE, "late": "1d"}})
    after, options = "2026-11-25", {"ledger": ledger(project), "allow_shrink": True}
    project.records([event(0, event_time=f"{after}T10:00:00Z")], day=after)
    project.records([event(number, device_id=f"d{number}", tenant_id="north") for number in range(40)])
    project.run(date=DAY, **options)
    run = project.run(date=after, at=AT + timedelta(days=1), **options).run_id
    assert shown(project) == ([40], [40])
    project.records([event(number, device_id=f"d{number}", tenant_id="north") for number in range(41)])
    project.run(date=DAY, at=AT + timedelta(days=1, hours=1), **options)
    for user in ("pia", "olga"):
        assert shown(project) == ([40], [40])
        as_user(user)
        assert void(project, run, "--republish").code == 0
    project.run(date=after, at=AT + timedelta(days=1, hours=2), **options)
    assert shown(project) == ([41], [41])
    assert verify_codes(project) == []


def test_an_earlier_void_of_another_run_does_not_reopen_a_date(project: Project) -> None:
    publish(project, 40)
    second = publish(project, 41, hours=1).run_id
    void_run(second, "a reason", output=project.out, pipeline=project.folder, ledger=ledger(project), keys=project.keys)
    publish(project, 42, hours=2)
    assert shown(project) == ([40], [40])


@pytest.mark.parametrize(("user", "code"), [("sue", 3), ("sam-admin", 3), ("nemo", 3), ("olga", 0)])
def test_with_access_rules_the_second_person_is_separate_and_may_void_runs(
    project: Project, as_user: Any, user: str, code: int
) -> None:
    users = ("sam", "sam-admin", "sue", "olga")
    people = {"people": {"Sam": ["sam", "sam-admin"]}}
    access = access_file(*(assignment("operator", each) for each in users), **people)
    run = publish(project, 40).run_id
    write_configuration(project.folder, access=access, ledger="own.db", keys=None)
    as_user("sam")
    assert void(project, run, "--republish").code == 0
    as_user(user)
    assert void(project, run, "--republish").code == code
    assert load_receipts(project.out)[-1].republish is (None if code else True)


def test_days_of_a_table_that_waits_for_late_rows_are_named(project: Project, as_user: Any) -> None:
    table = {**TABLE, "late": "1d", "group_by": {"day": {"event_time": "day"}}, "rollups": None}
    project.pipeline(aggregates={"total": {key: part for key, part in table.items() if part is not None}})
    for day in (BEFORE, DAY):
        times = {"event_time": f"{day}T10:00:00Z", "tenant_id": "north"}
        project.records([event(number, device_id=f"d{number}", **times) for number in range(30)], day)
        run = project.run(date=day, ledger=ledger(project)).run_id
    as_user("pia")
    said = f"permit one more release of {BEFORE} (by a run of {DAY})"
    assert said in void(project, run, "--republish").out
    as_user("olga")
    done = void(project, run, "--republish").out
    assert f"run these dates again: {DAY}" in done
    assert f"The next run of these dates publishes the exact statistics of {BEFORE} once more." in done
