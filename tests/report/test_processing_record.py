from __future__ import annotations

from pathlib import Path

from minimize.report.catalogue import pipelines_in, recipients_of, stated_processing
from minimize.report.documentation import ProcessingRecord, processing_record
from tests.cli.conftest import _project
from tests.project import AT, Project, events

__all__ = ["_project"]

PIPELINES = Path(__file__).parents[2] / "pipelines"


def of(path: Path) -> ProcessingRecord:
    known = pipelines_in([str(path)], AT.date())
    return processing_record(known, recipients_of(known), stated_processing(known))


def test_every_case_of_a_field_is_named_also_the_one_that_keeps_it() -> None:
    support = of(PIPELINES / "device_support").activities[0]
    assert "phone_number (dropped or unchanged or mask)" in support.data[0]


def test_an_activity_states_what_article_30_requires() -> None:
    one = of(PIPELINES / "device_telemetry").activities[0]
    assert (one.name, one.purposes) == ("device_telemetry", ("service_maintenance",))
    assert one.subjects == "persons or devices identified by device_id (the device)"
    assert one.data[0] == "identifiers: device_id (pseudonymize), user_id (pseudonymize)"
    assert one.recipients == ()
    assert one.limits == ("30d from the time of the event",)
    support = of(PIPELINES / "device_support").activities[0]
    assert support.limits == ("30d from the time of the event", "location: 1d")
    assert "pseudonymization: keyed hashes (HMAC-SHA-256); the keys are not in the output" in one.measures
    assert "fleet_by_version: groups of fewer than 10 subjects are suppressed; statistics have noise" in one.measures


def test_recipients_are_those_whose_functions_it_can_feed() -> None:
    record_ = of(PIPELINES)
    fed = {one.name: one.recipients for one in record_.activities if one.recipients}
    assert fed == {
        "apple_device_enrollment": ("apple (device_enrollment)",),
        "apple_push": ("apple (push)",),
        "apple_push_token_update": ("apple (push)",),
        "apple_volume_purchase": ("apple (volume_purchase)",),
        "google_android_management": ("google (android_management)",),
        "support_cases": ("support_desk (case_handover)",),
        "support_desk_cases": ("support_desk (case_handover)",),
        "threat_defense_app_sync": ("threat_defense (app_sync)",),
    }


def test_consent_is_a_measure_where_a_third_party_sends_the_records() -> None:
    received, own = (of(PIPELINES / name).activities[0].measures for name in ("jamf_compliance", "device_telemetry"))
    assert [each for each in received if each.startswith("authorization: a record from jamf (compliance)")]
    assert not [each for each in own if each.startswith("authorization")]


def test_dropped_fields_are_no_data_that_is_processed_further() -> None:
    said = " ".join(of(PIPELINES / "device_telemetry").activities[0].data)
    assert "imei" not in said
    assert "password" not in said


def test_a_third_party_is_listed_with_its_functions_and_contract() -> None:
    entries = {each.name: each for each in of(PIPELINES / "device_telemetry").recipients}
    assert entries["threat_defense"].functions == (
        "app_sync (operations, sent to the recipient)",
        "threat_state (operations, received from the recipient)",
    )
    offered = "EXAMPLE-GOOGLE-1, from 2026-01-01; the recipient may keep the data for 30d"
    assert entries["google"].contract == f"each tenant's own; offered: {offered}"
    own = "EXAMPLE-CONFIGMGR-1, from 2026-01-01; does not permit transmission"
    assert entries["configmgr"].contract == f"each tenant's own; offered: {own}"


def test_unstated_facts_are_listed_as_missing(project: Project) -> None:
    assert len(of(project.folder).missing) == 6
    said = "{controller: Contoso, contact: x@example.com, dpo: none, subjects: employees, transfers: none"
    said += ", organizational_measures: two people hold the keyring}"
    (project.folder / "minimize.yaml").write_text(f"processing: {said}\n")
    assert of(project.folder).missing == ()
    assert dict(of(project.folder).house)["controller"] == "Contoso"


def test_a_policy_without_retention_is_missing_a_limit(project: Project) -> None:
    text = (project.folder / "policy.yaml").read_text()
    (project.folder / "policy.yaml").write_text("".join(line for line in text.splitlines(True) if "30d" not in line))
    found = of(project.folder)
    assert "checkins: retention" in found.missing


def test_receipts_show_whether_and_under_which_policy_an_activity_ran(project: Project) -> None:
    assert of(project.folder).activities[0].ran is None
    project.records(events(20))
    project.run(at=AT)
    project.run(at=AT)
    ran = of(project.folder).activities[0].ran
    assert ran is not None
    assert (ran.receipts, ran.kinds, ran.dates) == (2, ("run 2",), "2026-11-24 to 2026-11-24")
    assert (ran.policy, ran.as_today) == ("checkins version 3", True)
    path = project.folder / "policy.yaml"
    path.write_text(path.read_text() + "# changed\n")
    changed = of(project.folder).activities[0].ran
    assert changed is not None
    assert not changed.as_today
