"""Persons over everything that was exposed.
How far an incident reaches: tenants, persons, columns, times.
What an incident came to for one tenant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minimize.governance.incidents import Exposure, exposure_scope
from minimize.governance.incidents.exposure import ExposedColumn, ExposedForm
from minimize.governance.incidents.inventory import DisclosedCopy
from minimize.governance.incidents.scope import AffectedTenant, PersonCount, PersonCounter, TenantFinding
from minimize.ledger.kinds import TOKEN_BYTES, Disclosure, TenantShare
from minimize.workspace import Workspace as Places
from tests.governance.outputs import published, scoped, tenants
from tests.project import BEFORE, DAY, Builds, Project, events

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def copy(name: str, *persons: int, rows: int = 9, version: int | None = 1) -> DisclosedCopy:
    body = {"policy": {"name": "devices"}, "fields": {"model": "keep"}, "category": "pseudonymized"}
    tokens = b"".join(bytes([each]) * TOKEN_BYTES for each in persons)
    return DisclosedCopy(
        Disclosure(name, NOW, "vendor", "sync", rows, "x", None, body),
        TenantShare(name, "north", rows, "c", version, tokens),
    )


def subjects(*copies: DisclosedCopy) -> PersonCount:
    heads = PersonCounter()
    for each in copies:
        heads.add_copy(each)
    return heads.counts()["north"]


def test_a_person_in_two_copies_is_one() -> None:
    assert subjects(copy("a", 1, 2), copy("b", 2, 3)) == PersonCount(3, exact=True)


def test_names_under_two_key_versions_are_at_most_so_many_persons() -> None:
    assert subjects(copy("a", 1, 2), copy("b", 1, version=2)) == PersonCount(3, exact=False)


def test_records_without_a_subject_give_an_upper_bound_of_persons() -> None:
    assert subjects(copy("a", rows=7, version=None)) == PersonCount(7, exact=False)
    assert subjects(copy("a", 1, 2), copy("b", rows=7, version=None)) == PersonCount(9, exact=False)


def test_the_same_copy_twice_adds_nothing() -> None:
    assert subjects(copy("a", rows=7, version=None), copy("a", rows=7, version=None)) == PersonCount(7, exact=False)


RECORDS = events(60)
NORTH = [each for each in RECORDS if each["tenant_id"] == "north"]


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, published)


def test_persons_and_records_of_each_tenant_are_counted(filled: Project) -> None:
    found = tenants(scoped(filled, f"output:{filled.out}"))
    assert set(found) == {"north", "south"}
    assert found["north"]["subjects"] == {"count": len({each["device_id"] for each in NORTH}), "exact": True}
    assert found["north"]["rows"] == len(NORTH)


def test_the_period_holds_all_event_times(filled: Project) -> None:
    period = tenants(scoped(filled, f"output:{filled.out}"))["north"]["period"]
    times = [each["event_time"] for each in NORTH]
    assert period["from"] <= min(times) < max(times) <= period["to"]


def test_a_column_that_is_empty_for_a_tenant_was_not_exposed(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records([each | {"storage": None} if each["tenant_id"] == "north" else each for each in RECORDS])
    receipt = project.run(at=None, output=None)
    found = tenants(scoped(project, f"run:{receipt.run_id}"))
    kinds = {name: {kind["column"] for kind in each["kinds"]} for name, each in found.items()}
    assert "storage" in kinds["south"]
    assert "storage" not in kinds["north"]


def test_a_date_narrows_the_outputs(filled: Project) -> None:
    filled.records([each for each in RECORDS if each["tenant_id"] == "south"], day=BEFORE)
    filled.run(at=None, output=None)
    assert set(tenants(scoped(filled, f"output:{filled.out}", f"date:{BEFORE}"))) == {"south"}
    assert set(tenants(scoped(filled, f"date:{DAY}"))) == {"north", "south"}


def test_of_a_column_nothing_else_was_exposed(filled: Project) -> None:
    kinds = tenants(scoped(filled, "column:battery"))["north"]["kinds"]
    assert [kind["column"] for kind in kinds] == ["battery"]


def test_a_leaked_key_identifies_the_subjects_of_its_pseudonyms(filled: Project) -> None:
    found = tenants(scoped(filled, f"output:{filled.out}", "key:device/1"))["north"]
    forms = {kind["column"]: kind["form"] for kind in found["kinds"]}
    assert (forms["device_id"], forms["battery"], found["form"]) == ("identified", "pseudonymized", "identified")
    other = tenants(scoped(filled, f"output:{filled.out}", "key:device/2"))["north"]
    assert other["form"] == "pseudonymized"


def test_a_key_alone_reaches_what_was_made_with_it(filled: Project) -> None:
    kinds = tenants(scoped(filled, "key:device/1"))["north"]["kinds"]
    assert [(kind["column"], kind["form"]) for kind in kinds] == [("device_id", "identified")]
    assert tenants(scoped(filled, "key:device/2")) == {}


def test_rotating_pseudonyms_count_at_most_so_many(project: Project) -> None:
    project.policy(
        fields={
            "device_id": {
                "type": "string",
                "role": "identifier",
                "do": {"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "day"}},
            }
        }
    )
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    subjects = tenants(scoped(project, f"output:{project.out}"))["north"]["subjects"]
    assert subjects["exact"] is False
    assert subjects["count"] >= len({each["device_id"] for each in NORTH})


def test_data_encrypted_under_unexposed_keys_needs_no_notice(project: Project) -> None:
    project.pipeline(aggregates=None, records={"encrypt": "by_category"})
    project.records(RECORDS)
    project.run(at=None, output=None)
    found = tenants(scoped(project, f"output:{project.out}"))["north"]
    assert (found["form"], found["notice"]) == ("encrypted", False)
    opened = tenants(scoped(project, f"output:{project.out}", "key:encrypt.pseudonymized/1"))["north"]
    assert (opened["form"], opened["notice"]) == ("pseudonymized", True)


def test_files_from_outside_the_window_were_not_exposed(filled: Project) -> None:
    now = datetime.now(UTC)
    window = (now - timedelta(days=2), now - timedelta(days=1))
    places = Places(output=filled.out, keys=filled.keys)
    assert exposure_scope(Exposure.parse([f"output:{filled.out}"]), window, places, now).tenants == ()


def test_a_replaced_file_is_listed_as_unreadable(filled: Project) -> None:
    filled.records(events(70))
    filled.run(at=None, output=None)
    found = scoped(filled, f"output:{filled.out}")
    assert [each.exposed.file.entry.rows for each in found.unreadable] == [len(RECORDS)]


def test_a_scope_contains_no_value(filled: Project) -> None:
    said = str(scoped(filled, f"output:{filled.out}", "key:device/1").to_json())
    values = {str(value) for row in filled.rows() for key, value in row.items() if key in ("device_id", "model")}
    assert not [each for each in values if len(each) > 5 and each in said]


def test_a_tenants_own_master_key_opens_its_records_alone(project: Project) -> None:
    per_tenant = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}
    project.pipeline(aggregates=None, records=per_tenant)
    project.records(RECORDS)
    project.run(at=None, output=None)
    found = tenants(scoped(project, f"output:{project.out}", "key:encrypt.pseudonymized.t-north/1"))
    forms = {name: (each["form"], each["notice"]) for name, each in found.items()}
    assert forms == {"north": ("pseudonymized", True), "south": ("encrypted", False)}


def test_the_name_of_a_folder_is_open_and_about_no_person(project: Project) -> None:
    project.pipeline(aggregates=None, records={"partition_by": ["tenant_id"], "encrypt": "by_category"})
    project.records(RECORDS)
    project.run(at=None, output=None)
    found = tenants(scoped(project, f"output:{project.out}"))["north"]
    folders = [kind for kind in found["kinds"] if kind.get("in_folder_name")]
    assert [(kind["column"], kind["form"]) for kind in folders] == [("tenant_id", "pseudonymized")]
    assert (found["form"], found["notice"]) == ("encrypted", False)


DAY_US = 86_400_000_000


def column(name: str = "model", form: ExposedForm = "pseudonymized") -> ExposedColumn:
    return ExposedColumn(name, "pseudonymized", form, "keep")


def found(
    place: str = "a", *columns: ExposedColumn, rows: int = 3, since: int | None = 0, until: int | None = 0
) -> TenantFinding:
    return TenantFinding("output:out", place, frozenset(columns or [column()]), rows, since, until)


def test_records_that_were_exposed_twice_count_once() -> None:
    assert AffectedTenant("north", None, (found(rows=3), found(rows=2), found("b", rows=4))).rows == 7


def test_the_most_revealing_of_several_column_forms_counts() -> None:
    here = found("a", column(form="encrypted")), found("b", column(form="identified"), column("os", "encrypted"))
    this = AffectedTenant("north", None, here)
    assert [(each.name, each.form) for each in this.columns] == [("model", "identified"), ("os", "encrypted")]
    assert (this.form, this.needs_notice) == ("identified", True)


def test_encrypted_or_aggregated_data_needs_no_notice() -> None:
    assert not AffectedTenant(
        "north", None, (found("a", column(form="encrypted"), column("os", "aggregated")),)
    ).needs_notice


def test_the_period_is_from_the_first_to_the_last_time() -> None:
    said = AffectedTenant("north", None, (found(since=0, until=DAY_US), found("b", since=-DAY_US, until=0))).to_json()
    assert said["period"] == {"from": "1969-12-31T00:00:00Z", "to": "1970-01-02T00:00:00Z"}


def test_a_period_with_an_unknown_beginning_states_none() -> None:
    said = AffectedTenant("north", None, (found(), found("b", since=None, until=DAY_US))).to_json()
    assert said["period"] == {"from": None, "to": "1970-01-02T00:00:00Z"}


def test_an_inexact_number_of_persons_is_marked_as_an_upper_bound() -> None:
    assert [str(PersonCount(1200, exact)) for exact in (True, False)] == ["1,200", "at most 1,200"]
