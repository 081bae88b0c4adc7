"""What the datasets of the device-management service look like when they have passed: the golden cases of the service."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline

from . import handmade
from .handmade import OPERATIONS, SECRETS, leaves
from .shipped import DATASETS, PIPELINES, Runs

NEW = tuple(name for name, dataset in DATASETS.items() if dataset in handmade.DATASETS)
"""The pipelines whose datasets are made by hand, too."""


@pytest.fixture(name="made", scope="module")
def _made(runs: Runs) -> Any:
    """The rows of a pipeline on records made by hand, by pipeline and output."""

    def rows(name: str, output: str = "records") -> list[dict[str, Any]]:
        return runs.by_hand(name).rows(output)

    return rows


@pytest.mark.parametrize("name", NEW)
def test_it_runs_on_records_made_by_hand_and_verifies(name: str, runs: Runs) -> None:
    ran = runs.by_hand(name)
    assert ran.done.code == 0, ran.done.err
    assert ran.receipt["rows"]["read"] == handmade.COUNT
    assert ran.receipt["quarantine"]["rows"] == 0
    assert all(output["rows"] > 0 for output in ran.receipt["outputs"].values())


@pytest.mark.parametrize("name", NEW)
def test_no_secret_is_released(name: str, made: Any) -> None:
    texts = [value for row in made(name) for _, value in leaves(row) if isinstance(value, str)]
    assert texts
    assert not [text for text in texts if text.startswith(SECRETS)]


def test_the_help_desk_sees_a_phone_number_by_ownership(made: Any) -> None:
    rows = made("device_lookup")
    seen = {(row["device_type"] == "android_dedicated", row["owner_type"]): row["phone_number"] for row in rows}
    assert str(seen[False, "corporate"]).startswith("+33")
    assert str(seen[False, "personal"]).startswith("****")
    assert {row["phone_number"] for row in rows if row["device_type"] == "android_dedicated"} == {None}


def test_the_owner_the_name_and_the_serial_number_of_a_device_are_for_the_help_desk_alone(made: Any) -> None:
    visible = {"user_display_name", "device_name", "serial_number"}
    assert all(any(row[key] for row in made("device_lookup")) for key in visible)
    assert not visible & set(made("device_inventory")[0])


@pytest.mark.parametrize(
    ("tenant", "owner", "system", "managed", "modern", "collected"),
    [
        ("fabrikam", "corporate", "macOS", False, False, True),
        ("fabrikam", "corporate", "iOS", False, False, True),
        ("fabrikam", "corporate", "Android", False, False, True),
        ("fabrikam", "corporate", "Windows", True, False, True),
        ("fabrikam", "corporate", "Windows", False, True, True),
        ("fabrikam", "corporate", "Windows", False, False, False),
        ("contoso", "personal", "Windows", True, False, True),
        ("contoso", "personal", "macOS", True, False, True),
        ("contoso", "personal", "iOS", False, False, False),
        ("contoso", "personal", "Windows", False, True, False),
        ("contoso", "unknown", "Android", True, False, True),
        ("fabrikam", "personal", "iOS", True, False, False),
        ("fabrikam", "unknown", "iOS", True, False, False),
    ],
)
def test_applications_are_inventoried_by_ownership_platform_and_feature(
    runs: Runs, tenant: str, owner: str, system: str, managed: bool, modern: bool, collected: bool
) -> None:
    """The feature app_inventory is on for contoso and off for fabrikam."""
    changes = {
        "tenant_id": tenant,
        "owner_type": owner,
        "operating_system": system,
        "managed": managed,
        "modern": modern,
    }
    released = runs.applied("app_inventory", [{**handmade.app_inventory(0), **changes}])
    assert (len(released) == 1) is collected


def test_an_installation_does_not_show_where_it_is(made: Any) -> None:
    assert "install_location" not in made("app_inventory")[0]


def test_each_operation_is_audited_without_names(made: Any) -> None:
    rows = made("audit_events")
    assert {row["operation"] for row in rows} == set(OPERATIONS)
    assert {tuple(each) for row in rows for each in row["resources"]} == {("type", "id")}
    assert {tuple(each) for row in rows for each in row["changed_properties"]} == {("name",)}
    text = json.dumps(rows, default=str)
    assert not [family for _, family in handmade.PEOPLE if family in text]
    assert "@mail.example" not in text
    assert {row["actor_ip"] for row in rows} == {"203.0.113.0", "198.51.100.0"}


def test_a_support_text_has_lost_addresses_and_numbers(made: Any) -> None:
    rows = made("support_cases")
    assert {row["subject_line"] for row in rows} == {"The device of [email] does not enrol"}
    assert {row["message"] for row in rows} == {"Please call [phone], the address of the device is [ip]"}
    assert all(row["contact_name"] and row["contact_email"] and row["contact_phone"] for row in rows)


NAMES_AND_ADDRESSES = ("site_name", "server_name", "contact_name", "contact_email", "server_ip", "postal_address")
ENHANCED = ("error_code", "database_size_gb", "server_age_months", "cpu")


def test_a_site_shows_names_and_addresses_at_the_level_full_only_and_treated(made: Any) -> None:
    rows = made("site_summary")
    named = [row for row in rows if any(row[key] is not None for key in NAMES_AND_ADDRESSES)]
    assert {(row["tenant_id"], row["diagnostic_level"]) for row in named} == {("contoso", "full")}
    raw = {record[key] for record in handmade.records("site_summary") for key in NAMES_AND_ADDRESSES}
    assert not raw & {row[key] for row in named for key in NAMES_AND_ADDRESSES}
    assert {row["postal_address"] for row in named} == {True}


def test_a_site_shows_errors_and_sizes_from_the_level_enhanced_on(made: Any) -> None:
    rows = made("site_summary")
    assert {row["diagnostic_level"] for row in rows if row["cpu"] is not None} == {"enhanced", "full"}
    assert all(row[key] is None for row in rows if row["diagnostic_level"] == "basic" for key in ENHANCED)


def counts(rows: list[dict[str, Any]], by: str, measure: str) -> Counter[Any]:
    """A measure summed by one key."""
    found: Counter[Any] = Counter()
    for row in rows:
        found[row[by]] += row[measure] or 0
    return found


MOST_NOISE = 24
"""The most by which a count of subjects with noise can be wrong: two draws, each at most six standard deviations of 2."""


def assert_near(found: Counter[Any], expected: dict[Any, int], rows: int) -> None:
    """Compares sums over some rows of counts of subjects with noise, each within the largest noise."""
    assert set(found) <= set(expected)  # a row of 20 subjects can be absent
    wrong = {key: found[key] for key, count in expected.items() if abs(found[key] - count) > MOST_NOISE * rows}
    assert wrong == {}


def test_devices_and_users_enrolled_are_counted(made: Any) -> None:
    rows = made("enrollments", "enrolled_per_day")
    assert {tuple(row)[:4] for row in rows} == {("day", "tenant_id", "enrollment_type", "succeeded")}
    enrolled = [row for row in rows if row["succeeded"]]
    assert_near(
        counts(enrolled, "enrollment_type", "devices"),
        {"UserEnrollment": 160, "AndroidEnterpriseDedicated": 40},
        rows=len(enrolled),
    )
    assert counts(enrolled, "enrollment_type", "users")["AndroidEnterpriseDedicated"] == 0


def test_failed_enrolments_are_counted_by_cause(made: Any) -> None:
    rows = made("enrollments", "failures_per_day")
    failed = [row for row in rows if row["failure_category"] is not None]
    assert {(row["failure_category"], row["failure_reason"]) for row in failed} == {
        ("EnrollmentRestrictionsEnforced", "DeviceCapReached")
    }
    assert_near(
        counts(failed, "enrollment_type", "devices"),
        {"UserEnrollment": 80, "AndroidEnterpriseDedicated": 20},
        rows=len(failed),
    )


def test_success_rates_are_shares(made: Any) -> None:
    enrolled = [row["succeeded"] for row in made("enrollments", "success_per_type")]
    assert any(enrolled)
    assert all(share is None or 0 < share < 1 for share in enrolled)
    installed = {row["operating_system"]: row["succeeded"] for row in made("app_inventory", "install_success")}
    assert all(share is None or 0 < share < 1 for share in installed.values())
    assert installed.keys() == {"Android", "Windows", "iOS", "macOS"}  # of few devices: noise may hide each share


def test_devices_are_counted_by_platform(made: Any) -> None:
    rows = made("device_inventory", "device_platforms")
    expected = {"Windows": 60, "macOS": 60, "iOS": 60, "Android": 120}
    assert_near(counts(rows, "operating_system", "devices"), expected, rows=2)


def test_devices_are_counted_by_application_and_state(made: Any) -> None:
    rows = made("app_inventory", "devices_per_state")
    assert {row["app"] for row in rows} == {"Mail"}
    assert set(counts(rows, "install_state", "devices")) == {
        "installed",
        "notInstalled",
        "pendingInstall",
        "notApplicable",
    }


def test_the_use_of_the_console_is_counted_over_all_customers(made: Any) -> None:
    rows = made("console_usage", "control_use")
    assert "tenant_id" not in rows[0]
    assert {row["page"] for row in rows} == {"devices"}
    assert_near(counts(rows, "control", "administrators"), {"list": 150, "search_box": 150}, rows=1)


def test_sites_are_summarized_by_week_and_version(made: Any) -> None:
    (row,) = made("site_summary", "weekly_summary")
    assert (f"{row['week']:%Y-%m-%d}", row["product_version"]) == ("2026-11-23", "5.2409")
    assert abs(row["sites"] - 300) <= MOST_NOISE


@pytest.mark.parametrize("name", NEW)
def test_groups_of_fewer_than_ten_are_suppressed_and_figures_have_noise(name: str) -> None:
    for aggregate in loaded(name).aggregates.values():
        assert aggregate.suppress.below == 10
        assert (aggregate.exact, aggregate.noise.sd, aggregate.round) == (None, "2", None)


def loaded(name: str) -> Pipeline:
    return load_pipeline(PIPELINES / name)
