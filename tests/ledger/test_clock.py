"""A clock that is wrong: what is refused, what stands under its time, and what counts although it was recorded by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import time_machine

import minimize
from minimize.consent.terms import TenantAgreements
from minimize.datasets.lifecycle_events import effective_events
from minimize.datasets.reader import load_receipts
from minimize.errors import RefusedError
from minimize.governance.access_file import create_access_file
from minimize.ledger.subject_kinds import LifecycleEvent
from minimize.settings import FeatureSwitch, load_settings
from minimize.settings.erasures import RecordedErasures
from tests.agreements import contract_act
from tests.commands import Result, command
from tests.consent.factory import NOW, VENDOR, act, asked
from tests.project import AT, DAY, Builds, Project, events

YEARS = timedelta(days=3652)
LATER = AT + timedelta(hours=1)
OPEN: dict[str, Any] = {"retention": "3650d", "features": {"location": {"about": "position of a lost device"}}}


def fill(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.policy(**OPEN)
    project.records(events(60))
    with time_machine.travel(AT, tick=False):
        project.run(at=None) if project.keeps_everything() else project.run()


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project, clock: time_machine.Traveller) -> Project:
    """A project that was run by a clock that is right, and is an hour later now."""
    found = builds.fill(project, fill)
    clock.move_to(LATER)
    return found


Shell = Callable[..., Result]


@pytest.fixture(name="shell")
def _shell(ran: Project) -> Shell:
    """Runs a command on the output of the project."""

    def run(*words: object) -> Result:
        return command(*words, "--keys", ran.keys)

    return run


def of_output(project: Project) -> tuple[object, ...]:
    return ("--also", project.out, "--pipeline", project.folder)


def retract(project: Project, shell: Shell) -> Result:
    project.policy(**{**OPEN, "retention": "300d"})
    return shell("retract", project.out, "--yes")


def expire(project: Project, shell: Shell) -> Result:
    project.policy(**{**OPEN, "retention": "300d"})
    return shell("expire", project.out, "--yes")


def delete(project: Project, shell: Shell) -> Result:
    return shell("subject", "delete", "d3", "--tenant", "north", *of_output(project), "--yes")


def restrict(project: Project, shell: Shell) -> Result:
    return shell("subject", "restrict", "d3", "--tenant", "north", *of_output(project), "--yes")


def correct(project: Project, shell: Shell) -> Result:
    words = ("--set", "battery=42", "--origin", "request", "--evidence", "CASE-7", "--yes")
    return shell("subject", "correct", "d3", "--tenant", "north", *words, *of_output(project))


CHANGES = [retract, expire, delete, restrict, correct]


@pytest.mark.parametrize("change", [retract, delete, restrict, correct, expire])
def test_a_clock_ten_years_ahead_changes_nothing(
    ran: Project, shell: Shell, clock: time_machine.Traveller, change: Callable[[Project, Shell], Result]
) -> None:
    before, count = ran.files(), len(load_receipts(ran.out))
    clock.shift(YEARS)
    said = change(ran, shell)
    assert (said.code, "E304" in said.err) == (3, True)
    assert (ran.files(), len(load_receipts(ran.out))) == (before, count)
    clock.shift(-YEARS)
    assert change(ran, shell).code == 0


@pytest.mark.parametrize("verb", ["delete", "restrict"])
def test_a_refused_request_is_not_recorded(
    ran: Project, shell: Shell, clock: time_machine.Traveller, verb: str
) -> None:
    clock.shift(timedelta(days=30))
    assert {"delete": delete, "restrict": restrict}[verb](ran, shell).code == 3
    clock.shift(-timedelta(days=30))
    assert shell("subject", "status", "--pipeline", ran.folder).out == "no requests\n"


def test_a_restriction_is_not_lifted_by_a_clock_ahead(
    ran: Project, shell: Shell, clock: time_machine.Traveller
) -> None:
    words = ("subject", "lift", "d3", "--tenant", "north", *of_output(ran), "--yes")
    assert restrict(ran, shell).code == 0
    clock.shift(YEARS)
    assert shell(*words).code == 3
    clock.shift(-YEARS)
    assert shell(*words).code == 0


@pytest.mark.parametrize("verb", ["retract", "expire"])
def test_a_time_in_the_future_is_refused(ran: Project, shell: Shell, verb: str) -> None:
    ran.policy(**{**OPEN, "retention": "1d"})
    words = (verb, ran.out, "--at", f"{LATER + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}")
    assert shell(*words).code == 0  # only the plan
    said = shell(*words, "--yes")
    assert (said.code, "the time is in the future" in said.err) == (3, True)
    assert len(ran.rows()) == 60
    assert shell(verb, ran.out, "--at", f"{LATER:%Y-%m-%dT%H:%M:%SZ}", "--yes").code == 0


def test_the_environment_accepts_a_time(
    ran: Project, shell: Shell, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.shift(timedelta(days=30))
    assert delete(ran, shell).code == 3
    monkeypatch.setenv("MINIMIZE_ALLOW_TIME", "1")
    assert delete(ran, shell).code == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_under_a_wrong_time_can_be_declared_void(
    ran: Project,
    shell: Shell,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Project, Shell], Result],
) -> None:
    clock.shift(YEARS)
    with monkeypatch.context() as patch:
        patch.setenv("MINIMIZE_ALLOW_TIME", "1")
        assert change(ran, shell).code == 0
    clock.shift(-YEARS)
    run = ("run", ran.folder, "--date", DAY)
    assert shell(*run).code == 3  # the control: the wrong time locks the date
    for receipt in load_receipts(ran.out)[1:]:
        assert shell("runs", "void", receipt.run_id, "--output", ran.out, "--reason", "wrong clock").code == 0
    ran.policy(**OPEN)
    assert shell(*run).code == 0
    minimize.verify(ran.out, keys=ran.keys)
    gone = len([row for row in events(60) if (row["tenant_id"], row["device_id"]) == ("north", "d3")])
    assert len(ran.rows()) == 60 - (gone if change in (delete, restrict) else 0)


def test_two_runs_of_one_moment_follow_each_other(ran: Project, shell: Shell, clock: time_machine.Traveller) -> None:
    """The second got its time before the first had published, or has a clock that is a little behind."""
    run = ("run", ran.folder, "--date", DAY)
    assert shell(*run).code == 0
    clock.shift(-timedelta(milliseconds=4))
    assert shell(*run).code == 0
    assert load_receipts(ran.out)[-1].at == LATER
    clock.shift(-timedelta(minutes=10))
    assert shell(*run).code == 3


@pytest.mark.parametrize("change", [delete, restrict, correct])
def test_two_changes_of_one_moment_follow_each_other(
    ran: Project, shell: Shell, clock: time_machine.Traveller, change: Callable[[Project, Shell], Result]
) -> None:
    assert shell("run", ran.folder, "--date", DAY).code == 0
    clock.shift(-timedelta(milliseconds=4))
    assert change(ran, shell).code == 0
    minimize.verify(ran.out, keys=ran.keys)


def test_the_hint_for_a_clock_that_is_behind_names_no_option_that_there_is_not(
    ran: Project, shell: Shell, clock: time_machine.Traveller
) -> None:
    assert shell("run", ran.folder, "--date", DAY).code == 0
    clock.shift(-timedelta(minutes=30))
    said = delete(ran, shell)
    assert (said.code, "--at" in said.err, "minimize runs void" in said.err) == (3, False, True)


ACTS: list[tuple[str, ...]] = [
    ("events", "add", "north", "subject_left", "--subject", "d3"),
    ("settings", "set", "north", "location", "off", "--holder", "admin"),
]


@pytest.mark.parametrize("words", ACTS, ids=lambda words: words[0])
def test_a_clock_ten_years_ahead_records_nothing(
    ran: Project, shell: Shell, clock: time_machine.Traveller, words: tuple[str, ...]
) -> None:
    clock.shift(YEARS)
    said = shell(*words, "--pipeline", ran.folder)
    assert (said.code, "E304" in said.err, "nothing was recorded" in said.err) == (3, True, True)
    clock.shift(-YEARS)
    assert shell(*words, "--pipeline", ran.folder).code == 0


@pytest.mark.parametrize("words", ACTS, ids=lambda words: words[0])
def test_the_permission_that_a_wrong_clock_recorded_is_no_evidence_for_it(
    ran: Project, shell: Shell, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    create_access_file(ran.folder / "access.yaml", "operator@example.com", ("north",))
    (ran.folder / "minimize.yaml").write_text("access: access.yaml\nencrypt: off\n")
    monkeypatch.setenv("MINIMIZE_ACTOR", "privacy-officer@example.com")
    clock.shift(YEARS)
    said = shell(*words, "--pipeline", ran.folder)
    assert (said.code, "E304" in said.err) == (3, True)
    clock.shift(-YEARS)
    assert shell(*words, "--pipeline", ran.folder).code == 0


@pytest.mark.parametrize("change", [delete, restrict, correct])
@pytest.mark.parametrize("allowed", ["0", "1"])
def test_a_request_refused_by_a_clock_behind_is_not_recorded(
    ran: Project,
    shell: Shell,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Project, Shell], Result],
    allowed: str,
) -> None:
    assert shell("run", ran.folder, "--date", DAY).code == 0
    clock.shift(-timedelta(minutes=30))
    with monkeypatch.context() as patch:
        patch.setenv("MINIMIZE_ALLOW_TIME", allowed)
        assert change(ran, shell).code == 3
    clock.shift(timedelta(minutes=30))
    assert shell("subject", "status", "--pipeline", ran.folder).out == "no requests\n"
    assert change(ran, shell).code == 0


DAYS: list[tuple[timedelta, int]] = [(timedelta(days=5), 1), (timedelta(minutes=2), 0)]
"""How far a clock is behind, and the number of warnings."""


def erase(project: Project, shell: Shell, *words: object) -> Result:
    return shell("events", "add", "north", "erasure", "--subject", "d3", "--pipeline", project.folder, *words)


def recorded_times(project: Project, shell: Shell) -> list[str]:
    return [each["at"] for each in shell("events", "list", "--pipeline", project.folder, "--json").json["events"]]


@pytest.mark.parametrize(("behind", "warnings"), DAYS)
@pytest.mark.parametrize("change", ["run", "expire"])
def test_an_erasure_by_a_clock_behind_reaches_what_was_published(
    ran: Project, shell: Shell, clock: time_machine.Traveller, behind: timedelta, warnings: int, change: str
) -> None:
    assert shell("run", ran.folder, "--date", DAY).code == 0
    clock.shift(-behind)
    said = erase(ran, shell)
    assert (said.code, said.err.count("the clock is behind")) == (0, warnings), said.err
    clock.shift(behind)
    words = ("run", ran.folder, "--date", DAY) if change == "run" else ("expire", ran.out, "--yes")
    assert shell(*words).code == 0
    assert 0 < len(ran.rows()) < 60


def test_a_stated_time_of_an_erasure_is_kept(ran: Project, shell: Shell, clock: time_machine.Traveller) -> None:
    clock.shift(-timedelta(days=5))
    stated = f"{LATER - timedelta(days=6):%Y-%m-%dT%H:%M:%SZ}"
    assert erase(ran, shell, "--at", stated).code == 0
    assert recorded_times(ran, shell) == [stated]
    clock.shift(timedelta(days=5))
    assert shell("run", ran.folder, "--date", DAY).code == 0
    assert len(ran.rows()) == 60


def test_a_clock_that_was_ahead_dates_events_until_its_run_is_void(
    ran: Project, shell: Shell, clock: time_machine.Traveller
) -> None:
    ahead = timedelta(days=3)
    clock.shift(ahead)
    assert shell("run", ran.folder, "--date", DAY).code == 0
    clock.shift(-ahead)
    assert erase(ran, shell).code == 0
    assert recorded_times(ran, shell) == [f"{LATER + ahead:%Y-%m-%dT%H:%M:%SZ}"]
    run = load_receipts(ran.out)[-1].run_id
    assert shell("runs", "void", run, "--output", ran.out, "--reason", "wrong clock").code == 0
    assert shell("run", ran.folder, "--date", DAY).code == 0
    assert 0 < len(ran.rows()) < 60, "the event counts immediately"
    said = shell("events", "add", "north", "subject_left", "--subject", "d4", "--pipeline", ran.folder)
    assert (said.code, "the clock is behind" in said.err) == (0, False)
    assert f"{LATER:%Y-%m-%dT%H:%M:%SZ}" in recorded_times(ran, shell)


def test_a_request_by_a_clock_behind_has_the_time_of_the_latest_run(
    ran: Project, shell: Shell, clock: time_machine.Traveller
) -> None:
    """The latest run is of another date, so that the request is not refused."""
    other = (AT + timedelta(days=1)).date().isoformat()
    ran.records([{**each, "device_id": "d9"} for each in events(20, first=100)], other)
    clock.shift(timedelta(days=6))
    assert shell("run", ran.folder, "--date", other).code == 0
    clock.shift(-timedelta(days=3))
    assert delete(ran, shell).code == 0
    (request,) = shell("subject", "status", "--pipeline", ran.folder, "--json").json["requests"]
    assert request["asked_at"] == f"{LATER + timedelta(days=6):%Y-%m-%dT%H:%M:%SZ}"
    minimize.verify(ran.out, keys=ran.keys)


def left(at: datetime, recorded: datetime, state: str = "recorded") -> LifecycleEvent:
    return LifecycleEvent("north", None, "tenant_closed", at, state, "{}", recorded, "ann")  # type: ignore[arg-type]


@pytest.fixture(name="today")
def _today(clock: time_machine.Traveller) -> datetime:
    clock.move_to(NOW)
    return NOW


def is_erased(event: LifecycleEvent, when: datetime) -> bool:
    return RecordedErasures((event,)).effective_at(when, timedelta(0)) is not None


def test_a_departure_by_a_clock_ahead_counts_immediately_and_a_stated_day_is_kept(today: datetime) -> None:
    assert is_erased(left(today + YEARS, today + YEARS), today)
    assert not is_erased(left(today + timedelta(days=30), today), today)
    assert not is_erased(left(today + timedelta(days=30), today + YEARS), today)


def test_an_expiry_knows_a_departure_by_a_clock_ahead(today: datetime) -> None:
    ahead, stated = (
        next(effective_events([left(at, at if at > today + timedelta(days=99) else today)], today)).occurred_at
        for at in (today + YEARS, today + timedelta(days=30))
    )
    assert ahead == today
    assert stated == today + timedelta(days=30)


AHEAD = YEARS / timedelta(hours=1)


@pytest.mark.parametrize("state", ["withdrawn", "refused"])
def test_an_end_of_consent_by_a_clock_ahead_counts_immediately(today: datetime, state: str) -> None:
    given = act("given", -9)
    assert asked(given).valid[0].as_py()
    assert asked(given, act(state, AHEAD)).reasons[0].as_py() == state
    assert asked(given, act(state, 24, recorded=0)).valid[0].as_py()
    assert asked(given, act(state, 24, recorded=AHEAD)).valid[0].as_py()


def test_a_consent_by_a_clock_ahead_does_not_count(today: datetime) -> None:
    assert not asked(act("given", AHEAD)).valid[0].as_py()


def test_a_consent_after_such_a_withdrawal_counts(today: datetime) -> None:
    """Its place in the log shows that it is later."""
    with time_machine.travel(today + timedelta(hours=2), tick=False):
        assert asked(act("given", -9), act("withdrawn", AHEAD), act("renewed", 1), run=2).valid[0].as_py()


def contract_end(recorded: datetime, until: datetime) -> date | None:
    """The end of a contract that a person ended, as known now."""
    begun = contract_act("north", VENDOR, NOW - timedelta(days=9))
    ended = replace(
        begun, state="ended", terms={**begun.terms, "until": until.date().isoformat()}, recorded_at=recorded
    )
    (found,) = TenantAgreements((begun, ended)).contracts_of(begun.recipient, "north", NOW)
    return found.until


def test_the_end_of_a_contract_by_a_clock_ahead_counts_immediately_and_a_stated_day_is_kept(today: datetime) -> None:
    ahead, stated = today + YEARS, today + timedelta(days=30)
    assert (contract_end(ahead, ahead) or date.max) <= today.date()
    assert contract_end(today, stated) == stated.date()
    assert contract_end(ahead, stated) == stated.date()


def settings_on(folder: Path, *lines: str) -> bool:
    path = folder / "settings.csv"
    head = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    effective = load_settings(path).effective_at(NOW)
    found = effective.feature_on(FeatureSwitch("location"), pa.array(["north"]), None, None)
    return bool(found[0].as_py())


def test_an_opt_out_by_a_clock_ahead_counts_immediately_and_a_stated_day_is_kept(
    today: datetime, tmp_path: Path
) -> None:
    turned_on = "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z"
    ahead = "2036-01-01T00:00:00Z"
    assert settings_on(tmp_path, turned_on)
    assert not settings_on(tmp_path, turned_on, f"north,,location,off,admin,{ahead},{ahead}")
    assert settings_on(tmp_path, turned_on, f"north,,location,off,admin,2027-01-01T00:00:00Z,{ahead}")
    assert settings_on(tmp_path, turned_on, "north,,location,off,admin,2027-01-01T00:00:00Z,2026-11-01T00:00:00Z")
    assert not settings_on(tmp_path, f"north,,location,on,admin,{ahead},{ahead}")


LEVELS = ("required", "basic", "full")


@pytest.mark.parametrize(("before", "ahead", "reached"), [("full", "basic", False), ("basic", "full", False)])
def test_a_level_by_a_clock_ahead_counts_if_it_is_lower(
    today: datetime, tmp_path: Path, before: str, ahead: str, reached: bool
) -> None:
    path, wrong, right = tmp_path / "settings.csv", "2036-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    head = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
    rows = [f"north,,level,{before},admin,{right},{right}", f"north,,level,{ahead},admin,{wrong},{wrong}"]
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    seen = load_settings(path).with_folding(load_settings(path).folding, LEVELS).effective_at(NOW)
    found = [
        seen.level_at_least(level, LEVELS, pa.array(["north"]), None, None)[0].as_py() for level in ("basic", "full")
    ]
    assert found == [True, reached]


def test_an_explicit_time_before_a_receipt_stays_refused(ran: Project) -> None:
    with pytest.raises(RefusedError, match="already covers these dates"):
        ran.run(at=AT - timedelta(milliseconds=4))
    assert AT.tzinfo is UTC


@pytest.mark.postgres
def test_with_a_database_a_clock_that_is_ten_minutes_off_changes_and_records_nothing(
    project: Project, postgres: Any
) -> None:
    project.pipeline(aggregates=None)
    project.policy(**{**OPEN, "retention": None})
    project.records(events(60))
    ledger, keys = ("--ledger", postgres.database()), ("--keys", project.keys)
    assert command("run", project.folder, *ledger, *keys).code == 0
    delete_d3 = ("subject", "delete", "d3", "--tenant", "north", *of_output(project), "--yes", *ledger, *keys)
    record = ("events", "add", "north", "reset", "--subject", "d4", "--pipeline", project.folder, *ledger, *keys)
    for minutes in (10, -10):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes)):
            for words in (delete_d3, record):
                said = command(*words)
                assert (said.code, "from the time of the database" in said.err) == (3, True)
    assert len(project.rows()) == 60
    assert (command(*delete_d3).code, command(*record).code) == (0, 0)
