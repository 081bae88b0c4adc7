from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.report.catalogue import (
    DatasetEntry,
    FieldEntry,
    dataset_entry,
    pipelines_in,
    recipients_of,
    stated_processing,
    subprocessors_of,
)
from tests.cli.conftest import _project
from tests.project import AT, Project, events

DAY = date(2026, 11, 25)

PIPELINES = Path(__file__).parents[2] / "pipelines"


def of(name: str) -> DatasetEntry:
    return dataset_entry(pipelines_in([str(PIPELINES / name)], DAY)[0])


@pytest.fixture(name="entry", scope="module")
def _entry() -> DatasetEntry:
    return of("device_telemetry")


def field(entry: DatasetEntry, key: str) -> FieldEntry:
    return next(each for each in entry.fields if each.key == key)


def test_every_declared_field_has_an_entry_dropped_ones_too(entry: DatasetEntry) -> None:
    known = pipelines_in([str(PIPELINES / "device_telemetry")], DAY)[0]
    assert [each.key for each in entry.fields] == list(known.plan.fields)
    imei = field(entry, "imei")
    assert (imei.after, imei.kept, imei.outputs) == ("absent", "", ())


def test_a_field_shows_its_form_before_and_after_and_what_is_shared(entry: DatasetEntry) -> None:
    ip = field(entry, "ip_address")
    assert (ip.before, ip.after, ip.residual, ip.category) == (
        "string",
        "truncate_ip (v4 24, v6 48)",
        "coarse",
        "pseudonymized",
    )


def test_cases_are_shown_with_their_conditions() -> None:
    after = field(of("device_support"), "phone_number").after
    assert "owner_type is corporate: keep" in after
    assert "owner_type is personal: mask (keep_last 4)" in after


def test_a_feature_shows_when_it_is_collected_and_how_long_it_is_kept(entry: DatasetEntry) -> None:
    place = field(of("device_support"), "position")
    assert place.collected.startswith("feature location is on for the tenant and for the subject itself; ")
    assert place.kept == "1d"
    assert "location: position of a lost device; kept 1d; turned on for each subject separately" in entry.features
    assert field(entry, "event_time").kept == "30d"


def test_purposes_are_the_fields_own_or_the_policys(entry: DatasetEntry) -> None:
    assert field(entry, "phone_number").purposes == ("customer_support",)
    assert field(entry, "model").purposes == ("service_maintenance", "customer_support")


def test_the_source_names_who_sends_the_records(entry: DatasetEntry) -> None:
    assert entry.source == "ndjson"
    assert of("jamf_compliance").source == "ndjson from jamf (compliance)"


def test_aggregates_are_outputs_of_the_fields_behind_their_columns(entry: DatasetEntry) -> None:
    battery = field(entry, "battery_pct")
    assert battery.outputs == ("records", "fleet_by_version")
    assert battery.after == "bin (width 10); in aggregates clip (min 0, max 100)"
    fleet = next(each for each in entry.outputs if each.name == "fleet_by_version")
    assert (fleet.category, fleet.suppressed) == (
        "aggregated",
        "groups of fewer than 10 subjects; statistics have noise",
    )


def test_a_field_is_sent_for_the_functions_that_its_pipeline_feeds() -> None:
    android = of("google_android_management")
    assert field(android, "imei").recipients == ("google (android_management)",)
    assert field(android, "event_time").recipients == ()


def test_a_secret_that_passes_through_is_sent_too_and_is_in_no_output() -> None:
    token = field(of("apple_push"), "Token")
    assert (token.after, token.outputs, token.recipients) == ("absent", (), ("apple (push)",))


def test_a_field_that_only_bears_the_name_of_one_that_is_sent_has_no_recipient(entry: DatasetEntry) -> None:
    assert {each.recipients for each in entry.fields} == {()}


__all__ = ["_project"]


RUN_DAY = AT.date()


def test_a_file_its_folder_and_the_folder_above_name_the_same_pipeline_once() -> None:
    one = PIPELINES / "usage_events"
    known = pipelines_in([str(one), str(one / "pipeline.yaml"), str(one)], RUN_DAY)
    assert [each.pipeline.pipeline for each in known] == ["usage_events"]
    every = [each.pipeline.pipeline for each in pipelines_in([str(PIPELINES)], RUN_DAY)]
    assert every == sorted(path.parent.name for path in PIPELINES.glob("*/pipeline.yaml"))


def test_no_data_is_needed(project: Project) -> None:
    assert pipelines_in([str(project.folder)], RUN_DAY)[0].plan.outputs


def test_receipts_of_the_output_go_along(project: Project) -> None:
    project.records(events(20))
    project.run(at=AT)
    assert [each.kind for each in pipelines_in([str(project.folder)], RUN_DAY)[0].receipts] == ["run"]


def test_a_missing_or_faulty_pipeline_is_an_error(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no pipeline"):
        pipelines_in([str(tmp_path / "empty")], RUN_DAY)
    (project.folder / "policy.yaml").write_text("policy: [")
    with pytest.raises(PolicyError):
        pipelines_in([str(project.folder)], RUN_DAY)


def test_recipients_are_those_of_the_project_and_none_where_it_has_none(project: Project) -> None:
    found = recipients_of(pipelines_in([str(PIPELINES / "usage_events")], RUN_DAY))
    assert [each.recipient for each in found] == [
        "apple",
        "configmgr",
        "google",
        "jamf",
        "support_desk",
        "threat_defense",
    ]
    (project.folder / "minimize.yaml").write_text("recipients: nowhere\n")
    known = pipelines_in([str(project.folder)], RUN_DAY)
    assert (recipients_of(known), subprocessors_of(known)) == ((), ())


def test_subprocessors_are_those_of_the_list_next_to_the_recipients() -> None:
    known = pipelines_in([str(PIPELINES / "usage_events"), str(PIPELINES / "device_telemetry")], RUN_DAY)
    assert [each.name for each in subprocessors_of(known)] == ["Example Support Desk"]


def test_stated_facts_are_in_the_order_of_the_law(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("processing: {transfers: none, controller: Contoso}\n")
    known = pipelines_in([str(project.folder)], RUN_DAY)
    assert list(stated_processing(known).items()) == [("controller", "Contoso"), ("transfers", "none")]


@pytest.mark.parametrize("said", ["Contoso", "[Contoso]", "{controller: [Contoso]}", "{nonsense: Contoso}"])
def test_an_unreadable_statement_is_a_fault(project: Project, said: str) -> None:
    (project.folder / "minimize.yaml").write_text(f"processing: {said}\n")
    known = pipelines_in([str(project.folder)], RUN_DAY)
    with pytest.raises(PolicyError, match="processing"):
        stated_processing(known)
