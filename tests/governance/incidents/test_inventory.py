"""Copies at third parties, from disclosures and recalls.
What exposed files hold: where tenants stand under pseudonyms, in aggregates, or nowhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minimize.governance.incidents import Exposure, IncidentScope, exposure_scope
from minimize.governance.incidents.inventory import DisclosedCopy, disclosed_copies
from minimize.governance.settings import NewSetting, set_setting
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import RECALL, Disclosure, RecallState, RecallStep, TenantShare
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.workspace import Workspace as Places
from tests.acts import record_acts
from tests.governance import outputs
from tests.governance.outputs import PER_TENANT, places, run
from tests.governance.sharing.sender import NOW, Sender
from tests.project import Project, events

HOUR = timedelta(hours=1)


def out(shared: Sender, *, since: timedelta = HOUR, until: timedelta = 2 * HOUR) -> list[DisclosedCopy]:
    with open_ledger(find_ledger(shared.ledger)) as ledger:
        return list(disclosed_copies(ledger, (NOW + since, NOW + until)))


def recalled(shared: Sender, state: RecallState) -> None:
    (first, *_) = out(shared)
    step = RecallStep(first.act.disclosure, "north", "vendor", "asked", state, NOW + HOUR / 2, "ann")
    with open_ledger(find_ledger(shared.ledger)) as ledger:
        record_acts(ledger, shared.keys, RECALL, step)


def test_a_tenant_whose_records_were_shared_has_copies_at_the_recipient(shared: Sender) -> None:
    assert [(each.tenant, each.recipient, each.policy) for each in out(shared)] == [
        ("north", "vendor", "devices"),
        ("south", "vendor", "devices"),
    ]


def test_data_shared_after_the_window_was_not_exposed(shared: Sender) -> None:
    assert out(shared, since=-2 * HOUR, until=-HOUR) == []


def test_a_copy_is_out_until_it_is_confirmed_to_be_gone(shared: Sender) -> None:
    recalled(shared, "requested")
    assert len(out(shared)) == 2
    recalled(shared, "confirmed")
    assert [each.tenant for each in out(shared)] == ["south"]


def test_a_recipient_that_leaks_affects_whose_records_it_got(shared: Sender) -> None:
    places = Places(shared.ledger, keys=shared.keys)
    found = exposure_scope(Exposure.parse(["recipient:vendor"]), (NOW, NOW + HOUR), places, NOW + HOUR).to_json()
    assert [(each["tenant_id"], each["subjects"]) for each in found["tenants"]] == [
        ("north", {"count": 2, "exact": True}),
        ("south", {"count": 1, "exact": True}),
    ]
    assert {kind["column"] for kind in found["tenants"][0]["kinds"]} == {"device_id", "event_time", "model"}
    assert not exposure_scope(Exposure.parse(["recipient:other"]), (NOW, NOW + HOUR), places, NOW + HOUR).tenants


def test_a_recipients_pseudonyms_are_opened_by_the_key_that_they_come_from(shared: Sender) -> None:
    first = out(shared)[0]
    forms = [{each.name: each.form for each in first.columns(frozenset(keys))} for keys in ((), ("device/1",))]
    assert [form["device_id"] for form in forms] == ["pseudonymized", "identified"]


def test_a_leaked_key_alone_reaches_what_recipients_hold_under_a_key_of_it(shared: Sender) -> None:
    places = Places(shared.ledger, keys=shared.keys)

    def found(*texts: str) -> dict[str, list[tuple[str, str]]]:
        scope = exposure_scope(Exposure.parse(texts), (NOW, NOW + HOUR), places, NOW + HOUR).to_json()
        return {
            each["tenant_id"]: [(kind["column"], kind["form"]) for kind in each["kinds"]] for each in scope["tenants"]
        }

    assert found("key:device/1") == {name: [("device_id", "identified")] for name in ("north", "south")}
    assert found("key:device@vendor/1") == found("key:device/1")
    assert found("key:device/2") == found("key:dev/1") == found("key:device@carrier/1") == {}


@pytest.mark.parametrize(("told", "key", "made"), [(None, "device/9", True), (["device@vendor/2"], "device/1", False)])
def test_acts_of_before_keys_were_recorded_count_under_any_version(told: object, key: str, made: bool) -> None:
    body = {"category": "pseudonymized", "fields": {"device_id": "pseudonymize (key device@vendor)"}}
    act = Disclosure("d", NOW, "vendor", "sync", 1, "x", None, body if told is None else {**body, "keys": told})
    copy = DisclosedCopy(act, TenantShare("d", "north", 1, "c", None, b""))
    assert bool(copy.columns(frozenset({key}), keyed=True)) == made


def test_a_key_with_the_same_name_prefix_opens_nothing() -> None:
    body = {"category": "pseudonymized", "fields": {"device_id": "pseudonymize (key device_old@vendor)"}}
    copy = DisclosedCopy(
        Disclosure("d", NOW, "vendor", "sync", 1, "x", None, body), TenantShare("d", "north", 1, "c", None, b"")
    )
    assert {each.form for each in copy.columns(frozenset({"device/1"}))} == {"pseudonymized"}


def test_data_shared_by_an_actor_in_the_window_is_at_its_recipient(shared: Sender) -> None:
    places, (first, *_) = Places(shared.ledger, keys=shared.keys), out(shared)

    def found(*texts: str) -> list[tuple[str, list[str]]]:
        scope = exposure_scope(Exposure.parse(texts), (NOW - HOUR, NOW + HOUR), places, NOW + HOUR).to_json()
        return [(each["tenant_id"], each["via"]) for each in scope["tenants"]]

    with open_ledger(find_ledger(shared.ledger)) as ledger:
        user = next(iter(_senders(ledger)))
    assert found(f"actor:{user}") == [("north", [f"actor:{user}"]), ("south", [f"actor:{user}"])]
    assert found(f"actor:{user}@2020-01-01T00:00Z/2020-01-02T00:00Z") == found("actor:nobody") == []
    assert first.recipient == "vendor"


def _senders(ledger: Ledger) -> set[str]:
    return {entry_event(each)["actor"]["user"] for each in find_entries(ledger, EntryFilter(operation="disclose"))}


RECORDS = events(60)


def scoped(project: Project, *texts: str) -> IncidentScope:
    return outputs.scoped(project, *texts, at=places(project))


def filled(project: Project, **pipeline: Any) -> Project:
    project.pipeline(**{"aggregates": None, **pipeline})
    project.records(RECORDS)
    run(project)
    return project


def test_a_subject_that_was_dropped_counts_at_most_its_records(project: Project) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}, "model": None})
    found = scoped(filled(project), "date:2026-11-24")
    assert [str(each.subjects) for each in found.tenants] == ["at most 30", "at most 30"]


def test_records_whose_tenant_was_dropped_are_nobodys(project: Project) -> None:
    project.policy(
        {
            "tenant_id": {"type": "string", "do": "drop"},
            "device_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
        }
    )
    found = scoped(filled(project), "date:2026-11-24")
    assert (found.tenants, found.records_without_tenant) == ((), len(RECORDS))


def test_tenants_under_pseudonyms_are_found_where_the_ledger_names_them(project: Project) -> None:
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    filled(project)
    set_setting(NewSetting("north", "location", "on", "admin"), places(project), datetime.now(UTC))
    found = scoped(project, "date:2026-11-24")
    assert [each.tenant for each in found.tenants] == ["north"]
    assert found.records_without_tenant == len(RECORDS) // 2


def test_an_aggregate_identifies_no_subject(project: Project) -> None:
    found = scoped(filled(project, aggregates=PER_TENANT), f"output:{project.out}#per_tenant")
    said = {each["tenant_id"]: each for each in found.to_json()["tenants"]}
    assert set(said) == {"north", "south"}
    assert (said["north"]["form"], said["north"]["subjects"], said["north"]["notice"]) == ("aggregated", None, False)


def test_a_damaged_file_is_listed_as_unreadable(project: Project) -> None:
    filled(project)
    for path in project.files():
        (project.out / path).write_bytes(b"nothing")
    found = scoped(project, "date:2026-11-24")
    assert [(each.exposed.file.entry.rows, each.reason) for each in found.unreadable] == [(len(RECORDS), "E205")]
