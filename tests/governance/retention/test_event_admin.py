"""In which forms a subject stands in the outputs of a project.
Events in the ledger: recorded, taken back, listed, and carried out by `expire`.
Whether anybody knows a tenant.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.datasets.affected_subjects import form_tokens
from minimize.errors import ConfigurationError, LedgerError, PolicyError
from minimize.governance.events import (
    EventEntry,
    NewEvent,
    add_event,
    list_events,
    suggest_tenants,
    tokenized_forms,
    withdraw_event,
)
from minimize.governance.settings import NewSetting, set_setting
from minimize.keys import Keyring, add_key
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.stages.identifier_forms import AS_RECEIVED
from minimize.workspace import Workspace
from minimize.workspace import Workspace as Places
from minimize.workspace import Workspace as Where
from tests.calls import open_items
from tests.governance.retention.daily import START, Daily, rows
from tests.project import AT, Builds, Project, enter, events, new_project

DAY = timedelta(days=1)
RAN = START + DAY


@pytest.fixture(autouse=True)
def _stopped_clock(clock: time_machine.Traveller) -> None:
    """Events are recorded a day after the start."""
    clock.move_to(RAN)


def told(project: Daily) -> dict[str, tuple[str, ...]]:
    return tokenized_forms([("d1", "east")], [project.out], RAN, Keyring.load(project.keys))[0].forms


def test_a_subject_is_recorded_as_received_and_in_the_form_of_the_files(day: Daily) -> None:
    pseudonym = next(row["device_id"] for row in day.rows() if "east-d1" in row["note"])
    keys = Keyring.load(day.keys)
    found = told(day)
    assert found[AS_RECEIVED] == form_tokens(keys, "east", ["d1"])
    assert form_tokens(keys, "east", [pseudonym]) in found.values()
    assert len(found) == 2


def test_a_new_key_or_policy_adds_the_form_of_future_files(day: Daily) -> None:
    add_key(day.keys, "device", now=RAN)
    assert len(told(day)) == 3
    day.policy({"device_id": {"type": "string", "role": "identifier", "do": {"tokenize": {"key": "device"}}}})
    assert len(told(day)) == 3


def test_a_rotating_pseudonym_is_recorded_for_each_period(project: Daily) -> None:
    do = {"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "week"}}
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": do}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    assert len(told(project)) == 1 + 5  # of thirty days: the weeks that they touch


def test_an_output_without_its_subject_adds_no_form(project: Daily) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    assert set(told(project)) == {AS_RECEIVED}


def test_an_output_that_cannot_be_looked_at_is_missed_and_an_empty_one_is_not(day: Daily) -> None:
    keys = Keyring.load(day.keys)
    (day.folder / "pipeline.yaml").unlink()
    (found,) = tokenized_forms([("d1", "east")], [day.out, day.folder / "nothing"], RAN, keys)
    assert found.unreachable == (str(day.out),)
    assert set(found.forms) == {AS_RECEIVED}
    assert "d1" not in repr(found)


FIRST = date(2026, 1, 1)
NOW = RAN


def where(project: Daily) -> Where:
    return Where(output=project.out, keys=project.keys)


def happens(project: Daily, tenant: str, kind: str, subject: str | None = None, **changes: Any) -> EventEntry:
    return add_event(NewEvent(tenant, kind, subject, **{"occurred_at": RAN, **changes}), where(project), NOW)


def ran_content(project: Daily) -> None:
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def subjects(project: Daily) -> set[str]:
    return {"-".join(row["note"].split("-")[1:3]) for row in project.rows()}


EVERYBODY = {f"{tenant}-d{number}" for tenant in ("north", "south", "east") for number in (0, 1)}


def test_a_recorded_subject_is_found_by_its_pseudonym_and_removed_from_its_own_tenant_alone(ran: Daily) -> None:
    happens(ran, "east", "subject_left", "d1")
    (receipt,) = ran.expire(NOW).receipts
    assert subjects(ran) == EVERYBODY - {"east-d1"}
    assert receipt.gated_by.erased == 2
    ran.verified()
    assert ran.expire(NOW).receipts == ()


def test_it_is_found_after_the_source_is_gone_and_the_key_has_a_new_version(ran: Daily) -> None:
    happens(ran, "east", "reset", "d1")
    shutil.rmtree(ran.folder / "data")
    for name in ("device", "subject"):
        add_key(ran.keys, name, now=NOW)
    ran.expire(NOW)
    assert subjects(ran) == EVERYBODY - {"east-d1"}


def test_a_closed_tenant_and_a_device_that_became_personal_are_carried_out(ran: Daily) -> None:
    happens(ran, "south", "tenant_closed")
    happens(ran, "north", "became_personal", "d0")
    ran.expire(NOW)
    assert {row["tenant_id"] for row in ran.rows()} == {"north", "east"}
    changed = [row for row in ran.rows() if "north-d0" in row["note"]]
    assert [(row["owner_type"], row["phone"][:4], row["apps"]) for row in changed] == [("personal", "****", None)] * 2


def test_a_file_written_after_the_event_was_recorded_is_covered_by_it(project: Daily) -> None:
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    happens(project, "east", "subject_left", "d1", occurred_at=RAN + DAY)
    project.collect(rows(FIRST + DAY), FIRST + DAY)
    project.run(FIRST + DAY, RAN + DAY)
    project.expire(RAN + DAY)
    assert subjects(project) == EVERYBODY - {"east-d1"}


@pytest.mark.parametrize(
    "do",
    [
        "keep",
        {"tokenize": {"key": "device"}},
        {"pseudonymize": {"key": "device"}},
        {"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "day"}},
    ],
    ids=["as it came", "a token", "a pseudonym of its own", "one that rotates"],
)
def test_a_subject_is_found_in_any_form_of_the_output(project: Daily, do: Any) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": do}})
    for day in (FIRST, FIRST + DAY):
        project.collect(rows(day), day)
        project.run(day, RAN + DAY)
    happens(project, "east", "subject_left", "d1", occurred_at=RAN + DAY)
    project.expire(RAN + DAY)
    assert subjects(project) == EVERYBODY - {"east-d1"}
    project.verified()


def test_a_subject_that_is_a_number_is_found(project: Daily) -> None:
    project.policy({"device_id": {"type": "integer", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}})
    lines = [{**row.line(), "device_id": int(row.device[1:])} for row in rows(FIRST)]
    path = project.folder / "data" / str(FIRST) / "a.ndjson"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    project.run(FIRST, RAN)
    happens(project, "east", "subject_left", "1")
    project.expire(NOW)
    assert subjects(project) == EVERYBODY - {"east-d1"}


def test_a_form_unknown_to_the_ledger_is_open_until_the_event_is_added_again(ran: Daily) -> None:
    happens(ran, "east", "subject_left", "d1", occurred_at=RAN + DAY)
    ran.policy({"device_id": {"type": "string", "role": "identifier", "do": {"tokenize": {"key": "device"}}}})
    ran.collect(rows(FIRST + DAY), FIRST + DAY)
    ran.run(FIRST + DAY, RAN + DAY)
    plan = ran.expire(RAN + DAY).plan
    assert list(plan.uncertain.values()) == [1]
    assert "add them again" in str(plan)
    (item,) = open_items(ran.out, at=RAN + 29 * DAY, keys=ran.keys, pipeline=ran.folder)[-1:]
    assert (item.kind, item.uncertain, item.overdue) == ("subject_left", 1, False)
    assert any(each.overdue for each in open_items(ran.out, at=RAN + 32 * DAY, keys=ran.keys) if each.uncertain)
    assert happens(ran, "east", "subject_left", "d1", occurred_at=RAN + DAY).is_new
    assert ran.expire(RAN + DAY).plan.uncertain == {}
    assert subjects(ran) == EVERYBODY - {"east-d1"}


def test_the_ledger_contains_no_subject_and_no_pseudonym(ran: Daily) -> None:
    pseudonym = next(row["device_id"] for row in ran.rows() if "east-d1" in row["note"])
    happens(ran, "east", "subject_left", "device-of-somebody")
    happens(ran, "east", "subject_left", "d1")
    stored = b"".join(path.read_bytes() for path in ran.out.glob("ledger.db*"))
    assert b"subject_left" in stored
    assert b"device-of-somebody" not in stored
    assert pseudonym.encode() not in stored
    assert {each.row.subject[:10] for each in list_events(where(ran)) if each.row.subject} == {"subject/1:"}


def test_an_event_in_the_ledger_and_in_a_file_counts_once(ran: Daily) -> None:
    happens(ran, "east", "subject_left", "d1")
    happens(ran, "south", "tenant_closed")
    at = f"{RAN:%Y-%m-%dT%H:%M:%SZ}"
    events = ran.events(f"east,d1,subject_left,{at}", f"south,,tenant_closed,{at}", f"north,d1,subject_left,{at}")
    assert len(open_items(ran.out, at=NOW, events=events, keys=ran.keys)) == 3
    ran.expire(NOW, events=events)
    assert subjects(ran) == {"north-d0", "east-d0"}


def test_open_items_are_listed_from_the_ledger_and_overdue_after_their_time_limit(ran: Daily) -> None:
    happens(ran, "south", "tenant_closed")
    happens(ran, "north", "became_personal", "d0")
    happens(ran, "north", "subject_left", "nobody")
    found = open_items(ran.out, at=NOW, keys=ran.keys)
    assert [(each.kind, each.deadline - RAN, each.files, each.overdue) for each in found] == [
        ("became_personal", 7 * DAY, 1, False),
        ("tenant_closed", 180 * DAY, 1, False),
    ]
    late = open_items(ran.out, at=RAN + 8 * DAY, keys=ran.keys)
    assert [each.kind for each in late if each.overdue] == ["became_personal", "retention"]


def test_an_event_that_is_taken_back_is_not_carried_out_and_counts_again_when_it_is_added_again(ran: Daily) -> None:
    kept = happens(ran, "east", "subject_left", "d1")
    assert withdraw_event(kept.row.id[:8], where(ran), NOW).is_new
    assert list_events(where(ran)) == []
    assert ran.expire(NOW).receipts == ()
    assert open_items(ran.out, at=NOW, keys=ran.keys) == []
    assert happens(ran, "east", "subject_left", "d1").is_new
    ran.expire(NOW)
    assert subjects(ran) == EVERYBODY - {"east-d1"}


def test_a_device_that_is_enrolled_again_keeps_what_happened_since(ran: Daily) -> None:
    happens(ran, "east", "reset", "d1")
    ran.collect(rows(FIRST + DAY), FIRST + DAY)
    ran.run(FIRST + DAY, RAN + DAY)
    ran.expire(RAN + DAY)
    left = [row for row in ran.rows() if "east-d1" in row["note"]]
    assert [row["event_time"].day for row in left] == [2, 2]


def test_an_event_is_recorded_once_and_audited(ran: Daily) -> None:
    first, again = (happens(ran, "east", "subject_left", "device-of-somebody") for _ in range(2))
    assert (first.is_new, again.is_new, first.row.id) == (True, False, again.row.id)
    withdraw_event(first.row.id, where(ran), NOW)
    with Workspace(output=ran.out).open_ledger() as ledger:
        told = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="events"))]
    assert [entry["operation"] for entry in told] == ["add", "withdraw"]
    assert "device-of-somebody" not in json.dumps(told)


def test_every_row_is_listed_with_its_history_and_tenants_apart(ran: Daily) -> None:
    kept = happens(ran, "east", "subject_left", "d1")
    happens(ran, "south", "tenant_closed")
    withdraw_event(kept.row.id, where(ran), NOW)
    assert [each.row.state for each in list_events(where(ran), history=True)] == ["recorded", "recorded", "withdrawn"]
    assert [each.row.kind for each in list_events(where(ran))] == ["tenant_closed"]
    assert list_events(where(ran), tenant="east") == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (NewEvent("", "tenant_closed"), "has no tenant"),
        (NewEvent("north", "moved"), "must be one of"),
        (NewEvent("north", "subject_left"), "needs a subject"),
        (NewEvent("north", "tenant_closed", "d1"), "a subject is given"),
        (NewEvent("north", "reset", " "), "subject is blank"),
    ],
)
def test_an_invalid_event_is_refused_without_naming_the_subject(ran: Daily, wish: NewEvent, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as error:
        add_event(wish, where(ran), NOW)
    assert "d1" not in str(error.value)


@pytest.mark.parametrize("name", ["nothing-of-that-name", "ab", ""])
def test_an_event_that_was_not_recorded_cannot_be_withdrawn(ran: Daily, name: str) -> None:
    happens(ran, "south", "tenant_closed")
    with pytest.raises(ConfigurationError, match="no event id starts with this text"):
        withdraw_event(name, where(ran), NOW)


def test_a_ledger_that_cannot_be_read_stops_the_expiry(ran: Daily) -> None:
    for path in ran.out.glob("ledger.db*"):
        path.unlink()
    (ran.out / "ledger.db").write_bytes(b"no database" * 99)
    (ran.out / "ledger.db").chmod(0o600)
    with pytest.raises(LedgerError):
        ran.expire(NOW)


def test_an_output_that_cannot_be_looked_at_is_named(ran: Daily) -> None:
    (ran.folder / "policy.yaml").unlink()
    kept = happens(ran, "east", "subject_left", "d1")
    assert kept.unreachable == (str(ran.out.resolve()),)
    assert happens(ran, "south", "tenant_closed").unreachable == ()


@pytest.fixture(name="spied")
def _spied() -> Iterator[Callable[[], int]]:
    """How often a file was read for its subjects."""
    read = list[str]()
    with at_checkpoint("stored.read", lambda _, path: read.append(path)):
        yield lambda: len(read)


def test_files_whose_events_are_all_later_are_not_read_for_it(ran: Daily, spied: Callable[[], int]) -> None:
    happens(ran, "east", "subject_left", "d1", occurred_at=START - DAY)
    ran.expire(NOW)
    assert spied() == 0
    happens(ran, "east", "subject_left", "d1")
    ran.expire(NOW)
    assert spied() > 0
    assert len(minimize.read(ran.out)) == 10


@pytest.fixture(name="strangers_project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, ("device", "user"))
    project.pipeline(aggregates=None, settings=None)
    return project


def ran(strangers_project: Project) -> Places:
    strangers_project.records(events(20))
    strangers_project.run()
    return Places(output=strangers_project.out, pipeline=strangers_project.folder, keys=strangers_project.keys)


def test_records_know_their_tenants(strangers_project: Project) -> None:
    places = ran(strangers_project)
    assert suggest_tenants("south", places) is None
    assert suggest_tenants("sooth", places) == ("south",)
    assert suggest_tenants("contoso", places) == ()


def test_folders_and_the_ledger_know_tenants(strangers_project: Project) -> None:
    strangers_project.pipeline(aggregates=None, settings=None, records={"partition_by": ["tenant_id"]})
    places = ran(strangers_project)
    assert suggest_tenants("south", places) is None
    set_setting(NewSetting("contoso", "location", "on", "admin"), places, AT)
    assert suggest_tenants("contoso", places) is None
    assert suggest_tenants("Contosso", places) == ("contoso",)


def test_tenants_are_not_suggested_if_outputs_hold_their_pseudonyms(strangers_project: Project) -> None:
    strangers_project.policy(
        {"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}}
    )
    assert suggest_tenants("contoso", ran(strangers_project)) is None


def test_where_nothing_names_a_tenant_there_is_nothing_to_compare_with(strangers_project: Project) -> None:
    strangers_project.records([])
    strangers_project.run()
    assert (
        suggest_tenants(
            "contoso",
            Places(output=strangers_project.out, pipeline=strangers_project.folder, keys=strangers_project.keys),
        )
        is None
    )
